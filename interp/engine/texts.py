"""Greedy continuations of plain texts by a language model."""

from __future__ import annotations

from collections.abc import Sequence

from interp.engine import answers
from interp.engine.answers import MARGIN, stops
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
