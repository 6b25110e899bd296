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
}
_OPTIONAL = ("attn_out_projection", "mlp", "mlp_out_projection")

Parts = Mapping[tuple[str, int], nn.Module]  # (field, layer); final_norm has layer -1


@dataclass(frozen=True)
class Widths:
    """Widths measured by a trial run; `d_mlp` is 0 if the neurons are not mapped. `flat`: the
    parts that have rows and positions on one axis."""

    d_model: int
    d_head: int
    d_mlp: int
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
    d_model = trial.width("block", 0)
    for layer in range(trial.n_layers):
        heads = trial.width("attn_out_projection", layer) or d_model
        if heads % n_heads:
            raise InputError(
                f"SiteMap(n_heads={sites.n_heads!r}) gives {n_heads} heads, which do not divide "
                f"the width {heads} of layer {layer}. Give the right number of heads."
            )
    heads = trial.width("attn_out_projection", 0) or d_model
    d_mlp = trial.width("mlp_out_projection", 0)
    return Widths(d_model, heads // n_heads, d_mlp, frozenset(trial.flat))


class _Trial:
    def __init__(self, sites: SiteMap, parts: Parts) -> None:
        self._sites, self._parts = sites, parts
        self.n_layers = 1 + max(layer for _, layer in parts)
        self._runs: list[tuple[str, int]] = []
        self.flat: set[str] = set()
        self._shapes: dict[tuple[str, int], list[torch.Size]] = {}

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
            self._shapes[key] = [sides[side]().shape for side in _SEEN[key[0]]]

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
            for shape in shapes:
                if len(shape) == 2 and shape[0] == tokens[0] * tokens[1] and key[0] in _OPTIONAL:
                    self.flat.add(key[0])
                elif len(shape) != 3 or tuple(shape[:2]) != tokens:
                    raise InputError(
                        f"{self._told(key)} passes on {list(shape)} for tokens {list(tokens)}: a "
                        f"wrapped module must keep [rows, positions, width]."
                    )

    def _told(self, key: tuple[str, int]) -> str:
        field, layer = key
        if field == "block":
            return f"block {layer} of SiteMap(blocks={self._sites.blocks!r})"
        path = f"SiteMap({field}={getattr(self._sites, field)!r})"
        return path if layer < 0 else f"{path} of block {layer}"
