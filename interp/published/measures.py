"""How each published quantity is measured on a model: one library call serves several rows.

A measure takes a `Question` and returns its parts by name. Intervals are 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from interp.ablation._af1 import af1 as all_for_one
from interp.arithmetic.problems import Problems
from interp.arithmetic.proportions import share_of, wilson
from interp.arithmetic.published_answers import PublishedAnswers, read_published
from interp.arithmetic.tasks import Task
from interp.arithmetic.tasks import task as as_task
from interp.attribution._counterfactual import counterfactual
from interp.behaviour._accuracy import accuracy as behaviour_accuracy
from interp.engine._cache import cache
from interp.errors import InputError, ModelError
from interp.geometry._fourier import fourier as fourier_fits
from interp.geometry._helix import helix as helix_fit
from interp.geometry._modular import modular as modular_suite
from interp.geometry.classes import class_means, classes_of
from interp.geometry.fits import exceed, null_of, permutations
from interp.heads._patch import patch
from interp.heads._paths import paths
from interp.heads.effects import halves
from interp.heads.results.paths import RULE
from interp.loading import load
from interp.many._over_seeds import seeds_of
from interp.models.asking import prompts
from interp.models.fixtures import fixture_folders, fixtures_root, read_card
from interp.results.intervals import mean_interval, resampled_means
from interp.results.resampling import resampling
from interp.suites._noisy_prefix import noisy_prefix
from interp.suites.results.noisy_prefix import ALL
from interp.training import teaching
from interp.training.learning import dynamics
from interp.training.logs import find_log
from probes.running import running_sums as probed_sums

if TYPE_CHECKING:
    from interp.engine.requests import Cancel
    from interp.models.model import Model

Floats = npt.NDArray[np.float64]

_DIGITS = tuple(f"c{k}" for k in range(2, 7))  # of the running sums that the paper prints
_MIDDLE = ("c3", "c4", "c5")
_DRAWS = 200  # of permuted digits
_WAVES = np.array([1, 2, 5])


class Ours(NamedTuple):
    """A number of ours with its interval, n and the call that gives it, and further numbers of the
    call by name. Without a sample (every pair, one training log) the bounds are the number itself.
    """

    value: float
    low: float
    high: float
    n: int
    code: str
    more: Mapping[str, float] = {}


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

    @property
    def asked(self) -> Task | Problems:
        """The task; with the option `full_width` its problems without a leading zero, held out from
        training where the card has the split: what the published multiplications are drawn from."""
        if not self.options.get("full_width"):
            return self.task
        return self.full_width(int(self.options["n"]))

    def full_width(self, n: int) -> Problems:
        """At most n problems without a leading zero, held out where the card can tell."""
        if self.model.split is None:
            return self.task.sample(n, seed=self.seed, full_width=True)
        return self.model.held_out(n, task=self.task, seed=self.seed, full_width=True)

    def given(self, *names: str) -> dict[str, Any]:
        """Those options that the row sets, and seed and cancel."""
        chosen = {name: self.options[name] for name in names if name in self.options}
        return {**chosen, "seed": self.seed, "cancel": self.cancel}


def accuracy(asked: Question) -> Parts:
    """Share of held-out problems answered exactly; Wilson's interval."""
    found = behaviour_accuracy(asked.model, asked.asked, **asked.given("n", "format"))
    m = found.metrics
    bounds = m["exact_accuracy_low"], m["exact_accuracy_high"]
    return {"exact": Ours(m["exact_accuracy"], *bounds, found.n, found.code)}


def undecided_carries(asked: Question) -> Parts:
    """Accuracy of sums whose carries one digit of look-ahead settles, less that of the others.

    A sum is among the others if in some column the two digits below it add up to nine, so that the
    carry comes from further right. Newcombe's interval for two independent shares."""
    problems = asked.task.sample(int(asked.options["n"]), seed=asked.seed).distinct()
    found = behaviour_accuracy(asked.model, problems, **asked.given("format"))
    right = found.answers["exact"].to_numpy(dtype=bool)
    settled = problems.columns("lookahead").all(axis=1)
    easy, hard = (share_of(int(right[rows].sum()), int(rows.sum())) for rows in (settled, ~settled))
    gap = easy.share - hard.share
    low = gap - math.hypot(easy.share - easy.low, hard.high - hard.share)
    high = gap + math.hypot(easy.high - easy.share, hard.share - hard.low)
    more = {"settled": easy.share, "open": hard.share, "n open": int((~settled).sum())}
    return {"difference": Ours(gap, low, high, found.n, found.code, more)}


