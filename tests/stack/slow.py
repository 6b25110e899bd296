"""A stack on add5 by the Hugging Face module and plain hooks, one token at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any

import torch
from transformers import GPT2LMHeadModel

from interp.models.fixtures import fixture_folder

Change = tuple[str, int, Callable[[torch.Tensor], torch.Tensor]]


@cache
def plain() -> Any:
    return GPT2LMHeadModel.from_pretrained(fixture_folder("add5")).eval()


def run(tokens: torch.Tensor, changes: Sequence[Change] = ()) -> dict[Any, torch.Tensor]:
    """Logits, and the stream after each block by its number. A change is ("head input", "mlp" or
    "block", layer, function)."""
    module, kept = plain(), {}
    with ExitStack() as hooks, torch.no_grad():
        for layer, block in enumerate(module.transformer.h):
            for site, where, function in changes:
                if where != layer:
                    continue
                if site == "head input":
                    made = block.attn.c_proj.register_forward_pre_hook(
                        lambda _, x, f=function: (f(x[0]), *x[1:])
                    )
                else:
                    part = block.mlp if site == "mlp" else block
                    made = part.register_forward_hook(lambda _, x, out, f=function: _of(out, f))
                hooks.callback(made.remove)
            seen = block.register_forward_hook(
                lambda _, x, out, at=layer: kept.__setitem__(at, _first(out))
            )
            hooks.callback(seen.remove)
        kept["logits"] = module(tokens).logits
    return kept


def generated(
    batch: Any, made: Callable[[torch.Tensor], Sequence[Change]]
) -> tuple[list[int], list[float]]:
    """Greedy answer tokens with their probabilities; `made` gives the changes for some tokens."""
    tokens, said, shares = batch.tokens.clone(), [], []
    for role in batch.answer_roles:
        at = int(batch.position_array(role)[0])
        share = run(tokens, made(tokens))["logits"][0, at - 1].double().softmax(-1)
        said.append(int(share.argmax()))
        shares.append(float(share.max()))
        tokens[0, at] = said[-1]
    return said, shares


def conditional_means(
    table: torch.Tensor, states: torch.Tensor, tokens: torch.Tensor, last: int
) -> dict[int, torch.Tensor]:
    """Position → mean of the `states` [n, T, d] of the table's prompts [n, T] with the same token
    there, for positions 1 … last; zeros where there is none."""
    found = {}
    for at in range(1, last + 1):
        same = table[:, at] == tokens[0, at]
        mean = states[same, at].double().mean(0) if same.any() else torch.zeros(states.shape[-1])
        found[at] = mean.float()
    return found


def _first(out: Any) -> torch.Tensor:
    return out[0] if isinstance(out, tuple) else out


def _of(out: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    return (function(out[0]), *out[1:]) if isinstance(out, tuple) else function(out)
