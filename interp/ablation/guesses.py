"""Baseline of a single answer token: the best guess without the operands."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def guessed(labels: Ints, right: Bools, prompt: Ints, *, shown: bool = True) -> Floats:
    """Accuracy of a guess without the operands, for each answer token, [roles].

    If the true answer is `shown` up to a token, the guess is the commonest token of the other
    prompts with the same answer so far. If no other prompt has it, the prefix is shortened by one
    token at a time, down to the empty prefix. Ties are drawn, and the value is the expectation. It
    is at least the accuracy of the best constant token, which is the only guess if the model's own
    answer is shown instead.

    Args:
        labels: int64 [n, roles], the right tokens in order of print, -1 where a prompt lacks one.
        right: bool [n, roles], True where the full model has that token right: guesses use only
            these prompts, as faithfulness does.
        prompt: int64 [n], equal for equal prompts: a prompt is left out with its duplicates.

    Does not show: a better guess from knowing arithmetic, such as how often a sum begins with 1.
    NaN for a token that is right in no prompt.
    """
    out = np.full(labels.shape[1], np.nan)
    for role in range(labels.shape[1]):
        chosen = right[:, role] & (labels[:, role] >= 0)
        if not chosen.any():
            continue
        answers = [tuple(row) for row in labels[chosen, : role + 1].tolist()]
        constant = max(Counter(answer[-1] for answer in answers).values()) / len(answers)
        out[role] = max(constant, _by_prefix(answers, prompt[chosen])) if shown else constant
    return out


def _by_prefix(answers: list[tuple[int, ...]], prompt: Ints) -> float:
    """The expected accuracy of guessing the last token from the tokens before it."""
    after: dict[tuple[int, ...], Counter[int]] = {}
    for answer in answers:
        for length in range(len(answer)):
            after.setdefault(answer[:length], Counter())[answer[-1]] += 1
    alike = Counter(prompt.tolist())
    scores = []
    for answer, same in zip(answers, prompt.tolist(), strict=True):
        for length in range(len(answer) - 1, -1, -1):
            others = after[answer[:length]].copy()
            others[answer[-1]] -= alike[same]
            most = max(others.values())
            if most > 0:
                tied = [token for token, times in others.items() if times == most]
                scores.append((answer[-1] in tied) / len(tied))
                break
        else:  # no other prompt
            scores.append(0.0)
    return float(np.mean(scores))
