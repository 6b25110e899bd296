"""Everything that a Hugging Face folder holds is used, or the folder is refused by name.

transformers skips settings that a config class does not have, weight files that its index does not
name, and tensors without a place, with a warning at most; some tensors it skips without one. A
model that is not the folder's then passes every comparison with what transformers built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from interp.errors import ModelError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_ANOTHER_LAYOUT = re.compile(r"consolidated.*\.safetensors$")  # the same weights under Meta's names
_FLOATS = ("F64", "F32", "F16", "BF16")
_AGAIN = "Save weights and config from the same model."


@dataclass(frozen=True)
class Stored:
    """Tensor name → (file, dtype, shape) of the weight files that transformers reads."""

    folder: Path
    places: Mapping[str, tuple[str, str, tuple[int, ...]]]

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, read from its file."""
        from safetensors import safe_open

        with safe_open(self.folder / self.places[name][0], framework="pt") as file:
            return torch.as_tensor(file.get_tensor(name))


def stored(folder: Path, headers: Mapping[str, Mapping[str, Any]]) -> Stored:
    """The tensors of a folder; `headers`: the safetensors header of each weight file.

    Raises ModelError for a weight file that would not be read, an index that names another file,
    a tensor that stands in two files, and an adapter beside the model.
    """
    read = _files_read(folder, set(headers))
    if odd := sorted(set(headers) - read):
        odd = [name for name in odd if not _ANOTHER_LAYOUT.match(name)]
        if odd:
            by = INDEX if len(read) > 1 or SINGLE not in read else SINGLE
            raise ModelError(
                f"{folder} holds {odd[0]}, which would not be read: the weights are those of {by}. "
                f"Move it elsewhere, or save the model again: model.save_pretrained(folder)."
            )
    places: dict[str, tuple[str, str, tuple[int, ...]]] = {}
    for file in sorted(read):
        for name, entry in headers[file].items():
            if name == "__metadata__":
                continue
            if name in places:
                raise ModelError(
                    f"{folder} holds the tensor {name!r} twice, in {places[name][0]} and in "
                    f"{file}. {_AGAIN}"
                )
            places[name] = (file, str(entry["dtype"]), tuple(entry["shape"]))
    return Stored(folder, places)


