"""Reader of one GGUF file: its metadata, and its tensors as float32.

The `gguf` package builds one array per entry of the vocabulary (10 s for SmolLM2's 49,152 tokens);
this reader walks the metadata once and maps the data (0.3 s). Dequantisation is that of `gguf`.

Source: the format's specification, github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.errors import ModelError

_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)
_PLAIN = {0: np.float32, 1: np.float16, 28: np.float64}  # types that hold one value an element
_DEEPEST = 4  # arrays in arrays

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies in the file: shape in torch's order, type, and bytes."""

    shape: tuple[int, ...]
    kind: int
    first: int
    size: int


class GgufFile:
    """Metadata by key, and tensors by name.

    Raises ModelError for a file that is no GGUF file, is cut short, is one part of several, or
    holds a key or a tensor twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blob = _mapped(path)
        try:
            self._read()
        except (struct.error, IndexError, UnicodeDecodeError, OverflowError, MemoryError) as error:
            raise self.cut_short("its header or data is incomplete") from error
        self._check_whole()

    @property
    def architecture(self) -> str:
        return str(self.values.get("general.architecture", ""))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tensors, in the file's order."""
        return tuple(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, the fastest dimension last."""
        return self._places[name].shape

    def tensor(self, name: str) -> Floats:
        """A tensor, dequantised to float32. Raises ModelError for a type that `gguf` can't read."""
        from gguf import GGMLQuantizationType, dequantize

        place = self._places[name]
        raw = self._blob[place.first : place.first + place.size]
        if (plain := _PLAIN.get(place.kind)) is not None:
            return raw.view(plain).astype(np.float32).reshape(place.shape)
        try:
            rows = raw.reshape(*place.shape[:-1], -1)
            return np.asarray(dequantize(rows, GGMLQuantizationType(place.kind))).reshape(
                place.shape
            )
        except (NotImplementedError, ValueError) as error:
            raise self.refused(
                f"stores {name!r} in a type that is not read here ({error})"
            ) from error

    def tensors(self) -> Iterator[tuple[str, Floats]]:
        """Every tensor, one at a time."""
        for name in self._places:
            yield name, self.tensor(name)

    def refused(self, why: str, remedy: str = "") -> ModelError:
        """The error for a file that holds something that would not run."""
        remedy = remedy or "Give the model's Hugging Face folder instead, or convert it again."
        return ModelError(f"{self.path.name} {why}. {remedy}")

    def cut_short(self, what: str) -> ModelError:
        return ModelError(f"{self.path} is cut short: {what}. Copy or download it again.")

    def _read(self) -> None:
        version, n_tensors, n_keys = struct.unpack_from("<IQQ", self._blob.data, 4)
        if version not in _VERSIONS:
            raise self.refused(
                f"is GGUF version {version}; versions 2 and 3, little-endian, are read",
                "Convert the model again with a current llama.cpp.",
            )
        self._at = 24
        found: dict[str, Any] = {}
        for _ in range(n_keys):
            key = self._string()
            if key in found:
                raise self.refused(f"holds the key {key!r} twice")
            found[key] = self._value(self._number("I"), 0)
        self.values: Mapping[str, Any] = found
        table = [self._entry() for _ in range(n_tensors)]
        step = int(found.get("general.alignment", 32))
        start = -(-self._at // step) * step
        self._places: dict[str, _Place] = {}
        for name, shape, kind, offset in table:
            if name in self._places:
                raise self.refused(f"holds the tensor {name!r} twice")
            size = self._size(name, shape, kind)
            self._places[name] = _Place(shape, kind, start + offset, size)

    def _check_whole(self) -> None:
        end = max((place.first + place.size for place in self._places.values()), default=0)
        if end > len(self._blob):
            raise self.cut_short(f"it should have {end:,} bytes")
        if int(self.values.get("split.count", 1)) > 1:
            raise self.refused(
                f"is one of {self.values['split.count']} parts of a model",
                "Join them: llama-gguf-split --merge FIRST OUT.",
            )

    def _size(self, name: str, shape: tuple[int, ...], kind: int) -> int:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        try:
            block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        except (KeyError, ValueError) as error:
            raise self.refused(f"stores {name!r} in the unknown type {kind}") from error
        return prod(shape) // block * size

    def _entry(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        shape = tuple(int(self._number("Q")) for _ in range(self._number("I")))
        return name, shape[::-1], int(self._number("I")), int(self._number("Q"))

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY or depth >= _DEEPEST:
            raise self.refused(f"holds metadata of the unknown type {kind}")
        inner, count = self._number("I"), self._number("Q")
        if inner not in _SCALARS:
            return [self._value(inner, depth + 1) for _ in range(count)]
        one = struct.calcsize(f"<{_SCALARS[inner]}")
        if self._at + one * count > len(self._blob):
            raise IndexError
        values = struct.unpack_from(f"<{count}{_SCALARS[inner]}", self._blob.data, self._at)
        self._at += one * count
        return list(values)

    def _number(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._blob.data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value

    def _string(self) -> str:
        length = self._number("Q")
        raw = bytes(self._blob[self._at : self._at + length])
        if len(raw) != length:
            raise IndexError
        self._at += length
        return raw.decode("utf-8")


def _mapped(path: Path) -> npt.NDArray[np.uint8]:
    """The file's bytes, mapped. Raises ModelError for a file that does not begin with GGUF."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ModelError(f"{path} is not a GGUF file. Download it again, or give a folder.")
    return np.memmap(path, mode="r", dtype=np.uint8)
