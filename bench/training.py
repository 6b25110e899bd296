"""Throughput of our training loop and a plain Hugging Face one, in tokens per second, in one run.

Both train the same GPT-2 (d_model 256, 2 layers) on the same batches of five-digit sums, from the
same weights, with the same AdamW, schedule and clipping. The peer is the loop of the transformers
documentation in float32: `model(input_ids, labels=…)`, with the default attention; its batches are
drawn and tokenised beforehand and cost it nothing, while ours are drawn inside the clock. Ours is
timed in both precisions. Before any time is taken the losses of the first steps are asserted close.

The loops take turns, so that whatever else the machine does falls on all of them; beside wall time
stands processor time, which other processes hardly touch.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from bench.harness import record
from interp.training import Recipe
from interp.training.optimiser import learning_rate
from interp.training.rows import Rows
from interp.training.run_state import TrainingRun

IGNORED = -100  # a label that Hugging Face takes no loss of
CLOSE = {"bfloat16": 0.02, "float32": 1e-3}  # largest relative difference between losses


def recipe(options: argparse.Namespace, precision: str) -> Recipe:
    """Five-digit sums at the width of the comparison."""
    return Recipe(
        name="bench", task="add:5", d_model=options.width, batch=options.batch, seed=options.seed,
        steps=10_000, warmup=200, log_every=10_000, evaluate_n=1, precision=precision,
    )  # fmt: skip


class PlainLoop:
    """The peer: `AutoModelForCausalLM`, float32, cross-entropy from labels."""

    def __init__(self, start: TrainingRun, batches: list[Rows]) -> None:
        config = copy.deepcopy(start.model.config)
        self.model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").train()
        self.model.load_state_dict(start.model.state_dict())
        self.recipe = start.recipe
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": start.recipe.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            betas=start.recipe.betas,
        )
        self.batches = [
            (rows.tokens, rows.tokens.masked_fill(~rows.learnt, IGNORED)) for rows in batches
        ]
        self.step = 0

    def take_step(self) -> float:
        """One step; its loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step)
        tokens, labels = self.batches[self.step % len(self.batches)]
        loss = self.model(input_ids=tokens, labels=labels).loss
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())


def our_step(run: TrainingRun) -> float:
    """One step of our loop; its loss, from the log's row of that step."""
    before = len(run.log)
    run.take_step()
    rows = run.log[before:]
    return float(rows[0]["loss"]) if rows else float("nan")


def check_losses(options: argparse.Namespace, precision: str) -> list[list[float]]:
    """The losses of the first steps, ours and the peer's; AssertionError where they differ."""
    chosen = recipe(options, precision)
    watched = Recipe.from_json(chosen.to_json() | {"log_every": 1})
    run = TrainingRun.start(watched)
    batches = [run.encoder(run.stream.training(step)) for step in range(options.check)]
    peer = PlainLoop(run, batches)
    pairs = [[our_step(run), peer.take_step()] for _ in range(options.check)]
    worst = max(abs(ours - theirs) / theirs for ours, theirs in pairs)
    assert worst < CLOSE[precision], f"{precision}: losses differ by {worst:.2%}: {pairs}"
    return pairs


def taken(
    loops: Mapping[str, Callable[[], Any]], steps: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Median wall and processor seconds per step of each loop, over alternating rounds.

    One untimed round comes first.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for _ in range(rounds + 1):
        for name, step in loops.items():
            wall, processor = time.perf_counter(), time.process_time()
            for _ in range(steps):
                step()
            spent = (time.perf_counter() - wall, time.process_time() - processor)
            times[name].append((spent[0] / steps, spent[1] / steps))
    return {
        name: {
            kind: statistics.median(one[at] for one in found[1:])
            for at, kind in enumerate(("wall", "processor"))
        }
        for name, found in times.items()
    }


def main() -> None:
    """Check the losses, measure times and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--check", type=int, default=8, help="steps whose losses are compared")
    parser.add_argument("--steps", type=int, default=8, help="steps a turn")
    parser.add_argument("--repeat", type=int, default=3, help="turns")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    losses = {precision: check_losses(options, precision) for precision in CLOSE}
    start = TrainingRun.start(recipe(options, "float32"))
    batches = [start.encoder(start.stream.training(step)) for step in range(options.steps)]
    peer = PlainLoop(start, batches)
    loops: dict[str, Callable[[], Any]] = {"plain float32": peer.take_step}
    for precision in CLOSE:
        loops[f"ours {precision}"] = TrainingRun.start(recipe(options, precision)).take_step
    spent = taken(loops, options.steps, options.repeat)
    tokens = batches[0].tokens.numel()
    record(
        "training",
        options.seed,
        {
            "peer": "transformers GPT2LMHeadModel, float32, model(input_ids, labels=labels).loss",
            "model": {
                "d_model": options.width,
                "layers": 2,
                "parameters": start.model.num_parameters(),
            },
            "batch": list(batches[0].tokens.shape),
            "losses [ours, peer]": losses,
            "seconds a step": spent,
            "tokens a second": {name: round(tokens / s["wall"]) for name, s in spent.items()},
            "times_faster_than_peer": {
                name: {kind: round(spent["plain float32"][kind] / s[kind], 2) for kind in s}
                for name, s in spent.items()
            },
        },
    )


if __name__ == "__main__":
    main()