def sample_size(asked: Question) -> Parts:
    """Accuracy of a format after so many `examples`, from the cards of the runs of
    `interp.training.teaching`: the mean of the seeds, from the lowest to the highest bound of their
    Wilson intervals. Of a model of one's own, its accuracy.

    Raises ModelError where the runs' cards are not there.
    """
    name = f"{asked.source}-{asked.options['examples']}"
    if name not in teaching.RUNS:
        return accuracy(asked)
    runs = [run for run in teaching.RUNS if run == name or run.startswith(f"{name}-s")]
    cards = [read_card(fixtures_root() / "teaching" / run) for run in runs]
    if not all(cards):
        raise ModelError(
            f"the cards of {name} are not here: a checkout of the repository has them in "
            "fixtures/teaching, an installed package has not"
        )
    found = [card["design"]["decoded"]["add:3"] for card in cards if card]
    return {
        "exact": Ours(
            float(np.mean([one["share"] for one in found])),
            min(one["low"] for one in found),
            max(one["high"] for one in found),
            sum(one["n"] for one in found),
            "python -m bench.proofs.teaching_arithmetic",
            {"seeds": len(found)},
        )
    }


def running_sums(asked: Question) -> Parts:
    """Mean absolute error of ĉ_k at the token c_k after the second layer's attention, in units."""
    found = probed_sums({"model": asked.model}, asked.asked, **asked.given("n"))
    rows, code = found.frame[found.frame["when"] == "after"], found.code
    return {
        f"c{row.digit}": Ours(
            row.mae, row.mae_low, row.mae_high, row.n_test, code, {"constant": row.constant_mae}
        )
        for row in rows.itertuples()
        if f"c{row.digit}" in _DIGITS
    }


def crossed_sums(asked: Question) -> Parts:
    """Mean absolute error of ĉ_k, in units, where a probe fitted on the model is read on the
    activations of another at the same prompts: what comes out if one model's activations are given
    to the probes of both.

    w · h = ĉ_k without a bias, h the stream after the last layer's attention at the token c_k,
    fitted as the public script does (`_published_fit`) on half of the problems, stopped on a
    quarter and scored on the last quarter, whose prompts the interval is over. Beside it (`more`):
    the probe on its own model; exact least squares on the other's activations; the errors of 0,
    which a probe without a bias falls back to, and of the median; and the root mean square of ĉ_k,
    which no such fit exceeds on the prompts that it is fitted on.

    Does not show: that this happened, nor the size that a fit must have on foreign activations: it
    depends on the directions that the fit leaves free.
    """
    other = load(asked.options["other"])
    problems = asked.full_width(int(asked.options["n"])).distinct()
    own, foreign = (
        cache(
            model, problems, "resid_mid", layers=model.shape.n_layers - 1, roles=_DIGITS,
            cancel=asked.cancel,
        ).values[:, 0].double()
        for model in (asked.model, other)
    )  # fmt: skip
    columns = [int(digit[1:]) for digit in _DIGITS]
    sums = torch.from_numpy(problems.columns("running_sum")[:, columns].astype(np.float64))
    fit, stop = len(sums) // 2, 3 * len(sums) // 4
    weights = _published_fit(own[:stop], sums[:stop], fit, asked.seed, asked.cancel)
    exact = torch.stack(
        [torch.linalg.lstsq(own[:fit, i], sums[:fit, i, None]).solution[:, 0]
         for i in range(len(columns))]
    )  # fmt: skip
    true, groups = sums[stop:], resampling(problems[stop:]).groups

    def errors(states: torch.Tensor, w: torch.Tensor) -> Floats:
        return ((states[stop:] * w).sum(dim=-1) - true).abs().numpy()

    crossed = errors(foreign, weights)
    low, high = mean_interval(crossed, groups, seed=asked.seed)
    beside = {
        "own": errors(own, weights), "least squares": errors(foreign, exact),
        "zero": true.numpy(), "constant": (true - sums[:fit].median(dim=0).values).abs().numpy(),
    }  # fmt: skip
    square = (true**2).mean(dim=0).sqrt()
    return {
        digit: Ours(
            float(crossed[:, i].mean()), float(low[i]), float(high[i]), len(true),
            "interp.rerun('bai-crossed')",
            {name: float(x[:, i].mean()) for name, x in beside.items()}
            | {"root mean square": float(square[i])},
        )
        for i, digit in enumerate(_DIGITS)
    }  # fmt: skip


