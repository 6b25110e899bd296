"""Result of a table of conditional means: variance explained by a token's own identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.ablation.results.evaluate import about_error
from interp.results.calls import asked_code
from interp.results.display import percent
from interp.results.grid import Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CamaTable(Result):
    """Conditional means of the residual stream at each role and depth (CAMA, arXiv 2509.09650):

        m̄(role, key, depth) = E over prompts x' with that key of  resid(x', role, depth)

    where the key is the role's own token, or its number's tokens so far, or nothing. The vectors
    are kept on disk; `interp.ablation.evaluate` and the other ablations read them.

    Args:
        given: the key, "token", "value" or "nothing".
        exact: True if the table uses all prompts of the task.
        own_share: Grid over `role` and `depth` (layers passed): the share of the state's variance
            between prompts that the key explains, in a sample corrected for the number of keys
            (ε², at least 0); 1 means that the state depends on the key alone. NaN where the state
            never varies or each key has one prompt; 0 by construction for a single key.
        error: Grid over `role` and `depth`: the largest standard error of a key's mean, as a share
            of the root-mean-square spread between the keys' means: at 1 sampling error separates
            means as far as keys do. 0 for an exact table, NaN where a key occurs once or the role
            has one key.
        values: columns `role`, `values` (number of keys), `fewest` (prompts behind the rarest),
            `positions` (positions of the role; each key belongs to one).
    """

    analysis: ClassVar[str] = "cama_table"
    notes: ClassVar[tuple[str, ...]] = (
        "that the mean of states is a state that the model ever has",
        "what the model would do with it: a mean can lie where nothing reads",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "values": "keys over all roles, a count",
        "fewest": "prompts behind the mean of the rarest key, a count",
        "largest_error": "largest standard error of a key's mean, as a share of the spread between "
        "the keys' means",
        "lowest_own_share": "lowest share of a state's variance that its own key explains, over "
        "depths and roles with several keys, 0 to 1",
    }

    given: str
    exact: bool
    own_share: Grid
    error: Grid
    values: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each role and depth: `own_share`, `error`."""
        errors = self.error.frame("error").drop(columns=["role", "depth"])
        return self.own_share.frame("own_share").join(errors)

    @property
    def metrics(self) -> dict[str, float]:
        """values (total number of keys), fewest (prompts behind the rarest), largest_error (NaN if
        any key's is unknown), and lowest_own_share over depths and the roles with several keys."""
        return {
            "values": float(self.values["values"].sum()),
            "fewest": float(self.values["fewest"].min()),
            "largest_error": self._largest_error,
            "lowest_own_share": self._lowest[2],
        }

    @property
    def _largest_error(self) -> float:
        """The largest error over the roles with several keys; NaN if one is unknown."""
        if self.exact:
            return 0.0
        found = self.error.values[self._varied]
        return float(np.max(found)) if len(found) else float("nan")

    @property
    def _varied(self) -> npt.NDArray[np.bool_]:
        """True for roles with several keys, bool [roles]."""
        keys, positions = self.values["values"], self.values.get("positions", 1)
        varied = dict(zip(self.values["role"], keys > positions, strict=True))
        roles = self.own_share.axis("role").labels
        return np.array([varied.get(role, False) for role in roles], dtype=bool)

    @property
    def _lowest(self) -> tuple[str, str, float]:
        """Role, depth and share where the key explains least, among roles with several keys: a
        key that never varies explains nothing in any model."""
        roles, depths = self.own_share.axes
        share = np.where(self._varied[:, None], self.own_share.values, np.nan)
        if np.isnan(share).all():
            return "", "", float("nan")
        role, depth = np.unravel_index(np.nanargmin(share), share.shape)
        return roles.labels[role], depths.labels[depth], float(share[role, depth])

    @property
    def code(self) -> str:
        options = {name: self.settings.get(name) for name in ("format", "given")}
        return asked_code(
            self.model, self.settings, "interp.ablation.cama", **options, seed=self.seed
        )

    def conclusion(self) -> str | None:
        role, depth, share = self._lowest
        if np.isnan(share):
            return None
        return (
            f"The state depends least on its own {self.given} at {role} after {depth} layers: "
            f"{percent(share)} % of its variance ({self._error(role, depth)})."
        )

    def _error(self, role: str, depth: str) -> str:
        if self.exact:
            return "exact, over all problems"
        error = float(self.error.at(role=role, depth=depth))  # type: ignore[arg-type]
        if np.isnan(error):
            return "the error of some means is unknown: their keys were seen once"
        return about_error(error)
