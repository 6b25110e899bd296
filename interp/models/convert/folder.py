"""Write the standard folder, and verify that it gives the source's logits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.models.convert.standard import Standard
from interp.models.loading import load_model

LARGEST_DIFFERENCE = 1e-5
_ROWS, _POSITIONS = 2, 16


@dataclass(frozen=True)
class Reference:
    """Token ids [n, P] and the original model's logits: at every position [n, P, d_vocab], or at
    the last one [n, d_vocab]."""

    tokens: Tensor
    logits: Tensor


def read_reference(path: str | Path) -> Reference:
    """Read a `.safetensors` file with `tokens` and `logits` of the original model.

    Raises InputError for any other file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        held = load_file(Path(path).expanduser())
        tokens, logits = held["tokens"].long(), held["logits"].double()
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(
            f"the reference {path} cannot be read ({error}). Write it with safetensors.torch."
            f'save_file({{"tokens": tokens, "logits": logits}}, path).'
        ) from error
    places = tokens.shape if logits.ndim == 3 else tokens.shape[:1]
    if tokens.ndim != 2 or logits.shape[:-1] != places or not logits.numel():
        raise InputError(
            f"the reference's tokens {list(tokens.shape)} and logits {list(logits.shape)} do not "
            f"fit: give [n, P] and [n, P, d_vocab], or [n, d_vocab] at the last position."
        )
    return Reference(tokens, logits)


def write_weights(standard: Standard, folder: Path) -> None:
    """Write config.json and model.safetensors, in float32."""
    from safetensors.torch import save_file

    standard.config.save_pretrained(folder)
    tensors = {name: t.float().contiguous().clone() for name, t in standard.tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def prove(standard: Standard, folder: Path, reference: Reference | None) -> float:
    """The largest |logit of the folder − logit of the source| over the largest |logit|, in float64.

    On random tokens against the source's own formula, and against the reference if given. Raises
    ModelError if it is above LARGEST_DIFFERENCE, or the reference does not fit the model.
    """
    written = load_model(str(folder), dtype="float64").adapter.module
    config = standard.config
    length = min(_POSITIONS, int(config.max_position_embeddings))
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(config.vocab_size, (_ROWS, length), generator=generator)
    with torch.no_grad():
        found, want = _logits(written, tokens), standard.forward(tokens)
        difference = _difference(found, want, "the source's own formula")
        if reference is not None:
            _check_reference(reference, config)
            found = _logits(written, reference.tokens)
            found = found if reference.logits.ndim == 3 else found[:, -1]
            told = _difference(found, reference.logits, "the reference")
            difference = max(difference, told)
    return difference


def _logits(module: Any, tokens: Tensor) -> Tensor:
    """Logits of a Hugging Face module or a toy."""
    out = module(tokens)
    return torch.as_tensor(getattr(out, "logits", out))


def _check_reference(reference: Reference, config: Any) -> None:
    highest, longest = int(reference.tokens.max()), reference.tokens.shape[1]
    wrong = highest >= config.vocab_size or longest > config.max_position_embeddings
    out = getattr(config, "d_vocab_out", config.vocab_size)
    if wrong or reference.logits.shape[-1] != out:
        raise ModelError(
            f"the reference has ids up to {highest}, {longest} positions and "
            f"{reference.logits.shape[-1]} logits; the model has {config.vocab_size} tokens, {out} "
            f"logits and a context of {config.max_position_embeddings}. Is it of the same model?"
        )


def _difference(found: Tensor, want: Tensor, against: str) -> float:
    difference = float((found - want).abs().max() / want.abs().max())
    if not difference <= LARGEST_DIFFERENCE:  # NaN fails too
        raise ModelError(
            f"the converted model and {against} differ by {difference:.2e} of the largest logit, "
            f"so nothing was written. Say what no tensor tells as the model was trained "
            f"(activation, heads, normalization), or study the model with interp.wrap."
        )
    return difference


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an indented JSON file."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
