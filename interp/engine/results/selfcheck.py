"""Result of the self-check: agreement with the plain module, and usable sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.calls import model_code
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SelfCheck(Result):
    """Self-check at load: agreement of engine and plain module, and the effect of each site.

    Args:
        sites: columns `site`, `usable` (bool), `change` (largest |Δlogit| of an edit there, over
            the largest |logit|; inside a sublayer that no logit depends on, the same for its
            output), `reason` (why it is not usable, '' if it is).
        difference: largest |engine − plain module| over the largest |logit|.
        tolerance: largest difference that counts as equal.
    """

    analysis: ClassVar[str] = "selfcheck"
    notes: ClassVar[tuple[str, ...]] = (
        "that an edit moves the logits as theory says it should, only that it moves them",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "difference": "largest |engine − plain module|, as a share of the largest |logit|",
        "equal": "1 where that difference is within the tolerance, else 0",
        "sites": "activation sites, a count",
        "usable_sites": "sites where an edit takes effect, a count",
    }

    sites: pd.DataFrame
    difference: float
    tolerance: float

    @property
    def equal(self) -> bool:
        """True if the engine's logits equal the plain module's."""
        return self.difference <= self.tolerance

    @property
    def frame(self) -> pd.DataFrame:
        return self.sites

    @property
    def metrics(self) -> dict[str, float]:
        usable = self.sites["usable"].astype(bool)
        return {
            "difference": self.difference,
            "equal": float(self.equal),
            "sites": float(len(usable)),
            "usable_sites": float(usable.sum()),
        }

    @property
    def code(self) -> str:
        return model_code(self.model, {}, "interp.engine.selfcheck(model)")
