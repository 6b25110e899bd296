"""The running sums of 2510.00184 (Fig. 3) in models trained here, each on its own activations.

The paper's errors for plain fine-tuning (94, 113, 74, 79, 28) are 1.6 to 3.4 times a constant's.
Questions: is a probe of a model trained on answers alone worse than a constant when fitted to that
model's activations, and does any model hold ĉ_k beyond the one-hot digits?

    python -m bench.proofs.probe_running_sums aux=mul3x3-aux sft=mul3x3-sft icot=mul3x3-icot
"""

from __future__ import annotations

import argparse

import interp
import probes
from bench.harness import record

KINDS, SIZES = ("aux", "sft", "icot"), ("3x3", "4x4")


def shipped(size: str) -> dict[str, str]:
    """Available multiplication models of that size, by training method."""
    known = set(interp.list_models()["name"])
    return {kind: name for kind in KINDS if (name := f"mul{size}-{kind}") in known}


def all_shipped() -> list[str]:
    """Available multiplication models of all sizes and training methods."""
    return [name for size in SIZES for name in shipped(size).values()]


def main() -> None:
    """Write every digit's errors beside its baselines, a file for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="KIND=MODEL; those that ship unless given")
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    given = dict(each.split("=", 1) for each in options.models)
    for wanted in [given] if given else [shipped(size) for size in SIZES]:
        if wanted:
            measure(wanted, options)


def measure(wanted: dict[str, str], options: argparse.Namespace) -> None:
    """The running sums of models of one task."""
    models = {kind: interp.load(source) for kind, source in wanted.items()}
    found = probes.running_sums(models, n=options.n, seed=options.seed)
    frame = found.frame
    worse = frame[frame["mae"] > frame["constant_mae"]]
    body = {
        "models": {kind: model.hash for kind, model in models.items()},
        "task": found.task,
        "n": found.n,
        "n_distinct": found.n_distinct,
        "cells": frame.to_dict("records"),
        "worse_than_constant": worse[["model", "digit", "when"]].to_dict("records"),
        "largest_mae_over_constant": float((frame["mae"] / frame["constant_mae"]).max()),
        "published_mae_over_constant": {"sft": [3.23, 3.39, 2.48, 3.21, 1.64]},
        "conclusion": found.conclusion(),
    }
    record(f"probe_running_sums_{found.task.replace(':', '')}", options.seed, body)


if __name__ == "__main__":
    main()
