"""The fixed training set of a recipe with `fixed_rows`, the same in every epoch.

The published models of 2510.00184 train on 80,800 products for many epochs, ours on fresh ones.
The set has no state: the rows of a step follow from (seed, step), as in a fresh stream.
"""

import numpy as np

from interp.arithmetic.held_out import Split
from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import generator, step_seed
from interp.arithmetic.tasks import Task
from interp.training.recipes import Recipe
from interp.training.shares import shares

# Purpose numbers of seeds; the draws of a fresh stream count from 0.
_ROWS = 2 * 10**6
_ORDER = 3 * 10**6


class FixedSet:
    """`recipe.fixed_rows` training problems, drawn once in the proportions of the mix.

    Row i of step s is element p = s · batch + i of an endless list. Epoch e = p // n of the list is
    a permutation of the set, drawn from (seed, e). So every epoch has each row once, and a step
    across the end of an epoch has rows of two.

    The samplers draw with replacement: `problems.n_distinct` counts the distinct rows. None is
    held out by the split.
    """

    def __init__(self, recipe: Recipe, task: Task, split: Split) -> None:
        if recipe.fixed_rows is None or recipe.batch is None:
            raise AssertionError("a fixed set belongs to a recipe with fixed_rows and a batch")
        self.n, self.batch, self.seed = recipe.fixed_rows, recipe.batch, recipe.seed
        counts = shares(np.array([part.weight for part in recipe.mix]), self.n)
        self.problems = Problems.concat(
            [
                split.draw(
                    task,
                    "train",
                    count,
                    step_seed(self.seed, 0, _ROWS + at),
                    sampler=part.sampler,
                    **dict(part.options),
                )
                for at, (part, count) in enumerate(zip(recipe.mix, counts.tolist(), strict=True))
                if count
            ]
        )

    def training(self, step: int) -> Problems:
        """The problems of one step."""
        places = np.arange(step * self.batch, (step + 1) * self.batch)
        epochs = range(places[0] // self.n, places[-1] // self.n + 1)
        orders = [generator(step_seed(self.seed, e, _ORDER)).permutation(self.n) for e in epochs]
        return self.problems[np.concatenate(orders)[places - epochs[0] * self.n]]
