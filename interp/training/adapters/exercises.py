"""Training data of an adapter: problems of several tasks, written in several styles."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interp.arithmetic.formats import format
from interp.arithmetic.held_out import Split
from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import step_seed
from interp.arithmetic.tasks import task
from interp.training.adapters.recipe import AdapterRecipe

END = "\n"  # ends every answer, as it does between few-shot examples

_STYLES = 10**6  # the purpose number of the styles' seed; tasks count from 0


@dataclass(frozen=True)
class Exercises:
    """`n` written problems of one style, `T` tokens, padded on the right.

    tokens   int64 [n, T]
    learnt   bool  [n, T], mask of the answer's tokens and the line break after it
    style    name of the format
    texts    prompt and answer of each row
    tasks    the task of each row
    """

    tokens: Tensor
    learnt: Tensor
    style: str
    texts: tuple[str, ...]
    tasks: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)


def write(tokenizer: Any, style: str, problems: list[Problems]) -> Exercises:
    """Problems of several tasks in one style, as tokens.

    Prompt and answer are tokenized separately, as in generation, where the model sees the tokens of
    the prompt alone.
    """
    written = [one for part in problems for one in format(style).render(part)]
    prompts = tokenizer([one.text[: one.answer_start] for one in written])["input_ids"]
    answers = tokenizer(
        [one.text[one.answer_start :] + END for one in written], add_special_tokens=False
    )["input_ids"]
    width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
    tokens = torch.zeros(len(written), width, dtype=torch.long)
    learnt = torch.zeros(len(written), width, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        stop = len(prompt) + len(answer)
        tokens[row, :stop] = torch.tensor([*prompt, *answer])
        learnt[row, len(prompt) : stop] = True
    names = tuple(part.task.name for part in problems for _ in range(part.n))
    return Exercises(tokens, learnt, style, tuple(one.text for one in written), names)


class ExerciseStream:
    """The exercises of a recipe: training batches by step, and held-out problems."""

    def __init__(self, recipe: AdapterRecipe, tokenizer: Any) -> None:
        self.recipe = recipe
        self.tokenizer = tokenizer
        self.split = Split(recipe.test_share, recipe.validation_share, recipe.split_seed)

    def training(self, step: int) -> list[Exercises]:
        """The batches of one step, one a style; together `recipe.batch` problems.

        Rows of one style have similar lengths, so a batch has little padding.
        """
        recipe = self.recipe
        names = [name for name, _ in recipe.styles]
        sizes = {names[0]: recipe.batch}
        if names[1:]:
            weights = np.array([weight for _, weight in recipe.styles[1:]])
            rng = np.random.default_rng(step_seed(recipe.seed, step, _STYLES))
            drawn = names[1 + int(rng.choice(len(weights), p=weights / weights.sum()))]
            first = round(recipe.first_share * recipe.batch)
            sizes = {names[0]: first, drawn: recipe.batch - first}
        return [
            self._batch(style, size, step_seed(recipe.seed, step, at))
            for at, (style, size) in enumerate(sizes.items())
            if size
        ]

    def held_out(self, task_name: str, part: str, n: int, seed: int) -> Problems:
        """At most `n` distinct problems of `"test"` or `"validation"`, uniform over the task."""
        return self.split.sample(task(task_name), part, n, seed)

    def _batch(self, style: str, n: int, seed: int) -> Exercises:
        able = [(name, w) for name, w in self.recipe.tasks if format(style).accepts(task(name))]
        weights = np.array([weight for _, weight in able])
        # Drawn, not rounded: with few rows, rounding would always give a rare task none.
        counts = np.random.default_rng(seed).multinomial(n, weights / weights.sum())
        drawn = [
            self.split.draw(task(name), "train", count, step_seed(seed, at))
            for at, ((name, _), count) in enumerate(zip(able, counts.tolist(), strict=True))
            if count
        ]
        return write(self.tokenizer, style, drawn)
