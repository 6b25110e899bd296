"""Training problems of each step, a function of the recipe and the step only.

A resumed run therefore needs no sampler state.
"""

import numpy as np

from interp.arithmetic.held_out import Split
from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import step_seed
from interp.arithmetic.tasks import Task, task
from interp.training.fixed_set import FixedSet
from interp.training.recipes import Recipe
from interp.training.shares import shares


class Stream:
    """The problems of a recipe: training rows by step, and held-out ones."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.task: Task = task(recipe.task)
        self.split = Split(recipe.test_share, recipe.validation_share, recipe.split_seed)
        self._all: Problems | None = None
        self._fixed: FixedSet | None = None

    def training(self, step: int) -> Problems:
        """The problems of one step, in the order of the mix: all of them if `batch` is None; the
        next rows of the fixed set if the recipe has one."""
        if self.recipe.batch is None:
            if self._all is None:
                grid = self.task.grid()
                self._all = grid[self.split.keeps(grid, "train")]
            return self._all
        if self.recipe.fixed_rows is not None:
            return self.fixed().training(step)
        draws = [part for part in self.recipe.mix if part.active(step / self.recipe.steps)]
        counts = shares(np.array([part.weight for part in draws]), self.recipe.batch)
        parts = [
            self.split.draw(
                self.task,
                "train",
                count,
                step_seed(self.recipe.seed, step, purpose),
                sampler=part.sampler,
                **dict(part.options),
            )
            for purpose, (part, count) in enumerate(zip(draws, counts.tolist(), strict=True))
            if count
        ]
        return Problems.concat(parts)

    def fixed(self) -> FixedSet:
        """The fixed set of a recipe with `fixed_rows`, drawn on first use."""
        if self._fixed is None:
            self._fixed = FixedSet(self.recipe, self.task, self.split)
        return self._fixed

    def held_out(self, part: str, n: int, seed: int) -> Problems:
        """At most `n` distinct problems of `"test"` or `"validation"`, uniform over the task."""
        return self.split.sample(self.task, part, n, seed)
