"""Interventions and problems as text: what is written is read back, what is not is refused."""

from __future__ import annotations

import pytest

import interp
from interp.arithmetic.typed import read_problem
from interp.errors import InputError
from interp.stack.edits import (
    EXAMPLES,
    Frequency,
    Head,
    Mlp,
    Probe,
    Wait,
    parse,
    parse_stack,
    write_stack,
)

EDITS = (
    Head(0, 1), Head(12, 3, "mean", "c2"), Mlp(1), Mlp(0, "mean", "predicts(c0)"), Wait(1),
    Wait(30), Frequency(2, 1, "a[0:3]"), Probe("product[0,1]", 12.0, 1, "eq"),
    Probe("sign", -1.0, 0, "last"),
)  # fmt: skip


def test_text_is_read_back() -> None:
    for edit in EDITS:
        assert parse(str(edit)) == edit
    assert parse_stack(write_stack(EDITS)) == EDITS == parse_stack([*map(str, EDITS)])
    assert [str(parse(text)) for text in EXAMPLES] == list(EXAMPLES)
    assert parse("  head  L0H1   zero ") == Head(0, 1) and parse_stack("") == ()
    assert parse_stack(Wait(2)) == (Wait(2),)


@pytest.mark.parametrize(
    "text", ["head", "head L0H1", "head L-1H0 zero", "wait two layers", "mlp L0 off", "L0H1 zero"]
)
def test_other_text_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError, match=r"cannot read the intervention .*: write head L0H1 zero;"):
        parse_stack(f"wait 1 layer, {text}")


def test_an_intervention_stands_once() -> None:
    with pytest.raises(InputError, match="'wait 1 layer' stands twice"):
        parse_stack("wait 1 layer, wait 1 layers")


@pytest.mark.parametrize(
    ("task", "text", "answer"),
    [
        ("add:5", "99999+1", 100000),
        ("add:5", " 12 + 34 = 9", 46),
        ("mul:4x4", "37×48", 1776),
        ("mul:4x4", "37 x 48", 1776),
        ("addsub:2", "12−30", -18),
        ("mod:113", "57+101", 45),
        ("expr:A+B-C", "10+5-3", 12),
    ],
)
def test_a_typed_problem_is_read_by_its_task(task: str, text: str, answer: int) -> None:
    problems = read_problem(interp.task(task), text)
    assert len(problems) == 1 and list(problems.answers()) == [answer]


@pytest.mark.parametrize("text", ["", "12", "12+x", "12-3", "1+2+3", "+1", "9" * 5000 + "+1"])
def test_another_text_is_no_problem(text: str) -> None:
    with pytest.raises(InputError, match=r"is no problem of add:5: write one such as \d+\+\d+"):
        read_problem(interp.task("add:5"), text)


def test_a_number_too_large_is_refused() -> None:
    with pytest.raises(InputError, match="must be between 0 and 99999"):
        read_problem(interp.task("add:5"), "100000+1")
