"""Result of a circuit search or of scoring a circuit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from interp.heads.circuits import Circuit
from interp.heads.results.pairs import OfPairs
from interp.results.display import number, percent


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CircuitScore(OfPairs):
    """A circuit and what it is worth, on prompts that it was not chosen on.

    Args:
        nodes: the circuit; names of edges where `settings["kinds"]` is ["edge"], as below.
        ranking: every node in the order of its noising effect on the other half, with its effect
            here; every edge in the order of |score|, with its score here.
        curve: faithfulness by number of kept nodes, on the half they were chosen on and here; of
            edges also the mean over random orders, and 2.5 and 97.5 % of them.
        areas: CPR and CMD (`interp.heads.circuits.areas`) with bootstrap bounds; of edges also
            their means over random orders.
        faithfulness_low, faithfulness_high: bootstrap interval of the circuit's faithfulness.
        scores: faithfulness; that of everything but the circuit (0 for a complete one); of random
            circuits of its size; smallest loss when one of its nodes is taken out.
        stability: mean Jaccard similarity of the top nodes between bootstrap resamples, and between
            random sets.
        resampled: what the intervals resample.
    """

    analysis: ClassVar[str] = "circuit"
    notes: ClassVar[tuple[str, ...]] = (
        "that the circuit is the only one",
        "what its nodes compute",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "nodes": "nodes or edges of the circuit, a count",
        "of_nodes": "nodes or edges of the model that it was chosen from, a count",
        "faithfulness": "share of the effect that the circuit alone keeps, 1 for all",
        "without_circuit": "share that everything but the circuit keeps, 0 for a complete circuit",
        "random": "mean faithfulness of random circuits of the same size",
        "random_low": "2.5 % of random circuits lie below",
        "random_high": "2.5 % of random circuits lie above",
        "smallest_loss": "faithfulness lost without the node that matters least",
        "cpr": "area under faithfulness over sizes, at the published width (.999 is perfect)",
        "cmd": "area between faithfulness and 1, scaled likewise (0 is perfect)",
        "cpr_low": "its lower bound over prompts",
        "cpr_high": "its upper bound over prompts",
        "cpr_random": "mean CPR of random orders of the edges",
        "cmd_low": "lower bound of CMD over prompts",
        "cmd_high": "upper bound of CMD over prompts",
        "cmd_random": "mean CMD of random orders of the edges",
        "cpr_covered": "area under faithfulness over the sizes that hold a node",
        "cmd_covered": "area between faithfulness and 1 over the sizes that hold a node",
        "jaccard": "mean similarity of the top nodes between bootstrap resamples, 0 to 1",
        "jaccard_random": "the same between random sets of that size",
    }

    nodes: tuple[str, ...]
    ranking: pd.DataFrame
    curve: pd.DataFrame
    areas: Mapping[str, Any]
    faithfulness_low: float
    faithfulness_high: float
    scores: Mapping[str, Any]
    stability: Mapping[str, Any]

    def circuit(self, n_layers: int, n_heads: int) -> Circuit:
        """The circuit as a value that is saved as JSON and scored on other models."""
        assert self.model is not None
        kinds = tuple(self.settings["kinds"])
        return Circuit(
            self.model.name, self.model.hash, n_layers, n_heads, self.task, kinds, self.nodes
        )

    @property
    def what(self) -> str:
        """ "nodes" or "edges": what the circuit is made of."""
        return "edges" if list(self.settings["kinds"]) == ["edge"] else "nodes"

    @property
    def frame(self) -> pd.DataFrame:
        """The ranking, with whether a node belongs to the circuit."""
        return self.ranking.assign(kept=self.ranking["node"].isin(self.nodes))

    @property
    def metrics(self) -> dict[str, float]:
        return {
            "nodes": float(len(self.nodes)),
            "of_nodes": float(len(self.ranking)),
            **{
                name: float("nan") if value is None else float(value)
                for part in (self.scores, self.areas, self.stability)
                for name, value in part.items()
            },
        }

    @property
    def code(self) -> str:
        s = self.settings
        return self.pair_code(
            "interp.heads.circuit",
            nodes=None if s["nodes"] is None else list(s["nodes"]),
            kinds=list(s["kinds"]),
            steps=s.get("steps"),
            target=s["target"],
            metrics=s["metrics"],
        )

    def conclusion(self) -> str:
        s = self.metrics
        what = self.what
        areas = ""
        if what == "edges":
            areas = (
                f" CPR {number(s['cpr'])} ({number(s['cpr_low'])} to {number(s['cpr_high'])}; "
                f"random orders {number(s['cpr_random'])}), CMD {number(s['cmd'])} "
                f"({number(s['cmd_low'])} to {number(s['cmd_high'])}; random "
                f"{number(s['cmd_random'])})."
            )
        return (
            f"{len(self.nodes)} of {len(self.ranking)} {what} keep "
            f"{percent(s['faithfulness'])} % of the effect "
            f"({percent(self.faithfulness_low)} to {percent(self.faithfulness_high)} %), "
            f"random ones {percent(s['random'])} %, everything else "
            f"{percent(s['without_circuit'])} %. The top {what} overlap by "
            f"{number(s['jaccard'])} between resamples, random sets by "
            f"{number(s['jaccard_random'])}.{areas}"
        )
