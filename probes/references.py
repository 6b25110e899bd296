"""What every cell at one place is compared with: the question alone, and the token alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from interp.models.prompts import PromptBatch
from probes.design import Design
from probes.fitting import Found, constants, fit_design
from probes.question import one_hot_question
from probes.scores import score

Floats = npt.NDArray[np.float64]
Reference = Literal["shown", "embedding", "constant"]


@dataclass(frozen=True, eq=False)
class References:
    """For one design, a probe of each target from each kind of input that is no model's work."""

    one_hot: list[Found]
    shown: list[Found]
    embedding: list[Found] | None

    def of(self, design: Design, i: int) -> tuple[Reference, Floats]:
        """What a target of the design must beat, and what that says of the held-out rows: the
        digits shown, the token's embedding or the best constant, whichever tells more of it there;
        of what the question says outright, which the digits have whole, one of the latter two.

        A token that is a whole number may code any fact about it without a layer of the model, and
        digits tell only what is a sum over them. To take the best after looking at all makes a gain
        smaller, never larger.
        """
        target, true = design.targets[i], design.test_values[:, i]
        said: dict[Reference, Floats] = {"shown": self.shown[i].predicted}
        if self.embedding is not None:
            said["embedding"] = self.embedding[i].predicted
            if target.copied:
                del said["shown"]
        said["constant"] = constants(design, i)[0]
        scores = {name: score(target, true, predicted) for name, predicted in said.items()}
        best = max(said, key=lambda name: np.nan_to_num(scores[name], nan=-np.inf))
        return best, said[best]


def references(
    batch: PromptBatch,
    designs: Sequence[Design],
    embedding: npt.NDArray[np.float32] | None,
    memory: int,
) -> list[References]:
    """The references of every design at one place. `embedding` are the activations there before
    the first block, [n, d]."""
    if not designs:
        return []
    place = designs[0].place
    one_hot, shown = (one_hot_question(batch, place, what) for what in ("one_hot", "shown"))
    same = one_hot.shape == shown.shape and np.array_equal(one_hot, shown)
    out = []
    for design in designs:
        alone = design.without_controls()
        first = fit_design(one_hot, alone, memory=memory)
        out.append(
            References(
                first,
                first if same else fit_design(shown, alone, memory=memory),
                None if embedding is None else fit_design(embedding, alone, memory=memory),
            )
        )
    return out
