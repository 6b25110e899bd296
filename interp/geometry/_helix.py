"""The helix of an operand: fit by value, against equal-parameter rivals, and patched into a run.

Fit and rivals: `interp.geometry.helix_fit`. Causal test of Kantamneni and Tegmark (arXiv
2502.00873): in a run of a' + b, the activation at the operand is replaced by the fit at a, and

    LD = logit_patched − logit_corrupted     of the tokens of a + b that differ from those of a' + b

Any vector that no longer says a' raises it, so each arm has its paired difference to the fit with
permuted values. Moved along the helix, h(a') + fit(a) − fit(a'), everything beside the fit stays.

And with the plane of the fit removed or alone kept (`interp.geometry.causal.plane_tables`) at the
layer whose held-out R² is the best. Controls: random planes of as many dimensions within the space
of the values' means, and the plane of the helix with permuted values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.engine._run import run
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Read
from interp.errors import InputError
from interp.geometry.causal import plane_tables
from interp.geometry.circular_probe import circular_accuracy
from interp.geometry.classes import as_array
from interp.geometry.edited import SITES, Place, answers
from interp.geometry.helix_fit import (
    PERIODS,
    Fitted,
    check_values,
    columns,
    effective,
    models_of,
    plane,
    projection,
    r2,
    random_plane,
)
from interp.geometry.results.helix import HelixFit
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_TEST = 0.25
_LEAST_TEST = 4
_RESAMPLES = 1000
_CONTROL = "helix, values permuted"


@shows_progress
def helix(
    model: Model,
    asked: Asked,
    *,
    operand: str = "a",
    site: str = "resid_post",
    layers: int | Sequence[int] | None = None,
    periods: Sequence[int] = PERIODS,
    pairs: int = 100,
    randoms: int = 2,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> HelixFit:
    """Helix fit of one operand's number at its last token, by layer, with its causal test.

    Args:
        operand: whose number, "a" or "b".
        site: activations with d_model columns.
        layers: where; None means every layer.
        periods: of the waves; T = 2 gives one column, since its sine vanishes.
        pairs: prompts of the patched runs, right ones only; 0 leaves the causal tests out.
        randoms: random planes of the removal.
        n, seed, format, held_out: the sample of a task (`interp.models.asking`); a quarter of the
            values is held out of the fit and scored.
        memory, cancel, progress: as in `engine.run`.

    Does not show: that the model uses a helix rather than the activation that it fits: compare the
    patched fit with the patched activation and with the rivals.

    Raises:
        InputError: for fewer than three values for each column, an unknown operand or site.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    if site not in SITES:
        raise InputError(f"site={site!r}: choose one of {', '.join(SITES)}")
    values, role = _number(batch, operand)
    top = float(max(values.max(), 1))
    every = np.unique(values)
    design = columns(every, periods, True, top)
    check_values(len(every), effective(design))
    test = _held_out_values(every, seed)
    chosen = selection("layers", layers) or tuple(range(model.shape.n_layers))
    reads = [Read(site, chosen, (role,))]
    seen = run(
        model, batch, reads=reads, logits=None, memory=memory, cancel=cancel, progress=progress
    ).activations
    rows: list[dict[str, Any]] = []
    patched: list[dict[str, Any]] = []
    circles: list[dict[str, Any]] = []
    trial = _trial(model, batch, operand, values, pairs, seed, memory, cancel) if pairs else None
    best: tuple[float, int, Floats, Floats] | None = None
    for layer in chosen:
        if cancel is not None:
            cancel.check()
        x = as_array(seen[site, layer][:, 0])
        means = np.stack([x[values == v].mean(axis=0) for v in every])
        train = ~np.isin(every, test)
        fitted = models_of(means[train], every[train], periods, top, np.random.default_rng(seed))
        keep = projection(means[train], fitted[0].columns)
        rows += _scores(layer, fitted, keep(means), means, every, train, seed)
        score = rows[-len(fitted) - 1]["r2_test"]
        if best is None or score > best[0]:
            best = (score, layer, x, means)
        circles += _circles(layer, x, values, seed)
        if trial is not None:
            arms = {f.name: f.predict for f in models_of(
                means, every, periods, top, np.random.default_rng(seed))}  # fmt: skip
            patched += _patched(
                model, trial, Place(site, layer, role), x, arms,
                projection(means, fitted[0].columns), seed, memory, cancel,
            )  # fmt: skip
    removal = errors = contrasts = pd.DataFrame()
    if pairs and best is not None:
        _, layer, x, means = best
        removal, errors, contrasts = plane_tables(
            model, batch, Place(site, layer, role), x, means.mean(axis=0),
            _planes(means, every, periods, top, randoms, seed), seed=seed, memory=memory,
            cancel=cancel,
        )  # fmt: skip
    return HelixFit(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            **sampled,
            "operand": operand,
            "role": role,
            "site": site,
            "layers": None if layers is None else list(np.atleast_1d(layers).tolist()),
            "periods": list(periods),
            "pairs": pairs,
            "randoms": randoms,
            "columns": effective(design),
            "values": len(every),
            "values_held_out": len(test),
        },
        fits=pd.DataFrame(rows),
        patched=pd.DataFrame(patched),
        circles=pd.DataFrame(circles),
        removal=removal,
        errors=errors,
        contrasts=contrasts,
    )


