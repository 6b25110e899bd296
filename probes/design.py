"""Targets, values, splits and controls that all probes at one role share.

Targets with the same split share one factorisation of every site, and the controls are further
targets: labels shuffled over the rows, and Hewitt and Liang's control task (1909.03368), a random
label for each input type. An input type is a value of the digits that the target is made from. A
probe can learn the labels of types that it was fitted on and of no others, so the control is scored
on the held-out rows whose type is among the training rows, and says nothing where a split holds the
types out: split="combination" always does, and the default one for facts about a whole number.
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
from probes.splits import Split, digit_values, split, split_name
from probes.targets import Target

WRONG_LABELS = ("shuffled", "control_task")
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def type_digits(problems: Problems, target: Target) -> tuple[str, ...]:
    """The digits whose values are the input types; none where a target needs none."""
    digits = own_digits(problems.task, target.name)
    return digits or tuple(sorted(name for name in target.needs if not name.startswith("op")))


def input_types(problems: Problems, target: Target, values: Floats) -> Ints:
    """A number for the input type of each problem, [n]; the target's own `values` where it needs
    no digit."""
    digits = type_digits(problems, target)
    keys = as_keys(digit_values(problems, digits)) if digits else values
    return np.asarray(np.unique(keys, return_inverse=True)[1].ravel(), dtype=np.int64)


def control_labels(types: Ints, values: Floats, seed: int) -> Floats:
    """A value of the target, drawn at random, for each type, [n]."""
    rng = np.random.default_rng([seed, 2])
    return np.asarray(rng.choice(values, size=int(types.max()) + 1)[types])


def recurring(types: Ints, split: Split) -> npt.NDArray[np.bool_]:
    """Held-out rows whose type the training rows have, [held-out rows]."""
    return np.isin(types[split.test], types[split.train])


@dataclass(frozen=True, eq=False)
class Design:
    """Targets with one split at one place; where rows are held out in turns, the first of them.

    values   [n, targets]; rows outside the split do not count
    wrong    the same under each control that is asked for
    scored   under each control, the held-out rows of this turn that it can be scored on, [rows,
             targets]: of the control task those whose input type recurs
    later    the designs of the further turns, which hold out other rows; what is called `test…`
             is of all turns
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
        """A design each."""
        return (replace(self, later=()), *self.later)

    @cached_property
    def test(self) -> Ints:
        """The held-out rows, turn after turn, as all that is said of held-out rows."""
        return np.concatenate([turn.split.test for turn in self.turns])

    @cached_property
    def test_values(self) -> Floats:
        """[held-out rows, targets]"""
        return self.values[self.test]

    @property
    def n_train(self) -> int:
        """Training rows of a turn, on the average."""
        return round(float(np.mean([len(turn.split.train) for turn in self.turns])))

    def test_wrong(self, name: str) -> Floats:
        """What a control calls them, [held-out rows, targets]."""
        return np.concatenate([turn.wrong[name][turn.split.test] for turn in self.turns])

    def test_scored(self, name: str) -> npt.NDArray[np.bool_]:
        """Which of them a control can be scored on, [held-out rows, targets]."""
        return np.concatenate([turn.scored[name] for turn in self.turns])

    def without_controls(self) -> Design:
        """The same targets alone."""
        later = tuple(turn.without_controls() for turn in self.later)
        return replace(self, wrong={}, scored={}, later=later)


@dataclass(frozen=True)
class Scheme:
    """How rows are held out, in how many turns, and which controls with wrong labels are wanted."""

    by: str | Split = "operand"
    test: float = 0.25
    folds: int = 5
    seed: int = 0
    wrong: tuple[str, ...] = WRONG_LABELS
    turns: int = 1

    def __post_init__(self) -> None:
        if self.turns < 1:
            raise InputError(f"turns={self.turns}: rows are held out at least once")


def designs(
    batch: PromptBatch, place: str, targets: Sequence[Target], scheme: Scheme
) -> tuple[Design, ...]:
    """One Design for each split among the targets that can be known at `place` and vary among the
    prompts that have it.

    Raises InputError for a target that has fewer rows than classes.
    """
    present = positions(batch, place) >= 0
    problems = batch.problems[present]
    known = [target for target in targets if target.known_at(batch, place)]
    return designs_of(batch.problems, varying(problems, known), scheme, place, present)


