"""Each format, by hand: the text, the prompt and the roles."""

from __future__ import annotations

import numpy as np
import pytest

from interp.arithmetic.formats import Written, few_shot, format, format_names
from interp.arithmetic.tasks import Addition, Task, task


def written(name: str, task_name: str, *operands: int, operators: str | None = None) -> Written:
    problems = task(task_name).problems(*([v] for v in operands), operators=operators)
    return format(name).render(problems)[0]


def roles(line: Written) -> str:
    """`a1=1 a0=2 op=+ …`, template text left out."""
    return " ".join(
        f"{role}={line.text[start:stop]}" for role, start, stop in line.spans if role[0] != "x"
    )


@pytest.mark.parametrize(
    ("name", "task_name", "operands", "text"),
    [
        ("plain", "add:5", (12, 34), "12+34=46"),
        ("plain", "add:5", (0, 0), "0+0=0"),
        ("plain", "sub:3", (12, 134), "12-134=-122"),
        ("plain", "sub:3", (12, 12), "12-12=0"),
        ("plain", "mul:4x4", (1234, 5678), "1234*5678=7006652"),
        ("padded", "add:5", (12, 34), "00012+00034=000046"),
        ("padded", "sub:3", (12, 134), "012-134=-122"),
        ("padded", "sub:3", (12, 12), "012-012=+000"),
        ("reversed", "add:5", (12, 34), "21000+43000=640000"),
        ("reversed", "sub:3", (12, 134), "210-431=-221"),
        ("reversed-answer", "mul:5x1", (57257, 2), "57257*2=415411"),
        ("commas-r2l", "add:7", (8302080, 3529456), "8,302,080+3,529,456=11,831,536"),
        ("commas-r2l", "add:7", (83, 352), "83+352=435"),
        ("commas-l2r", "add:7", (8302080, 3529456), "830,208,0+352,945,6=118,315,36"),
        ("modular", "mod:113", (57, 101), "057 101 = 045"),
        ("qa-short", "add:1", (2, 3), "Question: What is 2 + 3?\nAnswer: 5"),
        ("calculate", "add:3", (2, 30), "Calculate: 2+30 = 32"),
        ("icot-no-cot", "mul:4x4", (2365, 4347), "5 6 3 2 * 7 4 3 4|| #### 5 5 6 0 8 2 0 1"),
        ("af1-original", "add:2", (42, 20), "42+20=62"),
        ("af1-original", "sub:2", (42, 20), "42-20=22"),
        ("af1-verbal", "add:2", (42, 20), "The sum of 42 and 20 is 62"),
        ("af1-verbal", "sub:2", (42, 20), "The difference of 42 and 20 is 22"),
        ("af1-qa", "add:2", (42, 20), "What is the sum of 42 and 20? Answer: 62"),
        ("af1-qa", "sub:2", (42, 20), "What is the difference of 42 and 20? Answer: 22"),
        ("af1-instruction", "add:2", (42, 20), "If you add 42 to 20, you will get 62"),
        ("af1-instruction", "sub:2", (42, 20), "If you subtract 20 from 42, you will get 22"),
        (
            "af1-word",
            "add:2",
            (42, 20),
            "John has 42 cookies. Jane has 20 cookies. Together they have 62",
        ),
        (
            "af1-word",
            "sub:2",
            (42, 20),
            "John has 42 cookies. He gave Jane 20 cookies. John now has 22",
        ),
        ("af1-python", "add:2", (42, 20), "a = 42; b = 20; print(a + b) # should print 62"),
        ("af1-python", "sub:2", (42, 20), "a = 42; b = 20; print(a - b) # should print 22"),
    ],
)
def test_text(name: str, task_name: str, operands: tuple[int, ...], text: str) -> None:
    assert written(name, task_name, *operands).text == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("af1-original", "42+20-15=47"),
        ("af1-verbal", "The result of 42 plus 20 minus 15 is 47"),
        ("af1-qa", "What is 42 plus 20 minus 15? Answer: 47"),
        ("af1-instruction", "If you start with 42, add 20, subtract 15, you will get 47"),
        (
            "af1-word",
            "John has 42 cookies. Jane gave him 20 cookies. He gave Jane 15 cookies. "
            "John now has 47",
        ),
        ("af1-python", "a = 42; b = 20; c = 15; print(a + b - c) # should print 47"),
    ],
)
def test_three_operands(name: str, text: str) -> None:
    line = written(name, "expr:A+B-C", 42, 20, 15)
    assert line.text == text
    held = roles(line)
    assert "a1=4 a0=2" in held
    assert "b1=2 b0=0" in held
    assert "d1=1 d0=5" in held