def _planes(
    means: Floats, values: Ints, periods: Sequence[int], top: float, randoms: int, seed: int
) -> list[tuple[str, Floats]]:
    """The helix's plane and its controls, as `plane_tables` takes them."""
    rng = np.random.default_rng(seed)
    fits = {fit.name: plane(fit, values) for fit in models_of(means, values, periods, top, rng)}
    own = fits["helix"]
    controls = [("random", random_plane(means, len(own), rng)) for _ in range(randoms)]
    return [("", own), *controls, ("values permuted", fits[_CONTROL])]


def _number(batch: PromptBatch, operand: str) -> tuple[Ints, str]:
    """The operand's values, and the role of its last token, which every prompt has."""
    names = batch.problems.task.operand_names
    if operand not in names:
        raise InputError(f"operand={operand!r}: this task has {', '.join(names)}")
    roles = [r for r in batch.roles if (d := digits_in(r)) and d[0] == operand]
    present = [r for r in roles if (batch.find(r) >= 0).all()]
    if not present:
        raise InputError(f"no token of {operand} is in every prompt: choose a padded format")
    last = max(present, key=lambda r: int(batch.find(r).max()))
    values = batch.problems.values(names.index(operand)).astype(np.int64)
    return values, last


def _held_out_values(values: Ints, seed: int) -> Ints:
    count = max(_LEAST_TEST, round(_TEST * len(values)))
    return np.random.default_rng(seed).permutation(values)[:count]


