"""Result of the tokenisation report: token splits of numbers, and token roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from interp.results.calls import asked_code
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TokenisationReport(Result):
    """Tokens of one example with their roles, and the splits of numbers of each length.

    Args:
        format: the prompt format's name.
        example: columns `position`, `token` (its text), `id`, `role` ('' if none).
        packing: columns `number` ("a", "b", "c"), `digits` (its length), `pattern` (digits in each
            token in order of print, "1+1+3"), `n` (prompts).
        moving_roles: roles whose position differs between the prompts.
        tokens_min, tokens_max: length of the prompts in tokens.
        bos: text of the token put before every prompt; None if there is none.
    """

    analysis: ClassVar[str] = "tokenisation"
    meanings: ClassVar[Mapping[str, str]] = {
        "max_digits_per_token": "most digits that one token holds, a count",
        "moving_roles": "roles whose position differs from prompt to prompt, a count",
        "tokens_min": "tokens of the shortest prompt, a count",
        "tokens_max": "tokens of the longest prompt, a count",
    }
    notes: ClassVar[tuple[str, ...]] = ("how other lengths or formats are cut",)

    format: str
    example: pd.DataFrame
    packing: pd.DataFrame
    moving_roles: tuple[str, ...]
    tokens_min: int
    tokens_max: int
    bos: str | None

    @property
    def frame(self) -> pd.DataFrame:
        return self.example

    @property
    def metrics(self) -> dict[str, float]:
        packed = [int(width) for pattern in self.packing["pattern"] for width in pattern.split("+")]
        return {
            "max_digits_per_token": float(max(packed, default=0)),
            "moving_roles": float(len(self.moving_roles)),
            "tokens_min": float(self.tokens_min),
            "tokens_max": float(self.tokens_max),
        }

    @property
    def code(self) -> str:
        function = "interp.models.tokenisation_report"
        return asked_code(
            self.model, self.settings, function, format=self.format, seed=self.settings.get("seed")
        )
