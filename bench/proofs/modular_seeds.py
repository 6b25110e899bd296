"""The modular suite on three seeds of `mod113`, beside published numbers; one file a seed.

Key frequencies under each rule with their margins, share of neurons with over 85 % of their
variance at one frequency, share of the logits explained, restricted and excluded losses of each
kind, distance irrelevance, gradient symmetricity and circularity, and by checkpoint the losses, the
Gini coefficients and the sum of squared weights. The published numbers are of other models (other
seeds, splits and weight decays), so they say how far such numbers move, not what ours must be.

Claims, of which those that fail are written down: with every seed W_U W_out and the logits have the
same key frequencies, and the embedding has them too; their waves explain 0.95 or more of the
logits; alone they have a lower loss than the model; without them the loss is above ln 113.

    python -m bench.proofs.modular_seeds
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import interp
from bench.harness import record
from interp.geometry.results.modular import PUBLISHED, ModularAnalysis
from interp.models.model import Model

MODELS = ("mod113", "mod113-s1", "mod113-s2")
SERIES = ("mod113",)  # ships with its checkpoints
EXPLAINED = 0.95


def main() -> None:
    """Take the suite and the phases of each seed, and write one file a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.models:
        model = interp.load(name)
        suite = interp.geometry.modular(model, triples="published", seed=options.seed)
        failed = [claim for claim, holds in _claims(suite).items() if not holds]
        body = _numbers(suite) | {
            "series": _series(model) if name in SERIES else None,
            "published": PUBLISHED.to_dict("records"),
            "failed": failed,
        }
        record(f"modular_{name}", options.seed, body, show=False)
        print(name, suite.metrics, failed)


def _series(model: Model) -> dict[str, Any]:
    found = interp.geometry.phases(model)
    bounds = dict(zip(("memorised", "circuit", "cleaned_up"), found.bounds, strict=True))
    return {"keys": found.keys, "phases": bounds, "steps": found.steps.to_dict("records")}


def _numbers(suite: ModularAnalysis) -> dict[str, Any]:
    frequencies = suite.neurons[suite.neurons["explained"] > 0.85]["frequency"]
    return {
        "rules": suite.margins.to_dict("records"),
        "neurons_by_frequency": {int(k): int(n) for k, n in frequencies.value_counts().items()},
        "algorithm": suite.algorithm,
        "metrics": suite.metrics,
        "losses": suite.losses.to_dict("records"),
    }


def _claims(suite: ModularAnalysis) -> dict[str, bool]:
    keys = {row["rule"]: set(row["keys"].split()) for row in suite.margins.to_dict("records")}
    return {
        "unembedding and logits agree": keys["unembedding"] == keys["logits"],
        "the embedding has the keys": keys["logits"] <= keys["embedding"],
        "logits explained": suite.value("logits_explained") >= EXPLAINED,
        "restricted below full": suite.loss("restricted") < suite.loss("full"),
        "excluded above ln p": suite.loss("excluded") > np.log(suite.settings["modulus"]),
    }


if __name__ == "__main__":
    main()
