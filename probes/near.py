"""Does a state tell whether its number lies near a multiple of k? StreetMath's probes, with the
baselines that decide what they show.

Whether n is near a multiple of 2, 5 or 10 follows from its last digit, so a probe that reads digits
tells it; and the larger class alone is right in 0.5 to 0.75 of cases. Each probe is therefore
tested against the larger class, a probe of the digits, and probes of random weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from interp.arithmetic.digits import to_digits
from interp.arithmetic.proportions import wilson
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.engine.texts import span_means
from interp.errors import InputError
from interp.models.model import Model
from interp.models.untrained import untrained
from interp.results.intervals import benjamini_hochberg
from probes.estimators.shared_logistic import SharedLogistic
from probes.estimators.softmax_maps import SoftmaxMaps
from probes.number_texts import FITTED, LARGEST, PARAPHRASED, near, sentences
from probes.results.near import NearMultiples
from probes.state_statistics import statistics

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
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
    draws: int = 3,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> NearMultiples:
    """Accuracy of a probe of "n lies near a multiple of k" on numbers that it was not fitted on,
    tested against its controls.

        y = 1 if min(n mod k, k − n mod k) ≤ 1 (0 for k = 2 and 3)

    The probe is a logistic regression of the mean stream over the number's tokens after a layer,
    fitted on `n` numbers from 0 to 9,999 in digits. It is read on n / 2 other numbers: in the same
    sentences, in paraphrased ones, and in words. The layer is the one with the highest
    cross-validated accuracy on the fitted numbers.

    Controls, on the same numbers: the larger class of the fitted numbers; the same probe of the
    one-hot digits (not for words, which show none); and the same probe of random weights, each draw
    at the layer of its own cross-validation. With b the numbers that only the probe gets right and
    c those that only the control does, the exact one-sided test of a pair (McNemar) is

        p = P(X ≥ b),   X ~ Binomial(b + c, 1/2)

    for random weights the largest p of the draws: the probe must beat each of them. q corrects over
    all of these tests (Benjamini and Hochberg).

    Args:
        ks: the multiples' k, each from 2.
        layers: the layers to probe; None means all. The statistics of the states are of every
            layer, whichever are probed.
        n, seed: fitted numbers; the seed draws them, the sentences, the folds and the weights.
        control: also fit on models with random weights.
        draws: the number of such models, with `control`.
        memory, cancel, progress: as in `engine.run`; progress counts texts.

    Does not show: that the model uses what the probe reads.

    Raises:
        InputError: for k below 2, n out of range, an unknown layer, no draw, and a model that
            cannot read these sentences.
    """
    wanted, tried = _checked(model, ks, layers, n, draws)
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(LARGEST + 1)[: n + n // 2]
    known, new = numbers[:n], numbers[n:]
    resources = Resources(memory, cancel, progress)
    fitted = sentences(known.tolist(), FITTED, spelt=False, seed=seed)
    asked = (
        sentences(new.tolist(), FITTED, spelt=False, seed=seed + 1),
        sentences(new.tolist(), PARAPHRASED, spelt=False, seed=seed + 1),
        sentences(new.tolist(), FITTED, spelt=True, seed=seed + 1),
    )
    labels, true = (np.stack([near(some, k) for k in wanted], axis=1) for some in (known, new))
    folds = rng.permutation(n) % _FOLDS

    def probed(of: Model, X: Floats) -> _Probed:
        states = [span_means(of, *texts, tried, resources) for texts in asked]
        return _Probed.of(X, labels, states, true, folds, cancel)

    every = tuple(range(model.shape.n_layers))
    states = span_means(model, *fitted, every, resources)
    own = probed(model, states[:, list(tried)])
    random = []
    for draw in range(draws if control else 0):
        other = untrained(model, seed=seed + draw)
        random.append(probed(other, span_means(other, *fitted, tried, resources)))
    constant = true == (labels.mean(axis=0) >= 0.5)
    alone = _digits_alone(known, labels, new, folds) == true
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
            "draws": draws,
        },
        scores=_scores(own, random, wanted, tried, constant.mean(axis=0), alone.mean(axis=0)),
        random=_random(random, wanted, tried),
        tests=_tests(own, random, wanted, constant, alone),
        states=statistics(states, every),
    )


def _checked(
    model: Model, ks: Sequence[int], layers: Sequence[int] | None, n: int, draws: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    wanted = tuple(dict.fromkeys(int(k) for k in ks))
    if not wanted or min(wanted) < 2 or max(wanted) > LARGEST // 4:
        raise InputError(f"ks={list(ks)}: give numbers from 2 to {LARGEST // 4}")
    if not 50 <= n <= 2 * (LARGEST + 1) // 3:
        raise InputError(f"n={n} must be from 50 to {2 * (LARGEST + 1) // 3}: half as many test it")
    if draws < 1:
        raise InputError(f"draws={draws}: 1 or more, or control=False for no random weights")
    tried = tuple(range(model.shape.n_layers)) if layers is None else tuple(dict.fromkeys(layers))
    if not tried or not set(tried) <= set(range(model.shape.n_layers)):
        raise InputError(f"layers={list(tried)}: {model.name} has 0 to {model.shape.n_layers - 1}")
    return wanted, tried


@dataclass(frozen=True)
class _Probed:
    """Probes of one model: cross-validated accuracy `cv` [layers, targets], and the new numbers
    that each gets `right` [wordings, layers, numbers, targets]."""

    cv: Doubles
    right: Bools

    @classmethod
    def of(
        cls, X: Floats, labels: Bools, states: Sequence[Floats], true: Bools,
        folds: npt.NDArray[np.intp], cancel: Cancel | None,
    ) -> _Probed:  # fmt: skip
        """Probes fitted on X [n, layers, d], read on the states of each wording."""
        cv, right = [], []
        for layer in range(X.shape[1]):
            if cancel is not None:
                cancel.check()
            fitted, score = _fit(X[:, layer], labels, folds)
            cv.append(score)
            right.append([fitted.predict(x[:, layer]) == true for x in states])
        return cls(np.array(cv), np.array(right).swapaxes(0, 1))

    @property
    def best(self) -> npt.NDArray[np.intp]:
        """Place among the layers of each target's highest cross-validated accuracy."""
        return np.asarray(self.cv.argmax(axis=0))

    @property
    def chosen(self) -> Bools:
        """What is right [wordings, numbers, targets] at each target's best layer."""
        return np.stack([self.right[:, at, :, t] for t, at in enumerate(self.best)], axis=-1)


