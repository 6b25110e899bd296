"""Hash and count of a model's weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn


def count_parameters(module: nn.Module) -> int:
    """Number of parameters of `module`; a tied tensor counts once, buffers (masks) never.

    Count before bridging: TransformerLens' bridge stores q, k and v a second time.
    """
    return sum(parameter.numel() for parameter in module.parameters())


def weight_hash(state_dict: Mapping[str, Tensor]) -> str:
    """sha256 over (name, dtype, shape, bytes) of every tensor, in the order of the names.

    Hash the tensors of `model.safetensors`, where a tied tensor is stored once:
    `module.state_dict()` also lists the tie and would give another hash. The order in the file, the
    device and the memory layout of a tensor do not matter.

    Returns:
        64 hexadecimal digits.

    Does not show: that two models compute different functions. A permutation of neurons, a dtype or
    a name changes the hash and not the function.
    """
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        tensor = state_dict[name].detach().cpu().contiguous()
        shape = ",".join(str(size) for size in tensor.shape)
        digest.update(f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{shape}\0".encode())
        # As bytes, because numpy has no bfloat16.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
