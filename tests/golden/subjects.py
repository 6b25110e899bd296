"""What golden Results are made of: shipped models opened once, and a plain module that speaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_limits

import interp
from tests.nanogpt import GPT, GPTConfig

CHARACTERS = (
    "0123456789+-*= \n:?abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,;#()$%/|~'><é"
)
_SAID = "0123456789 \n"


@cache
def speaker() -> GPT:
    """Random weights that write digits, blanks and line ends, and read every question."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = GPTConfig(
            block_size=700, vocab_size=len(CHARACTERS), n_layer=2, n_head=2, n_embd=16
        )
        module = GPT(config)
        module.lm_head.weight = torch.nn.Parameter(torch.zeros(len(CHARACTERS), config.n_embd))
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if name != "lm_head.weight":
                    parameter.add_(torch.randn_like(parameter) * 0.3)
            said = [CHARACTERS.index(character) for character in _SAID]
            module.lm_head.weight[said] = torch.randn(len(said), config.n_embd)
    return module.eval()


@cache
def wrapped() -> Any:
    """The speaker as a Model; a Result's code wraps the names `module` and `tokenizer`."""
    return interp.wrap(speaker(), CHARACTERS, name="speaker")


def unnamed_problems() -> Any:
    """Problems that a report on tokens calls `problems`, and does not write out."""
    return interp.task("add:5").sample(12, seed=3)


def names() -> dict[str, Any]:
    """What a Result's code may take for granted: the module and the tokenizer that it wraps, and
    the problems of a report on tokens."""
    given = {"module": speaker(), "tokenizer": CHARACTERS, "problems": unnamed_problems()}
    return {"__name__": "golden", **given}


@contextmanager
def models_opened_once() -> Iterator[None]:
    """Within, `interp.load` and `interp.wrap` give the same Model for the same name, and one thread
    adds up: small sums are no faster by two, and come out alike on every machine."""
    speaking, threads = wrapped(), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):
        torch.set_num_threads(1)
        patch.setattr(interp, "load", cache(interp.load), raising=False)
        patch.setattr(interp, "wrap", lambda module, tokenizer, name: speaking, raising=False)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
