"""Precise fine-tuning beside LoRA: 27 heads of SmolLM2, or sixteen dimensions of all projections.

The same rows in the same order, 700 steps of each: `smollm2-arith-heads` ships, and
`arithmoscope train smollm2-arith-start --out runs/smollm2-arith-start` makes the other, which is
the first stage of `smollm2-arith`. Claim: with the most effective heads alone less is learnt of
sums and differences; one-digit products are too few to tell. Accuracies are the cards', on problems
that neither was trained on, in every style that can write them; a problem in eight styles counts
eight times, so the intervals are somewhat too narrow.

What this does not show: what heads chosen otherwise would learn, or the same heads in more steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.harness import record
from interp.models.fixtures import fixture_folders, read_card

OTHER = {"name", "heads", "shared_kv", "rank", "alpha", "projections", "learning_rate"}
"""In what the recipes differ: what is trained, and its rate."""


def told(card: Any) -> dict[str, Any]:
    """Compared fields of a card."""
    return {
        "hash": card["weight_hash"],
        "parameters": card["parameters"],
        "rows": card["data"]["rows_trained_on"],
        "perplexity": card["perplexity"],
        "cpu_minutes": card["cpu_minutes"],
        "by_task": card["by_task"],
    }


def main() -> None:
    """Compare the cards, after checking that only the trained parameters and the rate differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lora", default="runs/smollm2-arith-start", help="its folder")
    options = parser.parse_args()
    heads, lora = (
        read_card(folder) or {}
        for folder in (fixture_folders()["smollm2-arith-heads"], Path(options.lora))
    )
    every = heads["recipe"].keys() | lora["recipe"].keys()
    differing = {name for name in every if heads["recipe"].get(name) != lora["recipe"].get(name)}
    assert differing <= OTHER, f"other rows: {', '.join(differing - OTHER)}"
    body = {"heads": told(heads), "lora": told(lora)}
    record("heads_beside_lora", heads["seed"], body)
    for task, share in body["heads"]["by_task"].items():
        better = body["lora"]["by_task"][task]
        assert task.startswith("mul") or share["high"] < better["low"], task


if __name__ == "__main__":
    main()
