"""Fourier fits of digits: how much of each table of numbers lies on a few waves, beyond chance.

    embedding     token embeddings of the numbers        rows: d_model dimensions
    unembedding   W_U of the answer's number tokens      rows: d_model dimensions
    neurons       W_U W_out of the last MLP              rows: neurons
    logits        W_U h of the last stream               rows: prompts, at positions that predict
    a site        class means of the activation          rows: d_model dimensions, by layer and role

The first, third and fourth are Table 1 of Bai et al. (arXiv 2510.00184), without the final
normalisation. `interp.geometry.fits` has the formulas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.engine._run import run
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Read
from interp.errors import InputError
from interp.geometry.classes import (
    Classes,
    as_array,
    class_means,
    class_tokens,
    classes_of,
    number_roles,
)
from interp.geometry.fits import (
    Fit,
    Null,
    cumulative,
    exceed,
    fit,
    null_of,
    resampled_prompts,
    resampled_rows,
    strongest,
    wave_shares,
)
from interp.geometry.fits import (
    permutations as orders_of,
)
from interp.geometry.linear_maps import unembedded, unit_writes
from interp.geometry.results.fourier import FourierFits
from interp.geometry.spectra import check_frequencies
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WEIGHTS = ("embedding", "unembedding", "neurons", "logits")
MEANS = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "mlp_post", "ln_final")
DIGIT_FREQUENCIES = (1, 2, 5)
SELECTED = 5  # frequencies where none are named and the numbers are no digits
_LEVEL = 0.95
_ROW_SAMPLES, _PROMPT_SAMPLES = 400, 100  # of the bootstrap


class Table(NamedTuple):
    """A matrix [rows, classes] to fit, and where it comes from."""

    object: str
    layer: int
    role: str
    classes: Classes
    rows: Floats
    noise: float = 0.0
    activation: Floats | None = None  # [n, columns], of the prompts that the rows are means of


@shows_progress
def fourier(
    model: Model,
    asked: Asked,
    *,
    objects: Sequence[str] = ("embedding", "neurons", "logits", "resid_post"),
    layers: int | Sequence[int] | None = None,
    roles: str | Sequence[str] | None = None,
    frequencies: Sequence[int] | None = None,
    permutations: int = 400,
    n: int = 2048,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> FourierFits:
    """Share of embeddings, neurons, logits and class means on waves over the numbers.

    Args:
        objects: of "embedding", "unembedding", "neurons", "logits", and sites such as "resid_post".
        layers: of the sites; None means all.
        roles: tokens whose number is fitted, such as "a0" or "predicts(c2)"; None means every
            operand digit and answer digit. Roles without every number in the sample are left out
            then, and listed.
        frequencies: k of the waves cos(2πkv/q), sin(2πkv/q); None means 1, 2, 5 for digits, and
            the five strongest otherwise, which the null selects too.
        permutations: draws of the null distribution.
        n, seed, format, held_out: the sample of a task (`interp.models.asking`); the seed is also
            that of the permutations.
        memory, cancel, progress: as in `engine.run`.

    Does not show: that a shape computes: `interp.geometry.figure` removes and moves it.

    Raises:
        InputError: for an unknown object, as many columns as numbers, numbers that the sample
            lacks at a named role, tokens that are no numbers, or rows that are all constant.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    wanted = _objects(objects)
    found, left_out = _roles(batch, roles)
    tables = _tables(model, batch, wanted, layers, found, memory, cancel, progress)
    places, waves = _fitted(tables, frequencies, permutations, seed, cancel)
    return FourierFits(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            **sampled,
            "objects": list(wanted),
            "layers": None if layers is None else list(np.atleast_1d(layers).tolist()),
            "roles": None if roles is None else list(found),
            "frequencies": None if frequencies is None else list(frequencies),
            "permutations": permutations,
        },
        places=places,
        waves=waves,
        left_out=left_out,
    )


def _objects(objects: Sequence[str]) -> tuple[str, ...]:
    wanted = (objects,) if isinstance(objects, str) else tuple(objects)
    unknown = [name for name in wanted if name not in (*WEIGHTS, *MEANS)]
    if unknown or not wanted:
        raise InputError(
            f"objects={unknown or wanted!r}: choose of {', '.join((*WEIGHTS, *MEANS))}"
        )
    return wanted


