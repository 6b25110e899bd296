"""Train/test splits of the prompts, and cross-validation folds.

A probe fitted on 37 + 45 has information about 37 + 46. Held-out rows therefore share no operand
value with training rows (`operand`), or at least no problem (`problem`), or, in a space too small
for either, no combination of the digits that determine the target (`combination`). The folds that
choose the penalty are cut the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems, as_keys
from interp.errors import InputError
from probes.needs import own_digits
from probes.targets import Target

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the training and the held-out problems, and a fold for each training row.

    `by` names what the two parts do not share. `unit` numbers, for each training row, the value
    that a fold holds whole; None in a split given by its rows, whose folds stay as given.

    Raises InputError if the two parts share a row.
    """

    by: str
    train: Ints
    test: Ints
    fold: Ints
    unit: Ints | None = None

    def __post_init__(self) -> None:
        for name in ("train", "test", "fold"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.int64))
        if len(np.intersect1d(self.train, self.test)):
            raise InputError("a row is in both halves of the split: hold out other rows")
        if len(self.fold) != len(self.train):
            raise InputError(f"{len(self.train)} training rows need a fold each")

    def among(self, present: npt.NDArray[np.bool_]) -> Split:
        """The split restricted to the rows in `present` [n], such as those with a role."""
        kept = present[self.train]
        unit = None if self.unit is None else self.unit[kept]
        test = self.test[present[self.test]]
        return Split(self.by, self.train[kept], test, self.fold[kept], unit)


def split(
    problems: Problems,
    by: str | Split = "operand",
    *,
    target: Target | None = None,
    test: float = 0.25,
    folds: int = 5,
    seed: int = 0,
    turn: int = 0,
) -> Split:
    """Hold out a share `test` of the values that `by` names, and cut the rest into `folds`.

    Args:
        by: "operand" (values of the number that the target is about, else of the last operand);
            "operand:a" for another; "problem" (the unordered operands); "combination" (of the one
            or two digits that the target leans on most, `own_digits`); or a Split, given back.
        turn: which share; no value is held out in two turns, and with test=0.25 every one in
            turns 0 to 3.

    Raises:
        InputError: for an unknown kind of split, a share outside (0, 1), fewer than two folds, a
            turn for which no values are left, or too few values for that many parts, with what to
            do.
    """
    if isinstance(by, Split):
        _check_rows(by, problems)
        if turn:
            raise InputError("a given split holds out its own rows, once: name a kind of split")
        return by
    if not 0 < test < 1:
        raise InputError(f"test={test}: a share lies between 0 and 1, such as 0.25")
    if folds < 2:
        raise InputError(f"folds={folds}: the penalty needs at least 2")
    if turn < 0 or (turn + 1) * test > 1 + 1e-9:
        raise InputError(
            f"turn={turn}: a share of {test} can be held out in {int(1 / test + 1e-9)} turns, the "
            "first of them 0"
        )
    what, keys = _keys(problems, by, target)
    values, of = np.unique(keys, return_inverse=True)
    first, stop = (round(share * test * len(values)) for share in (turn, turn + 1))
    held = stop - first
    if held < 1 or len(values) - held < folds:
        raise InputError(
            f"{len(values)} different {what} are too few for a test share of {test} and {folds} "
            "folds: draw more problems, take fewer folds, or split by 'problem'"
        )
    order = np.random.default_rng(seed).permutation(len(values))
    part = np.full(len(values), -1)
    part[np.delete(order, slice(first, stop))] = np.arange(len(values) - held) % folds
    rows = part[of.ravel()]
    train = np.flatnonzero(rows >= 0)
    return Split(f"{what}", train, np.flatnonzero(rows < 0), rows[train], of.ravel()[train])


def spread(mine: Split, labels: npt.NDArray[np.float64]) -> Split:
    """The split with values swapped between folds until classes stand in two folds where they can.

    A class that one fold holds alone cannot be learnt without that fold, so no penalty can be
    chosen. A class can stand in two folds if two values of the training rows have it. Held-out rows
    and the number of values in a fold stay; a split whose classes are spread is given back. If all
    training rows lie in one fold (the others lack the place), their values make two.

    Args:
        labels: class of each problem, [n].
    """
    if mine.unit is None or not len(mine.train):
        return mine
    _, first, unit = np.unique(mine.unit, return_index=True, return_inverse=True)
    classes, code = np.unique(labels[mine.train], return_inverse=True)
    names, fold = np.unique(mine.fold[first], return_inverse=True)
    if len(names) == 1:
        names, fold = np.arange(2), np.arange(len(first)) % 2
    has = np.zeros((len(first), len(classes)), dtype=np.int64)  # [values, classes]
    has[unit, code] = 1
    while (swap := _better_swap(has, fold)) is not None:
        fold[list(swap)] = fold[list(swap[::-1])]
    regrouped = names[fold][unit]
    same = len(first) == 1 or np.array_equal(regrouped, mine.fold)
    return mine if same else replace(mine, fold=regrouped)


