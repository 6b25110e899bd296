"""Fit the probes of one site at one role, and predict the held-out rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.errors import InputError
from probes.design import Design
from probes.estimators.circular import on_circle
from probes.estimators.linear_map import LinearMap
from probes.estimators.shared_logistic import SharedLogistic
from probes.estimators.shared_ridge import SharedRidge
from probes.estimators.shared_ridge import penalties as usual_penalties
from probes.estimators.softmax_maps import SoftmaxMaps
from probes.targets import Target

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Found:
    """Held-out predictions of one target's probe, or of its probes in all turns.

    predicted  [held-out rows, 1], of an angle [rows, 2], its point
    cv         mean score of the training folds at the chosen penalty
    alpha      that penalty; of several turns the median
    wrong      held-out predictions of the probe fitted to each control's labels
    map        the fitted map; None if the activations are constant or there are several turns
    """

    predicted: Floats
    cv: float
    alpha: float
    wrong: dict[str, Floats]
    map: LinearMap | SoftmaxMaps | None


def fit_design(X: Any, design: Design, *, memory: int = 2**31) -> list[Found]:
    """Fit a probe of each target of the design, in each turn, to activations X [n, d].

    Raises InputError for non-finite activations, and for more features than fit into `memory`.
    """
    every = [_fit_turn(X, turn, memory) for turn in design.turns]
    if len(every) == 1:
        return every[0]
    return [_together(turns) for turns in zip(*every, strict=True)]


def _together(turns: Sequence[Found]) -> Found:
    return Found(
        np.concatenate([found.predicted for found in turns]),
        float(np.mean([found.cv for found in turns])),
        float(np.median([found.alpha for found in turns])),
        {name: np.concatenate([found.wrong[name] for found in turns]) for name in turns[0].wrong},
        None,
    )


def _fit_turn(X: Any, design: Design, memory: int) -> list[Found]:
    split = design.split
    train, test = np.asarray(X[split.train]), np.asarray(X[split.test])
    if not (np.isfinite(train).all() and np.isfinite(test).all()):
        raise InputError(
            f"the activations at {design.place} hold NaN or infinity, and nothing can be fitted to "
            "them: look at the model in float32, or leave the site out"
        )
    if not np.ptp(train, axis=0).any():
        return [_constant(design, i) for i in range(len(design.targets))]
    found: dict[int, Found] = {}
    real = [i for i, target in enumerate(design.targets) if target.kind != "class"]
    classes = [i for i, target in enumerate(design.targets) if target.kind == "class"]
    if real:
        found |= zip(real, _ridge(train, test, design, real, memory), strict=True)
    if classes:
        found |= zip(classes, _logistic(train, test, design, classes, memory), strict=True)
    return [found[i] for i in range(len(design.targets))]


def _ridge(train: Any, test: Any, design: Design, which: Sequence[int], memory: int) -> list[Found]:
    """Ridge probes of real targets and angles, all columns and controls at once."""
    sets = {"": design.values, **design.wrong}
    columns, owner = [], []
    for name, values in sets.items():
        for i in which:
            block = as_columns(design.targets[i], values[design.split.train, i])
            columns.append(block)
            owner += [(name, i)] * block.shape[1]
    Y = np.concatenate(columns, axis=1)
    label = {key: number for number, key in enumerate(dict.fromkeys(owner))}
    together = np.array([label[key] for key in owner])
    shared = SharedRidge(train, design.split.fold, memory=memory)
    scores = shared.cross_validate(Y, usual_penalties(shared.scale), together=together)
    fitted = shared.fit(Y, scores.alpha)
    said = fitted.predict(test)
    cv = scores.mean_r2[scores.best, np.arange(Y.shape[1])]

    def mine(name: str, i: int) -> npt.NDArray[np.intp]:
        return np.flatnonzero(together == label[name, i])

    out = []
    for i in which:
        at = mine("", i)
        wrong = {name: said[:, mine(name, i)] for name in design.wrong}
        own = LinearMap(fitted.coef[:, at], fitted.intercept[at])
        out.append(Found(said[:, at], float(cv[at].mean()), float(scores.alpha[at[0]]), wrong, own))
    return out


def _logistic(
    train: Any, test: Any, design: Design, which: Sequence[int], memory: int
) -> list[Found]:
    """Logistic probes of class targets; a control is fitted with its target's penalty."""
    shared = SharedLogistic(train, design.split.fold, memory=memory)
    alphas = shared.scale * np.logspace(-5, 1, 4)
    labels = design.values[design.split.train][:, which]
    scores = shared.cross_validate(labels, alphas)
    sets = [labels, *(values[design.split.train][:, which] for values in design.wrong.values())]
    every = np.concatenate(sets, axis=1)
    # Wrong labels of a rare class may all be held out. A probe of one class always names it.
    predicted = np.tile(every[0], (len(test), 1))
    fits = np.ptp(every, axis=0) > 0
    fitted = shared.fit(every[:, fits], np.tile(scores.alpha, len(sets))[fits])
    predicted[:, fits] = fitted.predict(test)
    said, *others = np.split(predicted, len(sets), axis=1)
    wrong = dict(zip(design.wrong, others, strict=True))
    cv = scores.accuracy.mean(axis=0)[scores.best, np.arange(len(which))]
    return [
        Found(
            said[:, [place]].astype(np.float64),
            float(cv[place]),
            float(scores.alpha[place]),
            {name: values[:, [place]].astype(np.float64) for name, values in wrong.items()},
            fitted.of(place),
        )
        for place in range(len(which))
    ]


def _constant(design: Design, i: int) -> Found:
    """Predictions from constant activations: the training mean or majority."""
    target, rows = design.targets[i], len(design.split.test)

    def guess(values: Floats) -> Floats:
        return np.tile(_best_constant(target, values[design.split.train, i]), (rows, 1))

    wrong = {name: guess(values) for name, values in design.wrong.items()}
    return Found(guess(design.values), float("nan"), float("nan"), wrong, None)


def constants(design: Design, i: int) -> tuple[Floats, Floats]:
    """Held-out predictions of the best training constant, shaped as `Found.predicted`, and of the
    training median, [rows, 1].

    With several turns the constant is that of the held-out rows. A turn's training rows lack the
    values that it holds out, so their majority is usually wrong and their mean is biased away.
    """
    rows = len(design.test)
    known = design.test_values[:, i] if design.later else design.values[design.split.train, i]
    best = _best_constant(design.targets[i], known)
    return np.tile(best, (rows, 1)), np.full((rows, 1), np.median(known))


def _best_constant(target: Target, values: Floats) -> Floats:
    """The best constant prediction: mean [1], mean point [2], or majority class [1]."""
    if target.kind == "class":
        found, counts = np.unique(values, return_counts=True)
        return found[[np.argmax(counts)]]
    return as_columns(target, values).mean(axis=0)


def as_columns(target: Target, values: Floats) -> Floats:
    """Values [n] in the shape of predictions: [n, 1], for an angle its points [n, 2]."""
    if target.kind != "angle":
        return values[:, None]
    assert target.modulus is not None
    return on_circle(values, target.modulus)
