"""Result of the modular-addition suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.results.calls import Expression, call, model_code
from interp.results.display import number, percent
from interp.results.result import Result

PUBLISHED = pd.DataFrame(
    [
        ("neurons_one_frequency", 0.846, "2301.05217"),
        ("neurons_one_frequency", 0.361, "its repository's run with weight decay 0.1"),
        ("neurons_one_frequency", 0.791, "its low-precision run"),
        ("logits_explained_all", 0.95, "2301.05217"),
        ("logits_explained_all", 0.9756, "its repository's run with weight decay 0.1"),
        ("logits_explained_all", 0.9685, "2302.03025, seed 1"),
        ("logits_explained_all", 0.9670, "2302.03025, seed 2"),
        ("logits_explained_all", 0.9521, "2302.03025, seed 3"),
        ("logits_explained_all", 0.9793, "2302.03025, seed 4"),
        ("distance_irrelevance", 0.8483, "2306.17844, model B (Clock)"),
        ("distance_irrelevance", 0.1717, "2306.17844, model A (Pizza)"),
        ("gradient_symmetricity", 0.3336, "2306.17844, model B (Clock)"),
        ("gradient_symmetricity", 0.9937, "2306.17844, model A (Pizza)"),
        ("circularity", 0.9989, "2306.17844, model B (Clock)"),
        ("circularity", 0.9978, "2306.17844, model A (Pizza)"),
    ],
    columns=["measure", "published", "source"],
)
"""Numbers of other people's models, for the figure; none of these models ships here."""

