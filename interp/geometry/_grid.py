"""Operand grids: each neuron as a map over a × b, the heuristic that it follows, and its knock-out.

`interp.geometry.heuristics` has the sets and the score. The knock-out (Nikankin et al., arXiv
2410.21272) sets neurons to their mean at one layer and role: for each prompt those whose heuristic
it meets (related), or as many whose heuristic it does not meet (unrelated).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.engine._run import run
from interp.engine.interventions import Replace, Rows
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Read
from interp.errors import InputError
from interp.geometry.classes import as_array, class_tokens, classes_of
from interp.geometry.edited import SITES
from interp.geometry.heuristics import (
    THRESHOLD,
    Heuristics,
    Match,
    heuristics,
    matches,
    numbers_of,
    renamed,
)
from interp.geometry.results.grid import OperandGrids
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch, predicted
from interp.models.tokens import digits_in
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EDITED = ("mlp_post", *SITES)
_MAPS, _SIDE = 12, 128  # drawn units, and the most values of an operand on a map
_FEWEST = 30


@shows_progress
def grid(
    model: Model,
    asked: Asked,
    *,
    site: str = "mlp_post",
    layer: int | None = None,
    role: str | None = None,
    units: int | Sequence[int] = 100,
    directions: npt.ArrayLike | None = None,
    knocked: int = 25,
    draws: int = 5,
    n: int = 1024,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> OperandGrids:
    """Neurons by operands: heuristic of each, false positives, and related against unrelated
    knock-out.

    Args:
        site: "mlp_post" (neurons), "z" (heads, by the length of their output), "logits" (of the
            numbers that the role emits), or a site of the stream, dimension by dimension.
        layer: of the site; None means the last.
        role: the position, such as "predicts(c0)"; None means the one that predicts the least
            significant answer digit.
        units: which, or how many of those with most variance.
        directions: [k, d_model], such as `probes.fit(…).weights.T`: the units are the site's
            activations along them, and nothing is knocked out.
        knocked: at most so many are set to their mean for a prompt; 0 leaves it out, as do heads
            and logits.
        draws: of the false-positive control.
        n, seed, format, held_out: the sample of a task (`interp.models.asking`); for maps without
            holes ask for all pairs, such as n=100 of add:1 with held_out=False. Operands with over
            128 values are drawn by their digits at the column that the role emits.
        memory, cancel, progress: as in `engine.run`.

    Does not show: that a neuron follows its heuristic elsewhere than in its strongest prompts.

    Raises:
        InputError: for fewer than 30 prompts, a model without neurons, an unknown unit, or
            directions that do not fit the site.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    if batch.n_distinct < _FEWEST:
        raise InputError(f"{batch.n_distinct} distinct prompts: a heuristic's set needs {_FEWEST}")
    chosen_role, at = role or _least(batch), _layer(model, layer)
    acts = _read(model, batch, site, at, chosen_role, memory, cancel, progress)
    rows = np.flatnonzero(~np.isnan(acts).any(axis=1))
    batch, acts = batch[rows], acts[rows]
    if directions is not None:
        acts, knocked = _along(acts, directions, site), 0
    chosen = _units(acts, units)
    numbers = numbers_of(batch.problems)
    known = heuristics(numbers)
    if not len(known.names):
        raise InputError("no heuristic has 2 % to 34 % of these prompts: ask for more (n=)")
    own = matches(acts[:, chosen], known)
    false = _false_positives(acts[:, chosen], numbers, draws, seed)
    table = _table(chosen, own, known)
    knockout = pd.DataFrame()
    if knocked and site in EDITED:
        knockout = _knockout(
            model, batch, site, at, chosen_role, acts, chosen, own, known, knocked, seed, memory,
            cancel,
        )  # fmt: skip
    return OperandGrids(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            **sampled,
            "site": site,
            "layer": at,
            "role": chosen_role,
            "units": int(units) if isinstance(units, int | np.integer) else list(units),
            "directions": None if directions is None else "given",
            "knocked": knocked,
            "draws": draws,
        },
        units=table,
        false_positives=false,
        knockout=knockout,
        **_maps(acts, chosen, own, _drawn(batch, numbers, chosen_role)),
    )


