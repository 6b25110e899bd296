"""Planted models on a fresh seed: a new one at every run, unless PLANTED_SEED says which.

`PLANTED_SEEDS=20` proves everything on twenty, as `bench.proofs.planted` does.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems
from interp.planted.key import AnswerKey
from interp.planted.mechanisms import kinds
from interp.planted.planted import build

FIRST_SEED = int(os.environ.get("PLANTED_SEED") or secrets.randbelow(2**31))
SEEDS = tuple(range(FIRST_SEED, FIRST_SEED + int(os.environ.get("PLANTED_SEEDS", "1"))))
# `careless` errs; a head of `lookahead` matters only where a carry travels (`carry_proofs`).
SOUND = tuple(kind for kind in kinds() if kind not in ("careless", "lookahead"))
CASES = tuple((kind, seed) for kind in SOUND for seed in SEEDS)
_ROWS = 20


@dataclass(frozen=True)
class Subject:
    """A planted model in float64, the key, and problems from the mechanism's domain."""

    key: AnswerKey
    model: Any
    problems: Problems

    @cached_property
    def batch(self) -> Any:
        return self.model.prompts(self.problems)

    @cached_property
    def others(self) -> Problems:
        return self.key.task.sample(len(self.problems), seed=self.key.program.seed + 1)

    def share(self) -> float:
        """How nearly model and key agree: a Llama takes norms and softmax in float32."""
        return 1e-8 if self.key.program.family == "gpt2" else 1e-4

    def assert_close(self, got: Any, want: npt.ArrayLike, what: str) -> None:
        """Equal up to `share` of the largest number, and at least of the logit scale."""
        got, want = np.asarray(got, dtype=float), np.asarray(want, dtype=float)
        assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
        assert np.array_equal(np.isnan(got), np.isnan(want)), f"{what}: other cells are empty"
        largest = max(float(np.nanmax(np.abs(want), initial=0.0)), self.key.logit_scale)
        off = float(np.nanmax(np.abs(got - want), initial=0.0))
        assert off <= self.share() * largest, f"{what}: off by {off:.3g}"


@cache
def subject(kind: str, seed: int, **options: Any) -> Subject:
    planted = build(kind, seed=seed, **options)
    key = planted.key
    drawn = key.task.sample(_ROWS, seed=seed)
    return Subject(key, planted.model(dtype="float64"), drawn)
