"""What a language model's stream holds of a number, layer by layer, beside what its tokens show.

Near-multiples of 5 and 10 (StreetMath, 2510.25776), parity and magnitude of the first number, and
the carries of a two-digit sum, on values of that number that no probe has seen. Several published
accuracies equal the majority class; here it stands beside every score, with the one-hot digits.

    python -m bench.proofs.probe_llm smollm2 smollm2-arith
"""

from __future__ import annotations

import argparse

import interp
import probes
from bench.harness import record
from interp.models.model import Model

FACTS = ("near(a,5)", "near(a,10)", "parity(a)", "magnitude(a)")
COLUMNS = ("carry[0]", "carry[1]")


def main() -> None:
    """Probe each model at the end of the number and of the prompt, and write every layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["smollm2"])
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=int, nargs="*")
    parser.add_argument("--untrained", action="store_true", help="also with random weights")
    options = parser.parse_args()
    body = {name: _probe(interp.load(name), options) for name in options.models}
    record("probe_llm", options.seed, body)


def _probe(model: Model, options: argparse.Namespace) -> dict[str, object]:
    controls = [name for name in probes.CONTROLS if name != "untrained" or options.untrained]
    found = {}
    for what, targets, roles in (("number", FACTS, ("a0", "last")), ("sum", COLUMNS, ("last",))):
        sweep = probes.probe(
            model, "add:2", targets=targets, roles=roles, layers=options.layers, n=options.n,
            seed=options.seed, split="operand:a", controls=controls,
        )  # fmt: skip
        found[what] = {
            "n": sweep.n,
            "n_distinct": sweep.n_distinct,
            "format": sweep.format,
            "cells": sweep.frame.to_dict("records"),
            "conclusion": sweep.conclusion(),
        }
    return {"hash": model.hash, **found}


if __name__ == "__main__":
    main()
