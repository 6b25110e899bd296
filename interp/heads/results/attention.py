"""Attention patterns by role, with operand scores and staircases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.calls import asked_code
from interp.results.grid import Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AttentionPatterns(Result):
    """Attention of each head from query roles to key roles.

    Further figures: "weighted", "spread" (over prompts), "example" (one prompt), "staircase".

    Args:
        plain, weighted: mean attention, and mean attention weighted by ‖v W_O‖ and normalised;
            axes layer, head, query, key, with interval.
        spread: standard deviation of the plain attention over prompts.
        example, example_text: plain attention of one prompt, and its text.
        scores: attention to operand digits and operators: layer, head, query, attends_to, weights
            ("plain", "weighted"), score with bounds, and `uniform`, the score of attention spread
            evenly over the tokens seen.
        staircase: layer, head, operand, the offset chosen on half of the prompts, `steps`, and the
            attention on it of the other half with bounds; `shuffled` and `shuffled_95`, mean and
            95th percentile of the best offset where the queries are shuffled.
        resampled: what the intervals resample.
    """

    analysis: ClassVar[str] = "attention_patterns"
    notes: ClassVar[tuple[str, ...]] = (
        "that the model needs what a head attends to: heads.tree cuts edges and measures it",
    )
    meanings: ClassVar[dict[str, str]] = {
        "operand_attention": "mean attention from queries to operand digits, over all heads",
        "operand_attention_weighted": "the same, weighted by what each key's value writes",
        "operand_attention_uniform": "the same for uniform attention",
        "operator_attention": "mean attention from queries to operators, over all heads",
        "staircases": "number of heads and operands whose staircase exceeds the 95th percentile of "
        "the shuffled ones, with its lower bound",
        "best_staircase": "largest attention on a staircase",
        "best_staircase_shuffled": "mean of that head's and operand's shuffled staircases",
    }

    plain: Grid
    weighted: Grid
    spread: Grid
    example: Grid
    example_text: str
    scores: pd.DataFrame
    staircase: pd.DataFrame
    resampled: str

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each head, query and key: plain, weighted, spread."""
        keys = ["layer", "head", "query", "key"]
        found = self.plain.frame("attention").merge(self.weighted.frame("weighted"), on=keys)
        return found.merge(self.spread.frame("spread"), on=keys)

    def score(self, attends_to: str, weights: str = "plain") -> float:
        """Mean score over heads and queries."""
        rows = self.scores[
            (self.scores["attends_to"] == attends_to) & (self.scores["weights"] == weights)
        ]
        return float(rows["score"].mean())

    @property
    def stairs(self) -> pd.DataFrame:
        """The staircases above their control."""
        return self.staircase[self.staircase["attention_low"] > self.staircase["shuffled_95"]]

    @property
    def metrics(self) -> dict[str, float]:
        """Mean scores, and the staircases."""
        operand = self.scores[self.scores["attends_to"] == "operand"]
        found = {
            "operand_attention": self.score("operand"),
            "operand_attention_weighted": self.score("operand", "weighted"),
            "operand_attention_uniform": float(operand["uniform"].mean()),
            "operator_attention": self.score("operator"),
            "staircases": float(len(self.stairs)),
        }
        if not len(self.staircase):
            nothing = float("nan")
            return found | {"best_staircase": nothing, "best_staircase_shuffled": nothing}
        best = self.staircase.nlargest(1, "attention").iloc[0]
        found["best_staircase"] = float(best["attention"])
        found["best_staircase_shuffled"] = float(best["shuffled"])
        return found

    @property
    def interval(self) -> str:
        return f"95 % bootstrap intervals over {self.resampled}"

    @property
    def code(self) -> str:
        listed = {name: self.settings[name] for name in ("queries", "layers")}
        return asked_code(
            self.model,
            self.settings,
            "interp.heads.attention",
            format=self.settings["format"],
            seed=self.seed,
            **listed,
        )

    def conclusion(self) -> str:
        found = self.metrics
        heads = self.scores.query("attends_to == 'operand' and weights == 'plain'")
        top = heads.groupby(["layer", "head"])["score"].mean().nlargest(1)
        ((layer, head),) = top.index
        text = (
            f"Operand digits take {found['operand_attention']:.1%} of the attention "
            f"({found['operand_attention_weighted']:.1%} weighted by value; "
            f"{found['operand_attention_uniform']:.1%} if it were uniform), most of head {head} of "
            f"layer {layer} ({top.iloc[0]:.1%})."
        )
        if not len(self.staircase):
            return text
        return (
            f"{text} {len(self.stairs)} of {len(self.staircase)} heads and operands walk along the "
            "digits with the answer (a staircase above its shuffled control)."
        )
