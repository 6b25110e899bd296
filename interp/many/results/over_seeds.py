"""Result of one analysis on several models: agreement of metrics and Grids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import pandas as pd

from interp.results.calls import function_code
from interp.results.display import number
from interp.results.result import Result

_DEFAULTS = {"exchangeable": ("head", "neuron"), "shuffles": 200}  # of `interp.over_seeds`


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Agreement(Result):
    """Agreement of several models: metrics with their range, Grids compared cell by cell.

    Args:
        analysed: the analysis that was run, such as "counterfactual_attribution".
        function: the function that ran it, "interp.attribution.counterfactual".
        models, hashes: names and weight hashes of the models.
        values: one row for each metric and model: `metric`, `model`, `value`.
        cells: one row for each Grid, cell and model: `grid`, `cell` (labels of its axes), `model`,
            `value`; summed over axes that are exchangeable between models.
        pairs: one row for each Grid and pair of models: `grid`, `first`, `second`, `cells` (number
            that both have), `identical` (equal in every cell, as an oracle or a count),
            `rank_correlation` (Spearman's, over cells), `same_sign` (share of cells), `shuffled`
            (95 % quantile of the correlation when the cells of one are shuffled).
    """

    analysis: ClassVar[str] = "agreement"
    notes: ClassVar[tuple[str, ...]] = (
        "that models which agree compute alike",
        "what more seeds would: the range is over those shown",
        "a fair control where neighbouring cells depend on each other: shuffled ones do not",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "models": "models compared, a count",
        "{metric}_lowest": "lowest {metric} over the models, or over pairs of models",
        "{metric}_highest": "highest {metric} over the models",
        "{grid}_agreement": "Spearman's rank correlation of the cells of {grid}, mean over pairs "
        "of "
        "models",
        "{grid}_same_sign": "share of cells of {grid} with the same sign, mean over pairs, 0 to 1",
        "{grid}_shuffled": "largest 95 % quantile of that correlation with shuffled cells, the "
        "control",
        "{metric}": "{metric} of the analysis, mean over the models",
    }

    analysed: str
    function: str
    models: tuple[str, ...]
    hashes: tuple[str, ...]
    values: pd.DataFrame
    cells: pd.DataFrame
    pairs: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each metric: `mean`, `lowest`, `highest` over models, and every model's."""
        order = list(dict.fromkeys(self.values["metric"]))
        table = self.values.pivot(index="metric", columns="model", values="value")
        table = table.reindex(index=order, columns=list(self.models))
        ends = {"mean": table.mean(axis=1), "lowest": table.min(axis=1)}
        ends["highest"] = table.max(axis=1)
        return pd.concat([pd.DataFrame(ends), table], axis=1).reset_index(names="metric")

    @property
    def told(self) -> pd.DataFrame:
        """The pairs of Grids that differ between at least two models."""
        differs = ~self.pairs.groupby("grid")["identical"].transform("all").astype(bool)
        return self.pairs[differs]

    @cached_property
    def metrics(self) -> dict[str, float]:
        """For each metric the mean over models, `…_lowest` and `…_highest`; for each Grid
        `…_agreement` (mean rank correlation over pairs), `…_agreement_lowest`, `…_same_sign` and
        `…_shuffled` (the largest of the pairs' controls), each NaN if a pair has none."""
        found: dict[str, float] = {"models": float(len(self.models))}
        for row in self.frame.to_dict("records"):
            name = str(row["metric"])
            found |= {name: row["mean"], f"{name}_lowest": row["lowest"]}
            found[f"{name}_highest"] = row["highest"]
        for grid, part in self.told.groupby("grid", sort=False):
            found[f"{grid}_agreement"] = float(part["rank_correlation"].mean(skipna=False))
            found[f"{grid}_agreement_lowest"] = float(part["rank_correlation"].min(skipna=False))
            found[f"{grid}_same_sign"] = float(part["same_sign"].mean(skipna=False))
            found[f"{grid}_shuffled"] = float(part["shuffled"].max(skipna=False))
        return found

    @property
    def interval(self) -> str:
        return f"mean and range over {len(self.models)} models: {', '.join(self.models)}"

    @property
    def code(self) -> str:
        options = self.settings.get("options", {})
        given = [repr(list(self.models)), self.function]
        given += [self.settings["problems"]] if self.settings.get("problems") else []
        given += [f"{name}={value}" for name, value in options.items()]
        for name, default in _DEFAULTS.items():
            if (value := self.settings.get(name, default)) != default:
                given.append(f"{name}={value!r}")
        return function_code(self.function, f"interp.over_seeds({', '.join(given)})")

    def conclusion(self) -> str | None:
        """The conclusion; None if a pair of models has no correlation or no control."""
        known = self.told.dropna(subset=["rank_correlation"])
        if known.empty:
            return None
        grid = str(known["grid"].iloc[0])  # the first field of a Result is its main Grid
        part = self.told[self.told["grid"] == grid]
        if part[["rank_correlation", "shuffled"]].isna().any(axis=None):
            return None
        least, chance = float(part["rank_correlation"].min()), float(part["shuffled"].max())
        told = (
            f"between any two models the cells of {grid} correlate by at least {number(least)} in "
            f"rank (shuffled cells reach {number(chance)})"
        )
        differ = self.settings.get("recipes_differ_in")
        if differ:
            told += f". Their recipes differ not in the seed alone but in {', '.join(differ)}"
        if least > chance:
            return f"The models agree: {told}."
        return f"The models do not all agree: {told}."
