"""Direct logit attribution: what every component writes towards the right token's logit.

The final norm's scale is held at its value in each prompt (Elhage et al. 2021); then the parts of
the residual stream (embeddings, each head, attention biases, MLPs) have effects that sum to
logit − b_U exactly. MLPs are broken up into neurons on request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from interp.attribution.results.direct import DirectAttribution
from interp.engine._run import run
from interp.engine.direct import Readout, check_sum
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Read
from interp.engine.targets import one_token, true_tokens
from interp.engine.writes import check_linear, head_writes, neuron_writes, write_bias
from interp.errors import InputError
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch, predicted
from interp.results.grid import Axis, Grid
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling

_SHARE = {torch.float64: 1e-6, torch.float32: 1e-3}


@shows_progress
def direct(
    model: Model,
    asked: Asked,
    *,
    n: int = 256,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    roles: str | Sequence[str] | None = None,
    neurons: int = 20,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> DirectAttribution:
    """Direct effect of every component on the right token's logit, by answer digit.

    Args:
        asked: a task's name, a Task, Problems, or a PromptBatch with answers.
        n, seed, held_out: the sample of the task's problems; the seed also draws the control.
        format: the format of the prompts; None means the model's first.
        roles: answer roles; None means every one.
        neurons: number of neurons listed, those with the largest mean |effect|; 0 for none.
        memory, cancel, progress: as in `engine.run`.

    Does not show: effects through later layers; a component that matters can have no direct effect.

    Raises:
        InputError: for prompts without answers, or a single one.
        ModelError: for a family whose parts do not add up to its logits.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    chosen = batch.answer_roles_least_first
    if roles is not None:
        chosen = tuple(predicted(role) for role in selection("roles", roles) or ())
    if not chosen:
        raise InputError("these prompts hold no answer: make them with model.prompts(problems)")
    if len(batch) < 2:
        raise InputError("the control takes another prompt's token: give at least two problems")
    tokens = true_tokens(batch, chosen)
    other = _of_another_prompt(tokens, seed)
    seen = _seen(model, batch, chosen, tokens, memory, cancel, progress)
    read = Readout.of(model, torch.unique(tokens[tokens >= 0]))
    names, effects, bias = _parts(model, read, seen, tokens)
    off = check_sum(model, effects.sum(dim=1), seen["logit"] - bias)
    _, control, _ = _parts(model, read, seen, other)
    listed = _neurons(model, read, seen, tokens, neurons, chosen) if neurons else pd.DataFrame()
    groups, over = resampling(batch.problems)
    axes = (Axis("component", names), Axis("answer_digit", chosen))

    def grid(values: torch.Tensor) -> Grid:
        found = values.numpy()
        return Grid(np.nanmean(found, axis=0), axes, *mean_interval(found, groups, seed=seed))

    logits = seen["logit"].numpy()
    return DirectAttribution(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            **sampled,
            "roles": None if roles is None else chosen,
            "neurons": neurons,
        },
        effect=grid(effects),
        shuffled=grid(control),
        logit=Grid(np.nanmean(logits, axis=0), axes[1:]),
        neurons=listed,
        difference=off,
        resampled=over,
    )


def _of_another_prompt(tokens: torch.Tensor, seed: int) -> torch.Tensor:
    """Tokens [n, roles] of another row; a row that lacks the role keeps −1."""
    order = np.random.default_rng(seed).permutation(len(tokens))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    moved = tokens[torch.from_numpy(other)]
    return torch.where(tokens < 0, tokens, moved)


