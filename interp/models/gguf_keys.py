"""Keys under a GGUF file's architecture: each is read once, or the file is refused by its name."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from interp.errors import ModelError
from interp.models.gguf_file import GgufFile

HARMLESS = {
    "pooling_type": "pools states into one embedding; logits are not pooled",
    "rope.scaling.finetuned": "says whether the model was trained with its scaling",
    "tensor_data_layout": "names the order of the rows of q and k that the format prescribes",
    "training_length": "a note on the training",
    "dense_2_feat_in": "a head for embeddings; logits do not pass it",
    "dense_2_feat_out": "a head for embeddings; logits do not pass it",
    "dense_3_feat_in": "a head for embeddings; logits do not pass it",
    "dense_3_feat_out": "a head for embeddings; logits do not pass it",
}
# Settings that no architecture read here has: the values that change nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0.0,),
    "attention.max_alibi_bias": (0.0,),
    "attention.output_scale": (0.0, 1.0),
    "attention.shared_kv_layers": (0,),
    "attention.temperature_length": (0,),
    "attention.temperature_scale": (0.0,),
    "attn_logit_softcapping": (0.0,),
    "embedding_scale": (0.0, 1.0),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "expert_shared_count": (0,),
    "final_logit_softcapping": (0.0,),
    "logit_scale": (0.0, 1.0),
    "nextn_predict_layers": (0,),
    "residual_scale": (0.0, 1.0),
    "rope.scaling.alpha": (0.0, 1.0),
    "use_parallel_residual": (False,),
    "attention.sliding_window": (0,),
}
# Sections outside the architecture's that are computation, not description.
_COMPUTES = ("adapter", "clip", "diffusion", "xielu")


class Keys:
    """The keys of a file under its architecture's prefix, `take`n one by one."""

    def __init__(self, file: GgufFile) -> None:
        self._file = file
        self.architecture = file.architecture
        self._prefix = f"{file.architecture}."
        self._left = {
            key.removeprefix(self._prefix): value
            for key, value in file.values.items()
            if key.startswith(self._prefix)
        }
        self.tensors = frozenset(file.names)
        self.used: set[str] = set()  # tensors that became part of the config

    def take(self, name: str, default: Any) -> Any:
        """The value of a key, or `default` where the file lacks it (llama.cpp's default)."""
        return self._left.pop(name, default)

    def need(self, name: str) -> Any:
        """The value of a key. Raises ModelError if the file lacks it."""
        if name not in self._left:
            raise self.refused(f"lacks the key {self._prefix}{name}")
        return self._left.pop(name)

    def whole(self, name: str, default: int | None = None) -> int:
        """A size that may be written once a layer. Raises ModelError unless all layers agree."""
        value = self.need(name) if default is None else self.take(name, default)
        sizes = set(value) if isinstance(value, list) else {value}
        if len(sizes) != 1:
            raise self.refused(f"has layers of different sizes ({self._prefix}{name} = {value})")
        return int(sizes.pop())

    def only(self, name: str, *allowed: Any) -> None:
        """Raise ModelError if the key has a value besides these."""
        if (value := self.take(name, allowed[0])) not in allowed:
            raise self.refused(f"has {self._prefix}{name} = {value!r}, which would not be computed")

    def factors(self, name: str, length: int) -> npt.NDArray[np.float64]:
        """A tensor of positive factors, one a frequency."""
        if name not in self.tensors:
            raise self.refused(f"lacks the tensor {name!r}")
        found = self._file.tensor(name).astype(np.float64).reshape(-1)
        if len(found) != length or not (np.isfinite(found) & (found > 0)).all():
            raise self.refused(f"has a {name!r} that is not {length} positive factors")
        self.used.add(name)
        return found

    def finish(self) -> None:
        """Raise ModelError for a key that nothing has read."""
        for name, allowed in NEUTRAL.items():
            self.only(name, *allowed)
        if odd := sorted(set(self._left) - set(HARMLESS)):
            raise self.refused(f"has the key {self._prefix}{odd[0]}, which is not known here")
        for key in self._file.values:
            if key.split(".")[0] in _COMPUTES:
                raise self.refused(f"has the key {key}, which would not be computed")

    def refused(self, why: str) -> ModelError:
        return self._file.refused(why)
