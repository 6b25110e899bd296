"""One prompt before and after a stack of interventions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from interp.results.calls import asked_code
from interp.results.display import number
from interp.results.grid import Grid
from interp.results.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Intervened(Result):
    """Answer, digits and logits of one prompt before and after a stack of interventions.

    Args:
        prompt: its text, with the right answer.
        stack: the interventions as texts, in the order given.
        details: what each rests on: zeros, a mean, the probe's score.
        before, after: logits after the right tokens before each, axes `answer_digit` (in order of
            print) and `token`.
        answer: one row for each answer token in order of print: `answer_digit`, the `right` token,
            the one generated `before` and `after`, their probabilities, and `right_before`,
            `right_after`.
        controls: one row for each draw and answer digit: `draw`, `stack` (the random counterparts),
            `change` of the right token's logit, and the `largest` |Δlogit| of any token.
        largest: largest |Δlogit| of any token, shown or not.
        noise: the largest |Δlogit| that counts as none: of an edit at the same sites that changes
            nothing, measured on this prompt, or the engine's tolerance where that is larger.
    """

    analysis: ClassVar[str] = "intervened"
    notes: ClassVar[tuple[str, ...]] = (
        "anything about other prompts: one is an illustration",
        "that an edited part is where a digit is computed: an edit also takes the rest of the "
        "network to states that it does not meet otherwise",
    )
    meanings: ClassVar[Mapping[str, str]] = {
        "largest_change": "largest |Δlogit| of any token at any answer digit, in logits",
        "noise_floor": "largest |Δlogit| that an edit which changes nothing may give, in logits",
        "right_token_change": "mean Δlogit of the right tokens, in logits",
        "right_token_change_control": "mean Δlogit of the right tokens over stacks of random "
        "counterparts, the control, in logits",
        "digits_changed": "answer tokens that are generated otherwise, a count",
        "right_before": "1 if the answer generated without the stack is right, else 0",
        "right_after": "1 if the answer generated with the stack is right, else 0",
    }

    prompt: str
    stack: tuple[str, ...]
    details: tuple[str, ...]
    before: Grid
    after: Grid
    answer: pd.DataFrame
    controls: pd.DataFrame
    largest: float
    noise: float

    @property
    def change(self) -> Grid:
        """Δlogit, after − before."""
        return Grid(self.after.values - self.before.values, self.before.axes)

    @property
    def changed(self) -> bool:
        """Whether some logit moved by more than the noise floor."""
        return not self.largest <= self.noise

    @property
    def right_change(self) -> pd.DataFrame:
        """One row for each answer digit in order of print: Δlogit of the right token, `change`, and
        over the controls the mean `control` with the `low`est and `high`est draw."""
        roles = self.after.axis("answer_digit").labels
        tokens = self.after.axis("token").labels
        where = [tokens.index(token) for token in self.right_tokens]
        change = self.change.values[range(len(roles)), where]
        drawn = self.controls["change"].to_numpy(float).reshape(-1, len(roles))
        ends = [drawn.mean(0), drawn.min(0), drawn.max(0)] if len(drawn) else [np.nan] * 3
        named = dict(zip(("control", "low", "high"), ends, strict=True))
        return pd.DataFrame({"answer_digit": roles, "change": change, **named})

    @property
    def right_tokens(self) -> tuple[str, ...]:
        """The label on the axis `token` of each answer digit's right token."""
        return tuple(self.settings["right_tokens"])

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each answer digit and token: `before`, `after` and `change`, in logits."""
        table = self.before.frame("before").merge(self.after.frame("after"))
        return table.assign(change=table["after"] - table["before"])

    @property
    def metrics(self) -> dict[str, float]:
        control = self.controls["change"]
        said = self.answer
        return {
            "largest_change": self.largest,
            "noise_floor": self.noise,
            "right_token_change": float(self.right_change["change"].mean()),
            "right_token_change_control": float(control.mean()) if len(control) else float("nan"),
            "digits_changed": float((said["before"] != said["after"]).sum()),
            "right_before": float(said["right_before"].all()),
            "right_after": float(said["right_after"].all()),
        }

    @property
    def caption(self) -> str:
        drawn = self.controls["draw"].nunique()
        word = "counterpart" if drawn == 1 else "counterparts"
        control = f"control: {drawn} random {word}" if drawn else "no control"
        sample = f"means, waves and probes from {self.settings['sample']:,} prompts"
        name = [] if self.model is None else [self.model.name]
        told = [self.task, "1 prompt", sample, control, f"seed {self.seed}", "no interval"]
        return " · ".join([*name, *told])

    @property
    def code(self) -> str:
        return asked_code(
            self.model,
            self.settings,
            "interp.intervene",
            stack=list(self.stack),
            problem=self.settings["problem"],
            row=self.settings["row"] or None,
            controls=None if self.settings["controls"] == 3 else self.settings["controls"],
            format=self.settings["format"],
            seed=self.seed,
        )

    def conclusion(self) -> str:
        if not self.stack:
            return "The stack is empty: nothing is changed."
        if not self.changed:
            return (
                f"No logit moved by more than the no-op noise floor, {number(self.noise)} logits."
            )
        said, metrics = self.answer, self.metrics
        texts = ["".join(said[name]) for name in ("before", "after")]
        told = (
            f"The answer stays {texts[0]}"
            if texts[0] == texts[1]
            else f"The answer {texts[0]} becomes {texts[1]}"
        )
        told += f" (right: {''.join(said['right'])})"
        change = number(metrics["right_token_change"])
        told += f", and the right tokens' logits move by {change} on average"
        if np.isfinite(metrics["right_token_change_control"]):
            control = number(metrics["right_token_change_control"])
            told += f", against {control} with random counterparts"
        return f"{told}."
