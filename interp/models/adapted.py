"""Adapters: low-rank updates (LoRA, 2106.09685) stored separately from their base model.

A folder with `adapter_config.json` and `adapter_model.safetensors`, as peft writes it, is opened by
adding each update to its weight in the base model, W + (alpha / r) · B A; the result is an ordinary
model. peft itself is not needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from interp.errors import ModelError
from interp.models.sources import check_safetensors

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_UNTOUCHED: dict[
    str, tuple[Any, ...]
] = {  # settings that could change the sum above, and their neutral values
    "peft_type": ("LORA",),
    "use_dora": (False, None),
    "use_rslora": (False, None),
    "fan_in_fan_out": (False, None),
}


def is_adapter(folder: Path) -> bool:
    """True if the folder holds an adapter and no full model."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def read_config(folder: Path) -> dict[str, Any]:
    """The adapter's configuration, with `base_model_name_or_path`, `r` and `lora_alpha`.

    Raises ModelError if it is unreadable or needs more than plain low-rank updates.
    """
    path = folder / CONFIG
    try:
        config = dict(json.loads(path.read_text(encoding="utf-8")))
        str(config["base_model_name_or_path"]), int(config["r"]), float(config["lora_alpha"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} is no readable adapter configuration ({error!r}). Save the adapter again."
        ) from error
    for key, allowed in _UNTOUCHED.items():
        if config.get(key, allowed[0]) not in allowed:
            raise ModelError(
                f"{path} has {key}={config[key]!r}; only plain LoRA is merged here. Merge the "
                "adapter with peft (merge_and_unload), save the model and load that folder."
            )
    return config


@torch.no_grad()
def merge(module: Any, folder: Path) -> dict[str, Tensor]:
    """Add the adapter's updates to the weights of `module` in place; returns its tensors.

    Raises ModelError for a damaged file, or tensors that do not belong to this model: none is
    skipped silently.
    """
    config = read_config(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise ModelError(f"{folder} holds no {WEIGHTS}. Copy or train the adapter again.")
    check_safetensors(path)
    tensors = load_file(path)
    weights = {name: p for name, p in module.named_parameters() if name.endswith(".weight")}
    names = {key.removeprefix(_PREFIX).rpartition(".lora_")[0] for key in tensors}
    expected = {f"{_PREFIX}{name}.lora_{side}.weight" for name in names for side in "AB"}
    if set(tensors) != expected:
        odd = sorted(set(tensors) ^ expected)[0]
        raise ModelError(f"{path} is no plain LoRA adapter: {odd!r} is missing or unknown.")
    _check_patterns(config, names)
    for name in sorted(names):
        a, b = (tensors[f"{_PREFIX}{name}.lora_{side}.weight"].double() for side in "AB")
        weight = weights.get(f"{name}.weight")
        if weight is None or weight.shape != (b.shape[0], a.shape[1]) or b.shape[1] != a.shape[0]:
            raise ModelError(
                f"{path} has an update of {name!r} that does not fit its base "
                f"{config['base_model_name_or_path']!r}. Use the base it was trained on."
            )
        weight += (_scale(config, name, len(a)) * (b @ a)).to(weight)
    return tensors


def _check_patterns(config: dict[str, Any], names: set[str]) -> None:
    """Raise ModelError for a per-matrix rank or alpha not given by a full name: peft reads such
    keys as patterns, which are not supported here."""
    for pattern in ("rank_pattern", "alpha_pattern"):
        if odd := sorted(set(config.get(pattern) or {}) - names):
            raise ModelError(
                f"{CONFIG} has {pattern} for {odd[0]!r}, which is no updated matrix by its full "
                "name. Merge the adapter with peft (merge_and_unload) and load that folder."
            )


def _scale(config: dict[str, Any], name: str, rank: int) -> float:
    """alpha / r of one matrix. Raises ModelError if its rank differs from the config's."""
    said = int((config.get("rank_pattern") or {}).get(name, config["r"]))
    if said != rank:
        raise ModelError(
            f"the update of {name!r} has rank {rank}, but {CONFIG} says {said}. Save the adapter "
            "again, or merge it with peft and load that folder."
        )
    alpha = (config.get("alpha_pattern") or {}).get(name, config["lora_alpha"])
    return float(alpha) / rank