def _read(
    model: Model,
    batch: PromptBatch,
    site: str,
    layer: int,
    role: str,
    memory: int,
    cancel: Cancel | None,
    progress: Progress | None,
) -> Floats:
    """The units [n, units] of a site, of the heads, or of the emitted numbers' logits."""
    if site == "logits":
        tokens = torch.from_numpy(class_tokens(batch, classes_of(batch, role)))
        emitted = batch.emitted_at("last") if role == "last" else predicted(role)
        found = run(
            model, batch, logits=(emitted,), memory=memory, cancel=cancel, progress=progress,
            reduce=lambda logits, rows: logits[:, 0].index_select(-1, tokens.to(logits.device)),
        ).logits  # fmt: skip
        assert found is not None
        return as_array(found)
    if site not in (*EDITED, "z"):
        raise InputError(f"site={site!r}: choose one of {', '.join((*EDITED, 'z', 'logits'))}")
    model.require_site(site)
    seen = run(
        model, batch, reads=[Read(site, (layer,), (role,))], logits=None, memory=memory,
        cancel=cancel, progress=progress,
    )  # fmt: skip
    values = as_array(seen.activations[site, layer][:, 0])
    return np.asarray(np.linalg.norm(values, axis=-1)) if site == "z" else values


def _along(acts: Floats, directions: npt.ArrayLike, site: str) -> Floats:
    """Activations [n, d] along the rows of `directions` [k, d]."""
    rows = np.atleast_2d(np.asarray(directions, dtype=float))
    if site not in SITES or rows.ndim != 2 or rows.shape[1] != acts.shape[1]:
        raise InputError(
            f"directions of shape {list(rows.shape)} do not fit {site} with {acts.shape[1]} "
            f"columns: give [k, {acts.shape[1]}] and one of {', '.join(SITES)}"
        )
    return acts @ rows.T


def _least(batch: PromptBatch) -> str:
    roles = [role for role in batch.answer_roles_least_first if digits_in(role)]
    return f"predicts({roles[0]})" if roles else "last"


def _layer(model: Model, layer: int | None) -> int:
    last = model.shape.n_layers - 1
    if layer is not None and not 0 <= layer <= last:
        raise InputError(f"layer {layer} does not exist: {model.name} has layers 0 to {last}")
    return last if layer is None else int(layer)


def _units(acts: Floats, units: int | Sequence[int]) -> Ints:
    """The named units, or the most varying ones; constant units never."""
    spread = acts.var(axis=0)
    if not isinstance(units, int | np.integer):
        chosen = np.asarray(list(units), dtype=np.int64)
        if not len(chosen) or (chosen < 0).any() or (chosen >= acts.shape[1]).any():
            raise InputError(f"units lie between 0 and {acts.shape[1] - 1}")
        return chosen
    if units < 1:
        raise InputError(f"units={units}: ask for at least one neuron")
    order = np.argsort(-spread, kind="stable")[: int(units)]
    alive = order[spread[order] > 0]
    if not len(alive):
        raise InputError("every unit is constant over these prompts")
    return np.asarray(alive, dtype=np.int64)


