"""Head sweeps and path patching beside TransformerLens' way, on the full job.

    python -m bench.heads                      our time, the bound, and the peer on a sample
    python -m bench.heads --full               the peer's whole loop too (431 s on two quiet cores)

The job: put every head's clean output into the corrupted prompt, on all positions, and read the
logits at the last position. SmolLM2, 30 layers × 9 heads, 64 pairs of `1+1=2\\n3+5=8\\na+b=` with
`a` swapped; and a 4×4 model. The peer is `transformer_lens.patching.generic_activation_patch`, one
complete forward a cell. Numbers are asserted equal before any time is taken.

`share` is the arithmetic spent (that of reading the clean outputs included) over that of complete
forwards, `bound` the time that share takes at the speed of the fastest plain forward of the same
batch that was measured (the module itself, the bridge, the engine); `of_bound` is bound / our time:
1 would be a perfect engine, above 1 a wrong bound. Path patching's peer holds every other node by
hooks: two forwards to take activations, and one a head.
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
from interp.heads.pairs import pairs

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
    """Ours: every head, from the first position that differs on; and the run that gives their
    clean outputs, last."""
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
    runs = engine.run_variants(
        model, corrupted, variants, logits="last", reduce=lambda x, rows: x[:, 0, :32].clone(),
        savings=savings,
    )  # fmt: skip
    return [*runs, source]


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
    began = time.perf_counter()
    sweep(model, clean, corrupted, Savings())
    # A job of a tenth of a second is repeated until its median stands.
    repeat = max(options.repeat, min(30, round(5 / (time.perf_counter() - began))))
    plain = plain_seconds(model, corrupted, repeat)
    best = min(plain.values())
    each = plain_flops(model, rows=len(clean), length=clean.tokens.shape[1])
    taken = seconds(lambda: sweep(model, clean, corrupted, Savings()), repeat=repeat, warm_up=0)
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


def hooked(model: Any, pair: Any, senders: list[tuple[int, int]], frozen: str) -> torch.Tensor:
    """The peer's path patching by hooks of TransformerLens: every other head (and with "all" every
    MLP) is set to its clean output, the sender to its corrupted one. Logits of the right tokens
    [senders, n, answers]; zero where a prompt lacks the answer digit."""
    bridge, layers = model.adapter.bridge, range(model.shape.n_layers)
    z, mlp = (
        [f"blocks.{layer}.{site}" for layer in layers] for site in ("attn.hook_z", "hook_mlp_out")
    )
    with torch.no_grad():
        clean, corrupted = (
            bridge.run_with_cache(
                batch.tokens, names_filter=lambda name: name in {*z, *mlp}, prepend_bos=False
            )[1]
            for batch in (pair.clean, pair.corrupted)
        )
        out = []
        for layer, head in senders:
            mixed = clean[z[layer]].clone()
            mixed[:, :, head] = corrupted[z[layer]][:, :, head]
            held = {name: clean[name] for name in (z + mlp if frozen == "all" else z)}
            held[z[layer]] = mixed
            hooks = [(name, lambda _, hook, value=value: value) for name, value in held.items()]
            logits = bridge.run_with_hooks(pair.clean.tokens, fwd_hooks=hooks, prepend_bos=False)
            out.append(right_logits(pair, logits))
    return torch.stack(out)


def right_logits(pair: Any, logits: torch.Tensor) -> torch.Tensor:
    """Logits of the right tokens [n, answers] where they are predicted; zero where absent."""
    at = [torch.as_tensor(pair.clean.position_array(f"predicts({r})")) for r in pair.answers]
    rows, right = torch.arange(len(logits)), torch.as_tensor(pair.right)
    picked = [
        logits[rows, place.clamp(min=0), token.clamp(min=0)].masked_fill(token < 0, 0)
        for place, token in zip(at, right.unbind(1), strict=True)
    ]
    return torch.stack(picked, dim=1)


def paths(model: Any, n: int, options: Any) -> dict[str, Any]:
    """Path patching to the logits, both definitions, beside the peer: two cached forwards in all
    and one hooked forward a head, measured on a few heads and on these asserted equal."""
    out: dict[str, Any] = {}
    problems = interp.Addition(1).grid()[:n]
    asked = {"format": SHOTS, "swap": None, "answers": None, "prefix": "keep", "seed": 0}
    pair = pairs(model, problems, corrupted=None, n=n, held_out=True, **asked)
    heads = [(la, h) for la in range(model.shape.n_layers) for h in range(model.shape.n_heads)]
    few = heads[:: len(heads) // options.cells]
    with torch.no_grad():
        plain = right_logits(pair, model.adapter.bridge(pair.clean.tokens, prepend_bos=False))
    for frozen in ("all", "heads"):
        call = {"frozen": frozen, "format": SHOTS, "metrics": "logit"}
        found = interp.heads.paths(model, problems, **call)
        began = time.perf_counter()
        want = plain - hooked(model, pair, few, frozen)  # noising: what is lost
        taken_few = time.perf_counter() - began
        again = time.perf_counter()
        hooked(model, pair, few[:1], frozen)
        first = time.perf_counter() - again  # both cached forwards, and one head
        a_head = (taken_few - first) / (len(few) - 1)
        columns = [found.main.axis("sender").index(f"L{la}H{h}") for la, h in few]
        got = torch.as_tensor(found.by_prompt[:, columns, 0]).nan_to_num().movedim(0, 1)
        difference = float((got - want).abs().max() / plain.abs().max())
        assert difference <= tolerance(model.dtype), difference
        taken = seconds(
            lambda call=call: interp.heads.paths(model, problems, **call),
            repeat=options.repeat, warm_up=0,
        )  # fmt: skip
        out[frozen] = {
            "seconds": taken,
            "peer_seconds": first + a_head * (len(heads) - 1),
            "times_faster": (first + a_head * (len(heads) - 1)) / taken,
            "largest_difference": difference,
        }
    return {"prompts": n, "peer_heads_measured": len(few), **out}


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
