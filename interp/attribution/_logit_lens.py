"""Logit lens: read the answer off the residual stream after each layer (nostalgebraist 2020).

At the position that predicts a role, with h_l the residual stream after layer l (h_embed before the
first), x_l = W_U · norm(h_l): the model's own final norm and unembedding, applied early.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from interp.attribution.results.logit_lens import LogitLens
from interp.engine._run import run
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.readout import unembed
from interp.engine.requests import Cancel, Progress, Read
from interp.engine.targets import true_tokens
from interp.errors import InputError
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch, predicted
from interp.results.grid import Axis, Grid
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling

MEASURES = ("first", "probability", "rank", "logit")


@shows_progress
def logit_lens(
    model: Model,
    asked: Asked,
    *,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    roles: str | Sequence[str] | None = None,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> LogitLens:
    """Rank, probability and logit of the true token after each layer; another prompt's as control.

    Args:
        asked: a task's name, a Task, Problems, or a PromptBatch with answers.
        n, seed, held_out: the sample of the task's problems (`interp.models.asking`); the seed also
            shuffles answers among prompts (the control) and resamples for the intervals.
        format: the format of the prompts; None means the model's first.
        roles: the roles whose prediction is read, "c2" or "predicts(c2)"; None means every answer
            role.
        memory: bytes for one minibatch of logits.
        cancel, progress: as in `engine.run`.

    Does not show: information in another basis than the unembedding's, nor whether later layers
    use the information.

    Raises:
        InputError: for prompts without answers.
        RoleError: for a role that no prompt has, or the first token, which nothing predicts.
    """
    batch, sampled = prompts(
        model, asked, n=n, seed=seed, format=format, held_out=held_out
    )  # fmt: skip
    chosen = batch.answer_roles_least_first
    if roles is not None:
        chosen = tuple(predicted(role) for role in selection("roles", roles) or ())
    if not chosen:
        raise InputError("these prompts hold no answer: make them with model.prompts(problems)")
    positions = np.stack([batch.predicting_positions(role) for role in chosen], axis=1)
    labels = true_tokens(batch, chosen)
    shuffled = _shuffled(labels, np.random.default_rng(seed))
    layers = ("embed", *map(str, range(model.shape.n_layers)))
    found = np.full((2, len(MEASURES), len(batch), len(layers), len(chosen)), np.nan)
    step = max(1, memory // (len(chosen) * model.shape.d_vocab_out * 4 * 4))
    starts = range(0, len(batch), step)
    for part, start in enumerate(starts):
        rows = slice(start, min(start + step, len(batch)))
        for layer, logits in enumerate(_lens(model, batch[rows], positions[rows], cancel)):
            for control, tokens in enumerate((labels[rows], shuffled[rows])):
                found[control, :, rows, layer] = _measures(logits, tokens)
            if cancel is not None:
                cancel.check()
            if progress is not None:
                progress(part * len(layers) + layer + 1, len(starts) * len(layers))
    axes = (Axis("layer", layers), Axis("answer_digit", chosen))
    groups, over = resampling(batch.problems)
    return LogitLens(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            **sampled,
            "roles": None if roles is None else chosen,
        },
        resampled=over,
        used=Grid((labels >= 0).sum(dim=0).numpy(), axes[1:]),
        **_grids("", found[0], groups, axes, seed),
        **_grids("shuffled_", found[1], groups, axes, seed),
    )


def _lens(
    model: Model, batch: PromptBatch, positions: npt.NDArray[np.int64], cancel: Cancel | None
) -> Iterator[torch.Tensor]:
    """Logits [n, roles, d_vocab] read after the embedding, then after each layer."""
    sources, column = _roles_at(batch, positions)
    reads = [Read("resid_pre", (0,), sources), Read("resid_post", None, sources)]
    seen = run(model, batch, reads=reads, logits=None, cancel=cancel).activations
    index = torch.from_numpy(column)
    last = [("resid_post", layer) for layer in range(model.shape.n_layers)]
    for key in [("resid_pre", 0), *last]:
        stream = seen[key]
        picked = stream.gather(1, index[..., None].expand(-1, -1, stream.shape[-1]))
        yield unembed(model, picked)


def _roles_at(
    batch: PromptBatch, positions: npt.NDArray[np.int64]
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """The roles at `positions` [n, roles], and the index among them of each position.

    An absent position (-1) gets index 0; its label excludes it later.
    """
    used = [batch.layouts[i] for i in batch.layout_of]
    names = np.array(
        [
            [layout[p] if p >= 0 else "" for p in row]
            for layout, row in zip(used, positions, strict=True)
        ],
        dtype=object,
    )
    sources = tuple(dict.fromkeys(name for name in names.ravel() if name))
    number = {name: i for i, name in enumerate(sources)} | {"": 0}
    return sources, np.vectorize(number.__getitem__, otypes=[np.int64])(names)


def _measures(logits: torch.Tensor, tokens: torch.Tensor) -> npt.NDArray[np.float64]:
    """MEASURES of `tokens` [n, roles] under `logits`: [measures, n, roles], NaN where absent."""
    wide = logits.double()
    own = wide.gather(-1, tokens.clamp(min=0)[..., None])
    rank = 1.0 + (wide > own).sum(dim=-1)
    probability = (own[..., 0] - wide.logsumexp(dim=-1)).exp()
    values = torch.stack([(rank == 1).double(), probability, rank, own[..., 0]])
    return values.masked_fill(tokens < 0, torch.nan).numpy()


def _shuffled(labels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Each role's tokens moved to other prompts that have the role; -1 if there is no other."""
    out = torch.full_like(labels, -1)
    for role in range(labels.shape[1]):
        rows = rng.permutation(torch.nonzero(labels[:, role] >= 0)[:, 0].numpy())
        if len(rows) > 1:
            out[rows, role] = labels[np.roll(rows, 1), role]
    return out


def _grids(
    prefix: str,
    found: npt.NDArray[np.float64],
    group: npt.NDArray[np.int64],
    axes: tuple[Axis, ...],
    seed: int,
) -> dict[str, Any]:
    grids = {}
    for name, values in zip(MEASURES, found, strict=True):
        known = np.maximum((~np.isnan(values)).sum(axis=0), 1)
        mean = np.where(np.isnan(values).all(axis=0), np.nan, np.nansum(values, axis=0) / known)
        grids[prefix + name] = Grid(mean, axes, *mean_interval(values, group, seed=seed))
    return grids
