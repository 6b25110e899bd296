"""Is a shape used? Remove its waves, keep only them, or move along them, and see what is said.

With class means M_v at one place and their part on some waves W_v = Σ_k A_k cos + B_k sin, S the
span of the waves and P its projection, h an activation with number v:

    remove   h − P(h − μ)                      the waves are gone, everything else stays
    keep     μ + P(h − μ)                      only the waves are left
    move     h + W_(v + s) − W_v               the number v becomes v + s along the figure

After a move the answer that arithmetic gives for v + s is forced as the prefix, and followed is the
share of changed answer digits that the model now says. Controls: the same with S spanned by as many
random within-class differences (remove, keep), or with a displacement of the same length in a
random direction of the class means' own space (move).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import ModularAddition
from interp.engine.requests import Cancel
from interp.errors import InputError
from interp.geometry.classes import Classes, class_tokens, classes_of
from interp.geometry.edited import Answers, Place, answers
from interp.geometry.regular import wave_part, wave_span
from interp.models.model import Model
from interp.models.prompts import PromptBatch, predicted
from interp.models.tokens import digits_in
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def removal_table(
    model: Model,
    batch: PromptBatch,
    place: Place,
    activation: Floats,
    classes: Classes,
    means: Floats,
    frequencies: Sequence[int],
    *,
    randoms: int,
    seed: int,
    memory: int,
    cancel: Cancel | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy and errors of each arm (`plane_tables`): "clean", "remove", "keep", "remove random",
    "keep random"."""
    span = wave_span(means, frequencies)
    within = activation - means[classes.values]
    rng = np.random.default_rng(seed)
    planes = [("", span)]
    planes += [("random", random_span(within, len(span), rng)) for _ in range(randoms)]
    found = plane_tables(
        model, batch, place, activation, means.mean(axis=0), planes, seed=seed, memory=memory,
        cancel=cancel,
    )  # fmt: skip
    return found.accuracy, found.errors


class PlaneTables(NamedTuple):
    """What is said with planes removed or kept.

    accuracy    arm, answer_digit, accuracy with bounds, n
    errors      arm, answer_digit, offset (said − right, mod the number of digits; −1: no number),
                share of all answers
    contrasts   arm, against, difference with bounds (paired, mean over the answer's digits), n: how
                much more is lost by removing the plane, or left by keeping it, than with a control
    """

    accuracy: pd.DataFrame
    errors: pd.DataFrame
    contrasts: pd.DataFrame


def plane_tables(
    model: Model,
    batch: PromptBatch,
    place: Place,
    activation: Floats,
    centre: Floats,
    planes: Sequence[tuple[str, Floats]],
    *,
    seed: int,
    memory: int,
    cancel: Cancel | None,
) -> PlaneTables:
    """Answers with each plane removed, h − P(h − μ), and with it alone kept, μ + P(h − μ).

    Args:
        activation, centre: h [n, d] at the place, and μ [d].
        planes: (name, orthonormal rows [r, d]); "" is the plane that is tested, the others are its
            controls, and those of one name are draws that are averaged.
    """
    groups, _ = resampling(batch.problems)
    read = answers(model, batch, memory=memory, cancel=cancel)
    arms: dict[str, list[Answers]] = {"clean": [read]}
    for name, rows in planes:
        part = (activation - centre) @ rows.T @ rows
        for arm, new in (("remove", activation - part), ("keep", centre + part)):
            found = answers(
                model, batch, place, new, roles=read.roles, memory=memory, cancel=cancel
            )
            arms.setdefault(f"{arm} {name}".strip(), []).append(found)
    accuracy = [_rows(arm, many, read.roles, groups, seed) for arm, many in arms.items()]
    return PlaneTables(
        pd.concat(accuracy, ignore_index=True),
        _offsets(batch, arms),
        _contrasts(arms, groups, seed),
    )