def _scores(
    layer: int, fitted: Sequence[Fitted], kept: Floats, means: Floats, every: Ints,
    train: npt.NDArray[np.bool_], seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    out = []
    arms = [(f.name, f.columns, f.predict(every)) for f in fitted]
    arms.insert(1, ("PCA of the activation", fitted[0].columns, kept))
    helix = ((arms[0][2] - means)[~train] ** 2).sum(axis=1)
    for name, count, guess in arms:
        out.append(
            {
                "layer": layer,
                "fit": name,
                "columns": count,
                "r2_train": r2(guess[train], means[train]),
                "r2_test": r2(guess[~train], means[~train]),
                **_ahead(((guess - means)[~train] ** 2).sum(axis=1) - helix, means[~train], seed),
            }
        )
    return out


def _ahead(more: Floats, means: Floats, seed: int) -> dict[str, float]:
    """R² of the helix minus that of a fit with `more` squared error [values], and its interval
    over resampled values."""
    spread = ((means - means.mean(axis=0)) ** 2).sum(axis=1)
    drawn = np.random.default_rng(seed).integers(len(more), size=(_RESAMPLES, len(more)))
    gaps = more[drawn].sum(axis=1) / spread[drawn].sum(axis=1)
    low, high = np.quantile(gaps, [0.025, 0.975])
    return {
        "ahead": float(more.sum() / spread.sum()),
        "ahead_low": float(low),
        "ahead_high": float(high),
    }


def _circles(layer: int, x: Floats, values: Ints, seed: int) -> list[dict[str, Any]]:
    """Circular probes of the last digit: base 10, base 11 as control, and permuted values."""
    every, index = np.unique(values, return_inverse=True)
    moved = np.random.default_rng(seed).permutation(every)[index]
    arms = [("base 10", values, 10), ("base 10, values permuted", moved, 10)]
    if values.max() > 10:
        arms.insert(1, ("base 11", values, 11))
    return [
        {
            "layer": layer,
            "probe": name,
            "accuracy": circular_accuracy(x, labels, base, seed=seed),
            "chance": 1 / base,
        }
        for name, labels, base in arms
    ]


class _Trial:
    """Right prompts with operand a, the same with another a', and the tokens that differ."""

    def __init__(
        self, clean: PromptBatch, corrupted: PromptBatch, rows: Ints, values: Ints, others: Ints
    ) -> None:
        self.clean, self.corrupted, self.rows = clean, corrupted, rows
        self.values, self.others = values, others
        names = [role for role in clean.answer_roles_least_first if digits_in(role)]
        self.roles = tuple(names)


def _trial(
    model: Model, batch: PromptBatch, operand: str, values: Ints, pairs: int, seed: int,
    memory: int, cancel: Cancel | None,
) -> _Trial | None:  # fmt: skip
    """Prompts that are answered rightly, each with the operand of another; None below two."""
    right = answers(model, batch, memory=memory, cancel=cancel)
    good = np.flatnonzero((right.right | (right.wanted < 0)).all(axis=1))
    rng = np.random.default_rng(seed)
    rows = rng.permutation(good)[:pairs]
    if len(rows) < 2:
        return None
    other = np.roll(rows, 1)
    clean = batch[rows]
    which = batch.problems.task.operand_names.index(operand)
    operands = [o[rows] for o in batch.problems.operands]
    operands[which] = batch.problems.operands[which][other]
    keep = values[rows] != values[other]
    changed = _problems(clean.problems, operands)
    corrupted = model.prompts(changed, format=batch.format, answer=clean.problems.answer)
    same = corrupted.tokens.shape == clean.tokens.shape
    if same:
        keep &= corrupted.lengths == clean.lengths
    else:
        keep &= False
    index = np.flatnonzero(keep)
    if len(index) < 2:
        return None
    return _Trial(
        clean[index], corrupted[index], rows[index], values[rows[index]], values[other[index]]
    )


def _problems(problems: Problems, operands: Sequence[npt.NDArray[np.uint8]]) -> Problems:
    several = any(len(choices) > 1 for choices in problems.task.operators)
    return problems.task.problems(*operands, operators=problems.operators if several else None)


def _patched(
    model: Model,
    trial: _Trial,
    place: Place,
    x: Floats,
    arms: dict[str, Any],
    keep: Any,
    seed: int,
    memory: int,
    cancel: Cancel | None,
) -> list[dict[str, Any]]:
    """Mean logit difference of each arm, over the answer tokens that differ, with bounds, and its
    paired difference to the fit with permuted values."""
    differ = _differing(trial)
    base = answers(model, trial.corrupted, roles=trial.roles, memory=memory, cancel=cancel)
    groups, _ = resampling(trial.clean.problems)
    own = x[trial.rows]
    values = {"activation": own, "PCA of the activation": keep(own)}
    values |= {name: predict(trial.values) for name, predict in arms.items()}
    there = place.read(model, trial.corrupted, memory, cancel)
    for name, fit in (("moved along the helix", "helix"), (f"moved, {_CONTROL}", _CONTROL)):
        values[name] = there + arms[fit](trial.values) - arms[fit](trial.others)
    some = differ.any(axis=1)
    found: dict[str, Floats] = {}
    for name, new in values.items():
        got = answers(
            model, trial.corrupted, place, new, roles=trial.roles, memory=memory, cancel=cancel
        )
        gap = np.where(differ, got.logit - base.logit, np.nan)
        each = np.full(len(gap), np.nan)
        each[some] = np.nanmean(gap[some], axis=1)
        found[name] = each
    out = []
    for name, each in found.items():
        beside = found[f"moved, {_CONTROL}" if name.startswith("moved") else _CONTROL]
        gain = each - beside
        low, high = mean_interval(np.stack([each, gain], axis=1), groups, seed=seed)
        out.append(
            {
                "layer": place.layer,
                "patched": name,
                "logit_difference": float(np.nanmean(each)),
                "low": float(low[0]),
                "high": float(high[0]),
                "gain": float(np.nanmean(gain)),
                "gain_low": float(low[1]),
                "gain_high": float(high[1]),
                "n": int(some.sum()),
                "n_distinct": trial.clean.n_distinct,
            }
        )
    return out


def _differing(trial: _Trial) -> npt.NDArray[np.bool_]:
    """[n, roles]: answer digits that a' + b would have otherwise."""
    own, other = trial.clean.problems, trial.corrupted.problems
    columns_of = []
    for role in trial.roles:
        digits = digits_in(role)
        assert digits is not None
        span = list(digits[1])
        columns_of.append((own.answer[:, span] != other.answer[:, span]).any(axis=1))
    return np.stack(columns_of, axis=1)
