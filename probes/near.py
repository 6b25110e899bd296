"""Does a state tell whether its number lies near a multiple of k? StreetMath's probes, with the
baselines that decide what they show.

Whether n is near a multiple of 2, 5 or 10 follows from its last digit, so a probe that reads digits
tells it; and the larger class alone is right in 0.5 to 0.75 of cases.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.digits import to_digits
from interp.arithmetic.proportions import wilson
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.engine.texts import span_means
from interp.errors import InputError
from interp.models.model import Model
from interp.models.untrained import untrained
from probes.estimators.shared_logistic import SharedLogistic
from probes.estimators.softmax_maps import SoftmaxMaps
from probes.number_texts import FITTED, LARGEST, PARAPHRASED, near, sentences
from probes.results.near import NearMultiples
from probes.state_statistics import statistics

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

WORDINGS = ("digits", "paraphrased", "words")
_FOLDS = 5


@shows_progress
def near_multiples(
    model: Model,
    ks: Sequence[int] = (2, 3, 5, 7, 9, 10),
    *,
    layers: Sequence[int] | None = None,
    n: int = 2000,
    seed: int = 0,
    control: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> NearMultiples:
    """Accuracy of a probe of "n lies near a multiple of k" on numbers that it was not fitted on.

        y = 1 if min(n mod k, k − n mod k) ≤ 1 (0 for k = 2 and 3)

    The probe is a logistic regression of the mean stream over the number's tokens after a layer,
    fitted on `n` numbers from 0 to 9,999 in digits. It is read on n / 2 other numbers: in the same
    sentences, in paraphrased ones, and in words. The layer is the one with the highest
    cross-validated accuracy on the fitted numbers.

    Args:
        ks: the multiples' k, each from 2.
        layers: the layers to try; None means all.
        n, seed: fitted numbers; the seed draws them, the sentences and the folds.
        control: also fit on the model with random weights.
        memory, cancel, progress: as in `engine.run`; progress counts texts.

    Does not show: that the model uses what the probe reads.

    Raises:
        InputError: for k below 2, n out of range, an unknown layer, and a model that cannot read
            these sentences.
    """
    wanted, tried = _checked(model, ks, layers, n)
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(LARGEST + 1)[: n + n // 2]
    known, new = numbers[:n], numbers[n:]
    resources = Resources(memory, cancel, progress)
    fitted = sentences(known.tolist(), FITTED, spelt=False, seed=seed)
    asked = {
        "digits": sentences(new.tolist(), FITTED, spelt=False, seed=seed + 1),
        "paraphrased": sentences(new.tolist(), PARAPHRASED, spelt=False, seed=seed + 1),
        "words": sentences(new.tolist(), FITTED, spelt=True, seed=seed + 1),
    }
    labels, true = (np.stack([near(some, k) for k in wanted], axis=1) for some in (known, new))
    folds = rng.permutation(n) % _FOLDS

    def said(of: Model) -> tuple[pd.DataFrame, Floats]:
        X = span_means(of, *fitted, tried, resources)
        states = {name: span_means(of, *texts, tried, resources) for name, texts in asked.items()}
        return _right(X, labels, states, true, folds, tried, cancel), X

    own, states = said(model)
    alone = _digits_alone(known, labels, new, true, folds)
    random = said(untrained(model, seed=seed))[0] if control else None
    return NearMultiples(
        model=model.id,
        task="numbers near a multiple",
        n=len(numbers),
        n_distinct=len(numbers),
        seed=seed,
        settings={
            "ks": list(wanted),
            "layers": None if layers is None else list(tried),
            "n": n,
            "control": control,
        },
        scores=_table(own, random, wanted, labels, true, alone),
        states=statistics(states, tried),
    )


def _checked(
    model: Model, ks: Sequence[int], layers: Sequence[int] | None, n: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    wanted = tuple(dict.fromkeys(int(k) for k in ks))
    if not wanted or min(wanted) < 2 or max(wanted) > LARGEST // 4:
        raise InputError(f"ks={list(ks)}: give numbers from 2 to {LARGEST // 4}")
    if not 50 <= n <= 2 * (LARGEST + 1) // 3:
        raise InputError(f"n={n} must be from 50 to {2 * (LARGEST + 1) // 3}: half as many test it")
    tried = tuple(range(model.shape.n_layers)) if layers is None else tuple(layers)
    if not tried or not set(tried) <= set(range(model.shape.n_layers)):
        raise InputError(f"layers={list(tried)}: {model.name} has 0 to {model.shape.n_layers - 1}")
    return wanted, tried


def _right(
    X: Floats, labels: Bools, states: dict[str, Floats], true: Bools, folds: npt.NDArray[np.intp],
    layers: Sequence[int], cancel: Cancel | None,
) -> pd.DataFrame:  # fmt: skip
    """Columns layer, target (place of k), cv, and the right answers of each wording."""
    rows = []
    for at, layer in enumerate(layers):
        if cancel is not None:
            cancel.check()
        fitted, cv = _fit(X[:, at], labels, folds)
        hits = {name: fitted.predict(x[:, at]) == true for name, x in states.items()}
        for target in range(labels.shape[1]):
            right = {name: int(found[:, target].sum()) for name, found in hits.items()}
            rows.append({"layer": layer, "target": target, "cv": float(cv[target]), **right})
    return pd.DataFrame(rows)


def _fit(
    X: npt.NDArray[np.floating], labels: Bools, folds: npt.NDArray[np.intp]
) -> tuple[SoftmaxMaps, npt.NDArray[np.float64]]:
    shared = SharedLogistic(X, folds)
    scores = shared.cross_validate(labels, shared.scale * np.logspace(-5, 1, 4))
    cv = scores.accuracy.mean(axis=0)[scores.best, np.arange(labels.shape[1])]
    return shared.fit(labels, scores.alpha), cv


def _digits_alone(
    known: npt.NDArray[np.int64], labels: Bools, new: npt.NDArray[np.int64], true: Bools,
    folds: npt.NDArray[np.intp],
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Accuracy [targets] of the same probe on the one-hot digits, without a model."""
    X, test = (
        np.eye(10)[to_digits(numbers, 4)].reshape(len(numbers), -1) for numbers in (known, new)
    )
    fitted, _ = _fit(X, labels, folds)
    return np.asarray((fitted.predict(test) == true).mean(axis=0))


def _table(
    own: pd.DataFrame, random: pd.DataFrame | None, ks: Sequence[int], labels: Bools, true: Bools,
    alone: npt.NDArray[np.float64],
) -> pd.DataFrame:  # fmt: skip
    n = len(true)
    majority = labels.mean(axis=0) >= 0.5
    constant = (true == majority).mean(axis=0)
    rows = []
    for row in own.to_dict("records"):
        target, layer = row["target"], row["layer"]
        mine = own[own["target"] == target]
        chosen = bool(mine.loc[mine["cv"].idxmax(), "layer"] == layer)
        other = None
        if random is not None:
            same = (random["target"] == target) & (random["layer"] == layer)
            other = random[same].iloc[0]
        for wording in WORDINGS:
            bounds = wilson(row[wording], n)
            rows.append(
                {
                    "k": ks[target], "layer": layer, "wording": wording, "chosen": chosen,
                    "accuracy": row[wording] / n, "low": float(bounds.low),
                    "high": float(bounds.high), "n": n, "majority": float(constant[target]),
                    "digits_alone": float(alone[target]) if wording != "words" else np.nan,
                    "untrained": np.nan if other is None else other[wording] / n, "cv": row["cv"],
                }
            )  # fmt: skip
    return pd.DataFrame(rows)
