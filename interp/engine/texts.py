"""Greedy continuations of plain texts by a language model, and its states over parts of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from interp.engine import answers
from interp.engine.answers import MARGIN, stops
from interp.engine.passes import Job, forward
from interp.engine.requests import Resources
from interp.errors import InputError
from interp.models.model import Model
from interp.models.text_prompts import TextPrompts


def room_for(model: Model, right: Sequence[str]) -> int:
    """Number of new tokens: the longest right answer, a leading blank, and a margin."""
    ids = model.tokens.tokenizer([f" {text}" for text in right], add_special_tokens=False)
    return MARGIN + max(len(row) for row in ids["input_ids"])


def fitting(model: Model, texts: Sequence[str], new: int) -> TextPrompts:
    """The texts as prompts; InputError if a text with its answer exceeds the context."""
    prompts = TextPrompts.of(model, texts)
    longest = int(prompts.prompt_lengths.max())
    if new > model.room(longest):
        raise InputError(
            f"{longest} prompt tokens and {new} for the answer do not fit the context of "
            f"{model.name} ({model.shape.n_ctx}): ask shorter numbers, or fewer shots."
        )
    return prompts


def continued(model: Model, prompts: TextPrompts, new: int, resources: Resources) -> list[str]:
    """The greedy continuation of each text, up to its end of line or end of text.

    Raises ModelError if the tokenizer does not round-trip the prompts' own text.
    """
    spelling = model.tokens.spelling(prompts.texts, name=model.name)
    tokens = answers.generate(
        model,
        prompts,
        max_new_tokens=new,
        stop_tokens=stops(model, one_line=True),
        memory=resources.memory,
        cancel=resources.cancel,
        progress=resources.progress,
    )
    return [spelling.text(row).partition("\n")[0] for row in tokens.tolist()]


def span_means(
    model: Model,
    texts: Sequence[str],
    spans: npt.NDArray[np.int64],
    layers: Sequence[int],
    resources: Resources,
) -> npt.NDArray[np.float32]:
    """Mean stream [n, layers, d_model] after some layers, over the tokens that hold some of the
    characters [from, to) of each text.

    Raises InputError for texts that the model cannot read, and a span without a token.
    """
    prompts = TextPrompts.of(model, texts)
    places = _places(model, prompts, spans)
    n, length = prompts.tokens.shape
    size = max(1, resources.memory // (4 * length * model.shape.d_model * (len(layers) + 8)))
    out = np.empty((n, len(layers), model.shape.d_model), dtype=np.float32)
    want = frozenset(("resid_post", layer) for layer in layers)
    with model.lock:
        for low in range(0, n, size):
            if resources.cancel is not None:
                resources.cancel.check()
            rows = slice(low, min(low + size, n))
            tokens = prompts.tokens[rows].to(model.device)
            kept = forward(model.adapter, Job(tokens, rows, want=want)).kept
            inside = places[rows].to(model.device)
            share = (inside / inside.sum(1, keepdim=True)).to(kept["resid_post", layers[0]].dtype)
            for at, layer in enumerate(layers):
                mean = torch.einsum("nt,ntd->nd", share, kept["resid_post", layer])
                out[rows, at] = mean.float().cpu().numpy()
            if resources.progress is not None:
                resources.progress(rows.stop, n)
    return out


def _places(model: Model, prompts: TextPrompts, spans: npt.NDArray[np.int64]) -> torch.Tensor:
    """Mask [n, positions] of the tokens that hold some of a span's characters."""
    found = model.tokens.tokenizer(
        list(prompts.texts), add_special_tokens=False, return_offsets_mapping=True
    )["offset_mapping"]
    start = len(model.tokens.bos)
    mask = torch.zeros(prompts.tokens.shape, dtype=torch.bool)
    for row, (offsets, (low, high)) in enumerate(zip(found, spans.tolist(), strict=True)):
        for at, (first, last) in enumerate(offsets):
            mask[row, start + at] = first < high and low < last
    if not mask.any(1).all():
        raise InputError("a text has no token in its span: give spans of characters, (from, to)")
    return mask