def _roles(
    batch: PromptBatch, roles: str | Sequence[str] | None
) -> tuple[dict[str, Classes], tuple[str, ...]]:
    """Role → its numbers; and the roles left out for want of a number, "a4: 0 is missing"."""
    named = selection("roles", roles)
    found, left_out = {}, []
    for role in named or number_roles(batch):
        classes = classes_of(batch, role)
        try:
            classes.require_all(2)
        except InputError as error:
            if named:
                raise
            left_out.append(str(error))
            continue
        found[role] = classes
    if not found:
        raise InputError(left_out[0] if left_out else "these prompts show no number at any role")
    return found, tuple(left_out)


def _tables(
    model: Model,
    batch: PromptBatch,
    wanted: Sequence[str],
    layers: int | Sequence[int] | None,
    roles: dict[str, Classes],
    memory: int,
    cancel: Cancel | None,
    progress: Progress | None,
) -> Iterator[Table]:
    answers = [role for role in roles if role.startswith("predicts(") or role == "last"]
    operands = [role for role in roles if role not in answers]
    last = model.shape.n_layers - 1
    if "embedding" in wanted and operands:
        role = operands[0]
        seen = run(model, batch, reads=[("resid_pre", 0, (role,))], logits=None, memory=memory)
        means, _ = class_means(as_array(seen.activations["resid_pre", 0][:, 0]), roles[role])
        yield Table("embedding", -1, role, roles[role], means.T)
    if answers:
        yield from _answer_weights(model, batch, wanted, answers[0], roles, memory, cancel)
    if "logits" in wanted and answers:
        reads = [Read("resid_post", (last,), tuple(answers))]
        stream = run(
            model, batch, reads=reads, logits=None, memory=memory, cancel=cancel
        ).activations["resid_post", last]
        for i, role in enumerate(answers):
            tokens = class_tokens(batch, roles[role])
            yield Table(
                "logits",
                last,
                role,
                roles[role],
                unembedded(model, as_array(stream[:, i]), tokens),
            )
    sites = [name for name in wanted if name in MEANS]
    for site in sites:
        chosen = selection("layers", None if site == "ln_final" else layers)
        reads = [Read(site, chosen, tuple(roles))]
        seen = run(
            model, batch, reads=reads, logits=None, memory=memory, cancel=cancel, progress=progress
        )
        for (_, layer), values in seen.activations.items():
            for i, role in enumerate(roles):
                own = as_array(values[:, i])
                means, noise = class_means(own, roles[role])
                yield Table(site, layer, role, roles[role], means.T, noise, own)


def _answer_weights(
    model: Model,
    batch: PromptBatch,
    wanted: Sequence[str],
    role: str,
    roles: dict[str, Classes],
    memory: int,
    cancel: Cancel | None,
) -> Iterator[Table]:
    last = model.shape.n_layers - 1
    if "unembedding" in wanted:
        tokens = class_tokens(batch, roles[role])
        rows = unembedded(model, np.eye(model.shape.d_model), tokens)
        yield Table("unembedding", last, role, roles[role], rows)
    if "neurons" in wanted and "mlp_post" in model.usable_sites:
        tokens = class_tokens(batch, roles[role])
        writes = unit_writes(model, batch, "mlp_post", last, memory=memory, cancel=cancel)
        yield Table("neurons", last, role, roles[role], unembedded(model, writes, tokens))


