"""What a token's own identity says of its state: the table that waiting tokens are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.results.calls import call, model_code
from interp.results.display import number
from interp.results.grid import Grid
from interp.results.result import Result

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CamaTable(Result):
    """Conditional means of the residual stream at each role and depth (CAMA, arXiv 2509.09650):

        m̄(role, key, depth) = E over prompts x' with that key of  resid(x', role, depth)

    where the key is the role's own token, or its number's tokens so far, or nothing. The vectors
    themselves are kept on disk and used by `interp.ablation.evaluate` and its like.

    Args:
        given: the key, "token", "value" or "nothing".
        exact: whether the prompts are all that the task has.
        own_share: Grid over `role` and `depth` (layers passed): the share of the state's variance
            between prompts that the key explains; 1 means that the role knows nothing else yet,
            NaN that its state never varies.
        error: Grid over the same: the largest standard error of a mean over the keys, as a share
            of the means' size. 0 where the table is exact.
        values: columns `role`, `values` (how many keys), `fewest` (prompts behind the rarest).
    """

    analysis: ClassVar[str] = "cama_table"
    notes: ClassVar[tuple[str, ...]] = (
        "that the mean of states is a state that the model ever has",
        "what the model would do with it: a mean can lie where nothing reads",
    )

    given: str
    exact: bool
    own_share: Grid
    error: Grid
    values: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """One row a role and depth: `own_share`, `error`."""
        errors = self.error.frame("error").drop(columns=["role", "depth"])
        return self.own_share.frame("own_share").join(errors)

    @property
    def metrics(self) -> dict[str, float]:
        """values (keys in all), fewest (prompts behind the rarest), largest_error, and
        lowest_own_share over roles and depths."""
        return {
            "values": float(self.values["values"].sum()),
            "fewest": float(self.values["fewest"].min()),
            "largest_error": _known(self.error.values, np.max),
            "lowest_own_share": _known(self.own_share.values, np.min),
        }

    @property
    def code(self) -> str:
        options = {name: self.settings.get(name) for name in ("format", "given", "n")}
        problems = self.settings["problems"]
        last = call("interp.ablation.cama", "model", problems, **options, seed=self.seed)
        return model_code(self.model, {}, last)

    def conclusion(self) -> str | None:
        share = self.own_share.values
        if np.isnan(share).all():
            return None
        role, depth = np.unravel_index(np.nanargmin(share), share.shape)
        roles, depths = self.own_share.axes
        return (
            f"The state depends least on its own {self.given} at {roles.labels[role]} after "
            f"{depths.labels[depth]} layers: "
            f"{number(100 * float(share[role, depth]))} % of its variance."
        )


def _known(values: Floats, of: Callable[[Floats], Any]) -> float:
    known = values[np.isfinite(values)]
    return float(of(known)) if known.size else float("nan")
