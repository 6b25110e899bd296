"""Formats by template: texts, roles, round trips, and refusals that name the place."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import interp
from interp.arithmetic.formats import format
from interp.arithmetic.formats.layout import Written
from interp.errors import FormatError, InputError
from tests import nanogpt

TEN_DIGITS = "0{a:reversed,pad}00{b:reversed,pad}0{c:reversed,pad}"
TEXTS = [
    ("${a}+{b}={c:reversed}$", "add:2", [12], [95], "$12+95=701$"),
    ("{a}+{b}={c:reversed}", "add:2", [12], [95], "12+95=701"),
    ("{a:pad}+{b:pad}={c:reversed,pad}", "add:3", [12], [95], "012+095=7010"),
    (
        "{a:reversed,spaced} + {b:reversed,spaced} = {c:reversed,spaced}",
        "add:3", [120], [95], "0 2 1 + 5 9 = 5 1 2",
    ),
    ("{a:whole} {b:whole} ={c:whole}", "mod:113", [99], [20], "99 20 =6"),
    (TEN_DIGITS, "add:10", [1234567890], [7], "0098765432100700000000007987654321" + "0"),
    ("{a:sep=|}+{b:sep=,}={c}", "add:3", [120], [95], "1|2|0+9,5=215"),
    ("{{{a}}} {op} {b}\\n{c:pad=4}!", "addsub:2", [12], [95], "{12} + 95\n+0107!"),
    ("{b}*{a}={c}", "mul:2x1", [12], [7], "7*12=84"),
]  # fmt: skip


def spans_of(written: Written) -> dict[str, str]:
    return {role: written.text[start:stop] for role, start, stop in written.spans}


@pytest.mark.parametrize(("template", "task", "a", "b", "text"), TEXTS)
def test_what_a_template_writes(
    template: str, task: str, a: list[int], b: list[int], text: str
) -> None:
    operators = ["+"] if task.startswith("addsub") else None
    made = interp.task(task).problems(a, b, **({"operators": operators} if operators else {}))
    (written,) = format(template).render(made)
    assert written.text == text
    assert "".join(spans_of_all(written)) == text  # each character once, in order
    assert format(template).parse(text, interp.task(task)) == made


def spans_of_all(written: Written) -> list[str]:
    return [written.text[start:stop] for _, start, stop in written.spans]


OPTIONS = ["", ":reversed", ":pad", ":reversed,pad", ":spaced", ":reversed,pad=6,sep=;"]


@pytest.mark.parametrize("task", ["add:3", "sub:2", "mul:2x2"])
def test_every_option_is_read_back(task: str) -> None:
    sign = {"a": "+", "s": "-", "m": "*"}[task[0]]
    problems = interp.task(task).sample(12, seed=1)
    for operand, answer in itertools.product(OPTIONS, OPTIONS):
        form = format(f"#{{a{operand}}}{sign}{{b{operand}}}={{c{answer}}}#")
        page = form.render(problems)
        assert form.parse_many([one.text for one in page], problems.task) == problems
        for one, value in zip(page, problems.answers(), strict=True):
            said = form.read_answer(one.text[one.answer_start :], problems.task)
            assert (said.value, said.well_formed) == (value, True)


def test_roles_come_from_the_problem_and_not_from_the_text() -> None:
    """Delimiters that are digits, and zeros beyond the task's width, are no digits of a number."""
    (ten,) = format(TEN_DIGITS).render(interp.task("add:10").problems([0], [10**10 - 1]))
    found = spans_of(ten)
    assert [found[f"a{i}"] for i in range(10)] == ["0"] * 10
    assert [found[f"b{i}"] for i in range(10)] == ["9"] * 10
    assert (found["x0"], found["x1"], found["x2"]) == ("0", "00", "0")
    assert [found[f"c{i}"] for i in range(11)] == [*"9" * 10, "0"]
    (wide,) = format("{a:pad=5}+{b:pad=5}={c:pad=6}0").render(interp.task("add:2").problems(12, 95))
    assert wide.text == "00012+00095=0001070"
    roles = {role for role, _, _ in wide.spans}
    assert {role for role in roles if role[0] in "abc"} == {
        "a0",
        "a1",
        "b0",
        "b1",
        "c0",
        "c1",
        "c2",
    }
    assert spans_of(wide)["eos"] == "0" and spans_of(wide)["c2"] == "1"


def test_named_formats_are_templates() -> None:
    problems = interp.task("add:3").sample(30, seed=0)
    for name, template in {
        "plain": "{a}+{b}={c}",
        "padded": "{a:pad}+{b:pad}={c:pad}",
        "reversed": "{a:reversed,pad}+{b:reversed,pad}={c:reversed,pad}",
        "plain@2:0": "{a}+{b}={c}@2:0",
    }.items():
        assert format(template).render(problems) == format(name).render(problems)


