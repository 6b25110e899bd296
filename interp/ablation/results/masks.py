"""Additional attention masks in a Result's settings, as text and as code.

A spec is a mapping with `roles` (queries), `keys`, `layers`, `heads`, each None for all, and `mode`
("block" cuts those edges, "only" cuts all others): the arguments of `engine.MaskAttention`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interp.results.calls import Expression, call

MaskSpec = Mapping[str, Any]


def edges_text(spec: MaskSpec) -> str:
    """The cut edges as text, "eq from a0 (heads 0, 2)"."""
    queries = _listed(spec["roles"], "every token")
    keys = _listed(spec["keys"], "everything")
    away = f"all but {keys}" if spec["mode"] == "only" else keys
    heads = "" if spec["heads"] is None else f" (heads {_listed(spec['heads'], '')})"
    return f"{queries} from {away}{heads}"


def masks_text(specs: Sequence[MaskSpec]) -> str:
    """All masks with their layers, "eq from a0 in layers 2, 3; …"; "" for none."""
    told = []
    for spec in specs:
        layers = spec["layers"]
        many = "s" * (layers is not None and len(layers) > 1)
        where = "all layers" if layers is None else f"layer{many} {_listed(layers, '')}"
        told.append(f"{edges_text(spec)} in {where}")
    return "; ".join(told)


def masks_code(specs: Sequence[MaskSpec]) -> Expression | None:
    """The expression that rebuilds the tuple of `MaskAttention`; None for none."""
    if not specs:
        return None
    made = [call("interp.engine.MaskAttention", **dict(spec)) for spec in specs]
    return Expression(f"({', '.join(made)},)")


def _listed(items: Sequence[Any] | None, every: str) -> str:
    return every if items is None else ", ".join(map(str, items))
