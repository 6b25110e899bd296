"""Grids of measures over many schedules, and table rows of scores, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from interp.ablation.answers import Answers
from interp.ablation.results.evaluate import AblationScore, share_interval
from interp.ablation.setting import Setting
from interp.results.intervals import mean_interval, ratio_interval

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Estimate = tuple[Floats, Floats, Floats]  # value, low, high

# The columns of a score in a table of several; `low` and `high` bound the faithfulness.
_BOUNDED = ("logit_difference", "kl")
MEASURES = (
    "faithfulness", "low", "high",
    *(f"{name}{end}" for name in _BOUNDED for end in ("", "_low", "_high")),
    "table_error",
)  # fmt: skip


def measures(score: AblationScore) -> dict[str, float]:
    """A score as a row's `MEASURES`."""
    found = score.metrics
    bounds = {"low": found["faithfulness_low"], "high": found["faithfulness_high"]}
    return {name: bounds[name] if name in bounds else found[name] for name in MEASURES}


def faithfulness(setting: Setting, right: Bools, answers: Sequence[Answers]) -> Estimate:
    """Faithfulness of each run, on the prompts that the full model gets right: [runs] with bounds;
    NaN without such prompts."""
    kept = np.stack([found.all_right[right] for found in answers], axis=1)
    low, high = share_interval(kept, setting.groups[right], seed=setting.seed)
    mean = kept.mean(axis=0) if len(kept) else np.full(len(answers), np.nan)
    return mean, low, high


def logit_difference(
    setting: Setting, full: Answers, answers: Sequence[Answers], *, bounds: bool = True
) -> Estimate:
    """The normalised logit difference of each run on all prompts, [runs] with bounds; the bounds
    are NaN where the interval of the full model's own is not above 0: no share is then defined."""
    base = full.mean_difference
    means = np.array([found.mean_difference.mean() for found in answers])
    values = means / base.mean() if base.mean() else np.full(len(means), np.nan)
    groups = setting.groups
    if not bounds or not mean_interval(base, groups, seed=setting.seed).low > 0:
        nothing = np.full_like(values, np.nan)
        return values, nothing, nothing
    ends = [
        ratio_interval(found.mean_difference, base, groups, seed=setting.seed, resamples=200)
        for found in answers
    ]
    low, high = (np.array([float(end[i]) for end in ends]) for i in (0, 1))
    return values, low, high


def token_faithfulness(setting: Setting, full: Answers, answers: Sequence[Answers]) -> Estimate:
    """Faithfulness by answer token, on the prompts where the full model has that token right:
    [roles, runs] with bounds; NaN without such prompts."""
    right = full.right == 1  # [n, roles]
    kept = np.stack([found.right == 1 for found in answers], axis=-1)  # [n, roles, runs]
    out = np.full((3, *kept.shape[1:]), np.nan)
    for role in np.flatnonzero(right.any(axis=0)):
        here = kept[right[:, role], role]
        bounds = share_interval(here, setting.groups[right[:, role]], seed=setting.seed)
        out[:, role] = here.mean(axis=0), *bounds
    return out[0], out[1], out[2]
