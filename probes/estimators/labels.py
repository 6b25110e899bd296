"""Integer codes of the class labels of one or several targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interp.errors import InputError


@dataclass(frozen=True)
class Labels:
    """Each target's labels in ascending order, and the index of every row's label."""

    classes: tuple[NDArray[Any], ...]
    codes: NDArray[np.intp]  # [targets, n]

    @classmethod
    def of(cls, labels: ArrayLike, n: int) -> Labels:
        """Code labels [n] or [n, targets]. InputError for a single class, or too few rows."""
        labels = np.asarray(labels)
        labels = labels[:, None] if labels.ndim == 1 else labels
        if labels.ndim != 2 or len(labels) != n:
            raise InputError(f"labels have shape {labels.shape} for {n} rows; give [rows, targets]")
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise InputError("a label is NaN or infinite: leave out the rows that have no label")
        found = [np.unique(column, return_inverse=True) for column in labels.T]
        for index, (classes, _) in enumerate(found):
            at_least_two(index, classes)
            _fewer_than(index, classes, n)
        return cls(tuple(classes for classes, _ in found), np.stack([code for _, code in found]))

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Number of classes [targets]."""
        return np.array([len(classes) for classes in self.classes])

    @property
    def widest(self) -> int:
        """Largest number of classes of any target."""
        return int(self.sizes.max())

    def in_every_fold(self, learns: NDArray[np.bool_]) -> None:
        """Raise InputError unless each fold's training rows [folds, n] hold every class."""
        for rows in learns:
            for index, classes in enumerate(self.classes):
                missing = np.setdiff1d(np.arange(len(classes)), self.codes[index, rows])
                if missing.size:
                    raise InputError(
                        f"class {classes[missing[0]]} of target {index} occurs in one fold only, "
                        "so that without it nothing is left to learn it from. Draw more examples "
                        "of it, join it with another class, or group the folds otherwise"
                    )


def at_least_two(target: int, classes: NDArray[Any]) -> None:
    """Raise InputError for a target with a single class."""
    if len(classes) < 2:
        raise InputError(
            f"target {target} has 1 class, {classes[0]}, in every row: nothing can be probed. "
            "Draw problems in which it varies, or leave the target out"
        )


def _fewer_than(target: int, classes: NDArray[Any], n: int) -> None:
    if n == len(classes):
        raise InputError(
            f"the {n} rows hold {n} classes of target {target}, each once: give more examples "
            "than there are classes, or probe the number with a ridge"
        )
