"""Ordinary text, written for this project, to measure and limit drift of a fine-tuned model.

Every fourth paragraph is held out, for the perplexity in a card.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

HELD_OUT_EVERY = 4


def paragraphs(held_out: bool) -> list[str]:
    """The training paragraphs, or the held-out ones."""
    text = Path(__file__).with_name("prose.txt").read_text(encoding="utf-8")
    every = [part.replace("\n", " ").strip() for part in text.split("\n\n")]
    return [
        part
        for at, part in enumerate(every)
        if (at % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out
    ]


class Prose:
    """The training paragraphs as one sequence of tokens, with windows drawn by seed."""

    def __init__(self, tokenizer: Any) -> None:
        text = "\n\n".join(paragraphs(held_out=False))
        self.ids = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"])

    def windows(self, n: int, length: int, seed: int) -> Tensor:
        """`n` windows of `length` tokens, int64 [n, length], at positions drawn with `seed`."""
        length = min(length, len(self.ids))
        starts = np.random.default_rng(seed).integers(0, len(self.ids) - length + 1, n)
        return torch.stack([self.ids[start : start + length] for start in starts.tolist()])


@torch.no_grad()
def perplexity(model: Any, tokenizer: Any) -> float:
    """exp of the mean cross-entropy (nats a token) of the held-out paragraphs.

    Each paragraph is scored alone without its first token, which has no context. Sixteen paragraphs
    of plain English detect gross damage; they are no benchmark.
    """
    total, count = 0.0, 0
    for text in paragraphs(held_out=True):
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
        logits = model(ids[:, :-1], use_cache=False).logits[0].float()
        total += float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
        count += ids.shape[1] - 1
    return float(np.exp(total / count))
