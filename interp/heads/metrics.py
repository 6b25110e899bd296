"""Metrics of patching: what one changed run says of a node, from its logits.

A pair is a clean prompt with right token r and a corrupted prompt with right token r'. `x` are the
logits of a run at the position that predicts the answer digit, P their softmax, * the patched run.

| metric              | value or effect                                                           |
|---------------------|---------------------------------------------------------------------------|
| `logit_difference`  | v = x[r] − x[r']                                                          |
| `logit`             | v = x[r], uncentred: it moves with a shift of all logits                  |
| `probability`       | v = P[r]                                                                  |
| `kl`                | v = −KL(P_clean ‖ P)                                                      |
| `relative_logit`    | (x*[r] − x[r]) / x[r]; negative where the patch lowers r (Zhang 2024)     |
| `indirect_effect`   | ½ [(P*(s) − P(s)) / P(s) + (P(t) − P*(t)) / P*(t)] (Stolfo 2023)          |
| `flip`              | [first choice of the patched run is s] − [that of the unpatched run is s] |

The effect of a value v is v* − v where clean activations are put into the corrupted prompt
(denoising: what the node restores), and v − v* where corrupted activations are put into the clean
prompt (noising: what is lost without it). Positive: the node carries the answer.

In `indirect_effect` and `flip`, s is the right token of the prompt that the activation comes from
and t that of the prompt it is put into. Nikankin's E(r, r') is the same quantity for noising,
with r = t and r' = s: `e_score` has that signature.
With a source of the same answer (the control of patching) s = t in `indirect_effect`
(`own_answer`), as in Stolfo's result-fixed pairs; `flip` keeps the pair's s.

`relative_logit` depends on the offset of the raw logit, which no prediction depends on: it is large
wherever |x[r]| happens to be small. Read the logit difference beside it; `SMALL_LOGIT` marks the
rows to doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from interp.errors import InputError

Floats = npt.NDArray[np.float64]
Direction = Literal["denoise", "noise"]
SMALL_LOGIT = 1.0
"""|x[r]| below this makes a relative change of the raw logit meaningless, in logits."""


@dataclass(frozen=True, eq=False)
class Readout:
    """What metrics need of a run's logits, each float64 of one shape, [n, roles] or wider.

    right, other   logits of r and r'
    log_z          log Σ exp x
    kl             KL(P_clean ‖ P)
    choice         token id of the largest logit
    right_token, other_token   r and r'
    Parts that no requested metric needs are NaN.
    """

    right: Floats
    other: Floats
    log_z: Floats
    kl: Floats
    choice: Floats
    right_token: Floats
    other_token: Floats

    def __getitem__(self, index: Any) -> Readout:
        return Readout(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def logit_difference(run: Readout) -> Floats:
    """x[r] − x[r'], in logits."""
    return run.right - run.other


def logit(run: Readout) -> Floats:
    """x[r], in logits."""
    return run.right


def probability(run: Readout) -> Floats:
    """P[r], 0 to 1."""
    return np.asarray(np.exp(run.right - run.log_z))


def negative_kl(run: Readout) -> Floats:
    """−KL(P_clean ‖ P), in nats."""
    return -run.kl


def relative_logit(patched: Readout, base: Readout, direction: Direction) -> Floats:
    """(x*[r] − x[r]) / x[r] with r the right token of the prompt that is run.

    Published for noising: negative where the node supports the right token.
    """
    old, new = _of_target(base, direction), _of_target(patched, direction)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((new - old) / old)


def indirect_effect(patched: Readout, base: Readout, direction: Direction) -> Floats:
    """½ [(P*(s) − P(s)) / P(s) + (P(t) − P*(t)) / P*(t)], no unit, unbounded above.

    From log-probabilities, so that small ones do not underflow. Its mean is carried by the prompts
    whose P(s) or P*(t) is smallest.
    """
    gained = (_of_source(patched, direction) - patched.log_z) - (
        _of_source(base, direction) - base.log_z
    )
    lost = (_of_target(base, direction) - base.log_z) - (
        _of_target(patched, direction) - patched.log_z
    )
    with np.errstate(over="ignore"):
        return np.asarray((np.expm1(gained) + np.expm1(lost)) / 2)


def e_score(patched: Readout, base: Readout) -> Floats:
    """Nikankin's E(r, r') = ½ [(P*(r') − P(r')) / P(r') + (P(r) − P*(r)) / P*(r)]: noising."""
    return indirect_effect(patched, base, "noise")


def own_answer(run: Readout, direction: Direction) -> Readout:
    """The readout with s = t: for a source whose right token is that of the prompt that is run."""
    if direction == "denoise":
        return replace(run, right=run.other, right_token=run.other_token)
    return replace(run, other=run.right, other_token=run.right_token)


def flip(patched: Readout, base: Readout, direction: Direction) -> Floats:
    """1 where the patch makes the source's right token the first choice, −1 where it ends that."""
    token = base.right_token if direction == "denoise" else base.other_token
    change = (patched.choice == token).astype(float) - (base.choice == token)
    return np.where(np.isnan(token), np.nan, change)


def _of_source(run: Readout, direction: Direction) -> Floats:
    return run.right if direction == "denoise" else run.other


def _of_target(run: Readout, direction: Direction) -> Floats:
    return run.other if direction == "denoise" else run.right


@dataclass(frozen=True)
class Metric:
    """A metric: a `value` of one run, whose change is the effect, or an `effect` of two runs."""

    name: str
    title: str
    needs: frozenset[str]  # of "log_z", "kl", "choice"
    value: Callable[[Readout], Floats] | None = None
    of_both: Callable[[Readout, Readout, Direction], Floats] | None = None

    def effect(self, patched: Readout, base: Readout, direction: Direction) -> Floats:
        """Effect of a patch, from the patched run and the same prompt's unpatched one."""
        if self.value is not None:
            change = self.value(patched) - self.value(base)
            return change if direction == "denoise" else -change
        assert self.of_both is not None
        return self.of_both(patched, base, direction)

    def total(self, clean: Readout, corrupted: Readout) -> Floats | None:
        """Effect of changing everything, v(clean) − v(corrupted); None without a value."""
        return None if self.value is None else self.value(clean) - self.value(corrupted)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("logit_difference", "logit difference (logits)", frozenset(), logit_difference),
        Metric("logit", "logit of the right token (logits)", frozenset(), logit),
        Metric("probability", "probability of the right token", frozenset({"log_z"}), probability),
        Metric("kl", "KL divergence from the clean run (nats)", frozenset({"kl"}), negative_kl),
        Metric(
            "relative_logit",
            "relative change of the raw logit",
            frozenset(),
            of_both=relative_logit,
        ),
        Metric(
            "indirect_effect",
            "indirect effect (Stolfo; Nikankin's E)",
            frozenset({"log_z"}),
            of_both=indirect_effect,
        ),
        Metric("flip", "first choice taken over", frozenset({"choice"}), of_both=flip),
    )
}


def metric(name: str) -> Metric:
    """The metric of a name. Raises InputError with the known names."""
    if name not in METRICS:
        raise InputError(f"unknown metric {name!r}: choose from {', '.join(METRICS)}")
    return METRICS[name]


def check_varies(name: str, total: Floats) -> None:
    """Raise InputError for a metric that is equal on all clean and corrupted prompts: no patch can
    then have an effect to measure."""
    known = total[~np.isnan(total)]
    if known.size == 0:
        raise InputError(
            "in no pair do clean and corrupted prompt have different right tokens, so there is no "
            "answer to restore: swap another operand digit, or look at another answer digit"
        )
    if not np.abs(known).max() > 0:
        raise InputError(
            f"the metric {name!r} is constant: equal on every clean prompt and its corrupted one. "
            "Choose another metric, or a swap that changes the model's logits"
        )
