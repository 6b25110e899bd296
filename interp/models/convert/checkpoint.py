"""Read tensors from a file without running code."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]

_WEIGHTS = ("model", "state_dict", "model_state_dict")
_SETTINGS = ("model_args", "cfg", "config", "model_config")
# Prefixes of torch.compile, data parallelism, and classes that hold a model; in any order
_WRAPPER = r"(?:(?:_orig_mod|module|model|base_model)\.)+"


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by name, and the plain settings saved with them."""

    path: Path
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any]

    def require(self, wanted: Shapes, kind: str, ignored: str = r"(?!)") -> None:
        """Raise ModelError unless the tensors are exactly those `wanted`, by name and shape.

        `ignored` is a regular expression for names of buffers that hold no weights.
        """
        missing = [name for name in wanted if name not in self.tensors]
        extra = [n for n in self.tensors if n not in wanted and not re.fullmatch(ignored, n)]
        if missing:
            raise ModelError(
                f"{self.path} lacks {listed(missing)} of {kind}. Save the whole state dict; a "
                f"changed architecture can be wrapped instead (interp.wrap)."
            )
        if extra:
            raise ModelError(
                f"{self.path} has {listed(extra)}, which {kind} does not have. A changed "
                f"architecture can be wrapped instead (interp.wrap)."
            )
        for name, shape in wanted.items():
            if (found := tuple(self.tensors[name].shape)) != shape:
                raise ModelError(
                    f"{name} of {self.path} has shape {list(found)}, where {kind} of this size has "
                    f"{list(shape)}. Save weights and settings of the same model."
                )
        self.require_numbers(wanted)

    def require_numbers(self, names: Iterable[str]) -> None:
        """Raise ModelError for a tensor of weights that holds NaN or infinity."""
        for name in names:
            tensor = self.tensors[name]
            wrong = int((~torch.isfinite(tensor)).sum()) if tensor.is_floating_point() else 0
            if wrong:
                what = "NaN" if tensor.isnan().any() else "infinite numbers"
                raise ModelError(
                    f"{name} of {self.path} holds {what} ({wrong} of {tensor.numel()} entries): "
                    f"the training diverged or the file is damaged. Convert an earlier checkpoint."
                )

    def unwrapped(self, anchor: str) -> Checkpoint:
        """This checkpoint without what wrappers put before its names, found at the tensor `anchor`:
        `module._orig_mod.embed.W_E` with the anchor `embed.W_E`."""
        found = (re.fullmatch(f"({_WRAPPER}){re.escape(anchor)}", name) for name in self.tensors)
        prefix = next((match[1] for match in found if match), None)
        if prefix is None or anchor in self.tensors:
            return self
        plain = {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items()}
        if len(plain) < len(self.tensors):
            raise ModelError(
                f"{self.path} holds two models, one under {prefix!r}: save one of them alone."
            )
        return replace(self, tensors=plain)

    def shape(self, name: str, kind: str, like: str = r"(?!)") -> tuple[int, ...]:
        """The shape of one tensor; ModelError where there is none. `like` is a regular expression
        that matches the names of this kind: where half of the names are such, one is missing or has
        another name; else the file is of another kind."""
        if name in self.tensors:
            return tuple(self.tensors[name].shape)
        held = list(self.tensors)
        others = [other for other in held if not re.fullmatch(like, other)]
        if 2 * len(others) <= len(held):
            near = get_close_matches(name, others, n=1, cutoff=0.0)
            hint = (
                f"Of its names that {kind} does not have, {near[0]!r} is the nearest: if that is "
                f"it, rename it and save again."
                if near
                else "Save the whole state dict."
            )
            raise ModelError(f"{self.path} lacks {name} of {kind}. {hint}")
        if under := [other for other in held if other.endswith(f".{name}")]:
            prefix = under[0].removesuffix(name)
            raise ModelError(
                f"{self.path} holds the tensors of {kind} under {prefix!r}. Save that part alone: "
                f"torch.save(model.{prefix.rstrip('.')}.state_dict(), path)."
            )
        raise ModelError(
            f"{self.path} holds no {name}, so it is not {kind}. It holds {listed(held, 4)}. Name "
            f"the right kind (--kind)."
        )

    def double(self) -> dict[str, Tensor]:
        """The tensors in float64, for the verification."""
        return {name: tensor.double() for name, tensor in self.tensors.items()}


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The tensors of a `.safetensors` file or torch checkpoint, read as weights only.

    A torch checkpoint may hold the tensors at the top level, or under "model", "state_dict" or
    "model_state_dict" next to plain settings.

    Raises ModelError for a file that does not exist, is damaged, carries code or holds no tensors.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ModelError(f"there is no file {str(path)!r} to convert. Give the checkpoint itself.")
    if path.suffix == ".safetensors":
        return Checkpoint(path, _safetensors(path), {})
    held = _torch_file(path)
    tensors = next((held[key] for key in _WEIGHTS if isinstance(held.get(key), Mapping)), held)
    if not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise ModelError(
            f"{path} holds no state dict: under {', '.join(map(str, held))} there are not tensors "
            f"alone. Save one: torch.save(model.state_dict(), path)."
        )
    saved = [held[key] for key in _SETTINGS if isinstance(held.get(key), Mapping)]
    return Checkpoint(path, tensors, dict(saved[0]) if saved else {})


def _safetensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors.torch import load_file

    from interp.models.sources import check_safetensors

    check_safetensors(path)
    return dict(load_file(path))


def _torch_file(path: Path) -> Mapping[str, Any]:
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f" ({found[1]})" if found else ""
        raise ModelError(
            f"{path} holds more than tensors{what}, and opening that can run any code, so it is "
            f"not opened. Where you trust it, save its tensors alone: "
            f"torch.save(model.state_dict(), path)."
        ) from error
    except Exception as error:  # bytes that are no pickle make the unpickler raise anything
        raise ModelError(
            f"{path} is damaged or no torch checkpoint ({type(error).__name__}). Copy it again."
        ) from error
    if not isinstance(held, Mapping):
        raise ModelError(
            f"{path} holds a {type(held).__name__}, not a state dict. Save one: "
            f"torch.save(model.state_dict(), path)."
        )
    return held


def listed(names: list[str], most: int = 6) -> str:
    """The number of tensors and the first names, as text."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} tensor{'s' * (len(names) > 1)} ({', '.join(names[:most])}{more})"
