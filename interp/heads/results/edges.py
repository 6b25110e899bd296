"""Result of scoring edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from interp.heads.results.pairs import OfPairs
from interp.results.display import number, percent


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class EdgeScores(OfPairs):
    """Scores of edges by gradients, beside random edges and exact path patching.

    Args:
        scores: one row an edge ("L1H0->L3H5.q", "L0.mlp->logits"), in the order of the ranking,
            then the random ones: mean `score` in logits with bounds on the half of the prompts that
            it was not chosen on, `chosen_on` on the other half, and the `exact` effect by path
            patching with every other node held, NaN for embeddings and MLPs as receivers.
        for_90: share of all edges that carry 90 % of Σ |score|.
        agreement: Pearson's r of scores and exact effects, and how many of the upper half by one
            are in the upper half by the other, with bounds over prompts; empty where fewer than two
            of these edges can be patched.
    """

    analysis: ClassVar[str] = "edge_scores"
    notes: ClassVar[tuple[str, ...]] = (
        "edges that a gradient misses because something saturates behind them",
        "what several edges do together",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "edges": "edges of the model, a count",
        "for_90": "share of edges that carry 90 % of all edges' |score|",
        "largest": "largest mean |score| of an edge, in logits",
        "random": "mean |score| of random edges, in logits",
        "pearson": "Pearson's r of scores and exact effects, over the edges that can be patched",
        "pearson_low": "its lower bound over prompts",
        "pearson_high": "its upper bound over prompts",
        "overlap": "share of the upper half by score that is in the upper half by exact effect",
        "overlap_low": "its lower bound over prompts",
        "overlap_high": "its upper bound over prompts",
        "overlap_random": "the overlap of a random choice",
        "checked_nodes": "edges patched exactly, a count",
        "checked_prompts": "prompts that they were patched on, a count",
    }

    scores: pd.DataFrame
    for_90: float
    agreement: Mapping[str, Any]

    @property
    def frame(self) -> pd.DataFrame:
        """The edges, as `scores`."""
        return self.scores

    @property
    def metrics(self) -> dict[str, float]:
        size, chosen = self.scores["score"].abs(), self.scores["chosen"]
        names = [name for name in self.meanings if name not in ("edges", "for_90", "largest")]
        known = {k: float("nan") if v is None else float(v) for k, v in self.agreement.items()}
        return {
            "edges": float(self.settings["edges"]),
            "for_90": self.for_90,
            "largest": float(size[chosen].max()),
            "random": float(size[~chosen].mean()),
            **{name: known.get(name, float("nan")) for name in names if name != "random"},
        }

    @property
    def code(self) -> str:
        s = self.settings
        return self.pair_code(
            "interp.heads.edges",
            top=s["top"],
            steps=s["steps"],
            direction=None if s["direction"] == "noise" else s["direction"],
        )

    def conclusion(self) -> str:
        m, first = self.metrics, self.scores.iloc[0]
        return (
            f"{first['edge']} ranks first: {number(first['score'])} logits "
            f"({number(first['score_low'])} to {number(first['score_high'])}); random edges have "
            f"{number(m['random'])} on average. {percent(self.for_90)} % of "
            f"{m['edges']:.0f} edges carry 90 % of all scores. Scores and exact effects correlate "
            f"by {number(m['pearson'])} ({number(m['pearson_low'])} to "
            f"{number(m['pearson_high'])})."
        )
