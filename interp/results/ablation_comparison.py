"""One schedule under every replacement and mask, and on prompts other than those it is from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.results.ablation import (
    INTERVAL,
    OfRightAnswers,
    named_replacement,
    replacement_code,
    schedule_code,
)
from interp.results.calls import Expression, call, model_call, model_code
from interp.results.display import number
from interp.results.result import MIN_DISTINCT, Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AblationComparison(OfRightAnswers):
    """The same search, or the same schedule, with every alternative in one table.

    Args:
        table: one row an alternative: `replacement`, `given`, `mask` (of the transfer layers),
            `status`, `reason`, `wait`, `first_transfer`, `last_transfer`, `transfer_layers` (a
            count), `heads`, `faithfulness`, `low`, `high`, and `logit_difference` and `kl`, each
            with its own `_low` and `_high`.
        constant, base_accuracy, n_right, n_right_distinct: of the prompts told of.
    """

    analysis: ClassVar[str] = "ablation_comparison"
    notes: ClassVar[tuple[str, ...]] = (
        "which replacement is right: one that keeps more may also let more through",
    )

    table: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        return self.table

    @property
    def metrics(self) -> dict[str, float]:
        """The faithfulness of each alternative by name, and the constant's."""
        out = {
            f"faithfulness {row.replacement} {row.mask}": float(row.faithfulness)
            for row in self.table.itertuples()
        }
        return out | self.beside

    @property
    def code(self) -> str:
        schedule = self.settings.get("schedule")
        positional = ["model", "batch"] + ([schedule_code(schedule)] if schedule else [])
        options = {name: self.settings.get(name) for name in ("masks", "target", "sink")}
        named = self._replacements()
        options["replacements"] = Expression(f"({', '.join(named)},)") if named else None
        last = call("interp.ablation.compare", *positional, **options, seed=self.seed)
        return model_code(self.model, self.settings, last)

    def _replacements(self) -> list[str]:
        labels = self.settings.get("replacements", ())
        tables = self.settings.get("tables") or [(1024, self.seed)] * len(labels)
        return [
            named_replacement(label, n, table_seed, self.seed)
            for label, (n, table_seed) in zip(labels, tables, strict=True)
        ]

    def conclusion(self) -> str | None:
        known = self.table.dropna(subset="faithfulness")
        without = _without_number(self.table)
        if not len(known) and (self.table["status"] == "none").all():
            return "Under none of these alternatives is there such a subgraph."
        if not len(known):
            return f"Whether there is such a subgraph is open. {without}"
        best = known.loc[known["faithfulness"].idxmax()]
        above = known[known["low"] > self.constant]
        return (
            f"Most is kept with {best['replacement']} and {best['mask']}: "
            f"{number(100 * best['faithfulness'])} % (at least {number(100 * best['low'])} %). "
            f"{len(above)} of {len(self.table)} alternatives keep more than the best constant "
            f"answer ({number(100 * self.constant)} %). {without}"
        ).rstrip()


def _without_number(table: pd.DataFrame) -> str:
    """How many alternatives have no faithfulness, by status, with the first reason of each."""
    missing = table[table["faithfulness"].isna()]
    told = []
    for status, rows in missing.groupby("status", sort=True):
        reasons = [reason for reason in dict.fromkeys(rows["reason"]) if reason]
        several = "among others: " * (len(reasons) > 1)
        named = "without such a subgraph" if status == "none" else status
        why = f" ({several}{reasons[0].rstrip('.')})" if reasons else ""
        told.append(f"{len(rows)} {named}{why}")
    return f"Of {len(table)} alternatives, {'; '.join(told)}." if told else ""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AblationTransfer(Result):
    """One schedule, found elsewhere, on other styles, operators, ranges and models.

    Args:
        table: one row a set of prompts: `name`, `model`, `task`, `format`, `n`, `n_distinct`,
            `left_out` (prompts whose problem the schedule's search saw, beside n), `base_accuracy`,
            `n_right`, `n_right_distinct`, `constant`, `faithfulness`, `low`, `high`,
            `logit_difference` and `kl` (each with `_low` and `_high`), and `reason` where there is
            no number or no verdict.
    """

    analysis: ClassVar[str] = "ablation_transfer"
    notes: ClassVar[tuple[str, ...]] = (
        "whether another schedule would do better there",
        "more than the prompts answered rightly can: compare base accuracies first",
    )

    table: pd.DataFrame
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        return self.table

    @property
    def metrics(self) -> dict[str, float]:
        """The faithfulness on each set of prompts by name."""
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
        """Lines that load the other models, and an item of the targets for each row."""
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
            f"{number(100 * least)} %.{self._left_out}"
        )

    @property
    def _left_out(self) -> str:
        gone = int(np.sum(self.table.get("left_out", 0)))
        return f" Left out are {gone} prompts whose problem the search saw." if gone else ""