def _better_swap(has: Ints, fold: Ints) -> tuple[int, int] | None:
    """Two values whose exchange leaves fewer classes in one fold only; None if there are none."""
    at = np.zeros((fold.max() + 1, has.shape[1]), dtype=np.int64)  # [folds, classes]
    np.add.at(at, fold, has)
    possible, stand = has.sum(axis=0) >= 2, (at > 0).sum(axis=0)
    alone = np.flatnonzero(possible & (stand < 2))
    for value in np.flatnonzero(has[:, alone].any(axis=1)):
        others = np.flatnonzero(fold != fold[value])
        here, there = at[fold[value]], at[fold[others]]
        elsewhere = stand - (here > 0) - (there > 0)
        after = here - has[value] + has[others] > 0, there - has[others] + has[value] > 0
        left = ((elsewhere + after[0] + after[1] < 2) & possible).sum(axis=1)
        if len(others) and left.min() < len(alone):
            return int(value), int(others[left.argmin()])
    return None


def split_name(by: str | Split, target: Target | None) -> str:
    """Key of a split: targets with equal keys have the same split and can share a fit."""
    if isinstance(by, Split):
        return by.by
    if by == "combination" and target is not None:
        return f"combination of {target.name}"
    if by == "operand" and target is not None and target.about not in (None, "c"):
        return f"operand:{target.about}"
    return by


def split_settings(by: str | Split) -> dict[str, Any]:
    """Settings of a split for a Result: its name, and the rows of a given Split."""
    if not isinstance(by, Split):
        return {"split": by, "split_rows": None}
    rows = {name: getattr(by, name).tolist() for name in ("train", "test", "fold")}
    return {"split": by.by, "split_rows": rows}


def turns_setting(turns: int) -> dict[str, int]:
    """Settings of the turns for a Result; empty for a single turn, as in older Results."""
    return {} if turns == 1 else {"turns": turns}


def each_once(problems: Problems, by: str | Split) -> Problems:
    """Distinct problems in order of first appearance: a repeated one is no new evidence.

    Raises InputError for repeated problems under a given Split, whose row numbers would shift.
    """
    once = problems.distinct()
    if isinstance(by, Split) and len(once) < len(problems):
        raise InputError(
            f"{len(problems) - len(once)} problems occur twice, and the given split counts rows: "
            "leave repeated problems out before splitting"
        )
    return once


def _keys(problems: Problems, by: str, target: Target | None) -> tuple[str, npt.NDArray[np.void]]:
    """Description of the held-out unit, and the label of each row."""
    names = problems.task.operand_names
    if by == "problem":
        return "problems", as_keys(_unordered(problems))
    if by == "combination":
        return _combinations(problems, target)
    if by == "operand":
        about = None if target is None else target.about
        by = f"operand:{names[-1] if about in (None, 'c') else about}"
    kind, _, name = by.partition(":")
    if kind != "operand" or name not in names:
        raise InputError(
            f"unknown split {by!r}: choose problem, operand, combination, or "
            + ", ".join(f"operand:{x}" for x in names)
        )
    return f"values of {name}", as_keys(problems.operands[names.index(name)])


def _combinations(problems: Problems, target: Target | None) -> tuple[str, npt.NDArray[np.void]]:
    digits = () if target is None else own_digits(problems.task, target.name)
    if target is None or not digits:
        named = "no target" if target is None else target.name
        raise InputError(f"{named} has no one or two digits of its own: split by 'operand'")
    return f"combinations of {' and '.join(digits)}", as_keys(digit_values(problems, digits))


def digit_values(problems: Problems, digits: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """The values [n, digits] of operand digits by name."""
    names = problems.task.operand_names
    return np.stack(
        [problems.operands[names.index(digit[0])][:, int(digit[1:])] for digit in digits], axis=1
    )


def _unordered(problems: Problems) -> npt.NDArray[np.uint8]:
    """Bytes of each problem, equal for a + b and b + a, and for a · b and b · a."""
    first, last = problems.operands[0], problems.operands[-1]
    minus = (problems.operators == "-").any()
    if len(problems.operands) != 2 or first.shape != last.shape or minus:
        return problems.rows
    difference = first.astype(np.int16) - last
    top = np.argmax(difference[:, ::-1] != 0, axis=1)
    swap = difference[np.arange(len(first)), first.shape[1] - 1 - top] > 0
    return np.where(swap[:, None], np.hstack([last, first]), np.hstack([first, last]))


def _check_rows(given: Split, problems: Problems) -> None:
    rows = np.concatenate([given.train, given.test])
    if not len(given.train) or not len(given.test):
        raise InputError("a split needs rows to fit on and rows to score on")
    if rows.min() < 0 or rows.max() >= len(problems):
        raise InputError(f"the split names row {rows.max()}, and there are {len(problems)}")
