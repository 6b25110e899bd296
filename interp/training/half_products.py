"""Matrix products in bfloat16 on processors without instructions for them.

There torch multiplies bfloat16 numbers one at a time, and a training step takes several times as
long as in float32. `half_products` rounds nothing else than torch does: operands are bfloat16, sums
are float32, and the result is rounded to bfloat16.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten
_PRODUCTS = (_ATEN.mm.default, _ATEN.addmm.default, _ATEN.bmm.default, _ATEN.baddbmm.default)


def half_products() -> AbstractContextManager[Any]:
    """Within it, this thread's bfloat16 products are computed in float32, those of backward passes
    too; no effect on a processor that has the instructions.

    For training alone: a run of the engine is compared with the model's own module, whose products
    are torch's. Attention by `scaled_dot_product_attention` and in-place products are left as they
    are.
    """
    return InFloat32() if torchs_own_are_slow() else nullcontext()


def torchs_own_are_slow() -> bool:
    """Whether torch has no library for bfloat16 products on this processor."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False  # not measured: torch has kernels of its own for ARM
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is None or not supported()  # None: torch was built without oneDNN


class InFloat32(TorchDispatchMode):
    """Computes bfloat16 products in float32, and rounds their results."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one operation of torch."""
        kwargs = kwargs or {}
        if func in _PRODUCTS and all(each.dtype == torch.bfloat16 for each in args):
            return func(*(each.float() for each in args), **kwargs).bfloat16()
        return func(*args, **kwargs)
