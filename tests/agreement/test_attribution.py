"""Counterfactual attribution and the logit lens, number for number, on every family."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import interp
from interp import attribution
from tests.agreement.conftest import Pair
from tests.agreement.slow import Slow, mean, place, written

DIGITS = 2
SUMS = ((12, 34), (7, 95), (58, 58))
ROLES = ("a0", "a1", "b0", "b1")
# Of the largest logit: Llama-like modules compute softmax in float32 even in a float64 model, and
# its sums differ with the width of the rows on some processors.
CLOSE = 1e-8

Cell = dict[tuple[str, str], float]


def assert_close(slow: Slow, got: float, want: float, what: str) -> None:
    largest = max((float(x.abs().max()) for x in slow._known.values()), default=1.0)
    both_empty = np.isnan(got) and np.isnan(want)
    assert both_empty or abs(got - want) <= CLOSE * max(largest, 1.0), f"{what}: {got}, not {want}"


def prompts(model: Any, format: str) -> Any:
    a, b = zip(*SUMS, strict=True)
    return model.prompts(interp.Addition(DIGITS).problems(a, b), format=format)


def replacements(number: int, digit: int, width: int) -> Iterator[int]:
    """The number with every other value of a digit that it writes; its first stays non-zero."""
    first = number > 0 and digit == len(str(number)) - 1
    for value in range(1 if first else 0, 10) if digit < width else ():
        new = number + (value - number // 10**digit % 10) * 10**digit
        if new != number:
            yield new


def slow_delta(slow: Slow, before: str, after: str, own: str, role: str, format: str,
               target: str) -> float:  # fmt: skip
    """Δ of one pair of texts; `own` is the changed problem with its own answer."""
    places = [place(text, role, format) for text in (before, after)]
    if None in places:
        return float("nan")
    x, y = (slow.logits(t)[p - 1] for t, p in zip((before, after), places, strict=True))
    t = slow.ids[before[places[0]]]
    if target == "argmax":
        t = int(x.argmax())
    if target != "difference":
        return float(x[t] - y[t])
    theirs = place(own, role, format)
    if theirs is None or slow.ids[own[theirs]] == t:
        return float("nan")
    u = slow.ids[own[theirs]]
    return float((x[t] - x[u]) - (y[t] - y[u]))


def slow_counterfactual(slow: Slow, format: str, prefix: str, target: str) -> tuple[Cell, Cell]:
    """Mean Δ and mean |Δ| by operand digit and answer digit."""
    signed: dict[tuple[str, str], list[float]] = {}
    size: dict[tuple[str, str], list[float]] = {}
    for numbers in SUMS:
        before = written(*numbers, sum(numbers), format, DIGITS)
        for role in ROLES:
            operand, digit = "ab".index(role[0]), int(role[1])
            width = len(str(numbers[operand])) if format == "plain" else DIGITS
            found: dict[str, list[float]] = {f"c{k}": [] for k in range(DIGITS + 1)}
            for new in replacements(numbers[operand], digit, width):
                a, b = (new if i == operand else numbers[i] for i in range(2))
                own = written(a, b, a + b, format, DIGITS)
                after = own if prefix == "recompute" else written(
                    a, b, sum(numbers), format, DIGITS)  # fmt: skip
                for answer, values in found.items():
                    values.append(slow_delta(slow, before, after, own, answer, format, target))
            for answer, values in found.items():
                signed.setdefault((role, answer), []).append(mean(values))
                size.setdefault((role, answer), []).append(mean([abs(v) for v in values]))
    return ({cell: mean(v) for cell, v in signed.items()},
            {cell: mean(v) for cell, v in size.items()})  # fmt: skip


@pytest.mark.parametrize("format", ["plain", "reversed"])
@pytest.mark.parametrize("prefix", ["keep", "recompute"])
def test_counterfactual(pair: Pair, format: str, prefix: Any) -> None:
    batch = prompts(pair.model, format)
    for target in ("argmax", "true", "difference"):
        found = attribution.counterfactual(
            pair.model, batch, prefix=prefix, target=target, draws="all"
        )
        signed, size = slow_counterfactual(pair.slow, format, prefix, target)
        for (role, answer), want in signed.items():
            cell = {"operand_digit": role, "answer_digit": answer}
            what = f"{role} on {answer} ({format}, {prefix}, {target})"
            assert_close(pair.slow, found.effect.at(**cell), want, what)
            assert_close(pair.slow, found.magnitude.at(**cell), size[role, answer], what)


@pytest.mark.parametrize("format", ["plain", "reversed"])
def test_logit_lens(pair: Pair, format: str) -> None:
    found = attribution.logit_lens(pair.model, prompts(pair.model, format))
    texts = [written(a, b, a + b, format, DIGITS) for a, b in SUMS]
    layers = found.logit.axis("layer").labels
    for number, layer in enumerate(layers):
        views = [pair.slow.lens(text, number - 1) for text in texts]
        for answer in found.logit.axis("answer_digit").labels:
            values = []
            for text, view in zip(texts, views, strict=True):
                at = place(text, answer, format)
                if at is None:
                    continue
                x, token = view[at - 1], pair.slow.ids[text[at]]
                rank = 1.0 + float((x > x[token]).sum())
                values.append(
                    (float(rank == 1), float(x.softmax(-1)[token]), rank, float(x[token]))
                )
            want = np.mean(values, axis=0)
            names = ("first", "probability", "rank", "logit")
            for name, value in zip(names, want, strict=True):
                got = getattr(found, name).at(layer=layer, answer_digit=answer)
                assert_close(pair.slow, got, value, f"{name} of {answer} after {layer}")
            assert found.used.at(answer_digit=answer) == len(values)