def _published_fit(
    states: torch.Tensor, true: torch.Tensor, fit: int, seed: int, cancel: Cancel | None
) -> torch.Tensor:
    """Weights [digits, d] of bias-free probes, by the defaults of the public script: AdamW at 1e-3,
    decay 0.01, start N(0, 0.02), batches of 64, until the squared error on the rows after `fit` has
    not fallen in ten checks, one every 100 steps."""
    rng = torch.Generator().manual_seed(seed)
    states, true = states.float(), true.float()
    weights = (0.02 * torch.randn(states.shape[1:], generator=rng)).requires_grad_()
    optimizer = torch.optim.AdamW([weights], lr=1e-3, weight_decay=0.01)

    def loss(rows: torch.Tensor | slice) -> torch.Tensor:
        return ((states[rows] * weights).sum(dim=-1) - true[rows]).square().mean(dim=0).sum()

    best, waited = math.inf, 0
    while waited < 10:
        if cancel is not None:
            cancel.check()
        for _ in range(100):
            optimizer.zero_grad()
            loss(torch.randint(fit, (64,), generator=rng)).backward()
            optimizer.step()
        now = float(loss(slice(fit, None)).detach())
        best, waited = (now, 0) if now < best else (best, waited + 1)
    return weights.detach().double()


def fourier(asked: Question) -> Parts:
    """Median R² on the waves k = 1, 2, 5 of the three objects of Table 1, logits at c2."""
    found = fourier_fits(
        asked.model, asked.asked, objects=("embedding", "neurons", "logits"),
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
    layers, dimensions and frequencies; and the null of that search, the same with permuted digits.

    Each draw permutes the digits alike in every layer, and its largest share over all layers counts
    once. `null`: the median of the draws, with the range that 95 % of them lie below; beside it
    the largest draw, our best, and p of it and of the published number."""
    found = fourier_fits(
        asked.model, asked.task, objects=("resid_post",), roles="a0", permutations=_DRAWS,
        **asked.given("n", "format"),
    )  # fmt: skip
    best = float(found.places["best_wave"].max())
    batch, _ = prompts(
        asked.model, asked.task, n=asked.options["n"], seed=asked.seed,
        format=asked.options.get("format"),
    )  # fmt: skip
    states = cache(asked.model, batch, roles="a0", cancel=asked.cancel).values[:, :, 0]
    digits, orders = classes_of(batch, "a0"), permutations(10, _DRAWS, asked.seed)
    draws = np.max(
        [
            null_of(class_means(own.double().numpy(), digits)[0].T, _WAVES, orders).best
            for own in states.unbind(dim=1)
        ],
        axis=0,
    )
    middle, high = (float(x) for x in np.quantile(draws, [0.5, 0.95]))
    published = float(asked.options["published"])
    more = {
        "largest": float(draws.max()), "ours": best, "p ours": exceed(best, draws),
        "p published": exceed(published, draws), "draws": _DRAWS,
    }  # fmt: skip
    return {"null": Ours(middle, float(draws.min()), high, found.n, found.code, more)}


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


def digit_effects(asked: Question) -> Parts:
    """Largest mean effect of swapping an operand digit on the logit of c3, c4 and c5, in logits.

    The largest of eight means, with that cell's own interval."""
    found = counterfactual(asked.model, asked.asked, **asked.given("n"))
    grid, out = found.effect, {}
    assert grid.low is not None and grid.high is not None
    for digit in _MIDDLE:
        column = grid.axis("answer_digit").index(digit)
        values, low, high = (x[:, column] for x in (grid.values, grid.low, grid.high))
        top = int(np.nanargmax(values))
        bounds = float(low[top]), float(high[top])
        out[digit] = Ours(float(values[top]), *bounds, found.n, found.code)
    return out


def noisy_digits(asked: Question) -> Parts:
    """Share of right digits behind a prefix of wrong ones, exact and at most one away; Wilson's
    interval with n problems, though each is scored at several digits, so on the wide side."""
    found = noisy_prefix(asked.model, asked.task, **asked.given("n", "format"))
    out = {}
    for noise in ("random", "precise"):
        least = int(found.rows(noise, ALL)["n_distinct"].min())
        for name in (noise, f"{noise}_relaxed"):
            share = found.metrics[name]
            bounds = wilson(share * least, least)
            out[name] = Ours(share, float(bounds.low), float(bounds.high), least, found.code)
    return out


def modular(asked: Question) -> Parts:
    """The suite of modular addition on one model; every pair, so there is no interval."""
    found = modular_suite(asked.model, seed=asked.seed)
    return {
        name: Ours(value, value, value, found.n, found.code)
        for name, value in found.metrics.items()
    }


def modular_seeds(asked: Question) -> Parts:
    """The suite on every seed that ships: median over seeds, and their range as bounds."""
    found = [modular(Question(name, asked.options, asked.seed)) for name in _seeds(asked)]
    out = {}
    for name in found[0]:
        values = [one[name].value for one in found if name in one]
        middle = float(np.median(values))
        out[name] = Ours(middle, min(values), max(values), len(values), found[0][name].code)
    return out


def _seeds(asked: Question) -> tuple[str, ...]:
    return seeds_of(asked.source) if asked.source in fixture_folders() else (asked.source,)


def heads_over_rule(asked: Question) -> Parts:
    """Share of heads whose mean relative change of a raw logit exceeds 1 %, by path patching.

    Percentile bootstrap over problems. A resample's means are noisier than the means themselves, so
    more of them pass the threshold: the interval errs upwards."""
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
    """Logit difference of the patched fits at the layer whose helix fits held-out values best, and
    ratios of the helix and of its null (the fit with permuted values) to the other arms.

    The layer is chosen without the patched runs. The ratios' bounds take both intervals as
    independent, which is wider than paired ones (MOVER on the logarithm)."""
    found = helix_fit(asked.model, asked.task, **asked.given("n", "pairs", "layers", "format"))
    fits = found.fits[found.fits["fit"] == "helix"]
    layer = int(fits.loc[fits["r2_test"].idxmax(), "layer"])
    arms = {
        str(row.patched): Ours(
            row.logit_difference, row.low, row.high, row.n, found.code, {"layer": layer}
        )
        for row in found.patched[found.patched["layer"] == layer].itertuples()
    }
    own, null, full = arms["helix"], arms["helix, values permuted"], arms["activation"]
    ratios = {f"helix / {name}": _ratio(own, arm) for name, arm in arms.items() if arm != own}
    return {**arms, **ratios, "null / activation": _ratio(null, full)}


def _ratio(top: Ours, bottom: Ours) -> Ours:
    numbers = [x for one in (top, bottom) for x in one[:3]]
    if min(numbers) <= 0:
        return Ours(top.value / bottom.value, math.nan, math.nan, top.n, top.code, top.more)
    t, t_low, t_high, b, b_low, b_high = map(math.log, numbers)
    low = math.exp(t - b - math.hypot(t - t_low, b_high - b))
    high = math.exp(t - b + math.hypot(t_high - t, b - b_low))
    return Ours(top.value / bottom.value, low, high, top.n, top.code, top.more)


def late_mlps(asked: Question) -> Parts:
    """Σ log(IE + 1) of two adjacent layers' MLPs at the last token, over that of all MLPs at all
    positions, on sums of one digit.

    The layers with the largest such sum on one half of the prompts are scored on the other, with a
    source of another answer ("varied") and with one of the same answer ("fixed", where IE has the
    probability of that answer in both of its terms). Intervals over the scored prompts.
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

    def scored(by_prompt: Floats) -> Ours:
        known = second[~np.isnan(by_prompt[second]).all(axis=(1, 2))]
        flat = by_prompt[known].reshape(len(known), -1)
        groups = resampling(batch.problems[known]).groups
        drawn = share(resampled_means(flat, groups, seed=asked.seed))
        low, high = (float(x) for x in np.nanpercentile(drawn, [2.5, 97.5]))
        value = float(share(np.nanmean(flat, axis=0)[None])[0])
        return Ours(value, low, high, len(known), found.code, {"layer": layer})

    out = {"varied": scored(effects)}
    if found.same_by_prompt is not None:
        out["fixed"] = scored(np.asarray(found.same_by_prompt, dtype=float)[..., 0])
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
        accuracy, sample_size, running_sums, crossed_sums, fourier, full_basis, best_wave,
        majority_near, digits_never_learnt, digit_effects, undecided_carries, noisy_digits, modular,
        modular_seeds, heads_over_rule, helix, late_mlps, af1, published_answers,
    )
}  # fmt: skip

WITHOUT_MODEL = ("full_basis", "majority_near")
"""Measures that ask no model and no file."""


def read_by(measure: str, asked: Question) -> tuple[str, ...]:
    """What a measure reads, as text that changes with it: weights, a training log, a file."""
    if measure in WITHOUT_MODEL:
        return ()
    if measure == "published_answers":
        file = Path(asked.source)
        return (file.read_text("utf-8") if file.is_file() else "",)
    if measure == "sample_size" and not Path(asked.source).exists():
        folder = fixtures_root() / "teaching"
        return tuple(
            file.read_text("utf-8") for file in sorted(folder.glob(f"{asked.source}-*/card.json"))
        )
    if measure == "digits_never_learnt":
        return (find_log(asked.source).frame.to_csv(),)
    others = {"modular_seeds": _seeds(asked)[1:], "crossed_sums": (asked.options.get("other"),)}
    return (asked.model.hash, *(load(name).hash for name in others.get(measure, ()) if name))
