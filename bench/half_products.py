"""bfloat16 where a processor lacks the instructions: torch's own products, ours, and float32.

A training step with Muon, whose own products are always bfloat16, by torch's products and by way of
float32; and SmolLM2 in bfloat16, which the engine runs on torch's products, beside SmolLM2 in
float32: the best that a user can do there, with twice the memory. Where the processor has the
instructions the first ratio is 1. Losses and logits are asserted equal within their rounding before
any time is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

import interp
from bench.harness import in_turns, record
from interp.training import Recipe
from interp.training.half_products import half_products, torchs_own_are_slow
from interp.training.run_state import TrainingRun

REPEAT, ROWS = 3, 32
# Largest difference from float32, as a share of the largest logit or of the loss: roundings of up
# to 2^-8 in each of SmolLM2's 210 products add up to 2^-8 · √210 = 0.057 if they are independent.
CLOSE = 0.057
RECIPE = Recipe(
    name="bench", task="add:5", d_model=128, batch=256, steps=1000, muon_rate=2.0, log_every=1
)
TORCH, OURS, WIDE = "bfloat16, torch's own", "bfloat16 by way of float32", "float32"

Call = Callable[[], torch.Tensor]


def step(precision: str) -> Call:
    """One training step; its loss."""
    run = TrainingRun.start(replace(RECIPE, precision=precision))

    def take() -> torch.Tensor:
        run.take_step()
        return torch.tensor(float(run.log[-1]["loss"]))

    return take


def within(call: Call) -> Call:
    """The call as `interp.training.train` makes it."""

    def take() -> torch.Tensor:
        with half_products():
            return call()

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


def main() -> None:
    """Compare, measure, and write bench/results/half_products.json."""
    torch.set_num_threads(1)
    parts = {
        "training step with Muon": {
            TORCH: step("bfloat16"), OURS: within(step("bfloat16")), WIDE: within(step("float32")),
        },
        "smollm2, 32 sums": {TORCH: logits("bfloat16"), WIDE: logits("float32")},
    }  # fmt: skip
    body = {}
    for what, calls in parts.items():
        differences = apart(calls)
        assert all(share < CLOSE for share in differences.values()), differences
        spent = in_turns(calls, repeat=REPEAT)
        ratios = {way: round(spent[TORCH] / spent[way], 2) for way in calls if way != TORCH}
        body[what] = {
            "largest_difference": differences,
            "processor_seconds": spent,
            "times_as_fast_as_torchs_own": ratios,
        }
    record("half_products", 0, {"torchs_own_are_slow": torchs_own_are_slow(), "times": body})


if __name__ == "__main__":
    main()
