"""Interventions resolved for one minibatch: positions, heads and new values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from interp.engine.interventions import (
    Add,
    Clean,
    Intervention,
    MaskAttention,
    Mean,
    Project,
    Scale,
    UserHook,
)
from interp.engine.sources import check_source, source_value
from interp.errors import InputError
from interp.models.model import Model
from interp.models.prompts import PromptBatch

HEAD_SITES = frozenset({"q", "k", "v", "z", "pattern"})
NEURON_SITE = "mlp_post"
NO_LAYER = -1  # the layer under which ln_final is kept


@dataclass(frozen=True)
class Edit:
    """One intervention over a whole batch: resolved layers and positions.

    `positions` is int64 [n, roles], -1 where a row lacks the role, or None for every position.
    `keys` likewise for an attention mask. `clean`: positions of these roles in the clean prompts,
    for a source taken from the clean run.
    """

    what: Intervention
    layers: tuple[int, ...]
    positions: torch.Tensor | None
    keys: torch.Tensor | None
    clean: torch.Tensor | None = None
    means: Mapping[int, torch.Tensor] | None = None  # layer → [roles, …] for a Mean source

    @property
    def site(self) -> str:
        return self.what.site

    def needs_clean(self) -> bool:
        return isinstance(getattr(self.what, "source", None), Clean)

    def needs_mean(self) -> bool:
        return isinstance(getattr(self.what, "source", None), Mean)


def role_positions(
    batch: PromptBatch, roles: Sequence[str], *, strict: bool = True
) -> torch.Tensor:
    """Index of each role in each row, int64 [n, roles], -1 where absent.

    With `strict`, a role that no row has raises RoleError; so does a role whose token the model
    does not read.
    """
    find = batch.position_array if strict else batch.find
    for role in roles:
        batch.require_input(role)
    return torch.stack([torch.from_numpy(find(role)) for role in roles], dim=1)


def site_layers(model: Model, site: str, layers: tuple[int, ...] | None) -> tuple[int, ...]:
    """Layer indices that `layers` selects at `site`; raises for a layer that does not exist."""
    model.require_site(site)
    if site == "ln_final":
        if layers not in (None, (NO_LAYER,)):
            raise InputError("ln_final belongs to no layer: leave layers out.")
        return (NO_LAYER,)
    if layers is None:
        return tuple(range(model.shape.n_layers))
    for layer in layers:
        if not 0 <= layer < model.shape.n_layers:
            raise InputError(
                f"layer {layer} does not exist: {model.name} has layers 0 to "
                f"{model.shape.n_layers - 1}."
            )
    return tuple(dict.fromkeys(layers))


def compile_edit(
    model: Model, batch: PromptBatch, what: Intervention, clean: PromptBatch | None = None
) -> Edit:
    """Resolve layers, roles and heads of one intervention; raises where they do not exist.

    `clean`: the prompts of the run without interventions, if they differ.
    """
    layers = site_layers(model, what.site, what.layers)
    if what.roles is None and isinstance(getattr(what, "source", None), Mean):
        every = tuple(role for role in batch.roles if role != "last")  # another name for one
        what = replace(what, roles=every)
    if what.heads is not None:
        _check_heads(model, what)
    positions = None if what.roles is None else role_positions(batch, what.roles)
    keys = None
    if isinstance(what, MaskAttention) and what.keys is not None:
        keys = role_positions(batch, what.keys)
    check_source(model, batch, what, layers, positions)
    edit = Edit(what, layers, positions, keys)
    if edit.needs_clean():
        edit = replace(edit, clean=_in_clean(batch, clean or batch, edit))
    return edit


def _in_clean(batch: PromptBatch, clean: PromptBatch, edit: Edit) -> torch.Tensor | None:
    """Positions of the edit's roles in the clean prompts, [n, roles]; None: every position."""
    roles, positions = edit.what.roles, edit.positions
    if roles is None or positions is None:
        if not np.array_equal(batch.lengths, clean.lengths):
            raise InputError(
                "prompts of other lengths than the clean ones can't be held at clean values "
                "position by position: name the roles."
            )
        return None
    there = role_positions(clean, roles, strict=False)
    lost = (positions >= 0) & (there < 0)
    if lost.any():
        row, role = lost.nonzero()[0].tolist()
        raise InputError(
            f"role {roles[role]!r} of {batch.texts[row]!r} is not in the clean prompt "
            f"{clean.texts[row]!r}: it has no clean value. Leave the role or the row out."
        )
    return there


def _check_heads(model: Model, what: Intervention) -> None:
    if what.site not in (*HEAD_SITES, NEURON_SITE):
        raise InputError(
            f"site {what.site!r} has no heads. Sites with heads: {', '.join(sorted(HEAD_SITES))}; "
            f"of {NEURON_SITE!r}, heads= selects neurons."
        )
    shape, one = model.shape, "neuron" if what.site == NEURON_SITE else "head"
    counts = {"k": shape.n_kv_heads, "v": shape.n_kv_heads, NEURON_SITE: shape.d_mlp}
    count = counts.get(what.site, shape.n_heads)
    for index in what.heads or ():
        if not 0 <= index < count:
            raise InputError(
                f"{one} {index} does not exist: {what.site!r} has {one}s 0 to {count - 1}."
            )


@dataclass
class Window:
    """Rows and positions of a pass: positions `start` … of rows `rows`. `causal`: a query sees no
    later key; `unit_rows`: attention rows sum to 1."""

    rows: slice
    start: int
    causal: bool = True
    unit_rows: bool = True


