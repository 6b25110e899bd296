"""Cross-entropy on the whole scratchpad: every step is written out, as in 2307.03381."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch.nn.functional as F

from interp.arithmetic.formats import format
from interp.arithmetic.formats.scratchpads import Scratchpad
from interp.arithmetic.problems import Problems
from interp.errors import InputError
from interp.training.objectives.answer import AnswerLoss
from interp.training.objectives.base import Setting, Step
from interp.training.rows import Encoder, Rows


@dataclass(frozen=True)
class ScratchpadLoss(AnswerLoss):
    """L = mean over rows and all tokens behind the question of -log p(token | preceding tokens).

    One padding token ends the answer and is learnt as well.

    A card's teacher-forced accuracy has the true scratchpad in front of the answer, which gives the
    answer away: ask `interp.behaviour.accuracy`, where the model writes the scratchpad itself.
    """

    kind: ClassVar[str] = "scratchpad"

    def rows(self, encoder: Encoder, problems: Problems, step: Step) -> Rows:
        found = encoder(problems, thoughts=True)
        pad = encoder.tokenizer.pad_token_id
        tokens, learnt = F.pad(found.tokens, (0, 1), value=pad), F.pad(found.learnt, (0, 1))
        ends = learnt.roll(1, dims=1) & (tokens == pad)
        return replace(found, tokens=tokens, learnt=learnt | ends)

    def check(self, recipe: Setting) -> None:
        if not isinstance(format(recipe.format), Scratchpad):
            raise InputError(
                f"the objective {self.kind!r} needs a scratchpad: use it with format='scratchpad' "
                f"or 'scratchpad-detailed', not {recipe.format!r}"
            )
