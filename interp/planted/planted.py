"""Build a planted model from a seed, save it as a standard folder, and recover its key."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from interp.errors import ModelError
from interp.models.loading import load_model
from interp.models.model import Model
from interp.models.weights import weight_hash
from interp.planted.compile import module
from interp.planted.key import AnswerKey
from interp.planted.mechanisms import program
from interp.planted.program import Program
from interp.planted.tokenizer import tokenizer
from interp.results.atomic import folder_atomic

KEY = "key.json"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class Planted:
    """A transformer with a known mechanism, and its answer key."""

    arguments: Mapping[str, Any]
    program: Program

    @property
    def key(self) -> AnswerKey:
        return AnswerKey(self.program)

    @property
    def name(self) -> str:
        """A name that does not reveal the mechanism."""
        return f"planted-{self.program.digest[:10]}"

    @cached_property
    def weight_hash(self) -> str:
        return weight_hash(module(self.program).state_dict())

    def model(self, *, dtype: str = "float32", device: str = "cpu") -> Model:
        """The model, loaded from a temporary folder without the self-check."""
        with tempfile.TemporaryDirectory() as folder:
            return load_model(str(self.save(Path(folder) / self.name)), dtype=dtype, device=device)

    def card(self) -> dict[str, Any]:
        """The public facts: task and format, not the mechanism."""
        return {"name": self.name, "task": self.program.task, "format": self.program.format}

    def save(self, folder: str | Path) -> Path:
        """Write weights (float64), tokenizer, card and key; `interp.load(folder)` opens it.

        Raises StorageError if the folder cannot be written; no partial folder is left.
        """
        with folder_atomic(folder) as out:
            module(self.program).save_pretrained(out)
            tokenizer(self.program).save_pretrained(out)
            _write(out / "card.json", self.card())
            content = {
                "version": _VERSION,
                "arguments": dict(self.arguments),
                "program": self.program.digest,
                "weight_hash": self.weight_hash,
                "facts": self.key.facts(),
            }
            _write(out / KEY, content)
        return Path(folder)


def build(
    kind: str,
    *,
    seed: int,
    layers: int | None = None,
    family: str | None = None,
    digits: int | None = None,
    modulus: int | None = None,
) -> Planted:
    """A planted model of a `kind` (`kinds()`); all its choices are drawn from the seed.

    Args:
        layers: 2 to 8.
        family: "gpt2" or "llama".
        digits: of each operand; not for `modular`.
        modulus: a prime, for `modular` only.

    Raises:
        InputError: for an unknown kind or an unsupported size, with the remedy.
    """
    drawn = program(kind, seed, layers, family, digits, modulus)
    arguments: dict[str, Any] = {"kind": kind, "family": family}
    for name, size in (("seed", seed), ("layers", layers), ("digits", digits),
                       ("modulus", modulus)):  # fmt: skip
        arguments[name] = None if size is None else int(size)  # JSON rejects numpy integers
    return Planted(arguments, drawn)


def read_key(source: str | Path | Model) -> AnswerKey:
    """The answer key of a planted model's folder, or of a model loaded from one.

    Rebuilds the program from the seed and compares it with the folder.

    Raises ModelError for a model that was not planted, or not by this version, and for changed
    weights.
    """
    folder = _folder_of(source)
    path = folder / KEY
    if not path.is_file():
        raise ModelError(
            f"{folder} holds no planted model: there is no {KEY}. Only models made by "
            f"interp.planted.build(kind, seed=…).save(folder) have an answer key."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        arguments, digest, hashed = (content[k] for k in ("arguments", "program", "weight_hash"))
        planted = build(**arguments)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} is no readable key ({error!r}). Build the model again."
        ) from error
    if planted.program.digest != digest:
        raise ModelError(
            f"{path} is from another version of this package, which plants another model from the "
            f"same seed. Build the model again."
        )
    if _hash_of(source, folder) != hashed:
        raise ModelError(
            f"the weights in {folder} are not those that the key describes: they were changed "
            f"after planting. Build the model again."
        )
    return planted.key


def _folder_of(source: str | Path | Model) -> Path:
    if not isinstance(source, Model):
        return Path(source)
    return Path(str(source.adapter.module.config.name_or_path))  # type: ignore[union-attr]


def _hash_of(source: str | Path | Model, folder: Path) -> str:
    if isinstance(source, Model):
        return source.hash
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return weight_hash(load_file(folder / "model.safetensors"))
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"the weights in {folder} cannot be read ({error}). Build the model again."
        ) from error


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
