"""Table 1 of 2510.00184 for 4×4-digit multipliers trained in three ways, with nulls.

Median R² on 1, k = 1, 2 and 5 of token embeddings, of W_U W_out of the last layer and of W_U h
before the final normalisation where c2 is predicted, for the models trained on the answer alone
(SFT), with implicit chain of thought (ICoT) and with the auxiliary loss. Beside each: the same rows
with permuted digits, the adjusted R², and a bootstrap interval over rows. Then the shape of the
means of c2 at that place: alignment of the principal components, the share of the pentagonal prism
(k = 2 and 5), the regularity of its pentagons, each with its null, and the causal test. The paper
gives 0.84, 0.95 and 0.99 for one ICoT model and a prism, without a null.

    python -m bench.proofs.digit_waves
"""

from __future__ import annotations

import argparse
from typing import Any

import interp
from bench.harness import record
from interp.geometry.results.figure import RegularFigure
from interp.geometry.results.fourier import FourierFits

MODELS = ("mul4x4-sft", "mul4x4-icot", "mul4x4-aux")
PUBLISHED = {"embedding": 0.84, "neurons": 0.95, "logits": 0.99}  # one ICoT model
ROLE = "predicts(c2)"


def main() -> None:
    """Fit the models and write one file a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.models:
        model = interp.load(name)
        given: dict[str, Any] = {"n": options.n, "seed": options.seed}
        fits = interp.geometry.fourier(
            model, "mul:4x4", objects=("embedding", "neurons", "logits"),
            roles=("a0", ROLE), **given,
        )  # fmt: skip
        shape = interp.geometry.figure(model, "mul:4x4", role=ROLE, **given)
        body = {"n": options.n, "published": PUBLISHED, "table_1": _table(fits)}
        record(f"digit_waves_{name}", options.seed, body | {"shape": _shape(shape)}, show=False)
        print(fits.places.to_string(), shape.conclusion(), shape.prism, sep="\n")


def _table(fits: FourierFits) -> list[dict[str, Any]]:
    columns = ["object", "layer", "role", "rows", "r2", "low", "high", "adjusted", "null",
               "null_low", "null_high", "p", "p_best"]  # fmt: skip
    return fits.places[columns].to_dict("records")


def _shape(shape: RegularFigure) -> dict[str, Any]:
    circles = ["frequency", "share", "share_null", "p_share", "radius_spread", "radius_spread_null",
               "p_radius", "angle_spread", "angle_spread_null", "p_angle", "roundness"]  # fmt: skip
    return {
        "conclusion": shape.conclusion(),
        "components": shape.components[["component", "explained", "frequency", "share", "null",
                                        "p"]].head(5).to_dict("records"),
        "circles": shape.circles[circles].to_dict("records"),
        "prism": shape.prism.to_dict("records"),
        "moves": shape.moves.to_dict("records"),
        "metrics": shape.metrics,
    }  # fmt: skip


if __name__ == "__main__":
    main()
