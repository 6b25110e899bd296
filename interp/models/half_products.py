"""Matrix products of 16-bit tensors on processors without instructions for them.

There torch multiplies 16-bit numbers one at a time: on an x86 processor without AVX-512 a product
in bfloat16 takes over ten times as long as in float32. `half_products` rounds nothing else than
torch does: operands are 16-bit numbers, sums are float32, and the result is rounded to 16 bits.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten
_PRODUCTS = (_ATEN.mm.default, _ATEN.addmm.default, _ATEN.bmm.default, _ATEN.baddbmm.default)
_WORTH = 8  # multiplications per number that is converted, from which float32 is faster


def half_products(dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Within it, this thread's products of this 16-bit type are computed in float32 where that is
    faster, in backward passes too.

    No effect for other types, on a processor that has the instructions, on other devices, and on
    products of few rows, where converting a matrix costs more than multiplying.
    """
    return InFloat32(dtype) if dtype in slow_types() else nullcontext()


@cache
def slow_types() -> frozenset[torch.dtype]:
    """16-bit types that torch multiplies without a library on this processor."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return frozenset()  # not measured: torch has kernels of its own for ARM
    has = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    return frozenset(dtype for dtype, supported in has.items() if not supported())


class InFloat32(TorchDispatchMode):
    """Computes products of this 16-bit type in float32, and rounds their results."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one operation of torch."""
        kwargs = kwargs or {}
        if func in _PRODUCTS and args[-1].dtype == self.dtype and _worth(*args[-2:]):
            return func(*(each.float() for each in args), **kwargs).to(self.dtype)
        return func(*args, **kwargs)


def _worth(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether a product [.., m, k] @ [.., k, n] is large beside the numbers to convert."""
    (m, k), n = a.shape[-2:], b.shape[-1]
    return a.device.type == "cpu" and m * k * n >= _WORTH * (m * k + k * n + m * n)