def _contrasts(arms: dict[str, list[Answers]], groups: Ints, seed: int) -> pd.DataFrame:
    each = {arm: np.nanmean(_right(many), axis=1) for arm, many in arms.items()}
    rows = []
    for arm, sign in (("remove", -1), ("keep", 1)):
        for other in (name for name in each if name.startswith(f"{arm} ")):
            gap = sign * (each[arm] - each[other])
            low, high = mean_interval(gap[:, None], groups, seed=seed)
            rows.append(
                {
                    "arm": arm,
                    "against": other.removeprefix(f"{arm} "),
                    "difference": float(np.nanmean(gap)),
                    "low": float(low[0]),
                    "high": float(high[0]),
                    "n": len(gap),
                }
            )
    return pd.DataFrame(rows, columns=["arm", "against", "difference", "low", "high", "n"])


def _right(many: Sequence[Answers]) -> Floats:
    """Share of draws that say the wanted token, [n, roles]; NaN where a prompt lacks the role."""
    right = np.mean([one.right for one in many], axis=0)
    return np.asarray(np.where(many[0].wanted >= 0, right, np.nan))


def _offsets(batch: PromptBatch, arms: dict[str, list[Answers]]) -> pd.DataFrame:
    """Said minus right of each answer role whose digits all occur, by arm."""
    rows = []
    for i, role in enumerate(next(iter(arms.values()))[0].roles):
        digits = classes_of(batch, f"predicts({role})")
        try:
            tokens = class_tokens(batch, digits)
        except InputError:  # a leading digit that is never 9
            continue
        for arm, many in arms.items():
            offsets = np.concatenate([_offset(one.said[:, i], digits, tokens) for one in many])
            for offset, count in zip(*np.unique(offsets, return_counts=True), strict=True):
                rows.append(
                    {
                        "arm": arm,
                        "answer_digit": role,
                        "offset": int(offset),
                        "share": float(count / len(offsets)),
                    }
                )
    return pd.DataFrame(rows, columns=["arm", "answer_digit", "offset", "share"])


def _offset(said: Ints, digits: Classes, tokens: Ints) -> Ints:
    known = digits.values >= 0
    where = said[known, None] == tokens
    number = np.where(where.any(axis=1), where.argmax(axis=1), -1)
    off = (number - digits.values[known]) % digits.q
    return np.asarray(np.where(number >= 0, off, -1))


