"""Result of a search: the sparsest schedule, and its scores on other prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.ablation.results.evaluate import BESIDE, OfRightAnswers, about_sink, replacement_code
from interp.ablation.results.grid import layers_text
from interp.results.calls import asked_code
from interp.results.display import percent
from interp.results.grid import Grid


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AllForOne(OfRightAnswers):
    """The sparsest schedule of wait, transfer and compute that keeps the answers, if there is one.

    The search uses one half of the prompts (train), the scores the other (test). `waits`,
    `windows` and `pruning` are measured on train, `removal` and the metrics on test.

    Args:
        status: "found", "none" (no such subgraph keeps the target) or "uninformative".
        reason: the reason for the status, in a sentence.
        target: the least faithfulness that the search accepts on train; on test the schedule may
            fall below it, and then reason and verdict say so.
        wait: layers that wait (0 … wait−1), -1 where none was found.
        transfer: the transfer layers, by index.
        heads: (layer, head) that look in them, [m, 2].
        waits: Grid over `wait`: waiting alone, later layers unmodified.
        windows: Grid over `start` (index of the first transfer layer) and `width`, at that wait;
            NaN for windows not measured.
        pruning: columns `step`, `layer`, `head`, `faithfulness`, `logit_difference`: heads in the
            order in which they were cut; the last row is the cut that the search rejected.
        removal: columns `where` ("full", "schedule"), `layer` (-1: all found layers at once),
            `faithfulness`, `low`, `high`: necessity.
        scores: the metrics on test (`AblationScore.metrics`), empty where no schedule was found.
        picture: the attention mask of each layer, as text.
        searched: the distinct problems of train, as text (`12+5`).
    """

    analysis: ClassVar[str] = "all_for_one"
    notes: ClassVar[tuple[str, ...]] = (
        "that the model works this way: the schedule is sufficient, and other paths may be too",
        "a schedule in which the prompt's other tokens exchange anything: none is searched",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "wait_layers": "layers that wait in the schedule found, a count",
        "transfer_layers": "layers that transfer in it, a count",
        "first_transfer_layer": "index of the first of them",
        "last_transfer_layer": "index of the last of them",
        "heads": "heads that look at other tokens in them, a count",
        "faithfulness": "share of right answers that the schedule keeps on the test half, 0 to 1",
        "faithfulness_low": "lower end of its 95 % interval",
        "faithfulness_high": "upper end of its 95 % interval",
        "logit_difference": "mean lead of the right token's logit on the test half, as a share of "
        "the full model's (1: full model, 0: constant output)",
        "kl": "mean KL divergence of the schedule from the full model on the test half, in nats",
        "searched_faithfulness": "faithfulness on the half that chose the schedule, 0 to 1",
        **BESIDE,
    }

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
        """The schedule as JSON values, for `Schedule.of`; empty where none was found."""
        return dict(self.settings.get("schedule") or {})

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each measurement: `stage` (wait, window, prune, removal), layers, value."""
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
        """On test: faithfulness with its interval, constant, base_accuracy, n_right,
        n_right_distinct, logit_difference, kl; of the schedule: wait_layers (a count),
        transfer_layers (a count), first_transfer_layer and last_transfer_layer (indices), heads;
        searched_faithfulness on train."""
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
        return asked_code(
            self.model, self.settings, "interp.ablation.af1", what, **options,
            format=self.settings.get("format"), seed=self.seed,
        )  # fmt: skip

    def conclusion(self) -> str | None:
        if self.status != "found":
            what = "No such subgraph" if self.status == "none" else "Uninformative"
            return f"{what}: {self.reason}{about_sink(self.sink_differs)}"
        m = self.metrics
        layers = ", ".join(str(layer) for layer in self.transfer)
        where = f"layer {layers}" if len(self.transfer) == 1 else f"layers {layers}"
        return (
            f"Tokens can wait through {self.wait} layers ({layers_text(0, self.wait)}), "
            f"{len(self.heads)} heads in {where} carry all that is needed to where the answer is "
            f"emitted, and the rest is computed there: on prompts that the search did not see, "
            f"{percent(m['faithfulness'])} % of the "
            f"right answers stay right ({percent(m['faithfulness_low'])} to "
            f"{percent(m['faithfulness_high'])} %, "
            f"{beside_target(m['faithfulness'], m['faithfulness_low'], self.target)}; the best "
            f"constant answer {percent(m['constant'])} %)."
            f"{about_sink(self.sink_differs)}"
        )


def beside_target(value: float, low: float, target: float) -> str:
    """Text that compares a faithfulness and its lower bound with the target of its search."""
    where = "below" if value < target else "not surely at" if low < target else "above"
    return f"{where} the target of {percent(target)} %"