def apply_edit(
    edit: Edit, layer: int, x: torch.Tensor, window: Window, clean: torch.Tensor | None
) -> tuple[torch.Tensor, int]:
    """The edited activation and the number of (row, position) places edited.

    `x` is [n, P, …], for `pattern` [n, heads, P, keys]. `clean` is the whole clean activation
    [n, T, …] of this site and layer where the edit needs it.
    """
    what = edit.what
    if isinstance(what, UserHook):
        return _user_edit(what, x), x.shape[0] * x.shape[1]
    if isinstance(what, MaskAttention):
        return _mask_edit(edit, x, window)
    by_position = x.transpose(1, 2) if what.site == "pattern" else x  # [n, P, …]
    index = _window_index(edit.positions, by_position, window)  # [n, r]
    present = index >= 0
    rows = torch.arange(x.shape[0], device=x.device)[:, None].expand_as(index)
    at = (rows[present], index[present])
    old = by_position[at]  # [places, …]
    new = _new_value(edit, layer, old, present, window, clean, index)
    if what.site == "pattern" and window.causal:  # no value lets a query look at later keys
        keys = torch.arange(old.shape[-1], device=old.device)
        new = new.masked_fill(keys > (index[present] + window.start)[:, None, None], 0.0)
    if what.heads is not None:
        heads = list(what.heads)
        kept = old.clone()
        kept[:, heads] = new[:, heads]
        new = kept
    out = by_position.clone()
    out[at] = new.to(out.dtype)
    return (out.transpose(1, 2) if what.site == "pattern" else out), int(present.sum())


def _window_index(positions: torch.Tensor | None, x: torch.Tensor, window: Window) -> torch.Tensor:
    n, width = x.shape[:2]
    if positions is None:
        return torch.arange(width, device=x.device).expand(n, width)
    index = positions[window.rows].to(x.device)
    inside = (index >= window.start) & (index < window.start + width)
    return torch.where(inside, index - window.start, torch.full_like(index, -1))


def _new_value(
    edit: Edit,
    layer: int,
    old: torch.Tensor,
    present: torch.Tensor,
    window: Window,
    clean: torch.Tensor | None,
    index: torch.Tensor,
) -> torch.Tensor:
    what = edit.what
    if isinstance(what, Scale):
        return old * what.factor
    if isinstance(what, Project):
        unit = what.direction.value.to(old)
        unit = unit / unit.norm()
        along = (old * unit).sum(-1, keepdim=True)
        target = 0.0 if what.value is None else what.value
        return old + (target - along) * unit
    assert not isinstance(what, MaskAttention | UserHook)  # handled in apply_edit
    there = index + window.start if edit.clean is None else edit.clean[window.rows].to(index.device)
    value = source_value(
        what.source, layer, old, present, window.rows, edit.means, clean, clean_index=there
    )
    return old + what.scale * value if isinstance(what, Add) else value


def _user_edit(what: UserHook, x: torch.Tensor) -> torch.Tensor:
    out = what.function(x.clone())
    if not isinstance(out, torch.Tensor) or out.shape != x.shape:
        got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise InputError(f"a UserHook must return a tensor of shape {tuple(x.shape)}, not {got}.")
    return out


def _mask_edit(edit: Edit, pattern: torch.Tensor, window: Window) -> tuple[torch.Tensor, int]:
    what = edit.what
    assert isinstance(what, MaskAttention)
    n, heads, queries, keys = pattern.shape
    chosen = torch.zeros(n, queries, dtype=torch.bool, device=pattern.device)
    index = _window_index(edit.positions, pattern.transpose(1, 2), window)
    _mark(chosen, index)
    looked = torch.zeros(n, keys, dtype=torch.bool, device=pattern.device)
    if edit.keys is None:
        looked[:] = True
    else:
        at = edit.keys[window.rows].to(pattern.device)
        _mark(looked, at.masked_fill(at >= keys, -1))  # later than every query: never attended
    cut_keys = looked if what.mode == "block" else ~looked
    cut = chosen[:, None, :, None] & cut_keys[:, None, None, :]  # [n, 1, queries, keys]
    by_head = torch.zeros(heads, dtype=torch.bool, device=pattern.device)
    by_head[list(what.heads) if what.heads is not None else slice(None)] = True
    cut = cut & by_head[None, :, None, None]
    left = pattern.masked_fill(cut, 0.0)
    total = left.sum(-1, keepdim=True)
    seen = torch.ones(queries, keys, dtype=torch.bool, device=pattern.device)
    if window.causal:
        seen = seen.tril(window.start)
    if (cut | ~seen).all(-1).any():
        raise InputError(
            "an attention mask leaves a query without any key. Keep a sink visible: its own "
            "position, or the first token."
        )
    touched = cut.any(-1, keepdim=True)
    if (touched & (total == 0)).any():
        raise InputError(
            f"an attention mask leaves a query only keys whose weights are 0 in "
            f"{str(pattern.dtype).removeprefix('torch.')} (outside a sliding window, or too "
            f"small): they cannot be renormalised. Leave it another key, or load the model in "
            f"float64."
        )
    # Rows that do not sum to 1 keep their own sum.
    kept = left / total if window.unit_rows else left * (pattern.sum(-1, keepdim=True) / total)
    out = torch.where(touched, kept, pattern)
    return out, int((cut & seen).sum())


def _mark(flags: torch.Tensor, index: torch.Tensor) -> None:
    present = index >= 0
    rows = torch.arange(flags.shape[0], device=flags.device)[:, None].expand_as(index)
    flags[rows[present], index[present]] = True
