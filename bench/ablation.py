"""Time of the full wait × transfer grid beside one complete hooked forward per cell, in one run.

The peer is the way of the paper's public demo (arXiv 2509.09650): for each cell a complete forward
of every prompt with hooks that overwrite the residual stream after the wait and mask attention in
every later layer, all positions and all logits. It is timed on `--sampled` cells, drawn with the
seed, and scaled to all; each of them is asserted equal to the same cell of the grid. The table of
conditional means is timed beside one plain forward of its prompts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

import interp
from bench.harness import record
from interp.ablation import Replacement
from interp.ablation._grid import full_answers
from interp.ablation.answers import Answers, read
from interp.ablation.batched_schedules import BatchedSchedules, StagedSchedule
from interp.ablation.complete import StagedResources
from interp.ablation.replacement_states import ReplacementStates
from interp.ablation.schedule import Schedule
from interp.ablation.setting import Setting
from interp.ablation.tables import build_table
from interp.ablation.visible import PEEK, SELF, visible
from interp.engine.block_steps import own_blocks
from interp.engine.requests import tolerance

BATCH = 64  # prompts in one of the peer's forwards


class Clock:
    """Wall and processor seconds; on a busy machine processor seconds are fairer."""

    def __init__(self) -> None:
        self.wall, self.processor = -time.perf_counter(), -time.process_time()

    def stop(self) -> Clock:
        self.wall += time.perf_counter()
        self.processor += time.process_time()
        return self


def prompts(model: Any, options: argparse.Namespace, seed: int, n: int) -> Any:
    """Sums without leading zeros, each with the first token of its answer: one token emits it."""
    problems = interp.Addition(options.digits).sample(n, seed=seed, full_width=True)
    batch = model.prompts(problems, format=options.format)
    (length,) = set(batch.prompt_lengths.tolist())
    return replace(
        batch,
        tokens=batch.tokens[:, : length + 1],
        lengths=np.full(n, length + 1),
        layouts=tuple(layout[: length + 1] for layout in batch.layouts),
    )


def peer(setting: Setting, replaced: ReplacementStates, schedule: Schedule) -> torch.Tensor:
    """Logits [n, answers, d_vocab] of one cell by complete hooked forwards of the bridge."""
    bridge, places = own_blocks(setting.model).bridge, setting.places
    batch, end = setting.batch, places.end
    masks = {layer: ~torch.from_numpy(visible(places, PEEK)) for layer in schedule.transfer}
    masks |= {layer: ~torch.from_numpy(visible(places, SELF)) for layer in schedule.compute}
    rows = replaced.rows(schedule.wait) if schedule.wait else None
    parts = []
    for first in range(0, len(batch), BATCH):
        here = slice(first, first + BATCH)
        hooks = []
        if rows is not None:
            hooks.append((f"blocks.{schedule.wait - 1}.hook_out", _overwrite(places, rows[here])))
        for layer, cut in masks.items():
            hooks.append((f"blocks.{layer}.attn.hook_pattern", _masked(cut[here][:, None])))
        logits = bridge.run_with_hooks(batch.tokens[here, :end], fwd_hooks=hooks)
        where = torch.from_numpy(places.emits[here]).clamp(min=0)
        parts.append(logits.gather(1, where[..., None].expand(-1, -1, logits.shape[-1])))
    return torch.cat(parts)


def _overwrite(places: Any, rows: torch.Tensor) -> Any:
    def hook(x: torch.Tensor, hook: Any) -> torch.Tensor:
        return torch.cat([x[:, : places.sink], rows], dim=1)

    return hook


def _masked(cut: torch.Tensor) -> Any:
    def hook(pattern: torch.Tensor, hook: Any) -> torch.Tensor:
        left = pattern.masked_fill(cut, 0.0)
        return left / left.sum(-1, keepdim=True)

    return hook


def measure_grid(setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Time our full grid and the peer's sampled cells, after asserting equality."""
    depth = setting.model.shape.n_layers
    pairs = [(w, t) for w in range(depth + 1) for t in range(depth + 1 - w)]
    schedules = [Schedule.all_for_one(depth, w, t) for w, t in pairs]
    full, _ = full_answers(setting)
    replaced = setting.replacement_states()  # the table is the peer's too, and timed apart
    clock = Clock()
    cells = BatchedSchedules(setting, replaced, PEEK, full)
    found = cells.run([StagedSchedule.of(schedule, depth) for schedule in schedules])
    ours = clock.stop()
    print(f"{len(pairs)} cells in {ours.wall:.1f} s", flush=True)
    rng = np.random.default_rng(options.seed)
    drawn = sorted(rng.choice(len(pairs), options.sampled, replace=False).tolist())
    taken, worst, flipped = [], 0.0, 0
    with torch.no_grad():
        for number in drawn:
            clock = Clock()
            logits = peer(setting, replaced, schedules[number])
            taken.append(clock.stop())
            off, other = compare(setting, found[number], logits)
            worst, flipped = max(worst, off), flipped + other
            print(pairs[number], f"{taken[-1].wall:.2f} s, difference {off:.2g}", flush=True)
    assert worst <= tolerance(setting.model.dtype), worst
    assert flipped == 0, f"{flipped} answers differ"
    theirs = {
        name: float(np.mean([getattr(clock, name) for clock in taken])) * len(pairs)
        for name in ("wall", "processor")
    }
    return {
        "prompts": len(setting.batch),
        "n_distinct": setting.batch.n_distinct,
        "tokens": setting.places.end,
        "cells": len(pairs),
        "sampled_cells": [pairs[number] for number in drawn],
        "base_accuracy": float(full.all_right.mean()),
        "seconds": ours.wall,
        "processor_seconds": ours.processor,
        "peer_seconds_a_cell": [clock.wall for clock in taken],
        "peer_seconds": theirs["wall"],
        "peer_processor_seconds": theirs["processor"],
        "times_faster_than_peer": theirs["wall"] / ours.wall,
        "times_faster_in_processor_time": theirs["processor"] / ours.processor,
        "largest_difference": worst,
    }


