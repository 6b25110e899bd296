"""Result of the Minkowski-sum analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import percent
from interp.results.result import Result

_ADDITIVE = 0.05  # interaction's share of the cell means below which they are a Minkowski sum


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MinkowskiSum(Result):
    """How far an attention output is the sum of one point for each of two numbers.

    Further figure: "weights" (attention weights and predictions).

    Args:
        shares: term ("a", "b", "additive", "interaction", "within", "of_cells"), share of the
            output's variance (adjusted; of_cells: interaction's share of the cell means' variance),
            null_low, null_high (numbers of other prompts). Where prompts differ in the two numbers
            alone, as in modular addition, within is 0 and no pair has to repeat.
        weights: token ("a", "b", "both"), mean, sd, low, high over prompts; empty without a
            pattern.
        predictions: prediction, r2, scale (the best common factor), r2_scaled (R² with it),
            covariance_error (relative, Frobenius).
        points: a, b, pc1 … (all prompts), local1 … (prompts of the commonest a).
    """

    analysis: ClassVar[str] = "minkowski_sum"
    notes: ClassVar[tuple[str, ...]] = (
        "that later layers read the sum",
        "which other tokens make the share within: only two are fitted",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "additive": "share of the output's variance on μ + A[a] + B[b], adjusted",
        "interaction": "share of the cell means' variance beyond it, adjusted",
        "of_cells": "interaction's share of the variance that the two numbers explain; 0: a "
        "Minkowski sum",
        "within": "share that neither number explains",
        "alpha": "mean attention weight on a",
        "alpha_sd": "its standard deviation over prompts",
        "beta": "mean attention weight on b",
        "r2_weights": "R² of the output predicted by the model's values and each prompt's weights",
        "r2_mean_weights": "the same with mean weights",
        "r2_published": "the same by α W_O W_V E[a] + (1 − α) W_O W_V E[b], without position and "
        "norm",
        "r2_published_scaled": "the same times the best common factor",
    }

    shares: pd.DataFrame
    weights: pd.DataFrame
    predictions: pd.DataFrame
    points: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """One row a term."""
        return self.shares

    @property
    def metrics(self) -> dict[str, float]:
        """See `meanings`."""
        share = self.shares.set_index("term")["share"]
        found = {
            name: float(share[name]) for name in ("additive", "interaction", "of_cells", "within")
        }
        if len(self.weights):
            table = self.weights.set_index("token")
            found |= {
                "alpha": float(table.loc["a", "mean"]),
                "alpha_sd": float(table.loc["a", "sd"]),
                "beta": float(table.loc["b", "mean"]),
            }
            arms = self.predictions.set_index("prediction")
            found |= {
                "r2_weights": float(arms.loc["weights of each prompt", "r2"]),
                "r2_mean_weights": float(arms.loc["mean weights", "r2"]),
            }
            if "published" in arms.index:
                found |= {
                    "r2_published": float(arms.loc["published", "r2"]),
                    "r2_published_scaled": float(arms.loc["published", "r2_scaled"]),
                }
        return found

    @property
    def interval(self) -> str:
        return f"null: numbers of other prompts, {self.settings['draws']} draws"

    @property
    def code(self) -> str:
        s = self.settings
        own = {name: s[name] for name in ("layer", "head", "role", "a", "b", "draws")}
        return asked_code(
            self.model, s, "interp.geometry.minkowski", **own, format=s["format"], seed=self.seed
        )

    def conclusion(self) -> str:
        m, s = self.metrics, self.settings
        null = float(self.shares.set_index("term").loc["additive", "null_high"])
        who = "all heads" if s["head"] < 0 else f"head {s['head']}"
        told = (
            f"{s['a']} and {s['b']} explain {percent(m['additive'])} % of the output of layer "
            f"{s['layer']}, {who}, additively (numbers of other prompts: at most "
            f"{percent(null)} %), their interaction {percent(m['interaction'])} %"
        )
        if m["additive"] <= null:
            return f"{told}: no sum beyond chance."
        label = "a Minkowski sum" if abs(m["of_cells"]) < _ADDITIVE else "no pure Minkowski sum"
        return f"{told}: {label}."
