"""Time of 16-bit models: torch's own products, ours by way of float32, and the model in float32.

Where the processor has instructions for 16-bit products, the first two are the same and the ratio
says so. The best that a user without them can do is the third, with twice the memory. Logits and
losses of the three are asserted equal within their rounding before any time is taken.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from unittest.mock import patch

import torch

import interp
from bench.harness import record
from interp.models import half_products
from interp.training import Recipe
from interp.training.run_state import TrainingRun

REPEAT, ROWS = 3, 32
# Largest difference from float32, as a share of the largest logit or of the loss: roundings of up
# to 2^-8 in each of SmolLM2's 210 products add up to 2^-8 · √210 = 0.057 if they are independent.
CLOSE = 0.057
RECIPE = Recipe(
    name="bench", task="add:5", d_model=128, batch=256, steps=1000, muon_rate=2.0, log_every=1
)
TORCH, OURS, WIDE = "torch's own", "by way of float32", "float32"

Call = Callable[[], torch.Tensor]


def step(precision: str) -> Call:
    """One training step with Muon, whose own products are always bfloat16; its loss."""
    run = TrainingRun.start(replace(RECIPE, precision=precision))

    def take() -> torch.Tensor:
        with half_products.half_products(torch.bfloat16):
            run.take_step()
        return torch.tensor(float(run.log[-1]["loss"]))

    return take


def logits(dtype: str) -> Call:
    """Logits of SmolLM2 on short sums; NaN where an answer has no such digit."""
    model = interp.load("smollm2", dtype=dtype)
    batch = model.prompts(interp.Addition(2).sample(ROWS, seed=0))

    def run() -> torch.Tensor:
        found = interp.engine.run(model, batch).logits
        assert found is not None
        return found

    return run


def torchs_own(call: Call) -> Call:
    """The call on torch's products, as if this processor had the instructions."""

    def run() -> torch.Tensor:
        with patch.object(half_products, "slow_types", frozenset):
            return call()

    return run


def apart(calls: Mapping[str, Call]) -> dict[str, float]:
    """Largest difference of each way from float32, as a share of the largest number there."""
    found = {way: call() for way, call in calls.items()}
    wide = found[WIDE]
    there = wide.isfinite()
    assert all(torch.equal(values.isfinite(), there) for values in found.values())
    largest = wide[there].abs().max()
    return {
        way: float((values - wide)[there].abs().max() / largest) for way, values in found.items()
    }


def taken(calls: Mapping[str, Call]) -> dict[str, float]:
    """Median processor seconds a call, in turns."""
    spent: dict[str, list[float]] = {way: [] for way in calls}
    for _ in range(REPEAT):
        for way, call in calls.items():
            began = time.process_time()
            call()
            spent[way].append(time.process_time() - began)
    return {way: statistics.median(times) for way, times in spent.items()}


def main() -> None:
    """Compare, measure, and write bench/results/half_products.json."""
    torch.set_num_threads(1)
    body = {}
    for what, make in {"training step with Muon": step, "smollm2, 32 sums": logits}.items():
        half, wide = make("bfloat16"), make("float32")
        # A run of its own: a step changes the model.
        calls = {TORCH: torchs_own(make("bfloat16")), OURS: half, WIDE: wide}
        differences = apart(calls)
        assert all(share < CLOSE for share in differences.values()), differences
        spent = taken(calls)
        body[what] = {
            "largest_difference": differences,
            "processor_seconds": spent,
            "torchs_own_over_ours": round(spent[TORCH] / spent[OURS], 2),
            "float32_over_ours": round(spent[WIDE] / spent[OURS], 2),
        }
    missing = sorted(map(str, half_products.slow_types()))
    record("half_products", 0, {"types_without_instructions": missing, "times": body})


if __name__ == "__main__":
    main()
