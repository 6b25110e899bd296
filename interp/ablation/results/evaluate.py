"""Result of one ablated run: faithfulness of a model's answers under a schedule.

Faithfulness is the accuracy of the ablated run on the prompts that the full model gets right
(arXiv 2509.09650). A constant answer is also faithful on the prompts where it is right, so every
faithfulness is reported with that of the best constant answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.ablation.results.margin import few_right, margin_left
from interp.ablation.results.masks import masks_code, masks_text
from interp.results.calls import asked_code, call
from interp.results.display import percent
from interp.results.intervals import Interval, mean_interval, ratio_interval, wilson
from interp.results.result import MIN_DISTINCT, Result

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BESIDE: Mapping[str, str] = {
    "constant": "faithfulness of the best constant answer: the share of rightly answered prompts "
    "that "
    "the commonest answer is right for, 0 to 1",
    "base_accuracy": "share of prompts that the full model answers rightly, 0 to 1",
    "n_right": "prompts that the full model answers rightly, a count",
    "n_right_distinct": "distinct prompts among those, a count",
    "table_error": "largest standard error of a replacement mean, as a share of the spread between "
    "the keys' means",
}
"""Metric → meaning, for what every faithfulness stands beside."""

INTERVAL = "95 % intervals, the wider of Wilson's and a bootstrap over"


def share_interval(kept: Bools, group: npt.NDArray[np.int64], *, seed: int) -> Interval:
    """Interval of a share of prompts, [n, …] → […]: the wider of Wilson's and a bootstrap over
    groups. Wilson's ignores shared operands; the bootstrap has zero width where all prompts agree.
    """
    n = len(kept)
    shape = kept.shape[1:]
    if n == 0:
        return Interval(np.full(shape, np.nan), np.full(shape, np.nan))
    score = wilson(kept.sum(axis=0), n)
    resampled = mean_interval(kept.astype(float), group, seed=seed)
    low, high = np.fmin(score.low, resampled.low), np.fmax(score.high, resampled.high)
    return Interval(np.asarray(low), np.asarray(high))


def schedule_code(spec: Mapping[str, Any]) -> str:
    """The call that rebuilds a schedule from its `spec()`."""
    given = {name: value for name, value in spec.items() if value not in ((), None, 0)}
    given = {
        name: value
        for name, value in given.items()
        if (name, value) not in (("transfer_mask", "full-peek"), ("compute_mask", "self-peek"))
    }
    return call("interp.ablation.Schedule", **given)


def about_sink(differs: bool, of: str = "") -> str:
    """The warning that the sink differs between prompts, else ""; `of` names the prompts concerned
    if not all."""
    if not differs:
        return ""
    return (
        f" The sink differs between prompts{of}, and every token sees it: begin them alike with "
        "model.starting_with to leave that out."
    )


def about_error(error: float) -> str:
    """The standard error of the replacement means as text, for a sentence or caption."""
    if np.isnan(error):
        return "the error of some means is unknown"
    told = f"up to {percent(error)} % of the spread between keys' means" if error else "none"
    return f"standard errors of the means: {told}"


def error_of(settings: Mapping[str, Any]) -> float:
    """`table_error`, NaN without a table or if the error is unknown."""
    error = settings.get("table_error")
    return float("nan") if error is None else float(error)


def about_replacement(settings: Mapping[str, Any]) -> str:
    """The replacement and the sink as text, for a caption."""
    told = f"replacement: {settings['replacement']}"
    if "table_error" in settings:
        told += f" ({about_error(error_of(settings))})"
    return f"{told}{_given_less(settings)}, sink: {settings['sink']}{_other_sinks(settings)}"


def _given_less(settings: Mapping[str, Any]) -> str:
    """The number of tokens conditioned on less than their key, as text for a caption."""
    count = sum((settings.get("given_less") or {}).values())
    tokens = "1 token" if count == 1 else f"{count:,} tokens"
    return f", {tokens} given less, as no other prompt has their key" if count else ""


def _other_sinks(settings: Mapping[str, Any]) -> str:
    """The number of prompts left out for their sink, as text for a caption."""
    count = settings.get("other_sinks")
    return f" ({count:,} more prompts, which begin with another role, left out)" if count else ""


def about_masks(settings: Mapping[str, Any]) -> str:
    """The additional cuts as text, for a sentence; "" for none."""
    told = masks_text(settings.get("masks", ()))
    return f", with attention further cut ({told})," if told else ""


def replacement_code(settings: Mapping[str, Any], seed: int | None) -> str:
    """The code of the argument `replacement`: its label, or a call if its table is not the one
    that the label implies."""
    own = (settings["table_prompts"], settings["table_seed"])
    return f"replacement={named_replacement(settings['replacement'], *own, seed)}"


def named_replacement(label: str, n: int, table_seed: int, seed: int | None) -> str:
    """A replacement as its label, or as a call if its table is not the one the label implies."""
    if (n, table_seed) == (1024, seed):
        return repr(label)
    name, _, given = label.partition(":")
    return call("interp.ablation.Replacement", repr(name), repr(given), n=n, seed=table_seed)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OfRightAnswers(Result):
    """A Result on the prompts that the full model answers correctly, with its baselines.

    Args:
        constant, base_accuracy, n_right, n_right_distinct: as in `AblationScore`.
        resampled: the units that the intervals resample.
    """

    constant: float
    base_accuracy: float
    n_right: int
    n_right_distinct: int
    resampled: str

    @property
    def enough(self) -> bool:
        return self.n_right_distinct >= MIN_DISTINCT

    @property
    def too_few(self) -> str:
        count = self.n_right_distinct
        return f"no verdict: {count} distinct prompts answered rightly, fewer than {MIN_DISTINCT}"

    @property
    def interval(self) -> str:
        return f"{INTERVAL} {self.resampled}"

    @property
    def sink_differs(self) -> bool:
        return bool(self.settings.get("sink_differs"))

    @property
    def beside(self) -> dict[str, float]:
        """The metrics reported with every faithfulness; `table_error` as in `AblationScore`."""
        return {
            "constant": self.constant,
            "base_accuracy": self.base_accuracy,
            "n_right": float(self.n_right),
            "n_right_distinct": float(self.n_right_distinct),
            "table_error": error_of(self.settings),
        }


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AblationScore(Result):
    """The answers of one ablated run compared with those of the full model.

    Args:
        by_role: columns `role`, `base_accuracy`, `n_right`, `faithfulness`, `low`, `high`,
            `guessed`, `logit_difference`, `kl`; one row for each answer token, and "all" for
            prompts whose every token is right. `guessed` is the faithfulness of a guess without
            the operands (`interp.ablation.guesses`): for a token under forced answers, which show
            the true answer before it, the commonest one after the same answer so far in other
            prompts; otherwise, and for "all", the best constant.
        right: bool [n], True where every right token is the full model's first choice.
        kept: bool [n], True where the ablated run is right.
        difference, difference_ablated: float [n], Δ of the full and the ablated run: the logit of
            the right token minus the mean logit of the other prompts' right tokens, averaged over
            the answer's tokens.
        kl: float [n], D(full ‖ ablated) in nats over the vocabulary, summed over the answer.
        prompt: int [n], equal for equal prompts.
        group: int [n, kinds], the groups that the intervals resample; `resampled` names them.
        constant: faithfulness of the best constant answer: the share of the correctly answered
            prompts that have the commonest answer.
        picture: the attention mask of each layer, as text.
    """

    analysis: ClassVar[str] = "ablation_score"
    notes: ClassVar[tuple[str, ...]] = (
        "that the model works this way: it shows that these paths suffice on these prompts",
        "anything about prompts that the full model answers wrongly, except by logits",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "faithfulness": "share of the rightly answered prompts that the ablated run still answers "
        "rightly, 0 to 1",
        "faithfulness_low": "lower end of its 95 % interval",
        "faithfulness_high": "upper end of its 95 % interval",
        "accuracy": "share of all prompts that the ablated run answers rightly, 0 to 1",
        "logit_difference": "mean lead of the right token's logit over other prompts' tokens, as a "
        "share of the full model's (1: full model, 0: constant output)",
        "logit_difference_low": "lower end of its 95 % interval",
        "logit_difference_high": "upper end of its 95 % interval",
        "kl": "mean KL divergence of the ablated run from the full one over the answer, in nats",
        "kl_low": "lower end of its 95 % interval, in nats",
        "kl_high": "upper end of its 95 % interval, in nats",
        **BESIDE,
    }

    by_role: pd.DataFrame
    right: Bools
    kept: Bools
    difference: Floats
    difference_ablated: Floats
    kl: Floats
    prompt: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    resampled: str
    constant: float
    picture: str

    @property
    def frame(self) -> pd.DataFrame:
        return self.by_role

    @property
    def n_right_distinct(self) -> int:
        """The number of distinct prompts that the full model gets right."""
        return len(np.unique(self.prompt[self.right]))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """faithfulness with its interval, constant (of the best constant answer), base_accuracy,
        accuracy (of the ablated run, on all prompts), n_right, n_right_distinct, logit_difference
        (normalised, 1 is the full model and 0 a constant output) with its interval (NaN where the
        interval of the full model's Δ is not above 0), kl (mean, in nats) with its interval,
        table_error (the largest standard error of a replacement mean, as a share of the spread
        between keys' means: `CamaTable.error`; NaN if unknown or without means)."""
        seed = self.seed or 0
        kept = self.kept[self.right]
        low, high = share_interval(kept, self.group[self.right], seed=seed)
        bounds = Interval(np.asarray(np.nan), np.asarray(np.nan))
        if mean_interval(self.difference, self.group, seed=seed).low > 0:
            bounds = ratio_interval(self.difference_ablated, self.difference, self.group, seed=seed)
        full = float(self.difference.mean())
        divergence = mean_interval(self.kl, self.group, seed=seed)
        return {
            "faithfulness": float(kept.mean()) if len(kept) else float("nan"),
            "faithfulness_low": float(low),
            "faithfulness_high": float(high),
            "constant": self.constant,
            "base_accuracy": float(self.right.mean()),
            "accuracy": float(self.kept.mean()),
            "n_right": float(self.right.sum()),
            "n_right_distinct": float(self.n_right_distinct),
            "logit_difference": float(self.difference_ablated.mean()) / full if full else np.nan,
            "logit_difference_low": float(bounds.low),
            "logit_difference_high": float(bounds.high),
            "kl": float(self.kl.mean()),
            "kl_low": float(divergence.low),
            "kl_high": float(divergence.high),
            "table_error": error_of(self.settings),
        }

    @property
    def interval(self) -> str:
        return f"{INTERVAL} {self.resampled}"

    @property
    def sink_differs(self) -> bool:
        return bool(self.settings.get("sink_differs"))

    @property
    def code(self) -> str:
        options = {name: self.settings.get(name) for name in ("sink", "answers")}
        return asked_code(
            self.model,
            self.settings,
            "interp.ablation.evaluate",
            schedule_code(self.settings["schedule"]),
            replacement_code(self.settings, self.seed),
            **options,
            masks=masks_code(self.settings.get("masks", ())),
            format=self.settings.get("format"),
            seed=self.seed,
        )

    def conclusion(self) -> str | None:
        m = self.metrics
        under = f"Under this schedule{about_masks(self.settings)}"
        if self.n_right_distinct < MIN_DISTINCT:
            names = ("logit_difference", "logit_difference_low", "logit_difference_high")
            left = margin_left(*(m[name] for name in names), kl=m["kl"], n=self.n)
            sink = about_sink(self.sink_differs)
            return f"{few_right(self.n_right_distinct)} {under} {left}.{sink}"
        told = (
            f"{percent(m['faithfulness'])} % of the answers that the model gets right stay "
            f"right (at least {percent(m['faithfulness_low'])} %), against "
            f"{percent(m['constant'])} % for the best constant answer"
        )
        sink = about_sink(self.sink_differs)
        if m["faithfulness_low"] > m["constant"]:
            return f"{under} {told}.{sink}"
        return f"{under} nothing tells the answers from a constant one: {told}.{sink}"
