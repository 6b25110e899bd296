"""Cross-entropy on the answer: supervised training, the baseline of every paper."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from interp.arithmetic.formats import format
from interp.arithmetic.formats.scratchpads import Scratchpad
from interp.errors import InputError
from interp.training.forward import forward
from interp.training.objectives.base import Losses, Objective, Setting, Step
from interp.training.rows import Rows


@dataclass(frozen=True)
class AnswerLoss(Objective):
    """L = mean over rows and learnt tokens of -log p(token | preceding tokens).

    double   take the logarithms in float64. In float32 the gradients of a nearly certain model
             round to zero, which matters in runs long past convergence (grokking, 2301.05217)
    """

    kind: ClassVar[str] = "answer"

    double: bool = False

    def losses(
        self,
        model: Any,
        extra: dict[str, torch.nn.Parameter],
        rows: Rows,
        step: Step,
        offsets: Tensor | None = None,
    ) -> Losses:
        logits = forward(model, rows.tokens[:, :-1], rows.start, offsets=offsets).logits
        return answer_losses(logits, rows, double=self.double)

    def check(self, recipe: Setting) -> None:
        if recipe.format == "icot":
            raise InputError(
                "the format 'icot' writes a chain of thought, which the objective 'answer' would "
                "give away: use the objective 'icot', or the format 'icot-no-cot'"
            )
        if isinstance(format(recipe.format), Scratchpad):
            raise InputError(
                f"the format {recipe.format!r} writes the steps in front of the answer, which the "
                "objective 'answer' would give away: use the objective 'scratchpad'"
            )


def answer_losses(logits: Tensor, rows: Rows, *, double: bool = False) -> Losses:
    """Cross-entropy of every learnt token, from logits [n, T - 1 - start, d_vocab]."""
    targets = rows.tokens[:, rows.start + 1 :]
    learnt = rows.learnt[:, rows.start + 1 :]
    logits = logits.double() if double else logits.float()
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    loss = loss.view_as(targets)
    total = loss[learnt].mean()
    at = rows.digits - rows.start - 1
    absent = at < 0
    digits = loss.gather(1, at.clamp(min=0)).masked_fill(absent, torch.nan)
    right = (logits.detach().argmax(-1) == targets).gather(1, at.clamp(min=0))
    return Losses(total, digits, right | absent, {"answer": total})
