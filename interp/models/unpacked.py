"""A GGUF file unpacked: its weights as safetensors in float32, kept in the user's cache folder.

A GGUF file holds its vocabulary as tens of thousands of single records, which are read afresh for
the config, for the tokenizer and twice for the weights: SmolLM2 takes 20 s of processor time.
Unpacked it opens in 0.3 s, to the same bits, and takes five times the space.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import transformers
from safetensors.torch import save_file

from interp.errors import StorageError
from interp.results import folder_atomic
from interp.results.cache import cache_folder


def unpacked_folder(digest: str) -> Path:
    """Where the file with this SHA-256 is kept as this version of transformers unpacks it."""
    return cache_folder() / "gguf" / f"{digest[:32]}-{transformers.__version__}"


def keep(digest: str, module: Any, tokenizer: Any) -> None:
    """Write the folder, whole or not at all.

    Where the disk does not allow it, nothing is kept: the model is open already, and the next time
    it is only as slow as this time.
    """
    try:
        with folder_atomic(unpacked_folder(digest)) as folder:
            _save_module(module, folder)
            tokenizer.save_pretrained(folder)
    except StorageError:
        discard(digest)


def _save_module(module: Any, folder: Path) -> None:
    """Its own `save_pretrained` refuses, since the file it came from held quantised numbers."""
    config = module.config.to_dict()
    config.pop("quantization_config", None)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    tensors = {
        name: tensor.contiguous()
        for name, tensor in module.state_dict().items()
        if not (config.get("tie_word_embeddings") and name == "lm_head.weight")
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def discard(digest: str) -> None:
    """Remove the folder, if there is one."""
    shutil.rmtree(unpacked_folder(digest), ignore_errors=True)
