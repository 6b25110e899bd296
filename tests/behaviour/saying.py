"""Stand-ins for the engine's `generate` and the doctor's `forced_choices`, which say what a test
wants said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from interp.behaviour.by_digit import Choices, digit_roles


def saying(answer: Callable[[Any, int], str], model: Any) -> Callable[..., torch.Tensor]:
    """`generate` that writes `answer(batch, row)` after each prompt, then the end of the line."""

    def generate(
        _model: Any, batch: Any, *, max_new_tokens: int, stop_tokens: Any, **options: Any
    ) -> torch.Tensor:
        rows = []
        for row in range(len(batch)):
            text = answer(batch, row) + "\n"
            ids = model.tokens.tokenizer(text, add_special_tokens=False)["input_ids"]
            ids = ids[:max_new_tokens]
            rows.append(ids + [ids[-1]] * (max_new_tokens - len(ids)))
        return torch.tensor(rows)

    return generate


def choosing(answer: Callable[[str, int], str]) -> Callable[..., Choices]:
    """`forced_choices` whose choices are the characters of `answer(question, first token)`, for a
    tokenizer of one character a token; a wrong one has the log-probability -5."""

    def forced_choices(model: Any, told: Any, _resources: Any, roles: Any = None) -> Choices:
        roles = digit_roles(told) if roles is None else roles
        right = torch.stack([told.labels(role) for role in roles], dim=1).numpy()
        places = np.stack([told.position_array(role) for role in roles], axis=1)
        chosen = np.full_like(right, -2)
        for row, (text, asked) in enumerate(zip(told.texts, told.prompt_lengths, strict=True)):
            question = text[: int(asked) - len(told.bos_tokens)]
            said = answer(question, int(told.tokens[row, 0])) + "\n"
            ids = model.tokens.tokenizer(said, add_special_tokens=False)["input_ids"]
            for column, place in enumerate(places[row] - asked):
                if 0 <= place < len(ids):
                    chosen[row, column] = ids[place]
        wrong = (chosen != right) & (right >= 0)
        return Choices(np.where(right >= 0, chosen, -1), right, -5.0 * wrong.sum(axis=1))

    return forced_choices


def right(batch: Any, row: int) -> str:
    """The true answer, as long as it is."""
    return str(batch.problems.answers()[row])
