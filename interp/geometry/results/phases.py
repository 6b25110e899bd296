"""Result of the phases of learning modular addition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from interp.results.calls import Expression, call, model_code
from interp.results.display import number
from interp.results.result import Result

STILL_HIGH, FALLEN = 0.5, 0.1  # shares of the largest test loss that bound the clean-up


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModularPhases(Result):
    """Losses, Fourier measures and the three phases by training step.

    memorisation     until the excluded loss is smallest: what is learnt needs no key wave
    circuit          until the test loss has left half of its maximum for good
    clean-up         until it is below 10 % of its maximum

    Args:
        keys: the finished model's key frequencies, used at every step.
        steps: step, train_loss, test_loss, restricted_loss (all pairs, bias corrected),
            excluded_loss (training pairs), train_accuracy, test_accuracy, logits_explained,
            neurons_one_frequency, gini_embedding, gini_unembedding, squared_weights.
    """

    analysis: ClassVar[str] = "modular_phases"
    notes: ClassVar[tuple[str, ...]] = (
        "what causes a phase",
        "the exact step: a phase ends at a checkpoint, and there are few",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "memorised": "step of the smallest excluded loss: the end of memorisation",
        "circuit": "last step with a test loss of at least half of its maximum",
        "cleaned_up": "first later step with a test loss below 10 % of its maximum (NaN: none)",
        "checkpoints": "number of checkpoints measured",
        "final_test_loss": "loss on pairs not trained on, last checkpoint, nats",
        "final_restricted_loss": "loss of the key waves alone, last checkpoint, nats",
        "final_excluded_loss": "loss without the key waves on training pairs, last checkpoint, "
        "nats",
    }

    keys: tuple[int, ...]
    steps: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """One row a checkpoint."""
        return self.steps

    @property
    def metrics(self) -> dict[str, float]:
        """See `meanings`."""
        first, second, third = self.bounds
        last = self.steps.iloc[-1]
        return {
            "memorised": first,
            "circuit": second,
            "cleaned_up": third,
            "checkpoints": float(len(self.steps)),
            "final_test_loss": float(last["test_loss"]),
            "final_restricted_loss": float(last["restricted_loss"]),
            "final_excluded_loss": float(last["excluded_loss"]),
        }

    @property
    def bounds(self) -> tuple[float, float, float]:
        """Steps at which memorisation, circuit formation and clean-up end; NaN where unreached."""
        table = self.steps
        step = table["step"].to_numpy(float)
        first = int(table["excluded_loss"].to_numpy().argmin())
        test = table["test_loss"].to_numpy(float)
        high = np.flatnonzero(test >= STILL_HIGH * test.max())
        second = max(int(high[-1]), first)
        low = np.flatnonzero((test < FALLEN * test.max()) & (np.arange(len(test)) > second))
        return step[first], step[second], float(step[low[0]]) if len(low) else float("nan")

    @property
    def interval(self) -> str:
        return "every pair, no sample; one training run"

    @property
    def code(self) -> str:
        s = self.settings
        own: dict[str, Any] = {"modulus": s["modulus"], "layer": s["layer"]}
        if s["keys"] != "logits":
            own["keys"] = s["keys"] if isinstance(s["keys"], str) else [int(k) for k in s["keys"]]
        own["train"] = Expression("train") if s["train"] == "given" else None
        own["precision"] = None if s["precision"] == "float64" else s["precision"]
        own["steps"] = None if s["steps"] is None else [int(step) for step in s["steps"]]
        last = call("interp.geometry.phases", "model", **own, format=s["format"], seed=self.seed)
        return model_code(self.model, {"starting_with": s["starting_with"]}, last)

    def conclusion(self) -> str:
        first, second, third = self.bounds
        done = f"at step {number(third)}" if third == third else "after the last checkpoint"
        return (
            f"Memorisation ends at step {number(first)} (smallest excluded loss), the circuit "
            f"forms until step {number(second)}, and the test loss is below 10 % of its maximum "
            f"{done}."
        )
