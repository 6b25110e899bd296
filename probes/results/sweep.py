"""Result of a probe sweep: scores at every site beside those of probes of the question alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.errors import InputError
from interp.results.calls import Expression, asked_of, call, model_code
from interp.results.display import number, percent
from interp.results.grid import Axis, Grid
from interp.results.identity import ModelId
from interp.results.intervals import benjamini_hochberg
from interp.results.result import Result

FALSE_DISCOVERIES = 0.05
"""The share of false findings that is accepted among the cells called represented."""

ENOUGH_TYPES = 0.5
"""Share of held-out prompts whose input type must have been fitted on for a control task."""

ASKED_FOR = "a loss of its training asked for it, or for what decides it"
"""Said of a target with `trained_in`."""

REFERENCES = {
    "shown": "the question itself",
    "embedding": "the token's embedding",
    "constant": "the best constant",
}
"""What a gain is over, in words, by `reference`."""

CONTROLS = {"untrained": "random weights", "control_task": "control task"}
"""Controls that cannot always be measured, in words."""


def split_option(settings: Mapping[str, Any]) -> Any:
    """`split=` as `call` writes it: its name, or the Split whose rows `settings` hold."""
    rows = settings.get("split_rows")
    if rows is None:
        return settings.get("split")
    return Expression(call("probes.Split", repr(settings["split"]), **rows))


def split_words(settings: Mapping[str, Any]) -> str:
    """How rows were held out, for a caption."""
    turns = settings.get("turns")
    return f"split by {settings['split']}" + (f", held out in {turns} turns" if turns else "")


def probe_code(model: ModelId | None, last: str, starting_with: str | None = None) -> str:
    """A script that imports both packages, loads the model and makes the call `last`."""
    return model_code(model, {"starting_with": starting_with}, last).replace(
        "import interp\n", "import interp\nimport probes\n", 1
    )


def with_represented(cells: pd.DataFrame) -> pd.DataFrame:
    """Add q over all cells, and `represented`: interval of the gain above 0 and small q."""
    q = benjamini_hochberg(cells["p"].to_numpy())
    above = cells["gain_low"].to_numpy() > 0
    return cells.assign(q=q, represented=above & (q <= FALSE_DISCOVERIES))


def _left_out(reasons: Mapping[str, Mapping[str, str]]) -> str:
    """The targets left out, the first with its reason."""
    (name, why), *others = reasons.items()
    first = f"{name} at {', '.join(why)} ({next(iter(why.values()))})"
    return "; ".join([first, *(f"{other} at {', '.join(where)}" for other, where in others)])


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ProbeSweep(Result):
    """A probe for each target at each site, layer, head and role, with its controls.

    The score of a cell is R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)² (real targets; for angles summed over
    cosine and sine) or accuracy, on rows outside that probe's training rows. `gain` is the score
    minus that of the reference on the same rows. The reference is the strongest of three baselines
    (for operand digits and operators, which the digits shown determine, of the last two):

    - `shown`, a linear probe of the one-hot operand digits seen by then, the answer digits printed
      by then and every other token by then that differs from prompt to prompt (a chain of thought);
    - `embedding`, a probe of the token's own embedding. It is read wherever it is asked for as a
      control or a target is a fact about a whole number (`near(a,5)`), which a token may be;
    - `constant`, the best constant of the training rows; where rows are held out in turns, that of
      the held-out rows themselves.

    A fact about a number that a later position copied whole from the number's token counts as a
    gain there, as a copied digit does.

    A target is called represented where the gain's interval lies above 0 and q ≤ 0.05 (Benjamini
    and Hochberg over all cells of the sweep).

    Figures: the main one; of each target "gain-TARGET" (gain at every site), "layers-TARGET"
    (scores by layer) and "scatter-TARGET" (true against predicted), with brackets and commas of the
    target as hyphens: "gain-product-0-1".

    Args:
        format: what the prompts were written in.
        cells: one row a cell; see `frame`.
        names: the targets, in the order of `rows` and `true`.
        labels: class names of targets whose classes are no numbers.
        rows: int [targets, m], the prompts that were held out; -1 pads.
        true: float [targets, m], the target there; NaN pads. Classes by their number, or by their
            place in `labels`.
        predicted: float [cells, m], each probe's predictions; angles as residues.
        resampled: what the intervals resample.
    """

    analysis: ClassVar[str] = "probe_sweep"
    notes: ClassVar[tuple[str, ...]] = (
        "that the model uses what a probe reads: `probes.intervene` asks that",
        "what a probe that is not linear would read",
        "that a target is absent where it is not found: more prompts may find it",
        "which of two targets of different kind is the more selective: a control of classes keeps "
        "its target's penalty, one of numbers or angles chooses its own",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "cells": "probes, one a target and place, a count",
        "represented": "probes whose gain is surely above 0 (q ≤ 0.05), a count",
        "score[{target}]": "R², or share of right classes, of {target} on held-out rows at the "
        "place that the training folds choose",
        "reference[{target}]": "score of the strongest control for {target} on the same rows",
        "gain[{target}]": "score of {target} minus that of its strongest control",
    }

    format: str
    cells: pd.DataFrame
    names: tuple[str, ...]
    labels: Mapping[str, Sequence[str]]
    rows: npt.NDArray[np.int64]
    true: npt.NDArray[np.float32]
    predicted: npt.NDArray[np.float32]
    resampled: str

    @cached_property
    def _frame(self) -> pd.DataFrame:
        cells = with_represented(self.cells)
        return cells.assign(selectivity=cells["score"] - cells["control_task"])

    @property
    def frame(self) -> pd.DataFrame:
        """One row a cell.

        target, kind ("real", "class", "angle"), metric ("r2", "accuracy"); `copied`, whether the
        question says the target outright (an operand digit, an operator); site, layer, head (-1
        where the site has none), role; `predicts`, the answer digit whose logits that position
        gives; `emitted`, whether the answer digit of the target's column was printed by then
        ("before", "after"); `visible`, what the input token itself tells ("", "mod 10", "whole";
        "chain" where it is of a chain of thought, whose telling only `shown` knows).

        score with its bounds (`score_low`, `score_high`); mae beside constant_mae, of the training
        median; cv, the mean score of the training folds; constant, one_hot, shown, embedding,
        untrained (the same architecture with random weights; NaN for a wrapped module), shuffled
        (labels), control_task (a random label for each
        input type) and selectivity = score − control_task, comparable among targets of one kind
        only (`notes`); types_shared, the share of held-out prompts whose input type was fitted on:
        control_task is scored on these, and NaN where they are fewer than half (`unmeasured`);
        reference, gain with its bounds, p, q, represented; alpha, n_train, n_test; trained_in,
        whether a loss of the model's training asked for it, or for a running sum that decides it.
        Where rows are held out in turns scores are over all of them, cv and n_train are means over
        the turns and alpha is their median.
        """
        return self._frame.copy()

    @property
    def metrics(self) -> dict[str, float]:
        """cells, represented (how many), and for each target, at the cell that the training folds
        like best (`best`), `score[target]`, `reference[target]` and `gain[target]` on held-out
        rows."""
        frame = self._frame
        found = {"cells": float(len(frame)), "represented": float(frame["represented"].sum())}
        for name in self.names:
            row = self.best(name)
            found[f"score[{name}]"] = float(row["score"])
            found[f"reference[{name}]"] = float(row[str(row["reference"])])
            found[f"gain[{name}]"] = float(row["gain"])
        return found

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled} of the held-out prompts"

    @property
    def code(self) -> str:
        names = (
            "targets", "sites", "layers", "heads", "roles", "format", "split", "test", "folds",
            "controls", "turns",
        )  # fmt: skip
        options = {name: self.settings.get(name) for name in names}
        options["split"] = split_option(self.settings)
        asked, sample = asked_of(self.settings)
        last = call("probes.probe", "model", asked, **sample, **options, seed=self.seed)
        return probe_code(self.model, last, self.settings.get("starting_with"))

    @property
    def left_out(self) -> dict[str, dict[str, str]]:
        """Targets that the prompts with a role cannot judge: target → role → reason."""
        return {name: dict(why) for name, why in self.settings.get("left_out", {}).items()}

    @property
    def unmeasured(self) -> dict[str, str]:
        """Requested controls that could not be measured, each with the reason."""
        asked, found = self.settings.get("controls") or (), {}
        if "untrained" in asked and bool(self.cells["untrained"].isna().all()):
            found["untrained"] = (
                "how a wrapped module draws its weights is not known, so wrap an untrained one and "
                "probe it too"
            )
        if "control_task" in asked:
            shared = self.cells.groupby("target", sort=False)["types_shared"].max()
            few = shared[shared < ENOUGH_TYPES]
            if len(few):
                shares = ", ".join(f"{name} {percent(part)} %" for name, part in few.items())
                found["control_task"] = (
                    "fewer than half of the held-out prompts have input digits that were fitted on "
                    f"({shares}), and a random label is learnt for no others"
                )
        return found

    def conclusion(self) -> str | None:
        told = [self._headline() or ""]
        told += [f"No {CONTROLS[name]}: {why}." for name, why in self.unmeasured.items()]
        told += [f"Not probed: {_left_out(self.left_out)}."] if self.left_out else []
        return " ".join(filter(None, told)) or None

    def _headline(self) -> str | None:
        frame = self._frame
        frame = frame[~frame["copied"]]
        found = frame[frame["represented"]]
        if frame.empty:
            return None
        both = bool(frame["embedding"].notna().any())
        beaten = REFERENCES["shown"] + (f" or in {REFERENCES['embedding']}" if both else "")
        if found.empty:
            return (
                f"None of {len(frame)} cells holds more of its target than a linear map finds in "
                f"{beaten}."
            )
        row = found.loc[found["cv"].idxmax()]
        what = "R²" if row["metric"] == "r2" else "accuracy"
        head = f" head {row['head']}" if row["head"] >= 0 else ""
        asked = f" {ASKED_FOR.capitalize()}." if row["trained_in"] else ""
        return (
            f"{len(found)} of {len(frame)} cells hold more of their target than a linear map finds "
            f"in {beaten}. {row['target']} at {row['site']} of layer {row['layer']}"
            f"{head}, role {row['role']}: {what} {number(row['score'])} against "
            f"{number(row[str(row['reference'])])} from {REFERENCES[str(row['reference'])]} "
            f"(gain {number(row['gain_low'])} to {number(row['gain_high'])}).{asked}"
        )

    def best(self, target: str) -> pd.Series:
        """The row of a target's cell with the best cross-validated score on training rows.

        The choice does not use the held-out score (with several turns, held-out rows of one turn
        are training rows of the others).

        Raises InputError for a target that was not probed.
        """
        mine = self._of(target)
        return self._frame.loc[mine["cv"].fillna(-np.inf).idxmax()]

    def grid(
        self, target: str, value: str = "score", site: str = "resid_post", head: int | None = None
    ) -> Grid:
        """A column of `frame` as [layer, role] for one target and site, NaN where not measured.

        Raises InputError for a target, site, head or column that is not there.
        """
        mine = self._of(target)
        if site not in set(mine["site"]):
            raise InputError(f"site {site!r} was not probed: {', '.join(mine['site'].unique())}")
        mine = mine[(mine["site"] == site) & (mine["head"] == (-1 if head is None else head))]
        if mine.empty:
            raise InputError(f"{site!r} has no such head: z has heads, other sites head=None")
        if value not in mine:
            raise InputError(f"no column {value!r}: choose one of {', '.join(mine)}")
        layers = tuple(sorted(mine["layer"].unique()))
        roles = tuple(mine["role"].unique())
        axes = (Axis("layer", layers), Axis("role", roles))
        ends = {"gain": ("gain_low", "gain_high")}.get(value, ())
        tables = [
            mine.pivot(index="layer", columns="role", values=name).loc[list(layers), list(roles)]
            for name in (value, *ends)
        ]
        values, *bounds = (table.to_numpy(dtype=float) for table in tables)
        return Grid(values, axes, *bounds)

    @property
    def grids(self) -> dict[str, Grid]:
        """The gain as [target, site, layer, head, role], for comparing models cell by cell.

        NaN where not measured; head -1 if the site has none.
        """
        names = ("target", "site", "layer", "head", "role")
        axes = [Axis(name, tuple(self.cells[name].unique().tolist())) for name in names]
        values = np.full([len(axis.labels) for axis in axes], np.nan)
        at = [[axis.index(x) for x in self.cells[axis.name]] for axis in axes]
        values[tuple(at)] = self.cells["gain"]
        return {"gain": Grid(values, tuple(axes))}

    def scatter(self, cell: int) -> pd.DataFrame:
        """`row`, `true` and `predicted` of the held-out prompts in one cell (a row of `frame`)."""
        if not 0 <= cell < len(self.cells):
            raise InputError(f"there is no cell {cell}: they go from 0 to {len(self.cells) - 1}")
        target = self.names.index(str(self.cells["target"].iloc[cell]))
        known = (self.rows[target] >= 0) & ~np.isnan(self.predicted[cell])
        return pd.DataFrame(
            {
                "row": self.rows[target][known],
                "true": self.true[target][known],
                "predicted": self.predicted[cell][known],
            }
        )

    def _of(self, target: str) -> pd.DataFrame:
        mine = self._frame[self._frame["target"] == target]
        if mine.empty:
            raise InputError(f"{target!r} was not probed; there are {', '.join(self.names)}")
        return mine
