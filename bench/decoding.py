"""Greedy answers to few-shot questions: `engine.generate` beside transformers' `generate`.

The job: 32 sums of up to three digits behind four and behind sixteen solved ones, on SmolLM2, up to
the line break. The peer is transformers' `generate` on left-padded prompts in one batch, plainly,
and, the best that its users can do, from the keys and values of the examples, computed once for one
row and expanded. Tokens are asserted equal before any time is taken.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from transformers import DynamicCache

import interp
from bench.harness import in_turns, record
from interp.engine.answers import stops
from interp.engine.prefix import common_prefix
from interp.models.loading import open_module
from interp.models.sources import resolve

ROWS, NEW, REPEAT, SEED, SHOTS = 32, 8, 3, 0, (4, 16)
OURS, PLAIN, CACHED = "ours", "transformers, left-padded", "transformers, examples cached"

Call = Callable[[], torch.Tensor]


def padded(batch: Any, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask of the prompts, moved to the right end."""
    lengths = batch.prompt_lengths
    longest = int(lengths.max())
    tokens = torch.full((len(batch), longest), pad, dtype=torch.int64)
    mask = torch.zeros_like(tokens)
    for row, length in enumerate(lengths.tolist()):
        tokens[row, longest - length :] = batch.tokens[row, :length]
        mask[row, longest - length :] = 1
    return tokens, mask


def behind_examples(batch: Any, shared: int, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same with all padding between the examples and the question."""
    lengths = batch.prompt_lengths
    longest = int(lengths.max())
    tokens = torch.full((len(batch), longest), pad, dtype=torch.int64)
    mask = torch.zeros_like(tokens)
    tokens[:, :shared], mask[:, :shared] = batch.tokens[:, :shared], 1
    for row, length in enumerate(lengths.tolist()):
        question = batch.tokens[row, shared:length]
        tokens[row, longest - len(question) :] = question
        mask[row, longest - len(question) :] = 1
    return tokens, mask


def ways(model: Any, module: Any, shots: int) -> dict[str, Call]:
    """Three ways to the same tokens [n, NEW]; what follows a stop token repeats it."""
    problems = interp.Addition(3).sample(ROWS, seed=SEED)
    batch = model.prompts(problems, format=f"plain@{shots}:{SEED}", answer="none")
    ends = stops(model, one_line=True)
    shared = common_prefix(batch.tokens[:, : int(batch.prompt_lengths.min()) - 1])
    options = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": ends, "pad_token_id": 0}

    def theirs(tokens: torch.Tensor, mask: torch.Tensor, **more: Any) -> torch.Tensor:
        with torch.no_grad():
            out = module.generate(tokens, attention_mask=mask, **options, **more)
        return filled(out[:, tokens.shape[1] :], ends)

    def cached() -> torch.Tensor:
        with torch.no_grad():
            seen = module(batch.tokens[:1, :shared], past_key_values=DynamicCache()).past_key_values
            seen = copy.deepcopy(seen)
            seen.batch_repeat_interleave(len(batch))
        return theirs(*behind_examples(batch, shared, 0), past_key_values=seen)

    return {
        OURS: lambda: interp.engine.generate(model, batch, max_new_tokens=NEW, stop_tokens=ends),
        PLAIN: lambda: theirs(*padded(batch, 0)),
        CACHED: cached,
    }


def filled(made: torch.Tensor, ends: list[int]) -> torch.Tensor:
    """Generated tokens [n, NEW] with the first stop token repeated to the end."""
    out = torch.zeros(len(made), NEW, dtype=torch.int64)
    out[:, : made.shape[1]] = made
    for row in out:
        found = torch.isin(row, torch.tensor(ends)).nonzero()
        if len(found):
            row[int(found[0]) :] = row[int(found[0])].clone()
    return out


def main() -> None:
    """Compare, measure, and write bench/results/decoding.json."""
    torch.set_num_threads(1)
    model = interp.load("smollm2")
    module, _, _ = open_module(resolve("smollm2"), torch.float32)
    body = {}
    for shots in SHOTS:
        calls = ways(model, module, shots)
        made = {way: call() for way, call in calls.items()}
        assert all(torch.equal(tokens, made[OURS]) for tokens in made.values()), made
        spent = in_turns(calls, repeat=REPEAT)
        body[f"{shots} examples"] = {
            "processor_seconds": {way: round(seconds, 3) for way, seconds in spent.items()},
            "times_as_fast": {
                way: round(seconds / spent[OURS], 2) for way, seconds in spent.items()
            },
        }
    record("decoding", SEED, {"model": model.hash, "rows": ROWS, "times": body})


if __name__ == "__main__":
    main()