def test_roles_of_a_padded_problem() -> None:
    line = written("padded", "add:2", 7, 85)
    assert roles(line) == "a1=0 a0=7 op=+ b1=8 b0=5 eq== c2=0 c1=9 c0=2"
    assert line.answer_start == len("07+85=")
    assert line.prompt == "07+85="


def test_roles_follow_the_digits_when_the_order_is_turned_round() -> None:
    line = written("reversed", "sub:2", 7, 85)
    assert line.text == "70-58=-87"
    assert roles(line) == "a0=7 a1=0 op=- b0=5 b1=8 eq== sign=- c0=8 c1=7"


def test_roles_where_the_words_name_the_operation() -> None:
    line = written("af1-instruction", "sub:2", 42, 7)
    assert roles(line) == "op=subtract b0=7 a1=4 a0=2 c1=3 c0=5"


def test_roles_of_further_gaps() -> None:
    line = written("plain", "expr:A±B-C", 4, 2, 9, operators="+-")
    assert roles(line) == "a0=4 op=+ b0=2 op2=- d0=9 eq== sign=- c0=3"


def test_commas_are_template_text() -> None:
    line = written("commas-r2l", "add:4", 1234, 1)
    assert [role for role, _, _ in line.spans][:3] == ["a3", "x0", "a2"]


def test_the_blank_before_an_answer_goes_with_the_answer() -> None:
    line = written("modular", "mod:113", 57, 101)
    assert line.prompt == "057 101 ="
    assert written("icot-no-cot", "mul:2x2", 12, 34).prompt.endswith("####")


@pytest.mark.parametrize("name", format_names())
def test_a_prompt_is_the_text_before_the_thoughts_and_the_answer(name: str) -> None:
    for task_name in ("add:3", "sub:3", "mul:3x2", "mod:97", "expr:A+B-C"):
        t = task(task_name)
        if not format(name).accepts(t):
            continue
        problems = t.sample(4, seed=3)
        whole = format(name).render(problems)
        bare = format(name).render(problems, answer="none")
        for full, prompt in zip(whole, bare, strict=True):
            assert full.text.startswith(prompt.text)
            assert prompt.answer_start == len(prompt.text)
            thinks = any(role[0] == "t" for role, _, _ in full.spans)
            assert thinks or full.prompt == prompt.text


def test_which_formats_write_what() -> None:
    assert "icot" in format_names(task("mul:4x4"))
    assert "af1-word" not in format_names(task("mul:4x4"))
    assert "scratchpad" not in format_names(task("expr:A+B+C"))
    assert set(format_names(task("mod:113"))) == {
        "padded",
        "reversed",
        "reversed-answer",
        "modular",
        "modular-pair",
    }


@pytest.mark.parametrize("name", ["padded", "reversed", "icot", "modular", "plain", "scratchpad"])
def test_fixed_width_is_one_spans_tuple(name: str) -> None:
    form = format(name)
    for task_name in ("add:4", "addsub:3", "mul:3x2", "mod:113"):
        t: Task = task(task_name)
        if not form.accepts(t):
            continue
        lines = form.render(t.sample(200, seed=1))
        assert form.fixed_width(t) == (len({line.spans for line in lines}) == 1)


def test_fluent_formats_are_language() -> None:
    assert format("qa-short").fluent
    assert few_shot(format("af1-verbal"), 2).fluent
    assert not format("af1-original").fluent


def test_the_layout_of_a_shape_is_shared_between_calls() -> None:
    problems = Addition(5).sample(8, seed=0)
    first, again = (format("padded").render(problems)[0] for _ in range(2))
    assert first.spans is again.spans


def test_eight_operands_of_a_hundred_digits_find_their_layouts() -> None:
    t = task("expr:A±B±C±D±E±F±G±H:100")
    rng = np.random.default_rng(0)
    columns = [[int(10 ** int(k)) for k in rng.integers(0, 100, 60)] for _ in range(8)]
    signs = ["".join(rng.choice(["+", "-"], 7)) for _ in range(60)]
    problems = t.problems(*columns, operators=signs)
    for row, line in enumerate(format("plain").render(problems)):
        question, _, answer = line.text.partition("=")
        terms = [str(column[row]) for column in columns]
        assert question == "".join(v + o for v, o in zip(terms, [*signs[row], ""], strict=True))
        assert int(answer) == eval(question)


def test_role_at() -> None:
    line = written("plain", "add:2", 12, 5)
    assert [line.role_at(i) for i in (0, 2, 5, 6, 7)] == ["a1", "op", "c1", "c0", "end"]
