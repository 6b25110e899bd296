"""A hook point on a plain `nn.Module`, with the interface of TransformerLens' own."""

from __future__ import annotations

from collections.abc import Callable
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


class Point:
    """A hook point: the input or output of a submodule.

    With `heads`, a hook sees the last axis [n_heads · d_head] as two, [n_heads, d_head].
    """

    def __init__(self, module: nn.Module, side: Side, heads: int | None = None) -> None:
        self._module, self._side, self._heads = module, side, heads
        self.fwd_hooks: list[Handle] = []

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
            hook = self._module.register_forward_pre_hook(before, with_kwargs=True)
        else:
            hook = self._module.register_forward_hook(after)
        self.fwd_hooks.append(handle := Handle(hook))
        return handle

    def clear(self) -> None:
        """Remove every hook, also one whose handle was lost to an interrupt."""
        side = (
            self._module._forward_pre_hooks if self._side == "in" else self._module._forward_hooks
        )
        for key in [key for key, hook in side.items() if getattr(hook, "point", None) is self]:
            side.pop(key)
        self.fwd_hooks.clear()

    def _call(self, function: Hook, x: torch.Tensor) -> torch.Tensor | None:
        if self._heads is None:
            return function(x, None)
        new = function(x.unflatten(-1, (self._heads, -1)), None)
        return None if new is None else new.flatten(-2)


def first_given(args: Any, kwargs: Any) -> Any:
    """The first argument of a call, by position or by name."""
    return args[0] if args else next(iter(kwargs.values()))


def first_of(output: Any) -> Any:
    """A module's output: the tensor itself, or the first entry of a tuple."""
    return output[0] if isinstance(output, tuple | list) else output
