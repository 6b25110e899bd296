"""How each published quantity is measured on a model: one library call serves several rows.

A measure takes a `Question` and returns its parts by name. Intervals are 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interp.ablation._af1 import af1 as all_for_one
from interp.arithmetic.proportions import share_of, wilson
from interp.arithmetic.published_answers import PublishedAnswers, read_published
from interp.arithmetic.tasks import Task
from interp.arithmetic.tasks import task as as_task
from interp.attribution._counterfactual import counterfactual
from interp.behaviour._accuracy import accuracy as behaviour_accuracy
from interp.errors import InputError
from interp.geometry._fourier import fourier as fourier_fits
from interp.geometry._grid import grid as operand_grids
from interp.geometry._helix import helix as helix_fit
from interp.geometry._modular import modular as modular_suite
from interp.heads._patch import patch
from interp.heads._paths import paths
from interp.heads.effects import halves
from interp.heads.results.paths import RULE
from interp.loading import load
from interp.many._over_seeds import seeds_of
from interp.models.asking import prompts
from interp.models.fixtures import fixture_folders
from interp.results.intervals import resampled_means
from interp.results.resampling import resampling
from interp.training.learning import dynamics
from probes.running import running_sums as probed_sums

if TYPE_CHECKING:
    from interp.engine.requests import Cancel
    from interp.models.model import Model

Floats = npt.NDArray[np.float64]

_DIGITS = tuple(f"c{k}" for k in range(2, 7))  # of the running sums that the paper prints
_MIDDLE = ("c3", "c4", "c5")


class Ours(NamedTuple):
    """A number of ours with its interval, n and the call that gives it. Without a sample (every
    pair, one training log) the bounds are the number itself."""

    value: float
    low: float
    high: float
    n: int
    code: str


Parts = Mapping[str, Ours]


@dataclass(frozen=True)
class Question:
    """What a measure is asked: a model by name, folder or file, and the options of its call."""

    source: str
    options: Mapping[str, Any]
    seed: int = 0
    cancel: Cancel | None = None

    @cached_property
    def model(self) -> Model:
        """The model, opened on first use."""
        return load(self.source)

    @property
    def task(self) -> Task:
        """The task that the row names, else the model's own."""
        if name := self.options.get("task"):
            return as_task(name)
        if self.model.task is None:
            raise InputError(
                f"{self.source!r} has no task of its own, and this row names none: it cannot be "
                "asked of this model"
            )
        return self.model.task

    def given(self, *names: str) -> dict[str, Any]:
        """Those options that the row sets, and seed and cancel."""
        chosen = {name: self.options[name] for name in names if name in self.options}
        return {**chosen, "seed": self.seed, "cancel": self.cancel}


def accuracy(asked: Question) -> Parts:
    """Share of held-out problems answered exactly; Wilson's interval."""
    found = behaviour_accuracy(asked.model, asked.task, **asked.given("n", "format"))
    m = found.metrics
    bounds = m["exact_accuracy_low"], m["exact_accuracy_high"]
    return {"exact": Ours(m["exact_accuracy"], *bounds, found.n, found.code)}


def running_sums(asked: Question) -> Parts:
    """Mean absolute error of ĉ_k at the token c_k after the second layer's attention, in units."""
    found = probed_sums({"model": asked.model}, asked.task, **asked.given("n"))
    rows = found.frame[found.frame["when"] == "after"]
    return {
        f"c{row.digit}": Ours(row.mae, row.mae_low, row.mae_high, row.n_test, found.code)
        for row in rows.itertuples()
        if f"c{row.digit}" in _DIGITS
    }


def fourier(asked: Question) -> Parts:
    """Median R² on the waves k = 1, 2, 5 of the three objects of Table 1, logits at c2."""
    found = fourier_fits(
        asked.model, asked.task, objects=("embedding", "neurons", "logits"),
        roles=("a0", "predicts(c2)"), layers=asked.model.shape.n_layers - 1, **asked.given("n"),
    )  # fmt: skip
    return {
        str(row.object): Ours(row.r2, row.low, row.high, row.rows, found.code)
        for row in found.best.itertuples()
    }