def _files_read(folder: Path, there: set[str]) -> set[str]:
    """The weight files that transformers reads: the single one, else those of the index."""
    if SINGLE in there:
        return {SINGLE}
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        named = {str(name) for name in index["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder} holds neither {SINGLE} nor a readable {INDEX}. Save the model again: "
            f"model.save_pretrained(folder)."
        ) from error
    if missing := sorted(named - there):
        raise ModelError(f"{folder} lacks {missing[0]}, which {INDEX} names. Copy it again.")
    return named


def check_tensors(name: str, module: Any, report: Mapping[str, Any], held: Stored) -> None:
    """Raise ModelError for a tensor that was not used, and for a weight that no tensor filled.

    `report`: transformers' loading info. What transformers' classes keep out of it is judged too.
    """
    for kind, what in (("missing_keys", "lacks"), ("mismatched_keys", "has another shape for")):
        keys = {str(k[0] if isinstance(k, tuple) else k) for k in report.get(kind) or ()}
        if kind == "missing_keys":
            keys |= _hidden_missing(module, held)
        if keys:
            raise ModelError(
                f"{name} {what} {len(keys)} tensors that its config.json asks for, first "
                f"{min(keys)!r}. {_AGAIN}"
            )
    odd = {str(key) for key in report.get("unexpected_keys") or ()} | _hidden_odd(module, held)
    for key in sorted(odd):
        if not _is_buffer(key, module, held):
            raise ModelError(
                f"{name} holds the tensor {key!r}, which a {module.config.model_type} model with "
                f"its config.json has no place for, so it would be dropped. {_AGAIN}"
            )
    for key, (_, kind, _) in sorted(held.places.items()):
        if kind not in _FLOATS and key not in odd:
            raise ModelError(
                f"{name} stores {key!r} as {kind}: a quantised weight, whose scale would be "
                f"dropped. Dequantise the model and save it in float32 or bfloat16."
            )
    _check_tied(name, module)


def _check_tied(name: str, module: Any) -> None:
    head, embedding = module.get_output_embeddings(), module.get_input_embeddings()
    tied = getattr(module.config, "tie_word_embeddings", False) and module._tied_weights_keys
    if tied and head is not None and head.weight is not embedding.weight:
        raise ModelError(
            f"{name} says tie_word_embeddings and holds an output matrix of its own. Set it to "
            f"false in config.json, or delete the tensor."
        )


def _plain_name(key: str, module: Any) -> str:
    """A tensor's name without the prefix that only models with a head have."""
    return key.removeprefix(f"{module.base_model_prefix}.")


def _matches(key: str, patterns: Any) -> bool:
    return any(re.search(pattern, key) for pattern in patterns or ())


def _hidden_odd(module: Any, held: Stored) -> set[str]:
    """Stored tensors without a place that transformers leaves out of its report."""
    silent = {
        *(module._keys_to_ignore_on_load_unexpected or ()),
        r"rotary_emb\.inv_freq",
        r"(^|\.)position_ids$",
    }
    places = {_plain_name(key, module) for key in module.state_dict()}
    free = {key for key in held.places if _plain_name(key, module) not in places}
    return {key for key in free if _matches(key, silent)}


def _hidden_missing(module: Any, held: Stored) -> set[str]:
    """Weights that no tensor filled and that transformers leaves out of its report."""
    there = {_plain_name(key, module) for key in held.places}
    tied = set(getattr(module, "all_tied_weights_keys", ()) or ())
    return {
        key
        for key, _ in module.named_parameters()
        if _plain_name(key, module) not in there
        and key not in tied
        and _matches(key, module._keys_to_ignore_on_load_missing)
    }


def _is_buffer(key: str, module: Any, held: Stored) -> bool:
    """True for a tensor on the list of buffers that has the value which its name promises."""
    if key not in held.places:
        return False
    return any(
        re.search(pattern, key) is not None and holds(held.tensor(key), module)
        for pattern, holds in BUFFERS.items()
    )


def _is_causal_mask(x: torch.Tensor, module: Any) -> bool:
    """[1, 1, n, n], true or 1 on and below the diagonal."""
    if x.ndim != 4 or x.shape[:2] != (1, 1) or x.shape[2] != x.shape[3]:
        return False
    return bool(torch.equal(x[0, 0].bool(), torch.ones(x.shape[2:], dtype=torch.bool).tril()))


def _is_masked_value(x: torch.Tensor, module: Any) -> bool:
    """One number that no score reaches."""
    return x.numel() == 1 and float(x) <= -1e4


def _is_rotary(x: torch.Tensor, module: Any) -> bool:
    """The rotary frequencies of the config, scaled or not (some scale the positions instead)."""
    expected = [b for n, b in module.named_buffers() if n.endswith("inv_freq")]
    rope = getattr(module.config, "rope_parameters", None) or {}
    if (theta := rope.get("rope_theta")) is not None and expected:
        pairs = torch.arange(len(expected[0]), dtype=torch.float64)
        expected.append(float(theta) ** (-pairs / len(expected[0])))
    return any(  # they may have been stored in half precision
        x.shape == y.shape and torch.allclose(x.double(), y.double(), rtol=1e-2, atol=1e-6)
        for y in expected
    )


def _is_positions(x: torch.Tensor, module: Any) -> bool:
    return bool(torch.equal(x.reshape(-1).long(), torch.arange(x.numel())))


# Tensors that are no weights: saved by older versions, computed anew by this one.
BUFFERS: dict[str, Callable[[torch.Tensor, Any], bool]] = {
    r"(^|\.)(attn|attention)\.bias$": _is_causal_mask,
    r"(^|\.)(attn|attention)\.masked_bias$": _is_masked_value,
    r"(^|\.)rotary_emb\.inv_freq$": _is_rotary,
    r"(^|\.)position_ids$": _is_positions,
}
