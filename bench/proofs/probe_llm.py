"""Probes of a number in a language model's stream, by layer, beside what its tokens show.

Near-multiples of 5 and 10 (StreetMath, 2510.25776), parity and magnitude of the first number, and
the carries of a two-digit sum, on values of that number that no probe has seen, each held out once
in four turns. Several published accuracies equal the majority class; here it stands beside every
score, with the digits shown, the token's embedding and the same architecture with random weights,
and every score has its bounds.

    python -m bench.proofs.probe_llm smollm2 smollm2-arith
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import interp
import probes
from bench.harness import record
from interp.models.model import Model
from probes.results.sweep import ProbeSweep

TARGETS = (
    "near(a,5)", "near(a,10)", "parity(a)", "magnitude(a)", "carry[0]", "carry[1]",
)  # fmt: skip
PLACES = ("a0", "last")
BESIDE = (
    "target", "layer", "role", "metric", "n_test", "score", "score_low", "score_high", "constant",
    "one_hot", "shown", "embedding", "untrained", "shuffled", "control_task", "reference", "gain",
    "gain_low", "gain_high", "q", "represented",
)  # fmt: skip
"""Of the cell that the training folds like best: its score and what it stands beside."""


def main() -> None:
    """Probe each model at the end of the number and of the prompt; write its cells to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["smollm2"])
    parser.add_argument("--n", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=int, nargs="*", help="all unless given")
    parser.add_argument("--save", type=Path, help="a folder for the sweeps, to draw from")
    options = parser.parse_args()
    for name in options.models:
        model = interp.load(name)
        record(f"probe_llm_{model.name}", options.seed, _probe(model, options))


def _probe(model: Model, options: argparse.Namespace) -> dict[str, object]:
    problems = interp.task("add:2").sample(options.n, seed=options.seed)
    asked = {"seed": options.seed, "layers": options.layers, "split": "operand:a", "turns": 4}
    every = probes.probe(model, problems, targets=TARGETS, roles=PLACES, **asked)
    # Of numbers of one and two digits the digits' best sum misses most where the first is 0; these
    # numbers all have two.
    long = problems[problems.values(0).astype(int) >= 10]
    magnitude = probes.probe(model, long, targets=["magnitude(a)"], roles=["last"], **asked)
    if options.save:
        every.save(options.save / model.name)
        magnitude.save(options.save / f"{model.name}-two-digits")
    return {
        "model": dict(model.id._asdict()),
        **_told(every),
        "two-digit first numbers": _told(magnitude),
    }


def _told(sweep: ProbeSweep) -> dict[str, object]:
    best = pd.DataFrame([sweep.best(name) for name in sweep.names])
    return {
        "n": sweep.n,
        "n_distinct": sweep.n_distinct,
        "format": sweep.format,
        "resampled": sweep.resampled,
        "best": best[[*BESIDE]].to_dict("records"),
        "cells": sweep.frame.to_dict("records"),
        "conclusion": sweep.conclusion(),
    }


if __name__ == "__main__":
    main()
