"""Cache of unpacked GGUF files: float32 safetensors in the user's cache folder.

SmolLM2 takes 10 s of processor time to dequantise. Unpacked it opens in 0.3 s, bit-identical, and
takes five times the space.
"""

from __future__ import annotations

import json
import secrets
import shutil
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from interp.results.atomic import folder_atomic
from interp.results.cache import cache_folder

LAYOUT = 2  # version of the folder's content; a new number invalidates the cache


def _folder(digest: str) -> Path:
    """Cache path of the file with this SHA-256, for these versions."""
    by = f"{LAYOUT}-{version('transformers')}-{version('gguf')}"
    return cache_folder() / "gguf" / f"{digest[:32]}-{by}"


def kept(digest: str) -> Path | None:
    """The cached folder of the file with this SHA-256, if it exists and is readable."""
    folder = _folder(digest)
    try:
        return folder if folder.is_dir() else None
    except OSError:  # another user's cache folder
        return None


def keep(digest: str, module: Any, tokenizer: Any) -> Path | None:
    """Write the folder atomically; None if that fails.

    On any failure (no space, no permission, another process was first) the model is open already,
    and the next load only takes as long as this one.
    """
    try:
        with folder_atomic(_folder(digest)) as folder:
            _save_module(module, folder)
            tokenizer.save_pretrained(folder)
    except Exception:
        return None
    return kept(digest)


def _save_module(module: Any, folder: Path) -> None:
    """Save the module; its own `save_pretrained` refuses models from quantised files."""
    config = module.config.to_dict()
    config.pop("quantization_config", None)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    tensors = {
        name: tensor.contiguous()
        for name, tensor in module.state_dict().items()
        if not (config.get("tie_word_embeddings") and name == "lm_head.weight")
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def discard(folder: Path) -> None:
    """Remove a folder: renamed first, so that no process opens it half-deleted."""
    aside = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    with suppress(OSError):
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
