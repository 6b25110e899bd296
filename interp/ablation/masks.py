"""The masks of `visible` as interventions on a complete run of the engine.

Each is a tuple of `MaskAttention`: it cuts edges of the attention pattern after the softmax and
renormalises the remaining weights, which equals scores of −inf before the softmax.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from interp.ablation.places import Places
from interp.ablation.visible import OPEN, OPERANDS, PEEK, SELF, check_mask, window_of
from interp.engine.interventions import MaskAttention
from interp.errors import InputError
from interp.models.prompts import PromptBatch

Masks = tuple[MaskAttention, ...]
Layers = Sequence[int]


def full_peek(batch: PromptBatch, layers: Layers, *, sink: str = "first") -> Masks:
    """The last tokens look at everything before them, every other at itself and the sink."""
    return cut(Places.of(batch, sink), PEEK, layers)


def self_peek(batch: PromptBatch, layers: Layers, *, sink: str = "first") -> Masks:
    """Every token looks at itself and the sink."""
    return cut(Places.of(batch, sink), SELF, layers)


def window(batch: PromptBatch, width: int, layers: Layers, *, sink: str = "first") -> Masks:
    """As full peek, but the last tokens look back over `width` positions, their own included."""
    return cut(Places.of(batch, sink), f"window:{width}", layers)


def knock_out(batch: PromptBatch, edges: Iterable[tuple[str, str]], layers: Layers) -> Masks:
    """Cut single edges, each (query role, key role). Raises RoleError for roles no prompt has."""
    out = []
    for edge in edges:
        if isinstance(edge, str) or len(edge) != 2:
            raise InputError(f"an edge is a pair of roles such as ('eq', 'a0'), not {edge!r}.")
        query, key = edge
        for role in (query, key):
            batch.position_array(role)
        out.append(MaskAttention(roles=(query,), keys=(key,), layers=tuple(layers)))
    if not out:
        raise InputError("no edge to cut: name pairs such as ('eq', 'a0').")
    return tuple(out)


def specs(masks: Sequence[MaskAttention]) -> list[dict[str, Any]]:
    """The masks as JSON values, for a Result's settings. Raises InputError for other types."""
    for mask in masks:
        if not isinstance(mask, MaskAttention):
            raise InputError(
                f"masks are MaskAttention, as ablation.knock_out makes them, not "
                f"{type(mask).__name__}: other interventions are for engine.run."
            )
    names = ("roles", "keys", "layers", "heads", "mode")
    return [{name: getattr(mask, name) for name in names} for mask in masks]


def cut(
    places: Places,
    mask: str,
    layers: Layers,
    *,
    heads: Sequence[int] | None = None,
    lasts_only: bool = False,
) -> Masks:
    """The named mask in the given layers, restricted by `heads` and to the last tokens by
    `lasts_only`."""
    check_mask(mask)
    if mask == OPEN or not len(layers) or (heads is not None and not len(heads)):
        return ()
    seen: dict[str, tuple[str, ...]] = {}
    if not lasts_only:
        seen |= {role: (role,) for role in places.waiting}
    if mask != PEEK:
        seen |= {role: _seen(places, mask, role) for role in places.lasts}
    return tuple(
        MaskAttention(
            roles=(query,),
            keys=keys,
            mode="only",
            layers=tuple(layers),
            heads=None if heads is None else tuple(heads),
        )
        for query, others in seen.items()
        for keys in [tuple(dict.fromkeys([*places.sink_roles, *others]))]
        if _hides(places, query, keys)
    )


def _hides(places: Places, query: str, keys: Sequence[str]) -> bool:
    """True if some prompt has a token before the query that is not among the keys."""
    layouts = [places.batch.layouts[int(i)] for i in np.unique(places.batch.layout_of)]
    return any(
        set(layout[: layout.index(query)]) - set(keys) for layout in layouts if query in layout
    )


def _seen(places: Places, mask: str, query: str) -> tuple[str, ...]:
    """The roles that a last token sees besides the sink, its own included."""
    if mask == SELF:
        return (query,)
    if mask == OPERANDS:
        return (query, *places.operands)
    column = np.argwhere(places.roles == query)
    within: set[tuple[str, ...]] = set()
    for layout in np.unique(places.batch.layout_of[column[:, 0]]):
        row = int(np.flatnonzero(places.batch.layout_of == layout)[0])
        at = int(np.flatnonzero(places.roles[row] == query)[0])
        first = max(0, at - window_of(mask) + 1)
        within.add(tuple(places.roles[row, first : at + 1].tolist()))
    if len(within) > 1:
        raise InputError(
            f"{mask} reaches other roles in some prompts than in others: use a format of fixed "
            f"width, such as 'padded', or take prompts of one length."
        )
    return within.pop()