def compare(setting: Setting, ours: Answers, logits: torch.Tensor) -> tuple[float, int]:
    """Compare one cell with the peer's, on answers that the full model has right.

    Returns the largest difference of Δ as a share of the largest |logit|, and the number of answers
    right in one and wrong in the other although the peer's margin exceeds rounding.
    """
    log_q = torch.log_softmax(logits.float(), -1)
    theirs = read(setting.truth, logits, log_q, log_q, setting.truth.labels)
    largest = float(logits.abs().max())
    off = np.nanmax(np.abs(ours.difference - theirs[..., 1].numpy())) / largest
    top = logits.topk(2, dim=-1).values
    clear = (top[..., 0] - top[..., 1] > tolerance(logits.dtype) * largest).numpy()
    read_too = ~np.isnan(ours.right)  # where the full model is right
    return float(off), int(((ours.right != theirs[..., 0].numpy()) & clear & read_too).sum())


def measure_table(model: Any, batch: Any) -> dict[str, Any]:
    """One table over all its prompts' roles and depths, beside one plain forward of them."""
    tokens = batch.tokens
    clock = Clock()
    build_table(model, batch, "token", memory=2**30)
    ours, clock = clock.stop(), Clock()
    with torch.no_grad():
        for part in tokens.split(BATCH):
            own_blocks(model).bridge(part)
    plain = clock.stop()
    prefixes = sum(
        len(np.unique(tokens[:, : p + 1].numpy(), axis=0)) for p in range(tokens.shape[1])
    )
    return {
        "prompts": len(batch),
        "positions": tokens.numel(),
        "distinct_prefixes": prefixes,
        "processor_seconds": ours.processor,
        "plain_forward_processor_seconds": plain.processor,
        "share_of_a_plain_forward": ours.processor / plain.processor,
    }


def main() -> None:
    """Check equality, measure times and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--format", default="calculate")
    parser.add_argument("--digits", type=int, default=5, help="of each operand: 5 give 16 tokens")
    parser.add_argument("--sampled", type=int, default=20)
    parser.add_argument("--table", type=int, default=512, help="prompts behind the table")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["ARITHMOSCOPE_CACHE"] = tempfile.mkdtemp()  # no cached table
    model = interp.load(options.model)
    batch = prompts(model, options, options.seed, options.prompts)
    replacement = Replacement(n=options.table, seed=options.seed + 1)
    setting = Setting.of(model, batch, replacement, "first", options.seed, StagedResources())
    table = measure_table(model, prompts(model, options, options.seed + 2, options.table))
    body = {
        "peer": "transformer_lens run_with_hooks, one complete forward of all prompts a cell",
        "model": {"name": model.name, "hash": model.hash},
        "table": table,
        "grid": measure_grid(setting, options),
    }
    record("ablation", options.seed, body)


if __name__ == "__main__":
    main()