def designs_of(
    problems: Problems,
    targets: Sequence[Target],
    scheme: Scheme,
    place: str = "the question",
    present: npt.NDArray[np.bool_] | None = None,
) -> tuple[Design, ...]:
    """The same for problems, of which those `present` [n] count (all)."""
    groups: dict[str, list[Target]] = {}
    for target in targets:
        groups.setdefault(split_name(scheme.by, target), []).append(target)
    here = np.ones(len(problems), dtype=bool) if present is None else present
    out = []
    for mine in groups.values():
        turns = [_split(problems, mine, scheme, here, turn) for turn in range(scheme.turns)]
        # Some prompts may lack the place: a turn may hold out none that has it.
        first, *later = (
            _design(problems, place, mine, scheme, one)
            for one in [one for one in turns if len(one.test)] or turns[:1]
        )
        out.append(replace(first, later=tuple(later)))
    return tuple(out)


def _split(
    problems: Problems,
    targets: Sequence[Target],
    scheme: Scheme,
    present: npt.NDArray[np.bool_],
    turn: int,
) -> Split:
    whole = split(
        problems,
        scheme.by,
        target=targets[0],
        test=scheme.test,
        folds=scheme.folds,
        seed=scheme.seed,
        turn=turn,
    )
    return whole.among(present)


def check_known(batch: PromptBatch, places: Sequence[str], targets: Sequence[Target]) -> None:
    """Raise RoleError for a target that no place can know: its digits were not all seen by then."""
    for target in targets:
        if not any(target.known_at(batch, place) for place in places):
            good = [role for role in batch.roles if target.known_at(batch, role)]
            raise RoleError(
                f"{target.name} cannot be known at {', '.join(places)}: it needs "
                f"{', '.join(sorted(target.needs))}, which are not all seen by then. "
                + (f"It is known from {good[0]} on." if good else "No role of these prompts has "
                   "seen them all.")
            )  # fmt: skip


def check_varying(
    problems: Problems, targets: Sequence[Target], found: Sequence[Sequence[Design]]
) -> None:
    """Raise InputError for a target that varies at none of the places."""
    probed = {target.name for mine in found for design in mine for target in design.targets}
    for target in targets:
        if target.name not in probed:
            raise _constant(target, float(target.values(problems)[0]))


def varying(problems: Problems, targets: Sequence[Target]) -> tuple[Target, ...]:
    """Those targets that have more than one value among the problems."""
    return tuple(target for target in targets if np.ptp(target.values(problems)) > 0)


def _design(
    problems: Problems,
    place: str,
    targets: Sequence[Target],
    scheme: Scheme,
    mine: Split,
) -> Design:
    values = np.stack([target.values(problems) for target in targets], axis=1)
    for target, column in zip(targets, values.T, strict=True):
        _check_values(target, column, mine)
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


def _check_values(target: Target, values: Floats, mine: Split) -> None:
    if not len(mine.test) or len(mine.train) < 2:
        raise InputError(
            f"{len(mine.train)} prompts to fit {target.name} on and {len(mine.test)} to score it "
            "on: draw more"
        )
    train = values[mine.train]
    if np.ptp(train) == 0:
        raise _constant(target, float(train[0]))
    if target.kind != "class":
        return
    classes, counts = np.unique(train, return_counts=True)
    if len(train) < 2 * len(classes):
        raise InputError(
            f"{len(train)} prompts are too few for the {len(classes)} classes of {target.name}: "
            "draw more"
        )
    for value in classes[counts < 2 * len(classes)]:
        if len(np.unique(mine.fold[train == value])) < 2:
            raise InputError(
                f"{target.name} is {value:g} in one fold of the training prompts only: draw more "
                "problems, or read it as kind='real'"
            )


def _constant(target: Target, value: float) -> InputError:
    return InputError(
        f"{target.name} is always {value:g} in the prompts to fit on, so there is nothing to find: "
        "leave it out, or draw problems in which it varies"
    )


def _shuffled(values: Floats, mine: Split, seed: int) -> Floats:
    """Every target's values over the rows of the split in a random order."""
    rng = np.random.default_rng([seed, 1])
    rows = np.concatenate([mine.train, mine.test])
    out = values.copy()
    out[rows] = values[rng.permutation(rows)]
    return out