def _false_positives(
    acts: Floats, numbers: dict[str, Ints], draws: int, seed: int
) -> npt.NDArray[np.float64]:
    """Share of units that match a heuristic of renamed numbers, one a draw."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(max(1, draws)):
        known = heuristics(renamed(numbers, rng))
        if len(known.names):
            found.append(float((matches(acts, known).overlap >= THRESHOLD).mean()))
    return np.array(found or [np.nan])


def _table(chosen: Ints, own: Match, known: Heuristics) -> pd.DataFrame:
    matched = own.overlap >= THRESHOLD
    picked = list(zip(own.best, matched, strict=True))
    return pd.DataFrame(
        {
            "unit": chosen,
            "heuristic": [known.names[i] if m else "" for i, m in picked],
            "family": [known.families[i] if m else "none" for i, m in picked],
            "overlap": own.overlap,
            "chance": own.chance,
            "matched": matched,
        }
    )


def _knockout(
    model: Model, batch: PromptBatch, site: str, layer: int, role: str, acts: Floats, chosen: Ints,
    own: Match, known: Heuristics, knocked: int, seed: int, memory: int, cancel: Cancel | None,
) -> pd.DataFrame:  # fmt: skip
    """arm ("clean", "related", "unrelated"), accuracy with bounds, neurons (mean number), n."""
    from_set = known.sets[own.best].T & (own.overlap >= THRESHOLD)  # [n, units]
    rng = np.random.default_rng(seed)
    masks = {"clean": np.zeros(acts.shape, dtype=bool)}
    masks |= {arm: np.zeros(acts.shape, dtype=bool) for arm in ("related", "unrelated")}
    matched = np.flatnonzero(own.overlap >= THRESHOLD)
    for row in range(len(acts)):
        related = np.flatnonzero(from_set[row])
        related = related[np.argsort(-own.overlap[related], kind="stable")][:knocked]
        others = np.setdiff1d(matched, np.flatnonzero(from_set[row]))
        count = min(len(related), len(others))
        masks["related"][row, chosen[related[:count]]] = True
        masks["unrelated"][row, chosen[rng.permutation(others)[:count]]] = True
    judged = predicted(role) if role != "last" else batch.emitted_at("last")
    groups, _ = resampling(batch.problems)
    mean, wanted, out = acts.mean(axis=0), batch.labels(judged), []
    for arm, mask in masks.items():
        new = torch.from_numpy(np.where(mask, mean, acts))[:, None].to(model.dtype)
        edits = [Replace(site, Rows({layer: new}), layers=(layer,), roles=(role,))]
        said = run(
            model, batch, edits, logits=(judged,), memory=memory, cancel=cancel,
            reduce=lambda logits, rows: logits[:, 0].argmax(dim=-1),
        ).logits  # fmt: skip
        assert said is not None
        right = (said.long().cpu() == wanted).numpy().astype(float)
        low, high = mean_interval(right[:, None], groups, seed=seed)
        out.append(
            {
                "arm": arm,
                "accuracy": float(right.mean()),
                "low": float(low[0]),
                "high": float(high[0]),
                "neurons": float(mask.sum(axis=1).mean()),
                "n": len(right),
            }
        )
    return pd.DataFrame(out)


def _drawn(batch: PromptBatch, numbers: dict[str, Ints], role: str) -> dict[str, Ints]:
    """The operands' values; those with too many for a map as digits of the emitted column."""
    found = {name: values for name, values in numbers.items() if name != "result"}
    named = batch.emitted_at("last") if role == "last" else predicted(role)
    digits = digits_in(named) if named else None
    if digits is None or max(len(np.unique(values)) for values in found.values()) <= _SIDE:
        return found
    return {
        f"{name}[{digits[1].start}]": values // 10 ** digits[1].start % 10
        for name, values in found.items()
    }


def _maps(acts: Floats, chosen: Ints, own: Match, numbers: dict[str, Ints]) -> dict[str, Any]:
    """Mean activation of the best-matched units on a × b, [units, a, b], NaN where unasked."""
    order = np.argsort(-(own.overlap - own.chance), kind="stable")[:_MAPS]
    names = list(numbers)
    values = [np.unique(numbers[name]) for name in names]
    if len(names) != 2 or max(map(len, values)) > _SIDE:
        empty = np.zeros((0, 0, 0))
        none = np.zeros(0, np.int64)
        return {"maps": empty, "drawn": none, "a": none, "b": none, "axes": ()}
    a, b = (np.searchsorted(v, numbers[name]) for v, name in zip(values, names, strict=True))
    shape = (len(values[0]), len(values[1]))
    counts = np.zeros(shape)
    np.add.at(counts, (a, b), 1.0)
    maps = np.zeros((len(order), *shape))
    for i, unit in enumerate(chosen[order]):
        np.add.at(maps[i], (a, b), acts[:, unit])
    with np.errstate(invalid="ignore"):
        maps = np.where(counts > 0, maps / counts, np.nan)
    axes = (names[0], names[1])
    return {"maps": maps, "drawn": chosen[order], "a": values[0], "b": values[1], "axes": axes}
