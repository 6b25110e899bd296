"""Cosines of what an MLP reads and writes with the directions of number tokens.

With u_t the direction that token t's logit reads off the stream (`interp.engine.direct`), T the
number tokens that occur, and d_t = u_t − mean over T of u, so that what all numbers share cancels,

    cos(h, d_t) = h · d_t / (‖h‖ ‖d_t‖)

at the position that predicts an answer digit, with h the stream that the MLP reads or the output
that it adds to it. Zhang et al. (arXiv 2409.01659) compare both with number tokens layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from interp.engine._run import run
from interp.engine.direct import Readout
from interp.engine.requests import Read, Resources
from interp.engine.targets import true_tokens
from interp.errors import InputError
from interp.heads.effects import estimate, mean_of
from interp.heads.metrics import Floats
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in
from interp.results.grid import Axis, Grid
from interp.results.resampling import resampling

SIDES = ("input", "output")
TOKENS = ("answer", "operands")
_DRAWS = 200  # of random directions


@dataclass(frozen=True)
class Cosines:
    """`cosine` with intervals, and the middle 95 % of the same mean for random directions: axes
    `side`, `token`, `layer`, `answer_digit`."""

    cosine: Grid
    random: Grid


def number_cosines(
    model: Model, batch: PromptBatch, answers: tuple[str, ...], resources: Resources, seed: int
) -> Cosines:
    """Mean cosines with the answer digit's own token, and with the operands' tokens of its column.

    Random: each number token gets a random direction in place of its own, centred likewise.

    Raises InputError where fewer than two number tokens occur.
    """
    tokens = {
        "answer": true_tokens(batch, answers)[:, None],
        "operands": torch.stack([_operands(batch, role) for role in answers], dim=-1),
    }  # [n, places, answers]
    known = torch.unique(torch.cat([x[x >= 0] for x in tokens.values()]))
    if len(known) < 2:
        raise InputError(
            "these prompts hold one number token alone: it has no direction of its own"
        )
    read = Readout.of(model, known)
    own = read.directions(torch.arange(len(known)), torch.ones(len(known)))
    rng = np.random.default_rng([seed, 9])
    drawn = torch.from_numpy(rng.standard_normal((_DRAWS, *own.shape)))
    directions = _unit(torch.cat([own[None], drawn]))  # [1 + draws, tokens, d_model]
    streams = _streams(model, batch, answers, resources)
    sides = [
        [
            _cosines(streams[side, layer], tokens, known, directions)
            for layer in range(_layers(model))
        ]
        for side in SIDES
    ]
    every = np.array(sides)  # [sides, layers, tokens, 1 + draws, n, answers]
    every = every.transpose(3, 4, 0, 2, 1, 5)  # [1 + draws, n, sides, tokens, layers, answers]
    axes = (
        Axis("side", SIDES),
        Axis("token", TOKENS),
        Axis("layer", tuple(map(str, range(_layers(model))))),
        Axis("answer_digit", answers),
    )
    groups, _ = resampling(batch.problems)
    means = mean_of(np.moveaxis(every[1:], 1, 0))
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return Cosines(
        estimate(every[0], groups, axes, seed), Grid(means.mean(axis=0), axes, low, high)
    )


def _layers(model: Model) -> int:
    return model.shape.n_layers


def _operands(batch: PromptBatch, answer: str) -> torch.Tensor:
    """Tokens of the operands' digits in the columns of an answer role, [n, operand roles]; -1 in
    other columns, and where a prompt lacks the digit."""
    names, asked = batch.problems.task.operand_names, digits_in(answer)
    parts = {r: d for r in batch.roles if (d := digits_in(r)) is not None and d[0] in names}
    if asked is None or not parts:
        return torch.full((len(batch), max(1, len(parts))), -1)
    beside = torch.tensor([bool({*d[1]} & {*asked[1]}) for d in parts.values()])
    return true_tokens(batch, tuple(parts)).masked_fill(~beside, -1)


def _streams(
    model: Model, batch: PromptBatch, answers: tuple[str, ...], resources: Resources
) -> Mapping[tuple[str, int], torch.Tensor]:
    """The stream that each MLP reads and its output, float64 [n, answers, d_model]."""
    inside = "resid_mid" if "resid_mid" in model.usable_sites else "resid_pre"  # parallel blocks
    asking = tuple(f"predicts({role})" for role in answers)
    found = run(
        model, batch, reads=[Read(inside, None, asking), Read("mlp_out", None, asking)],
        logits=None, memory=resources.memory, cancel=resources.cancel,
    ).activations  # fmt: skip
    sites = dict(zip(SIDES, (inside, "mlp_out"), strict=True))
    return {
        (side, layer): found[site, layer].double()
        for side, site in sites.items()
        for layer in range(model.shape.n_layers)
    }


def _unit(directions: torch.Tensor) -> torch.Tensor:
    """Unit vectors along d_t, [..., tokens, d_model]."""
    centred = directions - directions.mean(dim=-2, keepdim=True)
    return centred / centred.norm(dim=-1, keepdim=True)


def _cosines(
    stream: torch.Tensor,
    tokens: Mapping[str, torch.Tensor],
    known: torch.Tensor,
    directions: torch.Tensor,
) -> Floats:
    """Cosines [tokens, 1 + draws, n, answers] of one layer's streams [n, answers, d_model]."""
    h = stream / stream.norm(dim=-1, keepdim=True)
    every = torch.einsum("nad,mtd->mnat", h, directions)  # with each number token
    out = []
    for name in TOKENS:
        mine = tokens[name].permute(0, 2, 1).contiguous()  # [n, answers, places]
        index = torch.searchsorted(known, mine.clamp(min=int(known[0])))
        picked = every.gather(-1, index.expand(len(every), -1, -1, -1))
        picked = picked.masked_fill(mine < 0, torch.nan)
        out.append(picked.nanmean(dim=-1))
    return np.asarray(torch.stack(out).numpy(), dtype=float)
