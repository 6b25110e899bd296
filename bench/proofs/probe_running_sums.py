"""The running sums of 2510.00184 (Fig. 3) in models trained here, each on its own activations.

The paper's errors for plain fine-tuning (94, 113, 74, 79, 28) are 1.6 to 3.4 times a constant's.
Asked here: does a model trained on answers alone read worse than a constant when its probe is
fitted to its own activations, and does any model hold ĉ_k beyond the one-hot digits?

    python -m bench.proofs.probe_running_sums aux=mul3x3-aux sft=mul3x3-sft icot=mul3x3-icot
"""

from __future__ import annotations

import argparse

import interp
import probes
from bench.harness import record

SHIPPED = {"aux": "mul3x3-aux", "sft": "mul3x3-sft", "icot": "mul3x3-icot"}


def named(given: list[str], shipped: dict[str, str]) -> dict[str, str]:
    """KIND=MODEL arguments as a mapping; without any, those of `shipped` that are there."""
    if given:
        return dict(each.split("=", 1) for each in given)
    known = set(interp.list_models()["name"])
    return {kind: name for kind, name in shipped.items() if name in known}


def main() -> None:
    """Probe the models and write every digit's errors beside its baselines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="KIND=MODEL; those that ship unless given")
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wanted = named(options.models, SHIPPED)
    if not wanted:
        parser.exit(message="no model of products ships: name some, KIND=MODEL\n")
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
    record("probe_running_sums", options.seed, body)


if __name__ == "__main__":
    main()