def test_an_answer_that_a_digit_follows_is_read_to_its_width() -> None:
    form, task = format(TEN_DIGITS + "0"), interp.task("add:10")
    assert form.read_answer("79876543210" + "0" + "5", task).value == 1234567897
    assert form.read_answer("7987", task).well_formed is False


REFUSED = [
    ("{a}+{x}={c}", r"character 5 \('x\}=\{c\}'\): no field 'x'; the fields are a, b, d"),
    ("{a}+{b:revers}={c}", r"character 7 .*no option 'revers'; the options are reversed, pad"),
    ("{a:pad,spacd}+{b}={c}", r"character 7 \('spacd"),
    ("{a}+{b}=", r"character 8 \(the end\): the answer \{c\} must stand"),
    ("{a}+{b}={c}={c}", r"character 12 .*second time"),
    ("{a}+{c}={b}", r"character 8 .*\{b\} must stand before the answer"),
    ("{a}{b}={c}", r"character 0 .*where \{a\} ends cannot be seen.*pad it, \{a:pad\}"),
    ("{a}+{b}={c}0", r"character 8 .*where \{c\} ends cannot be seen"),
    ("{a}+{b={c}", r"character 4 .*a single brace: \{\{ writes one"),
    ("{a}+{b}\\q={c}", r"character 7 .*are the escapes"),
    ("{a}×{b}={c}", r"character 3 .*only ASCII"),
    ("{a:sep=7}+{b}={c}", r"no option 'sep=7'"),
    ("{op:pad}{a}={c}", r"\{op\} takes no options"),
    ("{a:whole,reversed}+{b}={c}", r"character 0 .*a whole number has no order"),
    ("={c}", r"the operands are missing"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "message"), REFUSED)
def test_a_refusal_names_the_place(template: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        format(template)


@pytest.mark.parametrize(
    ("template", "task", "why"),
    [
        ("{a}+{b}={c}", "sub:2", r"writes '\+' where the task has '-'"),
        ("{a}+{b}={c}", "addsub:2", r"operator depends on the problem: write \{op\}"),
        ("{a}+{b}={c}", "expr:A+B-C:2", "its operands are a, b, d"),
        ("{a:pad=2}+{b}={c}", "add:3", "operand a has up to 3 digits, more than its pad"),
        ("{a}{op}{b}{op}={c}", "add:3", r"it takes \{op\} 1 times"),
    ],
)
def test_a_task_that_it_cannot_write_is_refused_with_the_reason(
    template: str, task: str, why: str
) -> None:
    assert not format(template).accepts(interp.task(task))
    with pytest.raises(InputError, match=why):
        format(template).render(interp.task(task).sample(2, seed=0))


def test_a_text_that_is_not_in_the_template() -> None:
    with pytest.raises(FormatError, match=r"character 0 expected '\$', found '12\+95=701'"):
        format("${a}+{b}={c:reversed}$").parse("12+95=701", interp.task("add:2"))
    with pytest.raises(FormatError, match="the answer is wrong"):
        format("${a}+{b}={c:reversed}$").parse("$12+95=107$", interp.task("add:2"))


@pytest.fixture(scope="module")
def model() -> Any:
    return interp.wrap(nanogpt.random_gpt(vocab_size=16), nanogpt.CHARACTERS + "$")


def test_every_door_of_a_model_takes_a_template(model: Any, tmp_path: Any) -> None:
    template = "${a}+{b}={c:reversed}$"
    batch = model.prompts(interp.task("add:2").problems([12, 3], [95, 4]), format=template)
    assert batch.texts == ("$12+95=701$", "$3+4=7$")
    assert batch.positions["c0"].tolist() == [7, 5] and batch.positions["c2"].tolist() == [9, -1]
    assert batch.predicts("c0").tolist() == [6, 4] and batch.prints_least_first
    result = interp.attribution.counterfactual(model, "add:2", n=20, format=template)
    assert result.settings["format"] == template
    loaded = interp.load_result(result.save(tmp_path / "saved"))
    assert loaded == result and repr(template) in loaded.code


def test_a_whole_number_has_one_role_for_any_length() -> None:
    pieces = [*map(str, range(113)), "="]
    model = interp.wrap(nanogpt.random_gpt(vocab_size=114), pieces)
    batch = model.prompts(
        interp.task("mod:113").problems([99, 5], [20, 1]), format="{a:whole} {b:whole} = {c:whole}"
    )
    assert batch.roles == ("a[0:3]", "b[0:3]", "eq", "c[0:3]", "last")
    assert batch.positions["c[0:3]"] == 3 and batch.labels("c[0:3]").tolist() == [6, 6]
