"""Sources of an intervention's new values: validated once, then looked up by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from interp.engine.interventions import (
    Clean,
    Constant,
    Intervention,
    Mean,
    Project,
    Rows,
    Source,
    Zero,
)
from interp.errors import InputError
from interp.models.model import Model
from interp.models.prompts import PromptBatch


def check_source(
    model: Model,
    batch: PromptBatch,
    what: Intervention,
    layers: Sequence[int],
    positions: torch.Tensor | None,
) -> None:
    """Raise InputError if a source does not fit the intervention: wrong shape, missing layer, or
    NaN where a row has the role.
    """
    source = getattr(what, "source", None)
    if isinstance(source, Constant):
        _check_constant(model, batch, what.site, source)
    if isinstance(what, Project):
        width = place_shape(model, batch, what.site)[-1]
        if what.direction.value.numel() != width:
            raise InputError(
                f"the direction has {what.direction.value.numel()} numbers; {what.site!r} of "
                f"{model.name} has {width}."
            )
    if isinstance(source, Rows):
        _check_rows(model, batch, what, source, layers, positions)


def place_shape(model: Model, batch: PromptBatch, site: str) -> tuple[int, ...]:
    """Shape of an activation at one position of one row."""
    s = model.shape
    shapes: dict[str, tuple[int, ...]] = {
        "q": (s.n_heads, s.d_head),
        "k": (s.n_kv_heads, s.d_head),
        "v": (s.n_kv_heads, s.d_head),
        "z": (s.n_heads, s.d_head),
        "pattern": (s.n_heads, batch.n_input),
        "mlp_post": (s.d_mlp,),
    }
    return shapes.get(site, (s.d_model,))


def _check_constant(model: Model, batch: PromptBatch, site: str, source: Constant) -> None:
    shape, got = place_shape(model, batch, site), tuple(source.value.shape)
    padded = (1,) * (len(shape) - len(got)) + got
    if len(padded) != len(shape) or any(
        g not in (1, w) for g, w in zip(padded, shape, strict=True)
    ):
        raise InputError(
            f"a Constant of shape {list(got)} does not fit {site!r} of {model.name}, which has "
            f"{list(shape)} at each position."
        )


def _check_rows(
    model: Model,
    batch: PromptBatch,
    what: Intervention,
    source: Rows,
    layers: Sequence[int],
    positions: torch.Tensor | None,
) -> None:
    if what.roles is None or positions is None:
        raise InputError("a Rows source needs roles: its values are [n, roles, …].")
    shape = place_shape(model, batch, what.site)
    if what.site == "pattern":
        shape = shape[:-1]  # keys of other prompts are cut or padded: those beyond are unseen
    want = (len(batch), len(what.roles), *shape)
    for layer in layers:
        if layer not in source.values:
            raise InputError(
                f"the Rows source has no values for layer {layer}; it has {sorted(source.values)}. "
                f"Name the layers of the intervention."
            )
        value = source.values[layer]
        if tuple(value.shape[: len(want)]) != want:
            raise InputError(
                f"the Rows source must be [n, roles, …] = {want}, not {tuple(value.shape)}."
            )
        unknown = value.isnan().flatten(2).any(-1) & (positions >= 0).to(value.device)
        if unknown.any():
            row, role = unknown.nonzero()[0].tolist()
            raise InputError(
                f"the Rows source is NaN for {what.roles[role]!r} of {batch.texts[row]!r}: the run "
                f"it comes from lacks that role in row {row}. Leave the role or the row out."
            )


def source_value(
    source: Source,
    layer: int,
    old: torch.Tensor,
    present: torch.Tensor,
    rows: slice,
    means: Mapping[int, torch.Tensor] | None,
    clean: torch.Tensor | None,
    clean_index: torch.Tensor,
) -> torch.Tensor:
    """New values for the places [places, …] of `old`, one for each True in `present` [n, roles].

    `clean` is the whole clean activation [n, T, …], `clean_index` [n, roles] its read positions.
    """
    if isinstance(source, Zero):
        return torch.zeros_like(old)
    if isinstance(source, Constant):
        return _as_wide(source.value.to(old), old).expand_as(old)
    if isinstance(source, Rows):
        return _as_wide(source.values[layer][rows].to(old)[present], old)
    if isinstance(source, Mean):
        assert means is not None
        each = means[layer].to(old)  # [roles, …]
        return _as_wide(each.expand(present.shape[0], *each.shape)[present], old)
    assert isinstance(source, Clean) and clean is not None
    row = torch.arange(present.shape[0], device=old.device)[:, None].expand_as(present)
    return _as_wide(clean[row[present], clean_index[present]].to(old), old)


def _as_wide(value: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """Only the keys of a pattern can differ in number, and then those of `old` count."""
    return value if value.shape[-1] in (1, old.shape[-1]) else with_keys(value, old.shape[-1])


def with_keys(pattern: torch.Tensor, keys: int) -> torch.Tensor:
    """[…, any number of keys] → […, keys]; keys beyond are padding and never attended."""
    return torch.nn.functional.pad(pattern[..., :keys], (0, max(0, keys - pattern.shape[-1])))