def _fit(
    X: npt.NDArray[np.floating], labels: Bools, folds: npt.NDArray[np.intp]
) -> tuple[SoftmaxMaps, Doubles]:
    shared = SharedLogistic(X, folds)
    scores = shared.cross_validate(labels, shared.scale * np.logspace(-5, 1, 4))
    cv = scores.accuracy.mean(axis=0)[scores.best, np.arange(labels.shape[1])]
    return shared.fit(labels, scores.alpha), cv


def _digits_alone(
    known: npt.NDArray[np.int64], labels: Bools, new: npt.NDArray[np.int64],
    folds: npt.NDArray[np.intp],
) -> Bools:  # fmt: skip
    """Predictions [numbers, targets] of the same probe on the one-hot digits, without a model."""
    X, test = (
        np.eye(10)[to_digits(numbers, 4)].reshape(len(numbers), -1) for numbers in (known, new)
    )
    fitted, _ = _fit(X, labels, folds)
    return np.asarray(fitted.predict(test))


def _scores(
    own: _Probed, random: Sequence[_Probed], ks: Sequence[int], layers: Sequence[int],
    constant: Doubles, alone: Doubles,
) -> pd.DataFrame:  # fmt: skip
    """One row for each layer, k and wording, beside the controls' accuracies."""
    n = own.right.shape[2]
    none = np.full((len(WORDINGS), len(ks)), np.nan)
    drawn = np.mean([one.chosen.mean(axis=1) for one in random], axis=0) if random else none
    rows = []
    for layer, target, wording in np.ndindex(len(layers), len(ks), len(WORDINGS)):
        hits = int(own.right[wording, layer, :, target].sum())
        bounds = wilson(hits, n)
        name = WORDINGS[wording]
        rows.append(
            {
                "k": ks[target], "layer": layers[layer], "wording": name,
                "chosen": bool(own.best[target] == layer),
                "accuracy": hits / n, "low": float(bounds.low), "high": float(bounds.high), "n": n,
                "majority": float(constant[target]),
                "digits_alone": float(alone[target]) if name != "words" else np.nan,
                "untrained": float(drawn[wording, target]), "cv": float(own.cv[layer, target]),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _random(random: Sequence[_Probed], ks: Sequence[int], layers: Sequence[int]) -> pd.DataFrame:
    """One row for each draw of random weights, layer, k and wording."""
    rows = [
        {
            "draw": draw, "k": ks[target], "layer": layers[layer], "wording": WORDINGS[wording],
            "chosen": bool(one.best[target] == layer),
            "accuracy": float(one.right[wording, layer, :, target].mean()),
            "cv": float(one.cv[layer, target]),
        }
        for draw, one in enumerate(random)
        for layer, target, wording in np.ndindex(len(layers), len(ks), len(WORDINGS))
    ]  # fmt: skip
    columns = ["draw", "k", "layer", "wording", "chosen", "accuracy", "cv"]
    return pd.DataFrame(rows, columns=columns)


def _tests(
    own: _Probed, random: Sequence[_Probed], ks: Sequence[int], constant: Bools, alone: Bools
) -> pd.DataFrame:
    """One row for each k, wording and control: the paired test at the chosen layers, and q."""
    rows = []
    for target, wording in np.ndindex(len(ks), len(WORDINGS)):
        mine = own.chosen[wording, :, target]
        for control, others in _rivals(random, constant, alone, wording, target):
            pairs = [((mine & ~other).sum(), (other & ~mine).sum()) for other in others]
            p = [float(binom.sf(more - 1, more + fewer, 0.5)) for more, fewer in pairs]
            hardest = int(np.argmax(p))
            rows.append(
                {
                    "k": ks[target], "wording": WORDINGS[wording], "control": control,
                    "accuracy": float(mine.mean()),
                    "control_accuracy": float(others[hardest].mean()),
                    "only_probe": int(pairs[hardest][0]), "only_control": int(pairs[hardest][1]),
                    "p": p[hardest],
                }
            )  # fmt: skip
    tests = pd.DataFrame(rows)
    return tests.assign(q=benjamini_hochberg(tests["p"].to_numpy()))


def _rivals(
    random: Sequence[_Probed], constant: Bools, alone: Bools, wording: int, target: int
) -> Iterator[tuple[str, list[Bools]]]:
    """Each control of a probe by name, and what it gets right, for random weights draw by draw."""
    yield "majority", [constant[:, target]]
    if WORDINGS[wording] != "words":
        yield "digits_alone", [alone[:, target]]
    if random:
        yield "untrained", [one.chosen[wording, :, target] for one in random]
