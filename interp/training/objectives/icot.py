"""Implicit chain of thought: training that removes the chain's tokens from the left.

From "From explicit CoT to implicit CoT" (2405.14838); the recipe that learns 4×4 multiplication in
2510.00184. At first the model writes the whole chain; every stage removes a few more of its first
tokens, until the answer follows the question directly.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from interp.arithmetic.formats import format
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import task
from interp.errors import InputError
from interp.training.forward import forward
from interp.training.objectives.answer import answer_losses
from interp.training.objectives.base import Losses, Objective, Setting, Step
from interp.training.rows import Encoder, Rows

EVERYTHING = np.iinfo(np.int32).max
"""Upper bound of the tokens of any chain."""


@dataclass(frozen=True)
class ImplicitChain(Objective):
    """Cross-entropy on the remaining chain of thought and on the answer.

    On the fixed schedule, the first s = floor((t - pretrain) · removed / stage) tokens of the chain
    are removed at step t; with `caught_up`, `removed` more after each logged step with a loss below
    it. Each row loses o more, P(o) = (1 - e^-λ) e^-λo, which prepares the model for the next
    removal.

    stage        steps of a stage (an epoch, in the papers); fixed schedule only
    removed      tokens removed in a stage, spread evenly over it (8 in the papers)
    caught_up    training loss (nats a token) that counts as recovery from a removal; None for the
                 fixed schedule of the papers. Recovery takes a few steps for most tokens and
                 thousands for some; a token removed before recovery is lost for good
    patience     with `caught_up`: after this many steps without recovery, the rest of the chain is
                 removed at once; None waits without limit. From there a step is a third as long and
                 trains the answer only
    pretrain     steps with the whole chain before the first removal
    smoothing    λ (4 in the papers: 98 % of the rows lose no more); None for no extra removal
    all_beyond   remove the whole chain once more than this many tokens are gone; None to continue
                 token by token
    restart      reset the optimiser at every removal, until the chain is gone
    """

    kind: ClassVar[str] = "icot"

    stage: int = 1000
    removed: int = 8
    caught_up: float | None = None
    patience: int | None = None
    pretrain: int = 0
    smoothing: float | None = 4.0
    all_beyond: int | None = None
    restart: bool = True

    def check(self, recipe: Setting) -> None:
        if recipe.format != "icot":
            raise InputError(
                f"the objective {self.kind!r} needs a chain of thought to take away: use it with "
                f"format='icot' and a product, not {recipe.format!r}"
            )
        if self.stage < 1 or self.removed < 1 or self.pretrain < 0:
            raise InputError("stage and removed must be at least 1, and pretrain at least 0")
        if self.smoothing is not None and not self.smoothing > 0:
            raise InputError(f"smoothing={self.smoothing} must be above 0, or None for none")
        if self.caught_up is not None and not self.caught_up > 0:
            raise InputError(f"caught_up={self.caught_up} must be above 0, or None for the clock")
        if self.patience is not None and (self.caught_up is None or self.patience < 1):
            raise InputError(
                f"patience={self.patience} is of steps (at least 1) that caught_up waits: set both"
            )
        if self.all_beyond is not None and self.all_beyond < 0:
            raise InputError(f"all_beyond={self.all_beyond} must not be below 0")

    def final_format(self, recipe: Setting) -> str:
        return "icot-no-cot"

    def scheduled(self, step: Step) -> int:
        """Number of chain tokens to remove at a step from every row, whatever its length."""
        if self.caught_up is None:
            gone = max(0, step.number - self.pretrain) * self.removed // self.stage
        else:
            gone = self._caught_up_with(step)
        if self.all_beyond is not None and gone > self.all_beyond:
            return EVERYTHING
        return gone

    def _caught_up_with(self, step: Step) -> int:
        assert self.caught_up is not None
        gone, since = 0, self.pretrain
        for at, loss in step.logged:
            if at < self.pretrain:
                continue
            if loss < self.caught_up:
                gone, since = gone + self.removed, at
            elif self.patience is not None and gone and at - since >= self.patience:
                return EVERYTHING
        return gone

    def rows(self, encoder: Encoder, problems: Problems, step: Step) -> Rows:
        full = encoder(problems, thoughts=True)
        rng = np.random.default_rng(step.seed)
        gone = np.full(problems.n, self.scheduled(step), dtype=np.int64)
        if self.smoothing is not None:
            # The geometric distribution counts from 1 and has success 1 - e^-λ.
            gone += rng.geometric(-np.expm1(-self.smoothing), problems.n) - 1
        return without_thoughts(full, gone, encoder.tokenizer.pad_token_id)

    def restarts_optimiser(self, recipe: Setting, step: Step) -> bool:
        if not self.restart or step.number == 0:
            return False
        last = step.number - 1
        earlier = step._replace(number=last, logged=[x for x in step.logged if x[0] < last])
        length = chain_length(recipe)
        now, before = (min(self.scheduled(at), length) for at in (step, earlier))
        return now > before

    def losses(
        self,
        model: Any,
        extra: dict[str, torch.nn.Parameter],
        rows: Rows,
        step: Step,
        offsets: Tensor | None = None,
    ) -> Losses:
        logits = forward(model, rows.tokens[:, :-1], rows.start, offsets=offsets).logits
        return answer_losses(logits, rows)


def without_thoughts(rows: Rows, gone: np.ndarray, pad: int) -> Rows:
    """The rows without the first `gone` [n] tokens of each chain of thought.

    All rows must have one layout. The `####` before the answer stays, so removal of the whole
    chain leaves the text of the format `icot-no-cot`.
    """
    n, n_tokens = rows.tokens.shape
    first = rows.start + 1
    answer = int(rows.digits.min())
    length = answer - 1 - first  # up to the #### in front of the answer
    shift = torch.from_numpy(np.minimum(gone, length))[:, None]
    at = torch.arange(n_tokens).expand(n, -1)
    source = at + shift * (at >= first)
    inside = source < n_tokens
    source = source.clamp(max=n_tokens - 1)
    tokens = rows.tokens.gather(1, source).where(inside, pad)
    learnt = rows.learnt.gather(1, source) & inside
    longest = int(inside.sum(1).max())
    return Rows(
        rows.problems, tokens[:, :longest], learnt[:, :longest], rows.digits - shift, rows.roles
    )


def chain_length(recipe: Setting) -> int:
    """Number of tokens in the chain of thought of the recipe's task."""
    written = format("icot").render(task(recipe.task).sample(1, seed=0))[0]
    return sum(role[0] == "t" and role[1:].isdigit() for role, _, _ in written.spans)