def _seen(
    model: Model,
    batch: PromptBatch,
    roles: Sequence[str],
    tokens: torch.Tensor,
    memory: int,
    cancel: Cancel | None,
    progress: Progress | None,
) -> Mapping[Any, torch.Tensor]:
    """Activations [n, roles, …] at the positions that predict each role, and the true logits."""
    asking = tuple(f"predicts({role})" for role in roles)
    last = model.shape.n_layers - 1
    reads = [Read(site, None, asking) for site in ("z", "attn_out", "mlp_out", "mlp_post")]
    reads += [Read("resid_pre", (0,), asking), Read("resid_post", (last,), asking)]
    reads += [Read("ln_final", None, asking)]
    done = run(
        model, batch, reads=reads, logits=roles, reduce=one_token(tokens), memory=memory,
        cancel=cancel, progress=progress,
    )  # fmt: skip
    assert done.logits is not None
    seen: dict[Any, torch.Tensor] = dict(done.activations)
    for layer in range(model.shape.n_layers):
        share = _SHARE.get(model.dtype, 5e-2)
        check_linear(model, layer, seen["z", layer], seen["attn_out", layer], share)
    return seen | {"logit": done.logits}


def _directions(
    read: Readout, seen: Mapping[Any, torch.Tensor], tokens: torch.Tensor, last: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """u_t [n, roles, d_model], NaN where a token is absent, and the tokens' columns."""
    known = torch.unique(tokens[tokens >= 0])
    columns = torch.searchsorted(known, tokens.clamp(min=int(known[0])))
    scale = read.scale(seen["resid_post", last], seen["ln_final", -1])
    found = read.directions(columns, scale)
    return found.masked_fill((tokens < 0)[..., None], torch.nan), columns


def _parts(
    model: Model, read: Readout, seen: Mapping[Any, torch.Tensor], tokens: torch.Tensor
) -> tuple[tuple[str, ...], torch.Tensor, torch.Tensor]:
    """Names, effects [n, components, roles] in float64, and b_U [n, roles]."""
    s = model.shape
    u, columns = _directions(read, seen, tokens, s.n_layers - 1)
    names, effects = ["embed"], [(seen["resid_pre", 0].double() * u).sum(-1)]
    for layer in range(s.n_layers):
        writes = head_writes(model, layer).double().cpu()
        z = seen["z", layer].double()
        for head in range(s.n_heads):
            names.append(f"L{layer}H{head}")
            effects.append(((z[..., head, :] @ writes[head]) * u).sum(-1))
        bias = write_bias(model, "z", layer).double().cpu()
        if bias.any():
            names.append(f"L{layer}.attn_bias")
            effects.append((bias * u).sum(-1))
        names.append(f"L{layer}.mlp")
        effects.append((seen["mlp_out", layer].double() * u).sum(-1))
    if read.shift.any():
        names.append("norm_bias")
        effects.append(read.constant(columns).masked_fill(tokens < 0, torch.nan))
    found = torch.stack(effects, dim=1)
    return tuple(names), found, read.bias[columns]


def _neurons(
    model: Model,
    read: Readout,
    seen: Mapping[Any, torch.Tensor],
    tokens: torch.Tensor,
    most: int,
    roles: Sequence[str],
) -> pd.DataFrame:
    """Neurons with the largest mean |effect| over prompts: layer, neuron, answer digit, effect."""
    u, _ = _directions(read, seen, tokens, model.shape.n_layers - 1)
    parts = []
    for layer in range(model.shape.n_layers):
        writes = neuron_writes(model, layer).double().cpu()
        effect = seen["mlp_post", layer].double() * (u @ writes.T)  # [n, roles, d_mlp]
        mean, size = effect.nanmean(dim=0), effect.abs().nanmean(dim=0)
        top = size.flatten().topk(min(most, size.numel())).indices
        role, neuron = np.unravel_index(top.numpy(), size.shape)
        parts.append(
            pd.DataFrame(
                {
                    "neuron": [f"L{layer}N{i}" for i in neuron],
                    "answer_digit": np.array(roles)[role],
                    "effect": mean[role, neuron].numpy(),
                    "size": size[role, neuron].numpy(),
                }
            )
        )
    table = pd.concat(parts).sort_values("size", ascending=False, kind="stable")
    return table.head(most).reset_index(drop=True)
