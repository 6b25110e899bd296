"""Targets, values, splits and controls shared by all probes at one role.

Targets with the same split share one factorisation of every site. Controls are additional targets:
shuffled labels, and Hewitt and Liang's control task (1909.03368), a random label for each input
type. An input type is a value of the digits that determine the target. A probe can learn labels
only of types in its training rows, so the control task is scored on held-out rows whose type occurs
in training. It is undefined if the split holds out whole types: split="combination" always does,
and so does the default split for facts about a whole number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems, as_keys
from interp.errors import InputError, RoleError
from interp.models.prompts import PromptBatch
from probes.needs import own_digits
from probes.places import positions
from probes.possible import check_possible, constant
from probes.splits import Split, digit_values, split, split_name, spread
from probes.targets import Target

WRONG_LABELS = ("shuffled", "control_task")
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def type_digits(problems: Problems, target: Target) -> tuple[str, ...]:
    """Digits whose values define the input types; empty for a target that needs no digit."""
    digits = own_digits(problems.task, target.name)
    return digits or tuple(sorted(name for name in target.needs if not name.startswith("op")))


def input_types(problems: Problems, target: Target, values: Floats) -> Ints:
    """Input type of each problem as a number, [n]; the target's `values` if it needs no digit."""
    digits = type_digits(problems, target)
    keys = as_keys(digit_values(problems, digits)) if digits else values
    return np.asarray(np.unique(keys, return_inverse=True)[1].ravel(), dtype=np.int64)


def control_labels(types: Ints, values: Floats, seed: int) -> Floats:
    """Control-task labels [n]: a random value of the target for each input type."""
    rng = np.random.default_rng([seed, 2])
    return np.asarray(rng.choice(values, size=int(types.max()) + 1)[types])


def recurring(types: Ints, split: Split) -> npt.NDArray[np.bool_]:
    """Mask of held-out rows whose input type occurs in training, [held-out rows]."""
    return np.isin(types[split.test], types[split.train])


@dataclass(frozen=True, eq=False)
class Design:
    """Targets with one split at one place, for one turn of holding rows out.

    values   [n, targets]; rows outside the split do not count
    wrong    [n, targets] wrong labels of each requested control
    scored   mask [held-out rows of this turn, targets] of the rows on which each control is scored:
             for the control task, rows whose input type occurs in training
    later    designs of the later turns, which hold out other rows; `test…` covers all turns
    """

    place: str
    targets: tuple[Target, ...]
    split: Split
    values: Floats
    wrong: dict[str, Floats]
    scored: dict[str, npt.NDArray[np.bool_]]
    later: tuple[Design, ...] = ()

    @cached_property
    def turns(self) -> tuple[Design, ...]:
        """One Design per turn."""
        return (replace(self, later=()), *self.later)

    @cached_property
    def test(self) -> Ints:
        """Held-out rows of all turns, concatenated in the order that all held-out arrays share."""
        return np.concatenate([turn.split.test for turn in self.turns])

    @cached_property
    def test_values(self) -> Floats:
        """[held-out rows, targets]"""
        return self.values[self.test]

    @property
    def n_train(self) -> int:
        """Mean number of training rows per turn."""
        return round(float(np.mean([len(turn.split.train) for turn in self.turns])))

    def test_wrong(self, name: str) -> Floats:
        """Labels of a control on the held-out rows, [held-out rows, targets]."""
        return np.concatenate([turn.wrong[name][turn.split.test] for turn in self.turns])

    def test_scored(self, name: str) -> npt.NDArray[np.bool_]:
        """Mask of held-out rows on which a control is scored, [held-out rows, targets]."""
        return np.concatenate([turn.scored[name] for turn in self.turns])

    def without_controls(self) -> Design:
        """The same Design without controls."""
        later = tuple(turn.without_controls() for turn in self.later)
        return replace(self, wrong={}, scored={}, later=later)


@dataclass(frozen=True)
class Scheme:
    """How rows are held out, the number of turns, and the label controls to fit."""

    by: str | Split = "operand"
    test: float = 0.25
    folds: int = 5
    seed: int = 0
    wrong: tuple[str, ...] = WRONG_LABELS
    turns: int = 1

    def __post_init__(self) -> None:
        if self.turns < 1:
            raise InputError(f"turns={self.turns}: rows are held out at least once")


LeftOut = dict[str, dict[str, str]]
"""Why a target is not probed at a place: target → place → reason."""


def designs(
    batch: PromptBatch,
    place: str,
    targets: Sequence[Target],
    scheme: Scheme,
    left_out: LeftOut | None = None,
) -> tuple[Design, ...]:
    """Group the targets by split, one Design each.

    Skips targets that cannot be known at `place` or that are constant over the prompts with it.

    Args:
        left_out: takes the reason for each target that the prompts with `place` cannot judge; None
            raises it.

    Raises InputError for a target with fewer rows than classes.
    """
    present = positions(batch, place) >= 0
    problems = batch.problems[present]
    known = [target for target in targets if target.known_at(batch, place)]
    known = list(varying(problems, known))
    return designs_of(batch.problems, known, scheme, place, present, left_out)


