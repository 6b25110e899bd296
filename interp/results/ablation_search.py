"""How long tokens can wait and where information must move: the grid and what a search found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.results.ablation import (
    OfRightAnswers,
    about_sink,
    replacement_code,
)
from interp.results.ablation_margin import few_right, margin_left
from interp.results.calls import call, model_code
from interp.results.display import number
from interp.results.grid import Grid
from interp.results.result import MIN_DISTINCT

KEEPS = 0.9  # of the right answers: what a cell of the grid must keep to be told of


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AblationGrid(OfRightAnswers):
    """Every wait depth with every width of transfer that fits behind it.

    In cell (w, t) layers 0 … w−1 wait, w … w+t−1 transfer and the rest compute. Grids have the axes
    `wait` and `width`, both counts of layers; NaN where w + t is more than there are.

    Args:
        faithfulness, logit_difference: with intervals; as in `AblationScore`.
        by_role: faithfulness by answer token, axes `role`, `wait`, `width`, on the prompts where
            the full model has that token right: which digits can wait.
        kl: mean D(full ‖ ablated) in nats, None where it was not asked for.
        constant, base_accuracy, n_right, n_right_distinct: as in `AblationScore`.
        n_layers: of the model.
    """

    analysis: ClassVar[str] = "ablation_grid"
    notes: ClassVar[tuple[str, ...]] = (
        "whether a transfer layer inside the window is needed: see the removal of single layers",
        "that the model works this way: it shows which paths suffice",
    )

    faithfulness: Grid
    logit_difference: Grid
    kl: Grid | None
    n_layers: int
    by_role: Grid | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """One row a cell that exists: `wait`, `width`, `faithfulness` and `logit_difference` with
        bounds, `kl` where asked for."""
        frame = self.faithfulness.frame("faithfulness")
        for name in ("logit_difference", "kl"):
            grid = getattr(self, name)
            if grid is not None:
                frame = frame.join(grid.frame(name).drop(columns=["wait", "width"]))
        frame[["wait", "width"]] = frame[["wait", "width"]].astype(int)
        exists = frame["wait"] + frame["width"] <= self.n_layers
        return frame[exists].reset_index(drop=True)

    @property
    def metrics(self) -> dict[str, float]:
        """longest_wait: the deepest wait of some cell that keeps 90 % and whose interval lies above
        the best constant answer, and narrowest_width: the fewest transfer layers at that depth
        (NaN where there is no such cell)."""
        chosen = self._deepest
        wait, width = (float("nan"), float("nan")) if chosen is None else chosen
        return {
            "longest_wait": wait,
            "narrowest_width": width,
            "best_faithfulness": _largest(self.faithfulness.values),
            **self.beside,
        }

    @property
    def enough(self) -> bool:
        """By all prompts: where few are answered rightly, logits are concluded from."""
        return self.n_distinct >= MIN_DISTINCT

    @property
    def not_above_constant(self) -> npt.NDArray[np.bool_]:
        """Cells whose interval reaches down to the best constant answer's faithfulness, bool [wait,
        width]; False where the cell does not exist."""
        return np.asarray(self._low <= self.constant)

    @property
    def _low(self) -> npt.NDArray[np.float64]:
        grid = self.faithfulness
        return grid.values if grid.low is None else grid.low

    @property
    def _deepest(self) -> tuple[int, int] | None:
        """The (wait, width) that is told of: of the cells that keep 90 % and are surely above the
        best constant answer the deepest wait, and the fewest transfer layers there."""
        return self._deepest_of((self.faithfulness.values >= KEEPS) & (self._low > self.constant))

    def _deepest_of(self, good: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
        """Of the cells chosen, bool [wait, width], the deepest wait and the fewest layers there."""
        cells = [
            (int(wait), -int(width))
            for i, wait in enumerate(self.faithfulness.axis("wait").labels)
            for j, width in enumerate(self.faithfulness.axis("width").labels)
            if good[i, j]
        ]
        return None if not cells else (max(cells)[0], -max(cells)[1])

    def _index(self, wait: int, width: int) -> tuple[int, int]:
        grid = self.faithfulness
        return grid.axis("wait").index(wait), grid.axis("width").index(width)

    def _by_logits(self) -> str:
        """The conclusion where few prompts are answered rightly: the deepest wait that keeps 90 %
        of the logit difference, its interval above a constant output's, or else the best cell."""
        grid = self.logit_difference
        nothing = np.full(grid.shape, np.nan)
        low, high = (nothing if bound is None else bound for bound in (grid.low, grid.high))
        chosen = self._deepest_of((grid.values >= KEEPS) & (low > 0))
        if chosen is not None:
            cell, (wait, width) = self._index(*chosen), chosen
            where = f"With {wait} layers of waiting and {width} of transfer behind them"
        else:
            best = np.unravel_index(np.nanargmax(grid.values), grid.shape)
            cell, where = (int(best[0]), int(best[1])), f"In the best cell (none keeps {KEEPS:.0%})"
        kl = float("nan") if self.kl is None else float(self.kl.values[cell])
        left = margin_left(*(float(x[cell]) for x in (grid.values, low, high)), kl=kl, n=self.n)
        why = few_right(self.n_right_distinct)
        return f"{why} {where}, chosen on these prompts, {left}."

    def _told(self, *cell: int) -> str:
        """Faithfulness of a cell with its bounds, against the best constant answer's."""
        grid = self.faithfulness
        bounds = ""
        if grid.low is not None and grid.high is not None:
            low, high = (100 * float(bound[cell]) for bound in (grid.low, grid.high))
            bounds = f" ({number(low)} to {number(high)} %)"
        return (
            f"{number(100 * float(grid.values[cell]))} %{bounds}, the best constant answer "
            f"{number(100 * self.constant)} %"
        )

    @property
    def code(self) -> str:
        names = ("sink", "waits", "widths", "transfer_mask", "kl", "route")
        options = {name: self.settings.get(name) for name in names}
        what = replacement_code(self.settings, self.seed)
        last = call("interp.ablation.grid", "model", "batch", what, **options, seed=self.seed)
        return model_code(self.model, self.settings, last)

    def conclusion(self) -> str | None:
        if self.n_right_distinct < MIN_DISTINCT:
            return self._by_logits()
        chosen, values = self._deepest, self.faithfulness.values
        if chosen is None:
            best = np.unravel_index(np.nanargmax(values), values.shape)
            return (
                f"No cell keeps {100 * KEEPS:.0f} % of the right answers and is surely above the "
                f"best constant answer; the best keeps {self._told(*map(int, best))}."
            )
        wait, width = chosen
        told = self._told(*self._index(wait, width))
        return (
            f"{100 * KEEPS:.0f} % of the right answers survive while tokens wait through {wait} "
            f"layers ({_layers(0, wait)}) and then {width} layers transfer "
            f"({_layers(wait, width)}): {told}. The cell was chosen on these "
            f"prompts, so `af1` says what it keeps on others."
        )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AllForOne(OfRightAnswers):
    """The sparsest schedule of wait, transfer and compute that keeps the answers, if there is one.

    Searched on one half of the prompts and measured on the other ("told"). All of `waits`,
    `windows` and `pruning` are of the searched half; `removal` and the metrics of the told one.

    Args:
        status: "found", "none" (no such subgraph keeps the target) or "uninformative".
        reason: why, in a sentence.
        target: the faithfulness that the search may not fall below on its half; on the told one it
            may, and then reason and verdict say so.
        wait: layers that wait (0 … wait−1), -1 where none was found.
        transfer: the transfer layers, by index.
        heads: (layer, head) that look in them, [m, 2].
        waits: Grid over `wait`: waiting alone, every later layer as it is.
        windows: Grid over `start` (index of the first transfer layer) and `width`, at that wait;
            NaN where there was nothing to measure.
        pruning: columns `step`, `layer`, `head`, `faithfulness`, `logit_difference`: heads in the
            order in which they were cut; the last row is the cut that the search refused.
        removal: columns `where` ("full", "schedule"), `layer` (-1: all found layers at once),
            `faithfulness`, `low`, `high`: necessity.
        scores: the told half's metrics (`AblationScore.metrics`), empty where none was found.
        picture: who may see whom at each layer.
        searched: the distinct problems that the search saw, as text (`12+5`).
    """

    analysis: ClassVar[str] = "all_for_one"
    notes: ClassVar[tuple[str, ...]] = (
        "that the model works this way: the schedule is sufficient, and other paths may be too",
        "a schedule in which the prompt's other tokens exchange anything: none is searched",
    )

    status: str
    reason: str
    target: float
    wait: int
    transfer: tuple[int, ...]
    heads: np.ndarray
    waits: Grid
    windows: Grid
    pruning: pd.DataFrame
    removal: pd.DataFrame
    scores: pd.DataFrame
    searched_faithfulness: float
    n_layers: int
    picture: str
    searched: tuple[str, ...] = ()

    @property
    def schedule(self) -> dict[str, object]:
        """The schedule as JSON values, for `Schedule.from_spec`; empty where none was found."""
        return dict(self.settings.get("schedule") or {})

    @property
    def frame(self) -> pd.DataFrame:
        """One row a measurement: `stage` (wait, window, prune, removal), its layers, its number."""
        parts = [
            self.waits.frame("faithfulness").assign(stage="wait"),
            self.windows.frame("faithfulness").dropna(subset="faithfulness").assign(stage="window"),
            self.pruning.assign(stage="prune"),
            self.removal.assign(stage="removal"),
        ]
        renamed = [
            part.rename(columns={"faithfulness_low": "low", "faithfulness_high": "high"})
            for part in parts
        ]
        frame = pd.concat(renamed, ignore_index=True)
        for name in frame.columns.difference(["stage", "where"]):
            frame[name] = pd.to_numeric(frame[name])
        return frame[["stage", *(name for name in frame.columns if name != "stage")]]

    @property
    def metrics(self) -> dict[str, float]:
        """Of the told half: faithfulness with its interval, constant, base_accuracy, n_right,
        n_right_distinct, logit_difference, kl; of the schedule: wait_layers (a count),
        transfer_layers (a count), first_transfer_layer and last_transfer_layer (indices), heads;
        searched_faithfulness of the half that chose it."""
        found = self.status == "found"
        told = self.scores.iloc[0].to_dict() if len(self.scores) else {}
        nan = float("nan")
        names = ("faithfulness", "faithfulness_low", "faithfulness_high", "logit_difference", "kl")
        return {
            "wait_layers": float(self.wait) if self.wait >= 0 else nan,
            "transfer_layers": float(len(self.transfer)) if found else nan,
            "first_transfer_layer": float(self.transfer[0]) if self.transfer else nan,
            "last_transfer_layer": float(self.transfer[-1]) if self.transfer else nan,
            "heads": float(len(self.heads)) if found else nan,
            **{name: float(told.get(name, nan)) for name in names},
            "searched_faithfulness": self.searched_faithfulness,
            **self.beside,
        }

    @property
    def code(self) -> str:
        names = ("target", "sink", "transfer_mask", "heads")
        options = {name: self.settings.get(name) for name in names}
        what = replacement_code(self.settings, self.seed)
        last = call("interp.ablation.af1", "model", "batch", what, **options, seed=self.seed)
        return model_code(self.model, self.settings, last)

    def conclusion(self) -> str | None:
        if self.status != "found":
            what = "No such subgraph" if self.status == "none" else "Uninformative"
            return f"{what}: {self.reason}"
        m = self.metrics
        indices = ", ".join(str(layer) for layer in self.transfer)
        return (
            f"Tokens can wait through {self.wait} layers ({_layers(0, self.wait)}), "
            f"{len(self.heads)} heads in {len(self.transfer)} layers (indices {indices}) carry all "
            f"that is needed to where the answer is emitted, and the rest is computed there: on "
            f"prompts that the search did not see, {number(100 * m['faithfulness'])} % of the "
            f"right answers stay right ({number(100 * m['faithfulness_low'])} to "
            f"{number(100 * m['faithfulness_high'])} %, "
            f"{beside_target(m['faithfulness'], m['faithfulness_low'], self.target)}; the best "
            f"constant answer {number(100 * m['constant'])} %)."
            f"{about_sink(self.settings)}"
        )


def _largest(values: npt.NDArray[np.float64]) -> float:
    return float("nan") if np.isnan(values).all() else float(np.nanmax(values))


def beside_target(value: float, low: float, target: float) -> str:
    """How a faithfulness told with its lower bound stands to the target of its search."""
    where = "below" if value < target else "not surely at" if low < target else "above"
    return f"{where} the target of {number(100 * target)} %"


def _layers(first: int, count: int) -> str:
    if count == 0:
        return "none"
    return f"index {first}" if count == 1 else f"indices {first} to {first + count - 1}"
