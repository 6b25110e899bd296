"""Head sweeps and path patching beside TransformerLens' way, on the full job.

    python -m bench.heads                      our time, the bound, and the peer on a sample
    python -m bench.heads --full               the peer's whole loop too (431 s on two quiet cores)

The job: put every head's clean output into the corrupted prompt, on all positions, and read the
logits at the last position. SmolLM2, 30 layers × 9 heads, 64 pairs of `1+1=2\\n3+5=8\\na+b=` with
`a` swapped; and a 4×4 model. The peer is `transformer_lens.patching.generic_activation_patch`, one
complete forward a cell. Numbers are asserted equal before any time is taken.

`share` is the arithmetic spent over that of complete forwards, `bound` the time that share takes at
the speed of the fastest plain forward of the same batch that was measured (the module itself, the
bridge, the engine); `of_bound` is bound / our time: 1 would be a perfect engine, above 1 a wrong
bound. Path patching's peer is one forward to take activations and one with hooks, a head.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

import interp
from bench.harness import record, recorded, seconds
from interp import engine
from interp.arithmetic.counterfactuals import swap_operand
from interp.engine import Read, Replace, Rows, Savings, Variant
from interp.engine.cost import plain_flops
from interp.engine.requests import tolerance

SHOTS = "plain@1+1,3+5"


def smollm2_pairs(model: Any, n: int, seed: int) -> tuple[Any, Any]:
    """Clean and corrupted prompts without answers: `a` swapped."""
    problems = interp.Addition(1).grid()
    order = np.random.default_rng(seed).permutation(len(problems))[:n]
    problems = problems[order]
    changed = swap_operand(problems, 0, seed=seed, keep_length=True)
    made = [model.prompts(x, format=SHOTS, answer="none") for x in (problems, changed)]
    return made[0], made[1]


def fixture_pairs(model: Any, n: int, seed: int) -> tuple[Any, Any]:
    """The same for a fixture in its own task and format."""
    problems = model.task.sample(n, seed=seed)
    changed = swap_operand(problems, 0, seed=seed, keep_length=True)
    made = [model.prompts(x, answer="none") for x in (problems, changed)]
    return made[0], made[1]


def sweep(model: Any, clean: Any, corrupted: Any, savings: Savings) -> list[engine.Run]:
    """Ours: every head, from the first position that differs on."""
    first = int((clean.tokens != corrupted.tokens).any(dim=0).int().argmax())
    roles = [r for r in clean.roles if r != "last" and clean.position_array(r).max() >= first]
    read = Read("z", None, tuple(roles))
    source = engine.run(model, clean, reads=[read], logits=None, savings=savings)
    rows = Rows.of(source, "z")
    variants = [
        Variant(f"L{la}H{h}", (Replace("z", rows, layers=la, heads=h, roles=tuple(roles)),))
        for la in range(model.shape.n_layers)
        for h in range(model.shape.n_heads)
    ]
    return engine.run_variants(
        model, corrupted, variants, logits="last", reduce=lambda x, rows: x[:, 0, :32].clone(),
        savings=savings,
    )  # fmt: skip


def peer(model: Any, clean: Any, corrupted: Any, cells: list[tuple[int, int]]) -> torch.Tensor:
    """TransformerLens: `generic_activation_patch` over the named heads."""
    import pandas as pd
    from transformer_lens import patching

    bridge = model.adapter.bridge
    names = [f"blocks.{la}.attn.hook_z" for la in range(model.shape.n_layers)]
    with torch.no_grad():
        _, cache = bridge.run_with_cache(
            clean.tokens, names_filter=lambda name: name in names, prepend_bos=False
        )
    out: list[torch.Tensor] = []

    def metric(logits: torch.Tensor) -> torch.Tensor:
        out.append(logits[:, -1, :32].clone())
        return logits.new_zeros(())

    with torch.no_grad():
        patching.generic_activation_patch(
            bridge,
            corrupted.tokens,
            cache,
            metric,
            patching.layer_head_vector_patch_setter,
            "z",
            index_df=pd.DataFrame(cells, columns=["layer", "head"]),
        )
    return torch.stack(out)


def plain_seconds(model: Any, batch: Any, repeat: int) -> dict[str, float]:
    """A plain complete forward, by each way to run one."""
    module, bridge, tokens = model.adapter.module, model.adapter.bridge, batch.tokens

    def ours() -> None:
        engine.run(model, batch, logits="all", reduce=lambda x, rows: x[:, 0, :1],
                   savings=Savings.none())  # fmt: skip

    with torch.no_grad():
        return {
            "bridge": seconds(lambda: bridge(tokens, prepend_bos=False), repeat=repeat),
            "module": seconds(lambda: module(tokens), repeat=repeat),
            "engine": seconds(ours, repeat=repeat),
        }


def measure(model: Any, clean: Any, corrupted: Any, options: Any) -> dict[str, Any]:
    """One job: equality on sampled cells, then times."""
    s = model.shape
    every = [(la, h) for la in range(s.n_layers) for h in range(s.n_heads)]
    sample = every if options.full else every[:: max(1, len(every) // options.cells)]
    runs = sweep(model, clean, corrupted, Savings())
    began = time.perf_counter()
    want = peer(model, clean, corrupted, sample)
    peer_seconds = (time.perf_counter() - began) * len(every) / len(sample)
    got = torch.stack([runs[every.index(cell)].logits for cell in sample])
    difference = float((got - want).abs().max() / want.abs().max())
    assert difference <= tolerance(model.dtype), difference
    plain = plain_seconds(model, corrupted, options.repeat)
    best = min(plain.values())
    each = plain_flops(model, rows=len(clean), length=clean.tokens.shape[1])
    taken = seconds(
        lambda: sweep(model, clean, corrupted, Savings()), repeat=options.repeat, warm_up=0
    )
    share = sum(run.cost.flops for run in runs) / each
    return {
        "prompts": len(clean),
        "tokens": int(clean.tokens.shape[1]),
        "cells": len(every),
        "seconds": taken,
        "peer_seconds": peer_seconds,
        "peer_cells_measured": len(sample),
        "times_faster": peer_seconds / taken,
        "plain_forward_seconds": plain,
        "forwards_spent": share,
        "bound_seconds": share * best,
        "of_bound": share * best / taken,
        "largest_difference": difference,
    }


def paths(model: Any, n: int, options: Any) -> dict[str, Any]:
    """Path patching to the logits, both definitions, beside two hooked forwards a head."""
    out = {}
    problems = interp.Addition(1).grid()[:n]
    batch = model.prompts(problems, format=SHOTS)
    forward = min(plain_seconds(model, batch, options.repeat).values())
    hooked = 2 * forward * model.shape.n_layers * model.shape.n_heads
    for frozen in ("all", "heads"):
        call = {"frozen": frozen, "format": SHOTS, "senders": None}
        taken = seconds(
            lambda call=call: interp.heads.paths(model, problems, **call),
            repeat=options.repeat, warm_up=0,
        )  # fmt: skip
        out[frozen] = {
            "seconds": taken,
            "hooked_seconds": hooked,
            "times_faster": hooked / taken,
        }
    return {"prompts": n, "plain_forward_seconds": forward, **out}


def main() -> None:
    """Measure and write bench/results/heads.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--cells", type=int, default=6, help="cells of the peer's sample")
    parser.add_argument("--full", action="store_true", help="run the peer's whole loop")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("smollm2", "mul4x4-icot", "paths"))
    options = parser.parse_args()
    body = {k: v for k, v in recorded("heads").items() if k in ("smollm2", "mul4x4-icot", "paths")}
    for name in ("smollm2", "mul4x4-icot"):
        if options.only in (None, name):
            model = interp.load(name)
            make = smollm2_pairs if name == "smollm2" else fixture_pairs
            body[name] = measure(model, *make(model, options.prompts, options.seed), options)
            print(name, body[name], flush=True)
    if options.only in (None, "paths"):
        body["paths"] = paths(interp.load("smollm2"), options.prompts, options)
    record("heads", options.seed, body)


if __name__ == "__main__":
    main()
