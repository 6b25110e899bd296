"""Results of learning curves: losses, accuracies and gradients over the training steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.errors import InputError
from interp.results.calls import call
from interp.results.result import MIN_DISTINCT, Result

KINDS = ("total", "digit", "class", "term", "task")
GRADIENTS = ("grad_norm", "cosine")
PROBLEMS = {"train": "training batches", "validation": "held-out problems"}
"""Names of the splits in captions."""


class _Curves(Result):
    """Base of Results of training logs: `n` counts logged steps."""

    measure: str
    threshold: float
    smoothing: int

    @property
    def _read_how(self) -> str:
        """The caption's definition of learnt."""
        sign, unit = ("<", " nats") if self.measure == "loss" else ("≥", "")
        mean = f", mean of {self.smoothing} logged steps" if self.smoothing > 1 else ""
        return f"learnt: {self.measure} {sign} {self.threshold:g}{unit}{mean}"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TrainingDynamics(_Curves):
    """The curves of one training run, and the order in which its parts were learnt.

    `n` counts logged steps of `split`. A part is learnt at the first logged step with a smoothed
    loss below the threshold (or a smoothed accuracy not below it). The smoothed value is the mean
    of the last `smoothing` logged values, from the first step that has so many. After arXiv
    2510.00184 (Fig. 7), whose order of digits depends on a threshold that it does not state.

    Args:
        curves: one row a step, split and group: `step`, `split`, `group`, `kind` (one of `KINDS`),
            `loss` (nats) and `accuracy`, both smoothed, `grad_norm` and `cosine` (with the total
            gradient) as logged, NaN where not logged, and `n`, cells of the group.
        totals: one row a step and split: `step`, `split` ("train" and, if logged, "validation"),
            `loss` (nats) and `accuracy` (exact match), both smoothed. On "train" the loss is the
            training loss, on "validation" the answer's cross-entropy.
        order: one row a digit, class or task: `group`, `kind`, `split` (that dates it),
            `learnt_at` (step), `kept_from` (the step from which it stayed learnt to the end),
            `rank` within its kind (1 the first; equal steps share one); NaN if never learnt.
        split: "train" or "validation", the split that dates digits and tasks. Classes, terms and
            gradients are logged on training batches only, and always dated there.
        same_quantity: whether the totals of both splits are the same loss on the same distribution;
            only then is their distance the delay of generalisation.
        threshold: threshold of the measure.
        measure: "loss" (nats, learnt below) or "accuracy" (learnt from there on).
        smoothing: number of logged values in each mean.
        batch: problems of a logged step of `split`; 0 if the log does not state it.
    """

    analysis: ClassVar[str] = "training_dynamics"
    notes: ClassVar[tuple[str, ...]] = (
        "what another seed would do: it is one run",
        "that a digit with a large gradient is being learnt",
        "another order of learning at another threshold; try some",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "steps": "training steps logged, a count",
        "final_loss": "smoothed loss at the last logged step, in nats",
        "digits": "answer digits, a count",
        "digits_learnt": "answer digits that were learnt, a count",
        "delay": "steps between learning the training and the held-out problems",
        "learnt_at_{part}": "training step at which {part} was learnt",
    }

    curves: pd.DataFrame
    totals: pd.DataFrame
    order: pd.DataFrame
    split: str
    same_quantity: bool
    threshold: float
    measure: str
    smoothing: int
    batch: int

    @property
    def frame(self) -> pd.DataFrame:
        return self.curves

    def groups(self, kind: str) -> tuple[str, ...]:
        """The groups of a kind, digits from the least significant on."""
        if kind not in KINDS:
            raise InputError(f"no kind {kind!r} of group; there are {', '.join(KINDS)}")
        return tuple(self.curves.loc[self.curves["kind"] == kind, "group"].unique())

    @property
    def enough(self) -> bool:
        """True if the sample is large enough for a verdict: logged steps for training batches, each
        an independent sample; problems for held-out ones, which are the same at every step."""
        return super().enough or (self.split == "validation" and self.batch >= MIN_DISTINCT)

    def split_of(self, kind: str) -> str:
        """The split of a kind: `split`, or the other where only that one has it."""
        there = self.curves.loc[self.curves["kind"] == kind, "split"].unique()
        return self.split if self.split in there or not len(there) else str(there[0])

    def wide(self, value: str, kind: str) -> pd.DataFrame:
        """`value` by step (rows) and group of a kind (columns), without empty steps; on the split
        that dates the kind, gradients on training batches."""
        split = "train" if value in GRADIENTS else self.split_of(kind)
        chosen = (self.curves["kind"] == kind) & (self.curves["split"] == split)
        rows = self.curves[chosen].dropna(subset=[value])
        table = rows.pivot(index="step", columns="group", values=value)
        return table[[group for group in self.groups(kind) if group in table]]

    @cached_property
    def metrics(self) -> dict[str, float]:
        """`steps` and `final_loss` of the split; `digits` and `digits_learnt`; `learnt_at_…` of
        each digit, class and task, and of the total on held-out problems
        (`learnt_at_validation`), in steps, NaN if not learnt. If both totals are the same
        quantity also `learnt_at_train` and `delay`, the steps between the two (grokking,
        2301.05217)."""
        digits = self.order[self.order["kind"] == "digit"]
        total = self.totals[self.totals["split"] == self.split].dropna(subset=["loss"])
        found = {
            "steps": float(self.curves["step"].max()),
            "final_loss": float(total["loss"].iloc[-1]) if len(total) else np.nan,
            "digits": float(len(digits)),
            "digits_learnt": float(digits["learnt_at"].notna().sum()),
        }
        told = self.splits if self.same_quantity else set(self.splits) & {"validation"}
        found |= {f"learnt_at_{split}": self.whole_learnt_at(split) for split in told}
        if {"learnt_at_train", "learnt_at_validation"} <= set(found):
            found["delay"] = found["learnt_at_validation"] - found["learnt_at_train"]
        learnt = zip(self.order["group"], self.order["learnt_at"], strict=True)
        return found | {f"learnt_at_{group}": float(step) for group, step in learnt}

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits with logged totals."""
        return tuple(self.totals["split"].unique())

    def whole_learnt_at(self, split: str) -> float:
        """The first step with the total of a split past the threshold; NaN if none."""
        rows = self.totals[self.totals["split"] == split]
        values = rows[self.measure]
        past = values < self.threshold if self.measure == "loss" else values >= self.threshold
        return float(rows["step"][past].min()) if past.any() else float("nan")

    @property
    def caption(self) -> str:
        parts = [self.model.name] if self.model else [str(self.settings.get("source", ""))]
        parts += [self.task] if self.task else []
        each = f" of {self.batch:,} problems" if self.batch else ""
        parts += [f"n = {self.n:,} logged steps{each}", f"told on {PROBLEMS[self.split]}"]
        parts += [] if self.seed is None else [f"seed {self.seed}"]
        return " · ".join(part for part in [*parts, self._read_how] if part)

    @property
    def code(self) -> str:
        options = {name: self.settings.get(name) for name in ("split", "task")}
        last = call(
            "interp.training.dynamics",
            repr(self.settings.get("source")),
            threshold=self.threshold,
            measure=self.measure,
            smoothing=self.smoothing,
            **options,
        )
        return f"import interp\n\nresult = {last}"

    def conclusion(self) -> str | None:
        digits = self.order[self.order["kind"] == "digit"]
        known = digits.dropna(subset=["learnt_at"]).sort_values("rank", kind="stable")
        if digits.empty:
            return None
        if self.delayed:
            return self._generalised()
        where = PROBLEMS[self.split]
        if known.empty:
            return f"On {where} none of the answer digits is learnt at this threshold."
        if known["rank"].nunique() == 1 and len(known) == len(digits) > 1:
            step = known["learnt_at"].iloc[0]
            first = ", the first one" if step == self.curves["step"].min() else ""
            return (
                f"On {where} all {len(digits)} answer digits are learnt by the logged step "
                f"{step:,.0f}{first}: this log tells no order."
            )
        told = ", then ".join(
            " and ".join(str(group) for group in group_of["group"])
            for _, group_of in known.groupby("rank")
        )
        missing = [str(g) for g in digits["group"] if g not in set(known["group"])]
        never = f"; never {', '.join(missing)}" if missing else ""
        return f"On {where} the digits are learnt in the order {told}{never}."

    @property
    def delayed(self) -> bool:
        """True if the delay of generalisation is the only result: the answer is one token, which
        has no order of digits, and the totals of both splits are logged."""
        return len(self.groups("digit")) == 1 and "delay" in self.metrics

    def _generalised(self) -> str:
        """The sentence on when training and held-out problems were learnt."""
        train, held_out = (
            "at no logged step" if np.isnan(step) else f"at step {step:,.0f}"
            for step in (self.metrics[f"learnt_at_{split}"] for split in PROBLEMS)
        )
        return f"The training problems are learnt {train}, those held out {held_out}."


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DigitLosses(_Curves):
    """Loss and accuracy by answer digit over the training of several models, side by side.

    `n` counts logged steps, over all models.

    Args:
        curves: one row a model, step and digit: `model`, `step`, `group`, `loss` (nats) and
            `accuracy`, both smoothed.
        order: one row a model and digit: `model`, `group`, `learnt_at`, `kept_from`, `rank`, as in
            `TrainingDynamics`.
        models: the names, in the order given.
        splits: the split that dates each model, "train" or "validation".
        exact: accuracy on each model's card, on held-out problems; None without a card.
        threshold, measure, smoothing: as in `TrainingDynamics`.
    """

    analysis: ClassVar[str] = "digit_losses"
    notes: ClassVar[tuple[str, ...]] = (
        "which of the differences another seed would keep: each panel is one run",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "{model} digits": "answer digits of {model}, a count",
        "{model} digits learnt": "answer digits that {model} learnt, a count",
        "{model} exact": "accuracy on held-out problems that the card of {model} states, 0 to 1",
    }

    curves: pd.DataFrame
    order: pd.DataFrame
    models: tuple[str, ...]
    splits: tuple[str, ...]
    exact: tuple[float | None, ...]
    threshold: float
    measure: str
    smoothing: int

    @property
    def frame(self) -> pd.DataFrame:
        return self.curves

    @cached_property
    def metrics(self) -> dict[str, float]:
        """For each model the numbers of digits and of digits learnt, and its card's accuracy."""
        found: dict[str, float] = {}
        for name, exact in zip(self.models, self.exact, strict=True):
            rows = self.order[self.order["model"] == name]
            found[f"{name} digits"] = float(len(rows))
            found[f"{name} digits learnt"] = float(rows["learnt_at"].notna().sum())
            found[f"{name} exact"] = np.nan if exact is None else exact
        return found

    @property
    def caption(self) -> str:
        parts = [self.task] if self.task else []
        parts += [f"n = {self.n:,} logged steps", f"told on {self._problems}"]
        parts += [] if self.seed is None else [f"seed {self.seed}"]
        return " · ".join([*parts, self._read_how])

    @property
    def _problems(self) -> str:
        """The split of the models: one name, or each model's if they differ."""
        if len(set(self.splits)) == 1:
            return PROBLEMS[self.splits[0]]
        pairs = zip(self.models, self.splits, strict=True)
        return ", ".join(f"{PROBLEMS[split]} ({model})" for model, split in pairs)

    @property
    def code(self) -> str:
        last = call(
            "interp.training.digit_losses",
            repr(list(self.settings.get("sources", ()))),
            threshold=self.threshold,
            measure=self.measure,
            smoothing=self.smoothing,
            split=self.settings.get("split"),
        )
        return f"import interp\n\nresult = {last}"

    def conclusion(self) -> str | None:
        told = []
        for name in self.models:
            rows = self.order[self.order["model"] == name]
            missing = [str(g) for g in rows.loc[rows["learnt_at"].isna(), "group"]]
            told.append(
                f"{name} {'misses ' + ', '.join(missing) if missing else 'learns them all'}"
            )
        return (
            f"Of the answer digits, on {self._problems} and by this threshold, {'; '.join(told)}."
        )
