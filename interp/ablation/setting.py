"""Shared inputs of all ablation analyses, validated once: prompts, sink and replacement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interp.ablation.answers import Answers, Truth, best_constant
from interp.ablation.complete import StagedResources
from interp.ablation.conditions import relaxed
from interp.ablation.places import Places, beginning_alike
from interp.ablation.replacement_states import ReplacementStates, replacement_states, table_for
from interp.ablation.replacements import Replacement
from interp.ablation.sink import Sink
from interp.ablation.tables import Table
from interp.arithmetic.problems import Problems
from interp.models.asking import Asked, check_model, prompts, settings_of
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results.resampling import resampling

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Draw(NamedTuple):
    """Arguments that sample and format problems of a task (`interp.models.asking`)."""

    n: int
    seed: int
    format: str | None
    held_out: bool


@dataclass(frozen=True, eq=False)
class Setting:
    """Prompts, sink and replacement of one ablation analysis, validated once."""

    model: Model
    places: Places
    truth: Truth
    sink_name: str
    sink: Sink
    replacement: Replacement
    resources: StagedResources
    seed: int
    asked_for: Problems  # those of the analysis, with the prompts that are left out
    other_sinks: int = 0  # prompts left out, since they begin with another role

    @classmethod
    def asked(
        cls,
        model: Model,
        asked: Asked,
        draw: Draw,
        replacement: str | Replacement,
        sink: str,
        resources: StagedResources,
    ) -> Setting:
        """The setting of an analysis's arguments. Raises as `asking.prompts` and `of`."""
        batch, _ = prompts(model, asked, **draw._asdict())
        return cls.of(model, batch, replacement, sink, draw.seed, resources)

    @classmethod
    def of(
        cls,
        model: Model,
        batch: PromptBatch,
        replacement: str | Replacement,
        sink: str,
        seed: int,
        resources: StagedResources,
    ) -> Setting:
        """The setting of a prompt batch, without the prompts that have another sink than most
        (`beginning_alike`). Raises as `Places.of`, `Truth.of`, `Replacement.of` and `Sink.of`."""
        check_model(model, batch)
        kept = beginning_alike(batch, sink)
        places = Places.of(kept, sink)
        what = Replacement.of(replacement, seed)
        found = Sink.of(model, places)
        return cls(
            model, places, Truth.of(kept), sink, found, what, resources, seed,
            batch.problems, len(batch) - len(kept),
        )  # fmt: skip

    @property
    def batch(self) -> PromptBatch:
        return self.places.batch

    @cached_property
    def table(self) -> Table | None:
        """The table of the replacement, None for a replacement without a table."""
        return table_for(
            self.model, self.places, self.replacement,
            memory=self.resources.memory, cancel=self.resources.cancel,
        )  # fmt: skip

    def replacement_states(
        self, *, table: Table | None = None, known: bool = True
    ) -> ReplacementStates:
        """The replacement states, from this table in place of the replacement's own."""
        return replacement_states(
            self.model, self.places, self.replacement, self.sink,
            table=self.table if table is None else table, known=known,
            memory=self.resources.memory, cancel=self.resources.cancel,
        )  # fmt: skip

    def rows(self, rows: Ints) -> Setting:
        """The setting restricted to some of the prompts."""
        found = Setting.of(
            self.model, self.batch[rows], self.replacement, self.sink_name, self.seed,
            self.resources,
        )  # fmt: skip
        return replace(found, asked_for=self.asked_for, other_sinks=self.other_sinks)

    def common(self, *, table: bool = False, **more: Any) -> dict[str, Any]:
        """The fields and settings shared by every Result of ablation; with `table`, also the
        standard error of the replacement means."""
        if table:
            more |= self._of_table()
        batch = self.batch
        settings = {
            "format": batch.format,
            **settings_of(self.model, self.asked_for, self.seed),
            "replacement": self.replacement.label,
            "table_prompts": self.replacement.n,
            "table_seed": self.replacement.seed,
            "sink": self.sink_name,
            "sink_differs": self.places.tells,
            **({"other_sinks": self.other_sinks} if self.other_sinks else {}),
        }
        return {
            "model": batch.model,
            "task": batch.problems.task.name,
            "n": len(batch),
            "n_distinct": batch.n_distinct,
            "seed": self.seed,
            "settings": settings | more,
        }

    def _of_table(self) -> dict[str, Any]:
        """`table_error`, the largest error of a mean (`Table.error`; None if unknown, such as where
        a key occurs once), `table_fewest`, the prompts behind the rarest key, and `given_less`, the
        tokens conditioned on less by step (`interp.ablation.conditions`), if any."""
        less = dict(relaxed(self.places, self.replacement, self.table))
        told: dict[str, Any] = {"given_less": less} if less else {}
        if self.table is None:
            return told
        error = self.table.largest_error()
        return told | {
            "table_error": error if np.isfinite(error) else None,
            "table_fewest": int(self.table.counts.min()),
        }

    def right(self, full: Answers) -> Bools:
        """True for prompts that the full model answers correctly, bool [n]."""
        return full.all_right

    def beside(self, right: Bools) -> dict[str, Any]:
        """The baselines reported with every faithfulness."""
        _, over = resampling(self.batch.problems)
        return {
            "constant": best_constant(self.places, right),  # NaN if none is right
            "base_accuracy": float(right.mean()),
            "n_right": int(right.sum()),
            "n_right_distinct": n_distinct(self.batch, right),
            "resampled": over,
        }

    @cached_property
    def prompt(self) -> Ints:
        """A number for each prompt, equal for equal prompts, int64 [n]."""
        return np.unique(self.batch.tokens.numpy(), axis=0, return_inverse=True)[1].ravel()

    @property
    def groups(self) -> Ints:
        """The groups that intervals resample, int64 [n, kinds]."""
        return resampling(self.batch.problems).groups


def n_distinct(batch: PromptBatch, chosen: Bools) -> int:
    """The number of distinct prompts among the chosen rows."""
    return len(np.unique(batch.tokens.numpy()[chosen], axis=0)) if chosen.any() else 0
