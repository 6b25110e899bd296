"""Digits and two-digit numbers in SmolLM2 and in the same model taught two-digit sums.

Spectrum of the digit-token embeddings and of the residual stream at the operand digits by layer, as
R² on k = 1, 2 and 5, adjusted, with permuted digits and the best of all places as null. Then the
helix of the two-digit operand a at its last digit: R² on held-out values against the circle, the
polynomial and permuted values of as many columns, and logit differences of the patched fits on
prompts that are answered rightly, with the number of distinct ones; below 30 nothing is concluded.

    python -m bench.proofs.llm_waves smollm2-arith
"""

from __future__ import annotations

import argparse
from typing import Any

import pandas as pd

import interp
from bench.harness import record
from interp.geometry.results.fourier import FourierFits
from interp.geometry.results.helix import HelixFit

LAYERS = (0, 5, 10, 15, 20, 25, 29)


def main() -> None:
    """Fit and patch each model, and write one file a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=("smollm2", "smollm2-arith"))
    parser.add_argument("--n", type=int, default=240)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.models:
        model = interp.load(name)
        given: dict[str, Any] = {"n": options.n, "seed": options.seed, "layers": LAYERS}
        if name == "smollm2":
            given["format"] = "plain@2:0"  # two shots: without any it answers next to nothing right
        fits = interp.geometry.fourier(
            model, "add:2", objects=("embedding", "resid_post"), roles=("a0", "b0"),
            permutations=200, **given,
        )  # fmt: skip
        spans = interp.geometry.helix(model, "add:2", pairs=options.pairs, **given)
        record(f"llm_waves_{name}", options.seed, {
            "model": dict(model.id._asdict()),
            "n": fits.n,
            "n_distinct": fits.n_distinct,
            "fourier": _fits(fits),
            "helix": _helix(spans),
        }, show=False)  # fmt: skip
        print(fits.conclusion(), spans.conclusion(), sep="\n")


def _fits(fits: FourierFits) -> dict[str, Any]:
    columns = ["object", "layer", "role", "r2", "adjusted", "null", "null_high", "p", "p_best",
               "noise"]  # fmt: skip
    embedding = fits.waves[fits.waves["object"] == "embedding"]
    return {
        "settings": fits.settings,
        "places": fits.places[columns].to_dict("records"),
        "spectrum_of_the_embedding": embedding[["frequency", "share", "null_high", "p",
                                                "p_best"]].to_dict("records"),
    }  # fmt: skip


def _helix(found: HelixFit) -> dict[str, Any]:
    def wide(table: pd.DataFrame, index: str, values: str) -> list[dict[str, Any]]:
        if table.empty:
            return []
        return (
            table.pivot(index="layer", columns=index, values=values)
            .reset_index()
            .to_dict("records")
        )

    return {
        "settings": found.settings,
        "conclusion": found.conclusion(),
        "r2_of_held_out_values": wide(found.fits, "fit", "r2_test"),
        "patched": found.patched.to_dict("records"),
        "circular_probes": wide(found.circles, "probe", "accuracy"),
    }


if __name__ == "__main__":
    main()