def move_table(
    model: Model,
    batch: PromptBatch,
    place: Place,
    activation: Floats,
    classes: Classes,
    means: Floats,
    frequencies: Sequence[int],
    steps: Sequence[int],
    *,
    randoms: int,
    seed: int,
    memory: int,
    cancel: Cancel | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whether the answer follows: (arm × step table, one row a step with the paired difference).

    First: arm ("move", "random", "clean"), step, followed with bounds, n (changed answer digits).
    Second: step, n, difference (move − mean of random, paired) with bounds.
    """
    waves = wave_part(means, frequencies)
    rng = np.random.default_rng(seed)
    rows, differences = [], []
    for step in steps:
        target = (classes.values + step) % classes.q
        moved = _with_number(batch.problems, classes, target)
        if moved is None:
            continue
        keep, answer = moved
        if not keep.any():
            continue
        part = batch[np.flatnonzero(keep)]
        forced = model.prompts(part.problems, format=batch.format, answer=answer[keep])
        own, to = classes.values[keep], target[keep]
        h, shift = activation[keep], waves[to] - waves[own]
        roles = _judged(batch, classes)
        changed = _changed(part, forced, roles)
        arms = {"clean": [h], "move": [h + shift]}
        arms["random"] = [h + _turned(shift, means, rng) for _ in range(randoms)]
        seen = {
            arm: np.mean(
                [
                    answers(
                        model, forced, place, new, roles=roles, memory=memory, cancel=cancel
                    ).right
                    for new in many
                ],
                axis=0,
            )
            for arm, many in arms.items()
        }
        groups, _ = resampling(part.problems)
        for arm, right in seen.items():
            rows.append({"arm": arm, "step": step, **_share(right, changed, groups, seed)})
        gap = _share(seen["move"] - seen["random"], changed, groups, seed)
        differences.append(
            {"step": step, **{k.replace("followed", "difference"): v for k, v in gap.items()}}
        )
    if not rows:
        raise InputError("no step leaves a possible problem: choose other steps")
    return pd.DataFrame(rows), pd.DataFrame(differences)


def _rows(
    arm: str, many: Sequence[Answers], roles: tuple[str, ...], groups: Ints, seed: int
) -> pd.DataFrame:
    right = _right(many)
    low, high = mean_interval(right, groups, seed=seed)
    return pd.DataFrame(
        {
            "arm": arm,
            "answer_digit": list(roles),
            "accuracy": np.nanmean(right, axis=0),
            "low": low,
            "high": high,
            "n": (~np.isnan(right)).sum(axis=0),
        }
    )


def _share(
    values: npt.NDArray[Any], changed: npt.NDArray[np.bool_], groups: Ints, seed: int
) -> dict[str, Any]:
    masked = np.where(changed, values, np.nan)
    rows = changed.any(axis=1)
    per_prompt = np.full(len(values), np.nan)
    per_prompt[rows] = np.nanmean(masked[rows], axis=1)
    if not rows.any():
        return {"followed": np.nan, "low": np.nan, "high": np.nan, "n": 0}
    low, high = mean_interval(per_prompt[:, None], groups, seed=seed)
    return {
        "followed": float(np.nanmean(per_prompt)),
        "low": float(low[0]),
        "high": float(high[0]),
        "n": int(rows.sum()),
    }


def random_span(within: Floats, rank: int, rng: np.random.Generator) -> Floats:
    """Orthonormal rows spanned by `rank` random within-class residuals."""
    picked = within[rng.choice(len(within), size=rank, replace=False)]
    picked = picked + 1e-9 * rng.standard_normal(picked.shape) * (np.abs(within).mean() + 1e-9)
    return np.asarray(np.linalg.qr(picked.T)[0].T)


def _turned(shift: Floats, means: Floats, rng: np.random.Generator) -> Floats:
    """Displacements of the same lengths in random directions of the class means' space; one
    rotation for all, so that they are as consistent as the true ones."""
    centred = means - means.mean(axis=0)
    _, sizes, rows = np.linalg.svd(centred, full_matrices=False)
    rows = rows[sizes > 1e-9 * max(float(sizes[0]), np.finfo(float).tiny)]
    turn = np.linalg.qr(rng.standard_normal((len(rows), len(rows))))[0]
    return np.asarray(shift @ rows.T @ turn @ rows)


def _with_number(
    problems: Problems, classes: Classes, target: Ints
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8]] | None:
    """Rows in which the number may be `target`, and the answer's digits then."""
    name, _, span = classes.column.rstrip("]").partition("[")
    low, _, high = span.partition(":")
    start, stop = int(low), int(high or int(low) + 1)
    digits = (target[:, None] // 10 ** np.arange(stop - start)) % 10
    task = problems.task
    if name == "c":
        answer = problems.answer.copy()
        width = min(stop, answer.shape[1])
        answer[:, start:width] = digits[:, : width - start]
        return np.ones(len(answer), dtype=bool), answer
    which = task.operand_names.index(name)
    operands = [operand.copy() for operand in problems.operands]
    operands[which][:, start:stop] = digits[:, : operands[which].shape[1] - start]
    if isinstance(task, ModularAddition):
        values = [problems.values(i).astype(np.int64) for i in range(2)]
        values[which] = target
        new = task.problems(*values)
        return np.ones(len(target), dtype=bool), new.answer
    several = any(len(choices) > 1 for choices in task.operators)
    new = task.problems(*operands, operators=problems.operators if several else None)
    same_sign = np.asarray(new.sign == problems.sign)
    return same_sign, new.answer


def _judged(batch: PromptBatch, classes: Classes) -> tuple[str, ...]:
    """The answer roles that a moved number can change: the emitted one, or all."""
    named = batch.emitted_at(classes.role) if classes.role == "last" else predicted(classes.role)
    every = tuple(role for role in batch.answer_roles_least_first if digits_in(role))
    return (named,) if named in every else every


def _changed(
    before: PromptBatch, after: PromptBatch, roles: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """[n, roles]: the wanted token differs."""
    pairs = [(before.labels(role).numpy(), after.labels(role).numpy()) for role in roles]
    return np.stack([(a != b) & (b >= 0) for a, b in pairs], axis=1)
