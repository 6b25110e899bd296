"""Result of ranking MLP neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from interp.heads.results.pairs import OfPairs
from interp.results.display import number, percent
from interp.results.grid import Grid


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NeuronEffects(OfPairs):
    """Exact patching effects of the neurons that gradients rank highest, beside random ones.

    Further figures: "directions" (cosines with number tokens, by layer).

    Args:
        effects: one row a neuron ("L3N17"), in the order of the ranking, then the random ones:
            `chosen`, mean `estimate` and `exact` effect in logits, with bounds, on the half of the
            prompts that they were not chosen on. Positive where the neuron carries the answer.
        together: effect of patching that many neurons at once: the first of the ranking with
            bounds, random ones (mean and 95 % of 10 draws), and in the last row every neuron.
        total: what changing the whole prompt does, in logits.
        agreement: Pearson's r of estimates and exact effects over these neurons, and how many of
            the `top` by one are among the `top` by the other, each with bounds over prompts.
        cosine: mean cosine of what an MLP reads ("input") and writes ("output") with the direction
            of the answer's token and of the operands' tokens in its column; axes `side`, `token`,
            `layer`, `answer_digit` (`interp.heads.number_directions`), over all prompts.
        random: the same for random directions: mean, and the middle 95 % of 200 draws.
    """

    analysis: ClassVar[str] = "neuron_effects"
    notes: ClassVar[tuple[str, ...]] = (
        "neurons that a gradient misses because they are saturated",
        "what a neuron computes",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "neurons": "neurons of the model, a count",
        "chosen": "mean exact effect of the chosen neurons, in logits",
        "random": "mean exact effect of as many random neurons, in logits",
        "together": "effect of patching the chosen neurons at once, as a share of the whole "
        "prompt's",
        "together_random": "the same for random neurons",
        "all_neurons": "the same for every neuron",
        "pearson": "Pearson's r of estimated and exact mean effects, chosen and random neurons",
        "pearson_low": "its lower bound over prompts",
        "pearson_high": "its upper bound over prompts",
        "overlap": "share of the top half by estimate that is in the top half by exact effect",
        "overlap_low": "its lower bound over prompts",
        "overlap_high": "its upper bound over prompts",
        "overlap_random": "the overlap of a random choice",
        "largest_cosine": "largest mean cosine of an MLP's output with the answer's token",
        "largest_cosine_random": "97.5 % of random directions lie below, in that layer",
    }

    effects: pd.DataFrame
    together: pd.DataFrame
    total: float
    agreement: Mapping[str, Any]
    cosine: Grid
    random: Grid

    @property
    def frame(self) -> pd.DataFrame:
        """The neurons, as `effects`."""
        return self.effects

    @property
    def metrics(self) -> dict[str, float]:
        table, sets = self.effects, self.together
        a = {k: float("nan") if v is None else float(v) for k, v in self.agreement.items()}
        top, every = sets.iloc[-2], sets.iloc[-1]
        cosine, beside, _ = self.strongest
        return {
            "neurons": float(every["neurons"]),
            "chosen": float(table.loc[table["chosen"], "exact"].mean()),
            "random": float(table.loc[~table["chosen"], "exact"].mean()),
            "together": float(top["effect"]) / self.total,
            "together_random": float(top["random"]) / self.total,
            "all_neurons": float(every["effect"]) / self.total,
            **{k: v for k, v in a.items() if not k.startswith("checked")},
            "largest_cosine": cosine,
            "largest_cosine_random": beside,
        }

    @property
    def strongest(self) -> tuple[float, float, str]:
        """Largest mean cosine of an output with the answer's token, the random bound there, and
        "layer L for c1"."""
        own = self.cosine.at(side="output", token="answer")
        beside = self.random.at(side="output", token="answer")
        assert isinstance(own, Grid) and isinstance(beside, Grid) and beside.high is not None
        at = np.unravel_index(int(np.nanargmax(own.values)), own.shape)
        where = f"layer {own.axes[0].labels[at[0]]} for {own.axes[1].labels[at[1]]}"
        return float(own.values[at]), float(beside.high[at]), where

    @property
    def code(self) -> str:
        s = self.settings
        return self.pair_code(
            "interp.heads.neurons",
            top=s["top"],
            steps=s["steps"],
            direction=None if s["direction"] == "noise" else s["direction"],
        )

    def conclusion(self) -> str:
        m, top, first = self.metrics, self.together.iloc[-2], self.effects.iloc[0]
        cosine, beside, where = self.strongest
        return (
            f"{int(top['neurons'])} of {m['neurons']:.0f} neurons, patched at once, carry "
            f"{percent(m['together'])} % of the effect of the whole prompt "
            f"({percent(top['effect_low'] / self.total)} to "
            f"{percent(top['effect_high'] / self.total)} %), random ones "
            f"{percent(m['together_random'])} %, all neurons "
            f"{percent(m['all_neurons'])} %. {first['neuron']} ranks first: "
            f"{number(first['exact'])} logits. Estimates and exact effects correlate by "
            f"{number(m['pearson'])} ({number(m['pearson_low'])} to {number(m['pearson_high'])}). "
            f"MLP outputs point most to the answer's token in {where}: cosine {number(cosine)}, "
            f"random directions below {number(beside)}."
        )
