"""Swaps inside a subspace that TransformerLens' distributed alignment search learns.

One row of the batch is a base, with a source of another value:

    h ← h + (h' − h) B Bᵀ      B an orthonormal basis [width, rank]

`fit_das` trains B so that the base then says what it should say with the source's value (Geiger et
al. 2024, arXiv 2303.02536). What it reaches is no evidence alone: it also fits arbitrary labels and
models with random weights (Arora et al. 2024, arXiv 2402.12560).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from interp.errors import ModelError, SiteError
from interp.models.model import Model

SITES = ("resid_pre", "resid_post", "attn_out", "mlp_out")
"""Whole activations [n, positions, d_model] at one hook point."""

_BATCH = 64  # rows of a step


@dataclass(frozen=True, eq=False)
class SubspaceSwap:
    """Rows of base and source, a place, and what the base should say.

    base, source   tokens [n, T]
    at, source_at  positions of the swap [n]
    read           the position whose logits are read, the same in every row
    classes        token ids [k] among which the choice is
    targets        index of the right class [n]
    """

    base: torch.Tensor
    source: torch.Tensor
    at: torch.Tensor
    source_at: torch.Tensor
    read: int
    classes: torch.Tensor
    targets: torch.Tensor

    def rows(self, keep: Any) -> SubspaceSwap:
        """Some of the rows."""
        names = ("base", "source", "at", "source_at", "targets")
        return replace(self, **{name: getattr(self, name)[keep] for name in names})


def learned_basis(
    model: Model, swap: SubspaceSwap, site: str, layer: int, *, rank: int, steps: int, seed: int
) -> torch.Tensor:
    """Basis [width, rank] that `fit_das` learns on these rows, in about so many steps.

    Raises ModelError for a model without TransformerLens' blocks, SiteError for another site.
    """
    from transformer_lens.tools.analysis.interchange import fit_das

    with model.lock, torch.enable_grad():
        found = fit_das(
            _bridge(model), _hook(model, site, layer), swap.base, swap.source, swap.targets,
            _read(model, swap), rank=rank, base_positions=swap.at, source_positions=swap.source_at,
            epochs=-(-steps // -(-len(swap.targets) // _BATCH)), batch_size=_BATCH, seed=seed,
        )  # fmt: skip
    return found.basis.detach()


def choices(
    model: Model,
    swap: SubspaceSwap,
    site: str,
    layer: int,
    basis: torch.Tensor | None,
    *,
    placebo: int | None = None,
) -> torch.Tensor:
    """The likeliest class of each row [n] under the swap; None for no swap. With `placebo`, a seed,
    every base moves as far inside a random subspace of that rank instead."""
    from transformer_lens.tools.analysis.interchange import (
        NormMatchedPlacebo,
        SubspaceInterchange,
        collect_activations,
        intervened_logits,
        random_basis,
    )

    bridge, hook, read = _bridge(model), _hook(model, site, layer), _read(model, swap)
    with model.lock, torch.no_grad():
        if basis is None:
            return read(swap.base).argmax(-1).cpu()
        source = collect_activations(bridge, hook, swap.source, read, positions=swap.source_at)
        step: Any = SubspaceInterchange(basis)
        if placebo is not None:
            step = NormMatchedPlacebo(step, random_basis(*basis.shape, seed=placebo))
        logits = intervened_logits(bridge, hook, step, swap.base, source, read, positions=swap.at)
        return logits.argmax(-1).cpu()


def _bridge(model: Model) -> Any:
    bridge = getattr(model.adapter, "bridge", None)
    if bridge is None:
        raise ModelError(
            f"{model.name} does not run through TransformerLens' blocks, and this search is its "
            "own: leave learn= out, or give directions of your own (along=)"
        )
    return bridge


def _hook(model: Model, site: str, layer: int) -> str:
    if site not in SITES:
        raise SiteError(f"no subspace is learned at {site!r}: choose from {', '.join(SITES)}")
    point: Any = model.adapter.hook_point(site, layer)
    return str(point.name)


def _read(model: Model, swap: SubspaceSwap) -> Any:
    bridge = _bridge(model)

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        found = bridge(tokens.to(model.device), prepend_bos=False)
        return torch.as_tensor(found[:, swap.read, swap.classes.to(found.device)])

    return logits
