"""Result of the wait × transfer grid: faithfulness of every pair of wait and width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.ablation.results.evaluate import BESIDE, OfRightAnswers, about_sink, replacement_code
from interp.ablation.results.margin import few_right, margin_left
from interp.results.calls import asked_code
from interp.results.display import number, percent
from interp.results.grid import Grid
from interp.results.result import MIN_DISTINCT

KEEPS = 0.9  # least faithfulness of the cells that the conclusion names


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AblationGrid(OfRightAnswers):
    """Faithfulness of every wait depth with every width of transfer that fits after it.

    In cell (w, t) layers 0 … w−1 wait, w … w+t−1 transfer and the rest compute. Grids have the axes
    `wait` and `width`, both counts of layers; NaN where w + t exceeds the number of layers.

    Figures: the main one; "by-role", the grid of each answer token if there are several.

    Args:
        faithfulness, logit_difference: with intervals; as in `AblationScore`.
        by_role: faithfulness by answer token with intervals, axes `role`, `wait`, `width`, on the
            prompts where the full model has that token right. It shows which digits can wait.
        guessed: Grid over `role`: accuracy of a guess without the operands, from the true answer
            before the token; as in `AblationScore.by_role`.
        kl: mean D(full ‖ ablated) in nats, None if not requested.
        constant, base_accuracy, n_right, n_right_distinct: as in `AblationScore`.
        n_layers: of the model.
    """

    analysis: ClassVar[str] = "ablation_grid"
    notes: ClassVar[tuple[str, ...]] = (
        "whether a transfer layer inside the window is needed: see the removal of single layers",
        "that the model works this way: it shows which paths suffice",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "longest_wait": "most layers that may wait with a faithfulness of 0.9 or more that is "
        "surely above the best constant answer, a count",
        "narrowest_width": "fewest layers that must transfer at that depth, a count",
        "best_faithfulness": "largest faithfulness of a cell, 0 to 1",
        **BESIDE,
    }

    faithfulness: Grid
    logit_difference: Grid
    kl: Grid | None
    n_layers: int
    by_role: Grid | None = None
    guessed: Grid | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each existing cell: `wait`, `width`, `faithfulness` and `logit_difference`
        with bounds, `kl` if requested."""
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
        """longest_wait: the deepest wait of a cell that keeps 90 % and whose interval lies above
        the best constant answer, and narrowest_width: the fewest transfer layers at that depth
        (NaN without such a cell)."""
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
        """True with enough distinct prompts, counting all of them, since the conclusion uses logits
        where few are answered correctly."""
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
        """The (wait, width) of the conclusion: the deepest wait, and the fewest transfer layers
        there, of the cells that keep 90 % with an interval above the best constant answer."""
        return self._deepest_of((self.faithfulness.values >= KEEPS) & (self._low > self.constant))

    def _deepest_of(self, good: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
        """The deepest wait, and the fewest layers there, of the cells in `good`, bool [wait,
        width]."""
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
        """The conclusion with few correct answers: the deepest wait that keeps 90 % of the logit
        difference with an interval above a constant output's, or else the best cell."""
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
            f"{percent(float(grid.values[cell]))} %{bounds}, the best constant answer "
            f"{percent(self.constant)} %"
        )

    @property
    def code(self) -> str:
        names = ("sink", "waits", "widths", "transfer_mask", "kl", "route")
        options = {name: self.settings.get(name) for name in names}
        what = replacement_code(self.settings, self.seed)
        return asked_code(
            self.model, self.settings, "interp.ablation.grid", what, **options,
            format=self.settings.get("format"), seed=self.seed,
        )  # fmt: skip

    def conclusion(self) -> str | None:
        few = self.n_right_distinct < MIN_DISTINCT
        told = self._by_logits() if few else self._by_answers()
        return f"{told}{about_sink(self.sink_differs)}"

    def _by_answers(self) -> str:
        """The conclusion from faithfulness."""
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
            f"layers ({layers_text(0, wait)}) and then {width} layers transfer "
            f"({layers_text(wait, width)}): {told}. The cell was chosen on these "
            f"prompts, so `af1` says what it keeps on others."
        )


def _largest(values: npt.NDArray[np.float64]) -> float:
    return float("nan") if np.isnan(values).all() else float(np.nanmax(values))


def layers_text(first: int, count: int) -> str:
    """`count` layers from index `first` on, as text."""
    if count == 0:
        return "none"
    return f"index {first}" if count == 1 else f"indices {first} to {first + count - 1}"
