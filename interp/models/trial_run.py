"""Trial forward of a plain module that measures every part of a `SiteMap`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from interp.errors import InputError
from interp.models.hook_point import first_given, first_of
from interp.models.site_map import SiteMap

# What of each part must be [rows, positions, width]: the stream and what is added to it, and what
# an output projection reads.
_SEEN = {
    "block": ("in", "out"),
    "attn": ("out",),
    "attn_out_projection": ("in",),
    "mlp": ("out",),
    "mlp_out_projection": ("in",),
    "final_norm": ("out",),
    "mlp_post": ("out",),
}
_OPTIONAL = ("attn_out_projection", "mlp", "mlp_out_projection")
HEAD_FIELDS = ("q", "k", "v", "z")  # modules that put out an activation by head

Parts = Mapping[tuple[str, int], nn.Module]  # (field, layer); final_norm has layer -1


@dataclass(frozen=True)
class Widths:
    """Widths measured by a trial run; `d_mlp` is 0 if the neurons are not mapped.

    `laid_out` maps q, k, v and z, where mapped, to "positions", "heads" (the axis that comes first)
    or "flat" (heads side by side). `unit_rows`: attention rows sum to 1, as far as they are mapped.
    `flat`: the parts that have rows and positions on one axis.
    """

    d_model: int
    d_head: int
    d_mlp: int
    n_kv_heads: int
    laid_out: Mapping[str, str]
    unit_rows: bool
    flat: frozenset[str] = frozenset()


def measure(
    module: nn.Module, sites: SiteMap, parts: Parts, probe: torch.Tensor, n_heads: int
) -> Widths:
    """Run `module` on the tokens `probe` [rows, positions] once, and measure its parts.

    Raises InputError for a module that cannot run them, a part that does not run exactly once,
    blocks that run out of order, activations that are not [rows, positions, width], and heads that
    do not divide the input width of the attention's output projection.
    """
    trial = _Trial(sites, parts)
    trial.run(module, probe)
    trial.check_runs()
    trial.check_shapes(tuple(probe.shape))
    laid_out, kv_heads = trial.head_layouts(tuple(probe.shape), n_heads)
    if None in laid_out.values():  # as many positions as heads: a shorter probe tells
        shorter = _Trial(sites, parts)
        shorter.run(module, probe[:, :-1])
        laid_out, kv_heads = shorter.head_layouts(tuple(probe[:, :-1].shape), n_heads)
    d_model = trial.width("block", 0)
    for layer in range(trial.n_layers):
        heads = trial.width("attn_out_projection", layer) or d_model
        if ("z", layer) not in parts and heads % n_heads:
            raise InputError(
                f"SiteMap(n_heads={sites.n_heads!r}) gives {n_heads} heads, which do not divide "
                f"the width {heads} of layer {layer}. Give the right number of heads."
            )
    heads = trial.width("attn_out_projection", 0) or d_model
    d_head = trial.width("z", 0)
    if not d_head or laid_out["z"] == "flat":
        d_head = (d_head or heads) // n_heads
    return Widths(
        d_model,
        d_head,
        trial.width("mlp_post", 0) or trial.width("mlp_out_projection", 0),
        kv_heads,
        {field: str(layout) for field, layout in laid_out.items()},
        trial.unit_rows(n_heads, probe.shape[1]),
        frozenset(trial.flat),
    )


class _Trial:
    def __init__(self, sites: SiteMap, parts: Parts) -> None:
        self._sites, self._parts = sites, parts
        self.n_layers = 1 + max(layer for _, layer in parts)
        self._runs: list[tuple[str, int]] = []
        self.flat: set[str] = set()
        self._shapes: dict[tuple[str, int], list[torch.Size]] = {}
        self._patterns: list[torch.Tensor] = []

    def width(self, field: str, layer: int) -> int:
        """Width of the activation at a part, 0 if it is not mapped."""
        shapes = self._shapes.get((field, layer))
        return shapes[0][-1] if shapes else 0

    def run(self, module: nn.Module, probe: torch.Tensor) -> None:
        handles = [
            part.register_forward_hook(self._note(key), with_kwargs=True)
            for key, part in self._parts.items()
        ]
        try:
            with torch.no_grad():
                module(probe)
        except (IndexError, RuntimeError, TypeError, ValueError, AssertionError) as error:
            raise InputError(
                f"the module does not run on tokens {list(probe.shape)} with ids up to "
                f"{int(probe.max())} ({type(error).__name__}: {str(error)[:160]}). It must take "
                f"token ids alone, and know every id of the tokenizer."
            ) from error
        finally:
            for handle in handles:
                handle.remove()

    def _note(self, key: tuple[str, int]) -> Callable[..., None]:
        def note(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self._runs.append(key)
            sides = {"in": lambda: first_given(args, kwargs), "out": lambda: first_of(output)}
            self._shapes[key] = [sides[side]().shape for side in _SEEN.get(key[0], ("out",))]
            if key[0] == "pattern":
                self._patterns.append(first_of(output))

        return note

    def check_runs(self) -> None:
        counts = Counter(self._runs)
        for key in self._parts:
            if counts[key] != 1:
                instead = ", or None to do without it" if key[0] in _OPTIONAL else ""
                raise InputError(
                    f"{self._told(key)} runs {counts[key]} times in a forward, not once, so an "
                    f"edit there would not mean what it says. Name another module{instead}."
                )
        order = [layer for field, layer in self._runs if field == "block"]
        if order != sorted(order):
            raise InputError(
                f"SiteMap(blocks={self._sites.blocks!r}): the blocks run in the order {order}. "
                f"Name a list that holds them in the order in which they run."
            )

    def check_shapes(self, tokens: tuple[int, ...]) -> None:
        for key, shapes in self._shapes.items():
            for shape in shapes if key[0] in _SEEN else ():
                if len(shape) == 2 and shape[0] == tokens[0] * tokens[1] and key[0] in _OPTIONAL:
                    self.flat.add(key[0])
                elif len(shape) != 3 or tuple(shape[:2]) != tokens:
                    raise InputError(
                        f"{self._told(key)} passes on {list(shape)} for tokens {list(tokens)}: a "
                        f"wrapped module must keep [rows, positions, width]."
                    )

    def head_layouts(
        self, tokens: tuple[int, ...], n_heads: int
    ) -> tuple[dict[str, str | None], int]:
        """Axis order of q, k, v and z (None: undecided), and the number of key/value heads."""
        found: dict[str, str | None] = {}
        rows, length = tokens
        kv_heads = n_heads
        for field in HEAD_FIELDS:
            shape = tuple(self._shapes[field, 0][0]) if (field, 0) in self._shapes else None
            if shape is None:
                continue
            heads = {n_heads}
            if field in "kv" and len(shape) == 4:
                heads = {h for h in (shape[1], shape[2]) if h and n_heads % h == 0}
            fits = {
                "positions": len(shape) == 4 and shape[1] == length and shape[2] in heads,
                "heads": len(shape) == 4 and shape[1] in heads and shape[2] == length,
                "flat": len(shape) == 3 and shape[1] == length and shape[2] % n_heads == 0,
            }
            good = [name for name, fit in fits.items() if fit]
            if not good or shape[0] != rows:
                raise InputError(
                    f"{self._told((field, 0))} puts out {list(shape)} for tokens {list(tokens)} "
                    f"and {n_heads} heads: it must be [rows, positions, heads, width], or heads "
                    f"first. Name another module, or None to do without it."
                )
            found[field] = good[0] if len(good) == 1 else None
            if field in "kv" and found[field] in ("positions", "heads"):
                kv_heads = shape[2] if found[field] == "positions" else shape[1]
        return found, kv_heads

    def unit_rows(self, n_heads: int, length: int) -> bool:
        """Whether every attention row sums to 1; InputError unless the patterns are [n, heads, P,
        P]."""
        for pattern in self._patterns:
            if pattern.ndim != 4 or tuple(pattern.shape[1:]) != (n_heads, length, length):
                raise InputError(
                    f"SiteMap(pattern={self._sites.pattern!r}) puts out {list(pattern.shape)}: it "
                    f"must be [rows, {n_heads} heads, queries, keys]. Name another module, or None."
                )
        return all(bool(((p.sum(-1) - 1).abs() <= 1e-3).all()) for p in self._patterns)

    def _told(self, key: tuple[str, int]) -> str:
        field, layer = key
        if field == "block":
            return f"block {layer} of SiteMap(blocks={self._sites.blocks!r})"
        path = f"SiteMap({field}={getattr(self._sites, field)!r})"
        return path if layer < 0 else f"{path} of block {layer}"
