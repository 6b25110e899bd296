"""Expected results of each method on a planted model, computed from its program."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.digits import to_int64
from interp.arithmetic.problems import Problems
from interp.errors import InputError
from interp.planted.asked import asking, at, tokens_of
from interp.planted.interpret import interpret, normed, read_out
from interp.planted.program import Floats, Ints, Program

_STEP = 1e-6  # of the difference quotient; the fewer kinks lie within it the better


@dataclass(frozen=True, eq=False)
class CounterfactualKey:
    """Over every other value of an operand digit: `by_prompt` mean |Δ| and `signed` mean Δ
    [n, operand digits, roles] (NaN if a digit has no other value), and `flips`, the share of
    values that change the model's argmax."""

    operand_digits: tuple[str, ...]
    roles: tuple[str, ...]
    by_prompt: Floats
    signed: Floats
    flips: Floats

    @property
    def effect(self) -> Floats:
        """[operand digits, roles], mean Δ."""
        return _mean_known(self.signed)

    @property
    def magnitude(self) -> Floats:
        """[operand digits, roles], mean |Δ|."""
        return _mean_known(self.by_prompt)


def counterfactual(
    program: Program,
    problems: Problems,
    roles: Sequence[str],
    prefix: Literal["keep", "recompute"],
    target: Literal["argmax", "true", "difference"],
    operand_digits: Sequence[str] | None = None,
) -> CounterfactualKey:
    """Logit attribution by digit swaps, as `interp.attribution.counterfactual(draws="all")`."""
    every = tuple(
        f"{name}{i}"
        for name, width in zip("ab", problems.task.operand_digits, strict=True)
        for i in range(width)
    )
    names = every if operand_digits is None else tuple(operand_digits)
    if unknown := set(names) - set(every):
        raise InputError(f"no operand digit {min(unknown)!r}: choose from {', '.join(every)}")
    clean = _logits(program, tokens_of(program, problems), roles)
    own = _labels(program, problems, roles)
    shape = (10, len(problems), len(names), len(roles))
    delta, flips = np.full(shape, np.nan), np.full(shape, np.nan)
    for column, name in enumerate(names):
        for value in range(10):
            changed, rows = with_digit(problems, "ab".index(name[0]), int(name[1:]), value)
            if not len(rows):
                continue
            kept = problems[rows] if prefix == "keep" else None
            after = _logits(program, tokens_of(program, changed, prefix=kept), roles)
            before, mine = clean[rows], own[rows]
            choice = before.argmax(axis=-1)
            token = choice if target == "argmax" else mine
            moved = _at(before, token) - _at(after, token)
            if target == "difference":
                theirs = _labels(program, changed, roles)
                moved = moved - (_at(before, theirs) - _at(after, theirs))
                moved[theirs == mine] = np.nan
            delta[value, rows, column] = moved
            flips[value, rows, column] = after.argmax(axis=-1) != choice
    means = (_mean_known(x) for x in (np.abs(delta), delta, flips))
    return CounterfactualKey(names, tuple(roles), *means)


def with_digit(problems: Problems, operand: int, digit: int, value: int) -> tuple[Problems, Ints]:
    """The problems with the digit set to `value`, and their rows.

    Only rows where the digit changes, the number stays in the task and gets no leading zero.
    """
    digits = problems.operands[operand].copy()
    allowed = digits[:, digit] != value
    if value == 0:
        allowed &= digits[:, digit + 1 :].any(axis=1)
    digits[:, digit] = value
    allowed &= to_int64(digits) < problems.task.operand_limits[operand]
    rows = np.flatnonzero(allowed)
    if not len(rows):
        return problems, rows
    operands = [x[rows] for x in problems.operands]
    operands[operand] = digits[rows]
    return problems.task.problems(*operands), rows


def logit_lens(program: Program, problems: Problems, roles: Sequence[str]) -> Floats:
    """Logit lens [layers + 1, n, roles, vocabulary] at the embedding and after each layer."""
    trace = interpret(program, tokens_of(program, problems))
    where = asking(program, roles)
    streams = [trace.resid_pre[0], *trace.resid_post]
    return np.stack([read_out(program, x[:, where]) for x in streams])


def direct_effects(program: Program, problems: Problems, roles: Sequence[str]) -> pd.DataFrame:
    """Direct effect of each part of the model on the true tokens' logits.

    The final norm is held at the value it has. One row for each `part` ("embed", "mlp", "head"),
    `layer`, `head` and role, with `mean` and `largest` |effect|; over parts the means sum to the
    mean logit.
    """
    trace = interpret(program, tokens_of(program, problems))
    where, labels = asking(program, roles), _labels(program, problems, roles)
    final = trace.resid_post[-1][:, where]
    held = normed(program, final, True)[..., :1] / final[..., :1]
    rows = []
    for part, layer, head, value in _parts(trace.resid_pre[0], trace.heads, trace.mlp):
        effect = _at(value[:, where] * held @ program.unembed.T, labels)
        for i, role in enumerate(roles):
            mean, largest = effect[:, i].mean(), np.abs(effect[:, i]).max()
            rows.append((part, layer, head, role, mean, largest))
    return pd.DataFrame(rows, columns=["part", "layer", "head", "role", "mean", "largest"])


def _parts(
    embed: Floats, heads: Sequence[Floats], mlp: Sequence[Floats]
) -> Iterator[tuple[str, int, int, Floats]]:
    yield "embed", -1, -1, embed
    for layer, (by_head, neurons) in enumerate(zip(heads, mlp, strict=True)):
        for head, value in enumerate(by_head):
            yield "head", layer, head, value
        yield "mlp", layer, -1, neurons


def head_effects(program: Program, problems: Problems, roles: Sequence[str]) -> pd.DataFrame:
    """For each head and role, over the true tokens' logits: `removed`, the mean |Δ| under zero
    ablation at all positions, and `slope`, the mean |d logit / d factor| of its output (gradient
    times activation), which is 0 if the units behind it are saturated."""
    tokens, where = tokens_of(program, problems), asking(program, roles)
    labels, everywhere = _labels(program, problems, roles), range(tokens.shape[1])

    def true(layer: int, head: int, factor: float) -> Floats:
        edit = at("heads", layer, everywhere, lambda x: factor * x, heads=[head])
        out = interpret(program, tokens, edit=edit).resid_post[-1][:, where]
        return _at(read_out(program, out), labels)

    clean = true(0, 0, 1.0)
    rows = []
    for layer in range(program.n_layers):
        for head in range(program.n_heads):
            removed = np.abs(clean - true(layer, head, 0.0)).mean(axis=0)
            rise = true(layer, head, 1 + _STEP) - true(layer, head, 1 - _STEP)
            slope = np.abs(rise / (2 * _STEP)).mean(axis=0)
            rows += [(layer, head, *row) for row in zip(roles, removed, slope, strict=True)]
    return pd.DataFrame(rows, columns=["layer", "head", "role", "removed", "slope"])


def _logits(program: Program, tokens: Ints, roles: Sequence[str]) -> Floats:
    final = interpret(program, tokens).resid_post[-1]
    return read_out(program, final[:, asking(program, roles)])


def _labels(program: Program, problems: Problems, roles: Sequence[str]) -> Ints:
    """True token ids [n, roles]."""
    return tokens_of(program, problems)[:, [program.position(role) for role in roles]]


def _at(logits: Floats, tokens: Ints) -> Floats:
    return np.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]


def _mean_known(values: Floats) -> Floats:
    """Mean over axis 0, NaN left out."""
    known: npt.NDArray[np.bool_] = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