SYMMETRIC, IRRELEVANT = 0.98, 0.6  # a Pizza lies above the first and below the second
FORCED = 0.95  # symmetricity with random embeddings above which the architecture explains it


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModularAnalysis(Result):
    """Key frequencies, neuron clusters, losses and algorithm of a modular adder, over all pairs.

    Further figures: "neurons" (best frequency of each neuron), "pairs" (2-D transform over all
    pairs), "correct" (the right answer's logit by a + b and a − b), "losses", "published".

    Args:
        keys: key frequencies that shares and losses use, strongest first.
        rules: rule, frequency, strength, threshold, kept (`interp.geometry.key_frequencies`).
        neurons: neuron, frequency (−1: constant), explained (share of its variance).
        losses: where ("logits", "neurons", "characters"; `interp.geometry.losses`), measure
            ("full", "restricted", "excluded"), frequencies, split, bias_correction, loss in nats.
        measures: measure, value, error (standard error), chance (what the control gives), n.
        correct: the right answer's logit [s = a + b, d = a − b].
        pairs: object ("logits", "neurons"), a, b (frequencies, 0: constant), share of its variance
            over all pairs, from the 2-D transform (`interp.geometry.spectra.dft2` has the
            coefficients themselves).
    """

    analysis: ClassVar[str] = "modular_analysis"
    notes: ClassVar[tuple[str, ...]] = (
        "that the waves are how it adds beyond what excluded and restricted loss test",
        "Clock or Pizza on its own: constant attention forces a symmetricity near 1, and logits "
        "without structure have distance irrelevance 1",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "modulus": "p, the modulus of the sums",
        "key_frequencies": "key frequencies under the chosen rule, a count",
        "accuracy": "share of all pairs answered rightly",
        "logits_explained": "share of the logits' variance (centred over answers) along "
        "cos(w(a + b − c)) of the key frequencies",
        "logits_explained_all": "the same along the waves of every frequency",
        "embedding_explained": "share of the token embeddings' variance at the key frequencies",
        "unembedding_explained": "share of the variance of W_U W_out at the key frequencies",
        "neurons_one_frequency": "share of neurons with over 85 % of their variance explained by "
        "one frequency",
        "neurons_dead": "share of neurons that are constant over all pairs",
        "neurons_explained": "share of the neurons' variance along waves of a, b and a + b, key "
        "frequencies",
        "neurons_explained_shuffled": "control: the best frequency of the best of at most 128 "
        "neurons, pairs in random order",
        "logits_same_frequency": "share of the logits' variance over all pairs with one frequency "
        "in a and b, as waves of a + b and a − b have; white noise: about 2/p",
        "neurons_same_frequency": "the same of the neurons",
        "loss": "cross-entropy over all pairs, nats",
        "restricted_loss": "loss of the key waves alone, at the logits, nats",
        "excluded_loss": "loss without the key waves, at the logits, nats",
        "restricted_loss_neurons": "loss of the key waves alone, at the neurons, nats",
        "excluded_loss_neurons": "loss without the key waves, at the neurons, nats",
        "restricted_loss_characters": "loss of cos(w(a + b − c)), key frequencies alone, nats",
        "excluded_loss_characters": "loss of the logits without them, nats",
        "distance_irrelevance": "mean over a − b of the spread over a + b of the right logit, over "
        "the whole spread",
        "gradient_symmetricity": "mean cosine of the gradients at the two operands",
        "gradient_symmetricity_error": "its standard error",
        "gradient_symmetricity_random": "the same with random embeddings: what the architecture "
        "forces",
        "circularity": "mean share of the best frequency of the first four principal components "
        "of the embeddings",
    }

    keys: tuple[int, ...]
    rules: pd.DataFrame
    neurons: pd.DataFrame
    losses: pd.DataFrame
    measures: pd.DataFrame
    correct: npt.NDArray[np.float64]
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def frame(self) -> pd.DataFrame:
        """One row a measure and loss: kind, name, value, error, chance."""
        one = self.measures.rename(columns={"measure": "name"}).assign(kind="measure")
        two = self.losses.assign(
            kind="loss",
            name=self.losses["measure"] + " at the " + self.losses["where"],
            value=self.losses["loss"],
            detail=self.losses["frequencies"] + " · " + self.losses["split"],
        )
        return pd.concat([one, two], ignore_index=True)[
            ["kind", "name", "detail", "value", "error", "chance", "n"]
        ]

    @property
    def margins(self) -> pd.DataFrame:
        """One row a rule: keys, threshold, last_kept, first_dropped, margin (their quotient)."""
        rows = []
        for rule, own in self.rules.groupby("rule", sort=False):
            kept, dropped = own[own["kept"]], own[~own["kept"]]
            last, first = kept["strength"].min(), dropped["strength"].max()
            none = not len(kept) or not len(dropped)
            rows.append(
                {
                    "rule": rule,
                    "keys": " ".join(map(str, sorted(kept["frequency"]))),
                    "threshold": float(own["threshold"].iloc[0]),
                    "last_kept": float(last) if len(kept) else np.nan,
                    "first_dropped": float(first) if len(dropped) else np.nan,
                    "margin": np.nan if none else np.inf if first <= 0 else float(last / first),
                }
            )
        return pd.DataFrame(rows)

    def value(self, measure: str) -> float:
        """The value of a measure; NaN where it was not taken."""
        own = self.measures[self.measures["measure"] == measure]["value"]
        return float(own.iloc[0]) if len(own) else float("nan")

    def loss(self, measure: str, where: str = "logits") -> float:
        """The loss with all key frequencies at once; NaN where it was not taken."""
        together = " ".join(map(str, sorted(self.keys)))
        own = self.losses[(self.losses["measure"] == measure) & (self.losses["where"] == where)]
        if measure == "full":
            own = own[own["split"] == "all"]
        else:
            own = own[own["frequencies"] == together]
        return float(own["loss"].iloc[0]) if len(own) else float("nan")

    @property
    def metrics(self) -> dict[str, float]:
        """See `meanings`."""
        symmetry = self.measures[self.measures["measure"] == "gradient_symmetricity"].iloc[0]
        taken = {row.measure: float(row.value) for row in self.measures.itertuples()}
        if len(self.pairs):
            same = self.pairs[self.pairs["a"] == self.pairs["b"]].groupby("object")["share"].sum()
            taken |= {f"{name}_same_frequency": float(share) for name, share in same.items()}
        return {
            "modulus": float(self.settings["modulus"]),
            "key_frequencies": float(len(self.keys)),
            **taken,
            "gradient_symmetricity_error": float(symmetry["error"]),
            "gradient_symmetricity_random": float(symmetry["chance"]),
            "loss": self.loss("full"),
            "restricted_loss": self.loss("restricted"),
            "excluded_loss": self.loss("excluded"),
            "restricted_loss_neurons": self.loss("restricted", "neurons"),
            "excluded_loss_neurons": self.loss("excluded", "neurons"),
            "restricted_loss_characters": self.loss("restricted", "characters"),
            "excluded_loss_characters": self.loss("excluded", "characters"),
        }

    @property
    def interval(self) -> str:
        return "every pair, no sample"

    @property
    def code(self) -> str:
        s = self.settings
        own = {"modulus": s["modulus"], "layer": s["layer"]}
        own["keys"] = None if s["keys"] == "logits" else _plain(s["keys"])
        own["train"] = Expression("train") if s["train"] == "given" else None
        names = ("split", "bias_correction", "frequencies")
        own |= {name: s[name] for name in names}
        own["precision"] = None if s["precision"] == "float64" else s["precision"]
        given = s["triples"] == "given"
        own["triples"] = Expression("triples") if given else s["triples"]
        last = call("interp.geometry.modular", "model", **own, seed=self.seed, format=s["format"])
        return model_code(self.model, {"starting_with": s["starting_with"]}, last)

    @property
    def algorithm(self) -> str:
        """ "Pizza", "Clock", "undecided" or "forced": the architecture alone explains the symmetry.

        The paper's thresholds, and symmetricity with random embeddings as the control.
        """
        symmetry = self.metrics["gradient_symmetricity"]
        if self.metrics["gradient_symmetricity_random"] > FORCED and symmetry > FORCED:
            return "forced"
        irrelevance = self.value("distance_irrelevance")
        if symmetry > SYMMETRIC and irrelevance < IRRELEVANT:
            return "Pizza"
        if symmetry < SYMMETRIC and irrelevance > IRRELEVANT:
            return "Clock"
        return "undecided"

    def conclusion(self) -> str:
        if not self.keys:
            return (
                "No key frequency under this rule: the logits have no wave of a + b − c "
                f"(they explain {percent(self.value('logits_explained_all'))} % of them)."
            )
        keys = ", ".join(map(str, sorted(self.keys)))
        told = (
            f"Key frequencies {keys}: their waves explain "
            f"{percent(self.value('logits_explained'))} % of the logits; alone they have loss "
            f"{number(self.loss('restricted'))}, without them it is "
            f"{number(self.loss('excluded'))} (full: {number(self.loss('full'))} nats)."
        )
        said = {
            "Pizza": " By the published thresholds a Pizza.",
            "Clock": " By the published thresholds nearer to a Clock.",
            "forced": " Clock or Pizza is open: random embeddings are as symmetric.",
            "undecided": " Neither Clock nor Pizza by the published thresholds.",
        }
        return told + said[self.algorithm]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else [int(k) for k in value]
