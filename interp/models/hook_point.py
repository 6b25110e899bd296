"""A hook point on a plain `nn.Module`, with the interface of TransformerLens' own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

Side = Literal["in", "out"]
Hook = Callable[[torch.Tensor, Any], torch.Tensor | None]


class Handle:
    """What `Point.add_hook` returns; `hook.remove()` takes the hook off."""

    def __init__(self, hook: RemovableHandle) -> None:
        self.hook = hook


@dataclass(frozen=True)
class View:
    """What a hook sees of an activation [..., width].

    heads: sees the last axis as two, [heads, d_head]
    heads_first: the activation is [rows, heads, positions, …]; sees positions first
    part: sees columns `part[0]` to `part[1]` only (of a fused projection, [q | k | v])
    third: sees the `third` of three of each head's columns (of a fused projection that keeps
        [q | k | v] of each head together)
    scale: sees the activation times this (what is added to the stream, where a multiplier follows)
    flat: the activation has rows and positions on one axis (OPT); holds the number of rows
    copied: sees a copy, since the module goes on to write into the activation (Falcon)
    """

    heads: int | None = None
    heads_first: bool = False
    part: tuple[int, int] | None = None
    third: int | None = None
    scale: float = 1.0
    flat: dict[str, int] | None = None
    copied: bool = False

    def read(self, x: torch.Tensor) -> torch.Tensor:
        """The activation as a hook sees it."""
        x = x.clone() if self.copied else x
        if self.heads_first:
            return x.transpose(1, 2)
        if self.flat is not None:
            x = x.unflatten(0, (self.flat["rows"], -1))
        if self.part is not None:
            x = x[..., slice(*self.part)]
        if self.heads is not None:
            x = x.unflatten(-1, (self.heads, -1))
        if self.third is not None:
            x = x.chunk(3, dim=-1)[self.third]
        return x if self.scale == 1.0 else x * self.scale

    def write(self, x: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """`x` with the seen part replaced by `new`."""
        if self.heads_first:
            return new.transpose(1, 2).contiguous()
        if self.scale != 1.0:
            new = new / self.scale
        if self.third is not None:
            parts = list(x.unflatten(-1, (self.heads or 1, -1)).chunk(3, dim=-1))
            parts[self.third] = new
            return torch.cat(parts, dim=-1).flatten(-2)
        if self.heads is not None:
            new = new.flatten(-2)
        if self.flat is not None:
            new = new.flatten(0, 1)
        if self.part is None:
            return new
        return torch.cat([x[..., : self.part[0]], new, x[..., self.part[1] :]], dim=-1)


class Point:
    """A hook point: the input or output of a submodule, as `view` shows it."""

    def __init__(self, module: nn.Module, side: Side, view: View | None = None) -> None:
        self.module, self._side, self._view = module, side, view or View()
        self.fwd_hooks: list[Handle] = []

    @property
    def scale(self) -> float:
        """What a hook sees, as a multiple of the activation."""
        return self._view.scale

    def output(self, x: torch.Tensor) -> torch.Tensor:
        """What a hook sees of the module's output for the input x."""
        return self._view.read(first_of(self.module(x)))

    def add_hook(self, function: Hook) -> Handle:
        """Call `function(x, None)` on every pass; its return value, unless None, replaces x."""

        def before(module: nn.Module, args: Any, kwargs: Any) -> Any:
            new = self._call(function, first_given(args, kwargs))
            if new is None:
                return None
            if args:
                return (new, *args[1:]), kwargs
            return args, {**kwargs, next(iter(kwargs)): new}

        def after(module: nn.Module, args: Any, output: Any) -> Any:
            new = self._call(function, first_of(output))
            return new if new is None or torch.is_tensor(output) else (new, *output[1:])

        before.point = after.point = self  # type: ignore[attr-defined]
        if self._side == "in":
            hook = self.module.register_forward_pre_hook(before, with_kwargs=True)
        else:
            hook = self.module.register_forward_hook(after)
        self.fwd_hooks.append(handle := Handle(hook))
        return handle

    def clear(self) -> None:
        """Remove every hook, also one whose handle was lost to an interrupt."""
        side = self.module._forward_pre_hooks if self._side == "in" else self.module._forward_hooks
        for key in [key for key, hook in side.items() if getattr(hook, "point", None) is self]:
            side.pop(key)
        self.fwd_hooks.clear()

    def _call(self, function: Hook, x: torch.Tensor) -> torch.Tensor | None:
        new = function(self._view.read(x), None)
        return None if new is None else self._view.write(x, new)


def first_given(args: Any, kwargs: Any) -> Any:
    """The first argument of a call, by position or by name."""
    return args[0] if args else next(iter(kwargs.values()))


def first_of(output: Any) -> Any:
    """A module's output: the tensor itself, or the first entry of a tuple."""
    return output[0] if isinstance(output, tuple | list) else output
