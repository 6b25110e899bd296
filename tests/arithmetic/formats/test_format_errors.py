"""Bad input is refused at the door, and the message quotes the place or names the remedy."""

from __future__ import annotations

import numpy as np
import pytest

from interp.arithmetic.formats import few_shot, format
from interp.arithmetic.tasks import task
from interp.errors import FormatError, InputError


@pytest.mark.parametrize(
    ("name", "task_name", "text", "place"),
    [
        ("plain", "add:3", "12+34=47", r"character 7 \(the answer is wrong\): expected '6'"),
        (
            "plain",
            "add:3",
            "12+34=46 ",
            r"character 8 \(after the answer\): expected the end of the text, found ' '",
        ),
        ("plain", "add:3", "12+34=4", r"character 7 .*expected '6', found the end of the text"),
        ("plain", "add:3", "012+34=46", r"character 0 \(in role a1\): expected '12\+34=46'"),
        ("plain", "add:3", "12-34=46", r"at character 2 expected '\+', found '-34=46'"),
        ("plain", "add:3", "12+=46", r"at character 3 expected operand b, a number of at most 3"),
        ("plain", "add:3", "1234+1=1235", r"at character 0 expected operand a, .* at most 3 dig"),
        ("padded", "add:3", "12+34=46", r"at character 0 expected operand a, a number of 3 digits"),
        ("padded", "sub:2", "12-34=22", r"character 6 \(the answer is wrong\): expected '-22'"),
        ("reversed", "add:2", "21+43=640", None),
        ("reversed", "add:2", "12+34=046", r"character 6 \(the answer is wrong\): expected '460'"),
        ("commas-r2l", "add:4", "1234+1=1235", r"character 1 \(in role x0\): expected ',234\+1"),
        ("commas-l2r", "add:4", "1,234+1=1,235", r"character 1 \(in role a2\): expected '23,4"),
        ("modular", "mod:113", "120 001 = 008", r"at character 0 expected operand a below 113"),
        ("af1-verbal", "add:2", "The sum of 1 and 2 was 3", r"at character 19 expected 'is '"),
        ("af1-verbal", "addsub:2", "The difference of 1 and x", r"at character 24 expected opera"),
        ("scratchpad", "add:2", "Input:\n1*2", r"at character 8 expected one of the operators \+"),
        ("plain@1:0", "add:2", "1+1=2", r"character \d+ expected .*found"),
    ],
)
def test_the_place_is_quoted(name: str, task_name: str, text: str, place: str | None) -> None:
    form, t = format(name), task(task_name)
    if place is None:
        assert form.render(form.parse(text, t))[0].text == text
        return
    with pytest.raises(FormatError, match=place) as error:
        form.parse(text, t)
    assert repr(name) in str(error.value)


def test_a_wrong_intermediate_is_found() -> None:
    t = task("mul:2x2")
    text = format("icot").render(t.problems([12], [34]))[0].text
    assert text == "2 1 * 4 3||8 4 0 + 0 6 3 0 #### 8 0 4 0"
    with pytest.raises(FormatError, match=r"\(in role t5\): expected '6 3 0 #### 8 0 4', found '7"):
        format("icot").parse(text.replace("0 6 3 0 #", "0 7 3 0 #"), t)


def test_the_line_is_named_among_many() -> None:
    good = "1+2=3"
    with pytest.raises(FormatError, match="line 1, character 4"):
        format("plain").parse_many([good, "1+2=4"], task("add:1"))
    with pytest.raises(FormatError, match="line 2: not in format 'plain': at character 1"):
        format("plain").parse_many([good, good, "1=2"], task("add:1"))


def test_a_format_that_cannot_write_the_task() -> None:
    with pytest.raises(InputError, match=r"'icot' cannot write 'add:2'\. Formats that can: plain"):
        format("icot").render(task("add:2").problems([1], [2]))
    with pytest.raises(InputError, match=r"'plain' cannot write 'mod:7'\..* padded, reversed"):
        format("plain").parse("1+2=3", task("mod:7"))


def test_an_unknown_format() -> None:
    with pytest.raises(InputError, match=r"no format 'plane'; the nearest: plain, padded or "):
        format("plane")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("right", "answer must be 'true', 'none', digits or integers, not 'right'"),
        (np.zeros((2, 2), dtype=np.uint8), r"integers \[1\] or digits \[1, 3\], .* \[2, 2\]"),
        (np.full((1, 3), 10), "digits must be integers from 0 to 9"),
        (np.zeros((1, 3)), "digits must be integers from 0 to 9"),
        ([1000], "more than the task's 3 digits"),
        ([-1], "'add:2' has no negative answers"),
        ([1.5], "answers must be integers, not float64 such as 1.5"),
        ([None], "answers must be integers, not object such as None"),
        ([True], "answers must be integers, not bool"),
    ],
)
def test_answers_that_do_not_fit(answer: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        format("plain").render(task("add:2").problems([1], [2]), answer=answer)  # type: ignore[arg-type]


def test_reading_needs_texts_and_a_known_answer_mode() -> None:
    with pytest.raises(InputError, match="no text to read"):
        format("plain").parse_many([], task("add:2"))
    with pytest.raises(InputError, match="'true' or 'none' when reading, not 'false'"):
        format("plain").parse("1+1=2", task("add:2"), answer="false")


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (0, "must be 1 to 64, not 0"),
        (65, "must be 1 to 64, not 65"),
        ([], "must be 1 to 64, not 0"),
        (["1+"], "a formula such as '1\\+1', not '1\\+'"),
    ],
)
def test_impossible_examples(examples: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        few_shot(format("plain"), examples)  # type: ignore[arg-type]


def test_examples_of_examples() -> None:
    with pytest.raises(InputError, match="'plain@1:0' already has examples"):
        few_shot(format("plain@1:0"), 2)


def test_examples_of_another_task() -> None:
    with pytest.raises(InputError, match=r"add:1 cannot be 12|no operator '\*'"):
        format("plain@12+1").render(task("add:1").problems([1], [2]))
