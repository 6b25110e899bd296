"""Accuracy by answer digit, carry class, carries, cascade and operand size: one tidy table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.arithmetic.subtasks import has_classes, subtask_class
from interp.arithmetic.truth import families
from interp.results.intervals import wilson

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.object_]


def cells(
    problems: Problems, exact: npt.NDArray[np.bool_], correct: Floats, level: float = 0.95
) -> pd.DataFrame:
    """Every breakdown of `results.Behaviour.cells`.

    Args:
        exact: bool [n], exact match.
        correct: [n, answer_digits] of 1 and 0, NaN for digits that the answer lacks.
    """
    rows = list(_counted(problems, exact.astype(float), correct))
    table = pd.DataFrame(rows, columns=["breakdown", "answer_digit", "group", "n", "correct"])
    low, high = wilson(table["correct"], table["n"], level)
    table["accuracy"] = table["correct"] / table["n"]
    return table.assign(accuracy_low=low, accuracy_high=high)


Row = tuple[str, str, str, int, int]


def _counted(problems: Problems, exact: Floats, correct: Floats) -> Iterator[Row]:
    yield ("all", "", "", len(exact), int(exact.sum()))
    classes = carry_classes(problems)
    for k in range(correct.shape[1]):
        yield from _by("digit", f"c{k}", correct[:, k], None)
    for k in range(correct.shape[1]):
        yield from _by("carry class", f"c{k}", correct[:, k], classes[:, k])
    for name, labels in whole_answer_groups(problems).items():
        yield from _by(name, "", exact, labels)


def _by(name: str, digit: str, right: Floats, labels: Labels | None) -> Iterator[Row]:
    """One row for each label, in order of the label."""
    asked = ~np.isnan(right)
    if labels is None:
        if asked.any():
            yield (name, digit, "", int(asked.sum()), int(right[asked].sum()))
        return
    kinds, which = np.unique(labels[asked].astype(str), return_inverse=True)
    counts = np.bincount(which, minlength=len(kinds))
    sums = np.bincount(which, weights=right[asked], minlength=len(kinds))
    for place in sorted(range(len(kinds)), key=lambda i: _natural(str(kinds[i]))):
        yield (name, digit, str(kinds[place]), int(counts[place]), int(sums[place]))


def carry_classes(problems: Problems) -> Labels:
    """The carry class of each answer column, [n, answer_digits]: the literature's subtask class if
    there is one, else whether a carry (or borrow) comes in, or a modular sum wraps around."""
    task, width = problems.task, problems.task.answer_digits
    if has_classes(task):
        return subtask_class(problems)
    if task.arithmetic == "modular":
        wrap = np.where(problems.columns("wrap")[:, :1], "wrap", "no wrap")
        return np.repeat(wrap.astype(object), width, axis=1)
    incoming = np.zeros((len(problems), width), dtype=bool)
    incoming[:, 1:] = _moved(problems)[:, :-1]
    return np.where(incoming, "carry in", "no carry in").astype(object)


def whole_answer_groups(problems: Problems) -> dict[str, Labels]:
    """A label for each problem, by breakdown of the whole answer."""
    groups = {}
    if problems.task.arithmetic != "modular":
        groups["carries"] = _text(_moved(problems).sum(axis=1))
        groups["cascade"] = _text(problems.columns("cascade").max(axis=1))
    sizes = [[str(size) for size in row] for row in problems.lengths]
    groups["operand size"] = np.array([" and ".join(row) for row in sizes], dtype=object)
    return groups


def _moved(problems: Problems) -> npt.NDArray[np.bool_]:
    """Whether a carry or a borrow leaves each column, [n, answer_digits]."""
    names = [name for name in ("carry", "borrow") if name in families(problems.task)]
    return np.any([problems.columns(name) != 0 for name in names], axis=0)


def _text(counts: npt.NDArray[np.int64]) -> Labels:
    return counts.astype(str).astype(object)


def _natural(label: str) -> list[tuple[int, str]]:
    """Natural sort key: "9" before "10", and "3 and 5" before "3 and 10"."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in label.split()]
