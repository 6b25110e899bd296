"""Result of the logit lens: the true token under the unembedding after each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import percent
from interp.results.grid import Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LogitLens(Result):
    """Rank, probability and logit of the true token, by layer and answer role.

    At the position that predicts each answer role, the final norm and the unembedding are applied
    to the residual stream after each layer. Every Grid has the axes `layer` ("embed", "0", …) and
    `answer_digit`, and an interval. The `shuffled_` Grids are the control: the same measures for
    the true tokens of other prompts of the batch, explained by the answers' distribution alone.

    Args:
        first, shuffled_first: share of prompts whose true token is the first choice.
        probability, shuffled_probability: mean probability of the true token.
        rank, shuffled_rank: mean rank of the true token, 1 the first.
        logit, shuffled_logit: mean logit of the true token.
        used: number of prompts that have the role; axis `answer_digit`.
        resampled: the units that the intervals resample, "operand values" or "distinct problems".
    """

    analysis: ClassVar[str] = "logit_lens"
    notes: ClassVar[tuple[str, ...]] = (
        "what is present in another basis: a token that cannot be read off may still be known",
        "that the layers above use what can be read off",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "final_first": "share of prompts whose right token comes first after the last layer, mean "
        "over roles, 0 to 1",
        "final_first_shuffled": "the same with the right tokens of other prompts, the control",
        "final_probability": "probability of the right token after the last layer, mean over "
        "prompts and roles",
        "final_probability_shuffled": "the same with the right tokens of other prompts",
        "layer_half_gain": "layer (index, -1 the embedding) from which on the gain over the "
        "control "
        "is at least half of the last layer's",
        "layers": "layers of the model, a count",
    }

    first: Grid
    probability: Grid
    rank: Grid
    logit: Grid
    shuffled_first: Grid
    shuffled_probability: Grid
    shuffled_rank: Grid
    shuffled_logit: Grid
    used: Grid
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each layer and answer role: every measure with its bounds and its control."""
        names = ("probability", "rank", "logit")
        frame = self.first.frame("first")
        for name in (*names, "shuffled_first", *(f"shuffled_{name}" for name in names)):
            columns = getattr(self, name).frame(name)
            frame = frame.join(columns.drop(columns=["layer", "answer_digit"]))
        return frame.merge(self.used.frame("used"), on="answer_digit", how="left")

    @property
    def metrics(self) -> dict[str, float]:
        """Summary metrics.

        final_first, final_probability: means over roles after the last layer; `_shuffled`: their
        control. layer_half_gain: the layer from which on the share of first choices minus the
        control's is at least half of its value after the last layer (−1 the embedding; NaN where
        the last layer gains nothing). layers: the number of layers.
        """
        first = np.nanmean(self.first.values, axis=1)
        control = np.nanmean(self.shuffled_first.values, axis=1)
        gain = first - control
        below = np.flatnonzero(gain < gain[-1] / 2)
        half = below[-1] + 1 if below.size else 0
        return {
            "final_first": float(first[-1]),
            "final_first_shuffled": float(control[-1]),
            "final_probability": float(np.nanmean(self.probability.values[-1])),
            "final_probability_shuffled": float(np.nanmean(self.shuffled_probability.values[-1])),
            "layer_half_gain": float(half - 1) if gain[-1] > 0 else float("nan"),
            "layers": float(len(first) - 1),
        }

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled}"

    @property
    def code(self) -> str:
        options = {"roles": self.settings.get("roles")}
        return asked_code(
            self.model, self.settings, "interp.attribution.logit_lens", **options,
            format=self.settings.get("format"), seed=self.seed,
        )  # fmt: skip

    def conclusion(self) -> str | None:
        metrics = self.metrics
        layer, last = metrics["layer_half_gain"], metrics["final_first"]
        control = metrics["final_first_shuffled"]
        told = f"{percent(last)} % against {percent(control)} % for another prompt's token"
        if np.isnan(layer):
            return f"The last layer does not tell the true token from another prompt's: {told}."
        where = "the embedding" if layer < 0 else f"layer {int(layer)}"
        return (
            f"From {where} on, the true token is the first choice at least half as often, beyond "
            f"its control, as after the last layer ({told})."
        )
