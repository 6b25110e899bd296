"""Fitted softmax classifiers on the same features, and their scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interp.errors import InputError
from probes.estimators.inputs import Floats, blocks, matrix


@dataclass(frozen=True)
class SoftmaxMaps:
    """p(class) ∝ exp(x·coef + intercept) for each target.

    `coef` is [targets, classes, d] and `intercept` [targets, classes]; a target with fewer classes
    than the widest is padded with zero weights and intercepts of −inf. `classes` holds each
    target's labels in ascending order, `evaluations` how many passes over the rows its fit took
    and `gap` by how many nats its objective may be above the minimum (0 where these do not apply).
    """

    coef: Floats
    intercept: Floats
    classes: tuple[NDArray[Any], ...]
    evaluations: NDArray[np.intp]
    gap: Floats

    def __len__(self) -> int:
        return len(self.classes)

    def of(self, target: int) -> SoftmaxMaps:
        """The map of one target, as a SoftmaxMaps of one."""
        width, one = len(self.classes[target]), slice(target, target + 1)
        return SoftmaxMaps(
            self.coef[one, :width],
            self.intercept[one, :width],
            (self.classes[target],),
            self.evaluations[one],
            self.gap[one],
        )

    def log_probabilities(self, X: Any) -> Iterator[tuple[NDArray[np.intp], Floats]]:
        """Row numbers and log p [targets, classes, rows], a block of rows at a time."""
        X = matrix(X)
        targets, classes, d = self.coef.shape
        if X.shape[1] != d:
            raise InputError(
                f"the maps were fitted to {d} features and are given {X.shape[1]}: "
                "read the same site, heads and role"
            )
        flat = self.coef.reshape(-1, d)
        for rows in blocks(np.arange(len(X)), max(d, targets * classes)):
            run = np.asarray(X[rows[0] : rows[-1] + 1], dtype=np.float64)
            logits = (flat @ run.T).reshape(targets, classes, -1) + self.intercept[:, :, None]
            yield rows, log_softmax(logits)

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest label of each row [m, targets]."""
        best = np.empty((len(X), len(self)), dtype=np.intp)
        for rows, logs in self.log_probabilities(X):
            best[rows] = logs.argmax(axis=1).T
        columns = [labels[best[:, i]] for i, labels in enumerate(self.classes)]
        return np.stack(columns, axis=1)

    def accuracy(self, X: Any, labels: ArrayLike) -> Floats:
        """Accuracy [targets]. Compare with the majority class: alone it shows nothing."""
        return (self.predict(X) == self._labels(labels)).mean(axis=0)

    def log_loss(self, X: Any, labels: ArrayLike) -> Floats:
        """Mean of −log p(label) in nats [targets]; infinite for a label never learnt from."""
        labels = self._labels(labels)
        codes = [_code(known, labels[:, i]) for i, known in enumerate(self.classes)]
        total = np.zeros(len(self))
        for rows, logs in self.log_probabilities(X):
            for i, code in enumerate(codes):
                at = code[rows]
                lost = -logs[i, at, np.arange(len(rows))]
                total[i] += np.where(at >= 0, lost, np.inf).sum()
        return total / len(labels)

    def _labels(self, labels: ArrayLike) -> NDArray[Any]:
        labels = np.asarray(labels)
        return labels[:, None] if labels.ndim == 1 else labels


def log_softmax(logits: Floats) -> Floats:
    """log p over axis 1 of [targets, classes, rows]."""
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _code(known: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.intp]:
    """Index of each label in `known`; −1 for unknown labels."""
    at = np.clip(np.searchsorted(known, labels), 0, len(known) - 1)
    return np.where(known[at] == labels, at, -1)
