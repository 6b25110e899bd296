"""Each saving of the engine switched on and off, beside TransformerLens' way, in one run.

The job: set the output of one head a layer to zero at the last prompt position, on SmolLM2, and
read the logits there: 30 cells of the 270 that a head scan has. Two prompt sets: few-shot prompts
that share a prefix, and prompts that share nothing. The peer is one complete hooked forward a
cell, which is what `transformer_lens.patching` does. All numbers are asserted equal before any
time is taken.

`share` is the arithmetic really spent over that of complete forwards; `over_bound` is wall time
over the time that share would take at the speed of the plain forward: 1 would be a perfect engine.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch

import interp
from bench.harness import record, seconds
from interp import engine
from interp.engine import Replace, Savings, Variant, Zero
from interp.engine.requests import tolerance

NONE = Savings.none()
SETTINGS = {
    "none": NONE,
    "prefix": Savings(True, False, False, False),
    "layers": Savings(False, True, False, False),
    "logits": Savings(False, False, True, False),
    "early_stop": Savings(False, False, False, True),
    "all": Savings(),
    "all but prefix": Savings(False, True, True, True),
    "all but layers": Savings(True, False, True, True),
    "all but logits": Savings(True, True, False, True),
}


def cells(model: Any, stride: int) -> list[Variant]:
    """One head in every `stride`-th layer, a different one each time."""
    return [
        Variant(f"L{layer}", (Replace("z", Zero(), layers=layer, heads=head, roles="last"),))
        for layer in range(0, model.shape.n_layers, stride)
        for head in [layer % model.shape.n_heads]
    ]


def peer(model: Any, batch: Any, variants: list[Variant]) -> torch.Tensor:
    """One complete hooked forward a cell, as TransformerLens' patching does it."""
    bridge, last = model.adapter.bridge, int(batch.positions["last"])
    tokens = batch.tokens
    out = []
    for variant in variants:
        what = variant.interventions[0]
        layer, head = what.layers[0], what.heads[0]

        def zero(z: torch.Tensor, hook: Any, head: int = head) -> torch.Tensor:
            z[:, last, head] = 0.0
            return z

        with torch.no_grad():
            logits = bridge.run_with_hooks(
                tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", zero)], prepend_bos=False
            )
        out.append(logits[:, last])
    return torch.stack(out)


def measure(model: Any, batch: Any, repeat: int, stride: int) -> dict[str, Any]:
    """Time every setting on one batch, after asserting that its numbers equal the peer's."""
    variants = cells(model, stride)

    def ours(savings: Savings) -> list[engine.Run]:
        return engine.run_variants(model, batch, variants, logits="last", savings=savings)

    want = peer(model, batch, variants)
    peer_seconds = seconds(lambda: peer(model, batch, variants), repeat=repeat, warm_up=0)
    rows = {}
    for name, savings in SETTINGS.items():
        runs = ours(savings)
        got = torch.stack([run.logits[:, 0] for run in runs])
        difference = float((got - want).abs().max() / want.abs().max())
        assert difference <= tolerance(model.dtype), (name, difference)
        taken = seconds(lambda savings=savings: ours(savings), repeat=repeat, warm_up=0)
        # The peer runs each cell alone; our own total also holds the clean pass that says what
        # changed.
        share = sum(run.cost.flops for run in runs) / _plain(model, batch, len(variants))
        bound = share * peer_seconds
        rows[name] = {
            "seconds": round(taken, 3),
            "times_faster_than_peer": round(peer_seconds / taken, 2),
            "share": round(share, 4),
            "over_bound": round(taken / bound, 3),
            "largest_difference": difference,
        }
        print(name, rows[name], flush=True)
    return {
        "prompts": len(batch),
        "tokens": int(batch.tokens.shape[1]),
        "cells": len(variants),
        "peer_seconds": round(peer_seconds, 3),
        "savings": rows,
    }


def _plain(model: Any, batch: Any, cells: int) -> float:
    from interp.engine.cost import plain_flops

    return cells * plain_flops(model, rows=len(batch), length=batch.tokens.shape[1])


def main() -> None:
    """Measure on both prompt sets and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--stride", type=int, default=1, help="one cell in every so many layers")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = interp.load("smollm2")
    problems = interp.Addition(1).grid()
    problems = problems[
        torch.randperm(100, generator=torch.Generator().manual_seed(options.seed))[
            : options.prompts
        ].numpy()
    ]
    body = {
        "peer": "transformer_lens run_with_hooks, one complete forward a cell",
        "model": {"name": model.name, "hash": model.hash},
        "shared prefix": measure(
            model,
            model.prompts(problems, format="plain@1+1,3+5", answer="none"),
            options.repeat,
            options.stride,
        ),
        "no shared prefix": measure(
            model,
            model.prompts(
                interp.Addition(7).sample(options.prompts, seed=options.seed),
                format="padded",
                answer="none",
            ),
            options.repeat,
            options.stride,
        ),
    }
    record("engine", options.seed, body)


if __name__ == "__main__":
    main()
