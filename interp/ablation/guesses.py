"""What can be guessed of a single answer token without the operands."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def guessed(labels: Ints, right: Bools, prompt: Ints, *, shown: bool = True) -> Floats:
    """For each answer token, the share that a guess without the operands gets right, [roles].

    Where the true answer is `shown` up to a token, that token is guessed to be the commonest one of
    the other prompts that have the same answer so far; where no other prompt has, of those with the
    same answer up to a token earlier, and so on to those with any. Among equally common ones the
    guess is drawn, and told by its expectation. It is never told as less than what one constant
    token gets right, which is all there is where the model's own answer is shown in its place.

    Args:
        labels: int64 [n, roles], the right tokens in order of print, -1 where a prompt lacks one.
        right: bool [n, roles], whether the full model has that token right: the guess is among
            these prompts alone, as faithfulness is.
        prompt: int64 [n], equal where prompts are: a prompt is left out with all its like.

    Does not show: what more can be guessed by knowing arithmetic, as how often a sum begins with 1.
    NaN for a token that is right nowhere.
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
    """The expected share right of the guesses of the last token from those before it."""
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
        else:  # there is no other prompt
            scores.append(0.0)
    return float(np.mean(scores))