def designs_of(
    problems: Problems,
    targets: Sequence[Target],
    scheme: Scheme,
    place: str = "the question",
    present: npt.NDArray[np.bool_] | None = None,
    left_out: LeftOut | None = None,
) -> tuple[Design, ...]:
    """`designs` for problems; `present` [n] selects rows (default: all).

    A target whose classes need other folds than its group's has a Design of its own, so that its
    folds do not depend on the other targets.
    """
    groups: dict[tuple[str, str], tuple[list[Split], list[Target]]] = {}
    here = np.ones(len(problems), dtype=bool) if present is None else present
    for target in targets:
        try:
            turns, own = _turns(problems, target, scheme, here)
        except InputError as error:
            if left_out is None:
                raise
            left_out.setdefault(target.name, {})[place] = str(error)
            continue
        key = split_name(scheme.by, target), target.name if own else ""
        groups.setdefault(key, (turns, []))[1].append(target)
    out = []
    for turns, mine in groups.values():
        first, *later = (_design(problems, place, mine, scheme, one) for one in turns)
        out.append(replace(first, later=tuple(later)))
    return tuple(out)


def judged(
    problems: Problems,
    targets: Sequence[Target],
    found: Sequence[Sequence[Design]],
    left_out: LeftOut,
) -> tuple[Target, ...]:
    """The targets that have a Design at some place.

    Raises InputError for a target that is constant at every place, and with the first reason of
    `left_out` if no target remains.
    """
    probed = {target.name for mine in found for design in mine for target in design.targets}
    for target in targets:
        if target.name not in probed and target.name not in left_out:
            raise constant(target, float(target.values(problems)[0]))
    if not probed:
        first = next(iter(next(iter(left_out.values())).values()))
        others = f". Nor can {', '.join([*left_out][1:])} be judged" if len(left_out) > 1 else ""
        raise InputError(first + others)
    return tuple(target for target in targets if target.name in probed)


def _turns(
    problems: Problems, target: Target, scheme: Scheme, present: npt.NDArray[np.bool_]
) -> tuple[list[Split], bool]:
    """The target's split of each turn, and whether its folds were regrouped for its classes.

    Raises InputError if they cannot judge the target.
    """
    values = target.values(problems)
    every = [_split(problems, target, scheme, present, turn) for turn in range(scheme.turns)]
    # Prompts may lack the place, so a turn may hold out no prompt that has it.
    usual = [one for one in every if len(one.test)] or every[:1]
    labels = values if target.kind == "class" else np.zeros(len(values))
    given = isinstance(scheme.by, Split)
    mine = usual if given else [spread(one, labels) for one in usual]
    for one in mine:
        check_possible(problems, target, values, one)
    return mine, any(new is not old for new, old in zip(mine, usual, strict=True))


def _split(
    problems: Problems,
    target: Target,
    scheme: Scheme,
    present: npt.NDArray[np.bool_],
    turn: int,
) -> Split:
    whole = split(
        problems,
        scheme.by,
        target=target,
        test=scheme.test,
        folds=scheme.folds,
        seed=scheme.seed,
        turn=turn,
    )
    return whole.among(present)


def check_known(batch: PromptBatch, places: Sequence[str], targets: Sequence[Target]) -> None:
    """Raise RoleError for a target whose digits are not all seen at any of the places."""
    for target in targets:
        if not any(target.known_at(batch, place) for place in places):
            good = [role for role in batch.roles if target.known_at(batch, role)]
            raise RoleError(
                f"{target.name} cannot be known at {', '.join(places)}: it needs "
                f"{', '.join(sorted(target.needs))}, which are not all seen by then. "
                + (f"It is known from {good[0]} on." if good else "No role of these prompts has "
                   "seen them all.")
            )  # fmt: skip


def varying(problems: Problems, targets: Sequence[Target]) -> tuple[Target, ...]:
    """Targets with more than one value among the problems."""
    return tuple(target for target in targets if np.ptp(target.values(problems)) > 0)


def _design(
    problems: Problems,
    place: str,
    targets: Sequence[Target],
    scheme: Scheme,
    mine: Split,
) -> Design:
    values = np.stack([target.values(problems) for target in targets], axis=1)
    wrong, scored = {}, {}
    if "shuffled" in scheme.wrong:
        wrong["shuffled"] = _shuffled(values, mine, scheme.seed)
        scored["shuffled"] = np.ones((len(mine.test), len(targets)), dtype=bool)
    if "control_task" in scheme.wrong:
        pairs = list(zip(targets, values.T, strict=True))
        types = [input_types(problems, target, column) for target, column in pairs]
        wrong["control_task"] = np.stack(
            [control_labels(mine_of, column, scheme.seed)
             for mine_of, (_, column) in zip(types, pairs, strict=True)], axis=1
        )  # fmt: skip
        scored["control_task"] = np.stack([recurring(x, mine) for x in types], axis=1)
    return Design(place, tuple(targets), mine, values, wrong, scored)


def _shuffled(values: Floats, mine: Split, seed: int) -> Floats:
    """Values of every target, permuted over the rows of the split."""
    rng = np.random.default_rng([seed, 1])
    rows = np.concatenate([mine.train, mine.test])
    out = values.copy()
    out[rows] = values[rng.permutation(rows)]
    return out
