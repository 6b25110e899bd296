"""Result of one schedule on prompts other than those of its search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.ablation.results.evaluate import INTERVAL, about_sink, replacement_code, schedule_code
from interp.results.calls import call, model_call, model_code
from interp.results.display import percent
from interp.results.result import MIN_DISTINCT, Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AblationTransfer(Result):
    """Faithfulness of one schedule on other styles, operators, ranges and models.

    Args:
        table: one row per set of prompts: `name`, `model`, `task`, `format`, `n`, `n_distinct`,
            `left_out` (prompts whose problem the search saw, not counted in n), `base_accuracy`,
            `n_right`, `n_right_distinct`, `constant`, `faithfulness`, `low`, `high`,
            `logit_difference` and `kl` (each with `_low` and `_high`), `table_error` (as in
            `AblationScore`), `sink_differs` (True if the sink differs between these prompts; False
            without a faithfulness), and `reason` where faithfulness or verdict is missing.
    """

    analysis: ClassVar[str] = "ablation_transfer"
    notes: ClassVar[tuple[str, ...]] = (
        "whether another schedule would do better there",
        "more than the prompts answered rightly can: compare base accuracies first",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "faithfulness {prompts}": "share of right answers kept on {prompts}, 0 to 1",
    }

    table: pd.DataFrame
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        return self.table

    @property
    def metrics(self) -> dict[str, float]:
        """Faithfulness on each set of prompts, by name."""
        return {
            f"faithfulness {row.name}": float(row.faithfulness)
            for row in self.table.itertuples(index=False)
        }

    @property
    def interval(self) -> str:
        return f"{INTERVAL} {self.resampled}"

    @property
    def code(self) -> str:
        search = self.settings.get("search")
        models, targets = self._targets()
        last = call(
            "interp.ablation.transfer",
            "model",
            "found" if search else schedule_code(self.settings["schedule"]),
            f"{{{', '.join(targets)}}}",
            replacement_code(self.settings, self.seed),
            sink=self.settings.get("sink"),
            seed=self.seed,
        )
        start = {"starting_with": self.settings.get("starting_with")}
        head, made = model_code(self.model, start, last).rsplit("\n", 1)
        if search:
            found = search.replace("\nresult = ", "\nfound = ")
            head = f"{found}\n{head.removeprefix('import interp').lstrip()}"
        return "\n".join([head, *models, made])

    def _targets(self) -> tuple[list[str], list[str]]:
        """Code lines that load the other models, and an item of `targets` for each row."""
        problems = self.settings["problems_of"]
        others = self.settings.get("models_of") or [None] * len(problems)
        lines: list[str] = []
        items: list[str] = []
        for row, asked, other in zip(
            self.table.itertuples(index=False), problems, others, strict=True
        ):
            name = "model" if other is None else f"model_{len(lines) + 1}"
            prompts = call(f"{name}.prompts", asked, format=row.format)
            if other is not None:
                lines.append(f"{name} = {model_call(other['name'], other['starting_with'])}")
                prompts = f"({name}, {prompts})"
            items.append(f"{row.name!r}: {prompts}")
        return lines, items

    def conclusion(self) -> str | None:
        enough = self.table[self.table["n_right_distinct"] >= MIN_DISTINCT]
        if not len(enough):
            return None
        above = enough[enough["low"] > enough["constant"]]
        least = float(enough["faithfulness"].min()) if len(enough) else np.nan
        return (
            f"Of {len(enough)} sets of prompts with {MIN_DISTINCT} distinct right answers, "
            f"{len(above)} keep more than their best constant answer; the least that is kept is "
            f"{percent(least)} %.{self._left_out}{self._sinks}"
        )

    @property
    def _sinks(self) -> str:
        names = self.table.loc[self.table["sink_differs"], "name"]
        return about_sink(len(names) > 0, f" of {', '.join(names)}")

    @property
    def _left_out(self) -> str:
        gone = int(np.sum(self.table.get("left_out", 0)))
        return f" Left out are {gone} prompts whose problem the search saw." if gone else ""