def full_basis(asked: Question) -> Parts:
    """Median R² of random rows on k = 0 … 5: ten columns of rank ten, ten numbers."""
    digits, rows = np.arange(10), np.random.default_rng(asked.seed).standard_normal((1000, 10))
    waves = [2 * np.pi * k * digits / 10 for k in range(6)]
    basis = np.stack([f(w) for w in waves for f in (np.cos, np.sin)], axis=1)
    left = rows - rows @ (np.linalg.pinv(basis.T) @ basis.T)
    spread = ((rows - rows.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    r2 = float(np.median(1 - (left**2).sum(axis=1) / spread))
    return {"random": Ours(r2, r2, r2, len(rows), "random rows: numpy's least squares")}


def best_wave(asked: Question) -> Parts:
    """The largest share of one wave in one dimension of the stream at an operand digit, over all
    layers, dimensions and frequencies, and the same with permuted digits (95 % of draws stay below
    it at a layer; the largest and the range over layers)."""
    found = fourier_fits(
        asked.model, asked.task, objects=("resid_post",), roles="a0", permutations=200,
        **asked.given("n", "format"),
    )  # fmt: skip
    places = found.places
    top = places.loc[places["best_wave"].idxmax()]
    best, null = float(top["best_wave"]), places["best_wave_null"]
    return {
        "best": Ours(best, best, best, found.n, found.code),
        "null": Ours(float(null.max()), float(null.min()), float(null.max()), found.n, found.code),
    }


def majority_near(asked: Question) -> Parts:
    """Share of the larger class of "n lies within 1 of a multiple of K" (0 for K = 2, 3), exact
    over n from 0 to 9,999."""
    k = int(asked.options["k"])
    rest = np.arange(10_000) % k
    near = np.minimum(rest, k - rest) <= (0 if k in (2, 3) else 1)
    share = float(max(near.mean(), 1 - near.mean()))
    return {f"near {k}": Ours(share, share, share, len(rest), "exact, over 0 to 9,999")}


def digits_never_learnt(asked: Question) -> Parts:
    """Answer digits whose loss never falls below 1 nat in the model's training log."""
    found = dynamics(asked.source, threshold=1.0)
    never = found.metrics["digits"] - found.metrics["digits_learnt"]
    return {"digits": Ours(never, never, never, found.n, found.code)}


def middle_effect(asked: Question) -> Parts:
    """Largest mean effect of swapping an operand digit on the logit of c3, c4 or c5, in logits."""
    found = counterfactual(asked.model, asked.task, **asked.given("n"))
    grid = found.effect
    columns = [grid.axis("answer_digit").index(digit) for digit in _MIDDLE]
    assert grid.low is not None and grid.high is not None
    values, low, high = (x[:, columns] for x in (grid.values, grid.low, grid.high))
    top = np.unravel_index(int(np.nanargmax(values)), values.shape)
    bounds = float(low[top]), float(high[top])
    return {"largest": Ours(float(values[top]), *bounds, found.n, found.code)}


def modular(asked: Question) -> Parts:
    """The suite of modular addition on one model; every pair, so there is no interval."""
    found = modular_suite(asked.model, seed=asked.seed)
    return {
        name: Ours(value, value, value, found.n, found.code)
        for name, value in found.metrics.items()
    }


def modular_seeds(asked: Question) -> Parts:
    """The suite on every seed that ships: median over seeds, and their range as bounds."""
    names = seeds_of(asked.source) if asked.source in fixture_folders() else (asked.source,)
    found = [modular(Question(name, asked.options, asked.seed)) for name in names]
    out = {}
    for name in found[0]:
        values = [one[name].value for one in found if name in one]
        middle = float(np.median(values))
        out[name] = Ours(middle, min(values), max(values), len(values), found[0][name].code)
    return out


def heads_over_rule(asked: Question) -> Parts:
    """Share of heads whose mean relative change of a raw logit exceeds 1 %, by path patching."""
    found = paths(
        asked.model, asked.task.grid(), metrics="relative_logit", swap="all",
        **asked.given("format"),
    )  # fmt: skip
    effects = np.asarray(found.by_prompt[:, found.heads, 0], dtype=float)  # [n, heads, answers]
    flat = effects.reshape(len(effects), -1)

    def share(means: Floats) -> Floats:
        over = np.abs(means.reshape(len(means), *effects.shape[1:])) > RULE
        return np.asarray(over.any(axis=-1).mean(axis=-1), dtype=float)

    groups = resampling(asked.task.grid()).groups
    low, high = np.percentile(share(resampled_means(flat, groups, seed=asked.seed)), [2.5, 97.5])
    value = found.metrics["share_over_rule"]
    return {"share": Ours(value, float(low), float(high), found.n, found.code)}


def helix(asked: Question) -> Parts:
    """Logit difference of the patched fits at the layer where the helix does most, and ratios of
    the helix to its rivals. The ratios' bounds take both intervals as independent, which is wider
    than paired ones (MOVER on the logarithm)."""
    found = helix_fit(asked.model, asked.task, **asked.given("n", "pairs", "layers", "format"))
    helices = found.patched[found.patched["patched"] == "helix"]
    layer = helices.loc[helices["logit_difference"].idxmax(), "layer"]
    arms = {
        str(row.patched): Ours(row.logit_difference, row.low, row.high, row.n, found.code)
        for row in found.patched[found.patched["layer"] == layer].itertuples()
    }
    own = arms["helix"]
    ratios = {f"helix / {name}": _ratio(own, arm) for name, arm in arms.items() if arm != own}
    return {**arms, **ratios}


def _ratio(top: Ours, bottom: Ours) -> Ours:
    numbers = [x for one in (top, bottom) for x in one[:3]]
    if min(numbers) <= 0:
        return Ours(top.value / bottom.value, math.nan, math.nan, top.n, top.code)
    t, t_low, t_high, b, b_low, b_high = map(math.log, numbers)
    low = math.exp(t - b - math.hypot(t - t_low, b_high - b))
    high = math.exp(t - b + math.hypot(t_high - t, b - b_low))
    return Ours(top.value / bottom.value, low, high, top.n, top.code)


def heuristics(asked: Question) -> Parts:
    """Share of the most varied neurons of the last layer that follow a known heuristic; Wilson's
    interval over neurons."""
    found = operand_grids(asked.model, asked.task, **asked.given("n", "units", "format"))
    units, share = len(found.units), found.metrics["matched"]
    bounds = wilson(round(share * units), units)
    return {"matched": Ours(share, float(bounds.low), float(bounds.high), units, found.code)}


def late_mlps(asked: Question) -> Parts:
    """Σ log(IE + 1) of two adjacent layers' MLPs at the last token, over that of all MLPs at all
    positions, on sums of one digit.

    The layers with the largest such sum on one half of the prompts are scored on the other, with a
    source of another answer ("varied") and, on all prompts, of the same answer ("fixed").
    """
    problems = asked.task.grid()
    problems = problems[np.flatnonzero(problems.answers() < 10)]
    batch, _ = prompts(asked.model, problems, n=len(problems), **_sampling(asked))
    found = patch(
        asked.model, batch, kind="mlp", roles="each", metrics="indirect_effect", swap="all",
        answers=["c0"], direction="noise", same_answer=True, cancel=asked.cancel,
    )  # fmt: skip
    effects = np.asarray(found.by_prompt, dtype=float)[..., 0]  # [n, layers, roles]
    last = batch.position_array("predicts(c0)")
    roles = found.main.axis("role").labels
    place = next(i for i, r in enumerate(roles) if (batch.position_array(r) == last).all())
    first, second = halves(batch.problems, asked.seed)
    sizes = np.log1p(np.nanmean(effects[first], axis=0))
    layer = int(np.argmax(sizes[:-1, place] + sizes[1:, place]))

    def share(means: Floats) -> Floats:
        logs = np.log1p(means.reshape(len(means), *effects.shape[1:]))
        return np.asarray(
            logs[:, layer : layer + 2, place].sum(axis=1) / logs.sum(axis=(1, 2)), dtype=float
        )

    flat = effects[second].reshape(len(second), -1)
    groups = resampling(batch.problems[second]).groups
    drawn = share(resampled_means(flat, groups, seed=asked.seed))
    low, high = (float(x) for x in np.nanpercentile(drawn, [2.5, 97.5]))
    value = float(share(np.nanmean(flat, axis=0)[None])[0])
    out = {"varied": Ours(value, low, high, len(second), found.code)}
    if found.same_answer is not None:
        fixed = float(share(found.same_answer.values[..., 0].reshape(1, -1))[0])
        out["fixed"] = Ours(fixed, fixed, fixed, found.with_control, found.code)
    return out


def _sampling(asked: Question) -> dict[str, Any]:
    return {
        "seed": asked.seed, "format": asked.options.get("format"), "held_out": True,
    }  # fmt: skip


def af1(asked: Question) -> Parts:
    """Waiting layers and transfer layers of the sparsest schedule that keeps the answers."""
    found = all_for_one(asked.model, asked.task, **asked.given("n", "format"))
    counts = {"wait": found.wait, "transfer": len(found.transfer)}
    return {
        name: Ours(float(x), float(x), float(x), found.n, found.code) for name, x in counts.items()
    }


def published_answers(asked: Question) -> Parts:
    """Accuracy in a result file of "Tokenization counts", eight shots, by grouping of digits."""
    found = read_published(asked.source)
    code = f"interp.behaviour.published_errors({asked.source!r})"
    formats = {"l2r": "nosep", "r2l": "comma_r2l"}
    masks = {name: _of_format(found, name_of) for name, name_of in formats.items()}
    masks["mismatch"] = _of_format(found, "nosep", shots=None) & found.longer_answer
    out = {}
    for name, rows in masks.items():
        if rows.any():
            share = share_of(int(found.right[rows].sum()), int(rows.sum()))
            out[name] = Ours(share.share, share.low, share.high, int(rows.sum()), code)
    return out


def _of_format(found: PublishedAnswers, name: str, shots: int | None = 8) -> npt.NDArray[np.bool_]:
    frame = found.frame
    mine = (frame["problem_number_format"] == name) & (frame["answer_number_format"] == name)
    if shots is not None:
        mine &= frame["num_shots"] == shots
    return np.asarray(mine, dtype=bool)


MEASURES: Mapping[str, Callable[[Question], Parts]] = {
    measure.__name__: measure
    for measure in (
        accuracy, running_sums, fourier, full_basis, best_wave, majority_near, digits_never_learnt,
        middle_effect, modular, modular_seeds, heads_over_rule, helix, heuristics, late_mlps,
        af1, published_answers,
    )
}  # fmt: skip

WITHOUT_MODEL = ("full_basis", "majority_near", "published_answers")
"""Measures that open no model."""