def _fitted(
    tables: Iterator[Table],
    frequencies: Sequence[int] | None,
    draws: int,
    seed: int,
    cancel: Cancel | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    if draws < 20:
        raise InputError(f"permutations={draws}: a null distribution needs at least 20")
    orders: dict[int, Ints] = {}
    places, waves, nulls = [], [], []
    for table in tables:
        if cancel is not None:
            cancel.check()
        chosen, select = _chosen(table, frequencies)
        q = table.classes.q
        own = orders.setdefault(q, orders_of(q, draws, seed))
        null = null_of(table.rows, None if select else chosen, own, select=select)
        places.append(_place(table, chosen, null, seed))
        waves.append(_waves(table, null))
        nulls.append(null)
    if not places:
        raise InputError("no object is left: these roles have none of those that were named")
    frame = pd.DataFrame(places)
    frame["p_best"] = _best_of_many(frame, nulls)
    return frame, pd.concat(waves, ignore_index=True)


def _chosen(table: Table, frequencies: Sequence[int] | None) -> tuple[Ints, int]:
    """The frequencies, and how many were selected from the rows themselves (0: named)."""
    q = table.classes.q
    if frequencies is not None:
        return check_frequencies(np.asarray(list(frequencies)), q), 0
    if q == 10:
        return np.array(DIGIT_FREQUENCIES), 0
    count = min(SELECTED, max(1, q // 2 - 1))
    return strongest(wave_shares(table.rows), count), count


def _place(table: Table, chosen: Ints, null: Null, seed: int) -> dict[str, Any]:
    found = fit(table.rows, chosen)
    again = _resampled(table, found, chosen, seed)
    low, high = np.quantile(null.median, [1 - _LEVEL, _LEVEL])
    best = np.nanmax(found.shares)
    row, k = np.unravel_index(np.nanargmax(found.shares), found.shares.shape)
    return {
        "object": table.object,
        "layer": table.layer,
        "role": table.role,
        "number": table.classes.column,
        "classes": found.q,
        "rows": len(table.rows),
        "constant_rows": found.flat,
        "frequencies": " ".join(map(str, chosen)),
        "columns": found.columns,
        "r2": found.median,
        "low": float(np.quantile(again, (1 - _LEVEL) / 2)),
        "high": float(np.quantile(again, (1 + _LEVEL) / 2)),
        "adjusted": found.adjusted(found.median),
        "expected": found.expected,
        "null": float(np.median(null.median)),
        "null_low": float(low),
        "null_high": float(high),
        "p": exceed(found.median, null.median),
        "best_row": int(row),
        "best_frequency": int(k) + 1,
        "best_wave": float(best),
        "best_wave_null": float(np.quantile(null.best, _LEVEL)),
        "p_best_wave": exceed(float(best), null.best),
        "noise": table.noise,
    }


def _resampled(table: Table, found: Fit, chosen: Ints, seed: int) -> Floats:
    """R² of bootstrap samples: of the prompts behind class means, of the rows of other tables.

    Class means of resampled prompts are noisier than the means themselves, which lowers their R²:
    their distribution is moved to the estimate, so the interval is that of the estimate, and not of
    what more prompts would give.
    """
    if table.activation is None:
        return resampled_rows(found.r2, _ROW_SAMPLES, seed)
    known = table.classes.values >= 0
    labels, x = table.classes.values[known], table.activation[known]
    drawn = resampled_prompts(x, labels, chosen, _PROMPT_SAMPLES, seed)
    return np.minimum(drawn - np.median(drawn) + found.median, 1.0)


def _waves(table: Table, null: Null) -> pd.DataFrame:
    """One row a frequency: its median share, the null, and R² with all stronger ones."""
    shares = np.nanmedian(wave_shares(table.rows), axis=0)
    order = np.argsort(-shares, kind="stable") + 1
    together = np.empty(len(order))
    together[order - 1] = cumulative(table.rows, order)
    every = np.arange(1, len(shares) + 1)
    return pd.DataFrame(
        {
            "object": table.object,
            "layer": table.layer,
            "role": table.role,
            "frequency": every,
            "period": table.classes.q / every,
            "share": shares,
            "null_high": np.quantile(null.power, _LEVEL, axis=0),
            "p": [exceed(float(s), null.power[:, i]) for i, s in enumerate(shares)],
            "p_best": [exceed(float(s), null.power.max(axis=1)) for s in shares],
            "cumulative": together,
        }
    )


def _best_of_many(places: pd.DataFrame, nulls: Sequence[Null]) -> Floats:
    """p of each R² against the largest R² of all places of the same kind, in each draw."""
    out = np.full(len(places), np.nan)
    for _, own in places.groupby(["object", "classes", "columns"]):
        top = np.max([nulls[i].median for i in own.index], axis=0)
        for i in own.index:
            out[i] = exceed(float(places["r2"].iloc[i]), top)
    return out
