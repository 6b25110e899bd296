"""Result of the Fourier fits of digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import number
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FourierFits(Result):
    """R² of tables of numbers on a few waves, beside the R² of the same rows with permuted numbers.

    Further figures: "layers" (adjusted R² of class means by layer and role), "spectrum" (share by
    frequency), "cumulative".

    Args:
        places: a row a fit: object, layer (−1: the embedding), role, number, classes, rows,
            constant_rows (left out), frequencies, columns (constant included), r2 (median over
            rows), low, high (95 % bootstrap: prompts behind class means, rows of other objects;
            noise lowers r2, and the interval does not undo that), adjusted, expected (of random
            rows), null, null_low, null_high (permuted
            numbers), p, p_best (against the best of all places of the object), best_row,
            best_frequency, best_wave (the largest share of one wave in one row), best_wave_null,
            p_best_wave (against the best of as many), noise (share of the class means' spread that
            sampling explains).
        waves: a row a place and frequency: frequency, period, share (median over rows), null_high,
            p, p_best (against the best frequency), cumulative (R² with all stronger ones).
        left_out: roles that the sample could not fit, each with its reason.
    """

    analysis: ClassVar[str] = "fourier_fits"
    notes: ClassVar[tuple[str, ...]] = (
        "that the waves are used: interp.geometry.figure removes and moves them",
        "a shape that is no wave, such as a line",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "r2[{object}]": "median R² of {object} on the waves; for several layers and roles the best",
        "adjusted[{object}]": "the same, adjusted for the columns: 0 for random rows",
        "null[{object}]": "median R² of {object} with permuted numbers, median over draws",
        "p[{object}]": "permutation p of {object}, against the best of all its layers and roles",
    }

    places: pd.DataFrame
    waves: pd.DataFrame
    left_out: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row a fit."""
        return self.places

    @property
    def best(self) -> pd.DataFrame:
        """The place with the largest adjusted R² of each object."""
        index = self.places.groupby("object", sort=False)["adjusted"].idxmax()
        return self.places.loc[index]

    def waves_at(self, place: pd.Series) -> pd.DataFrame:
        """The rows of `waves` at one row of `places`."""
        same = np.ones(len(self.waves), dtype=bool)
        for column in ("object", "layer", "role"):
            same &= (self.waves[column] == place[column]).to_numpy()
        return self.waves[same]

    @property
    def metrics(self) -> dict[str, float]:
        """See `meanings`."""
        found: dict[str, Any] = {}
        for _, row in self.best.iterrows():
            name = row["object"]
            found |= {
                f"r2[{name}]": float(row["r2"]),
                f"adjusted[{name}]": float(row["adjusted"]),
                f"null[{name}]": float(row["null"]),
                f"p[{name}]": float(row["p_best"]),
            }
        return found

    @property
    def interval(self) -> str:
        drawn = self.settings["permutations"]
        return f"95 % bootstrap intervals; {drawn} permutations of the numbers"

    @property
    def code(self) -> str:
        s = self.settings
        names = ("objects", "layers", "roles", "frequencies")
        own = {name: None if s[name] is None else list(s[name]) for name in names}
        return asked_code(
            self.model, s, "interp.geometry.fourier", **own, permutations=s["permutations"],
            format=s["format"], seed=self.seed,
        )  # fmt: skip

    def conclusion(self) -> str:
        said = [
            f"{_named(row)}: R² {number(row['r2'])} (permuted {number(row['null'])}, "
            f"p = {number(row['p_best'])})"
            for _, row in self.best.iterrows()
        ]
        return "; ".join(said) + "."


def _named(row: pd.Series) -> str:
    """ "embedding", "resid_post 1 at a0"."""
    if row["object"] in ("embedding", "unembedding", "neurons"):
        return str(row["object"])
    return f"{row['object']} {row['layer']} at {row['role']}"
