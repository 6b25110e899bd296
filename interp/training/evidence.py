"""Which split of a training log shows when a part was learnt, and when its totals compare.

Training batches tell when a digit is learnt only if they are what the model is asked in the end. A
mix of samplers has rows that are easier or harder than a problem at random, and a chain of thought
that is still written in part gives digits away: both make a digit look learnt too early. So do the
rows of a fixed set, which have been seen before.
"""

from collections.abc import Sequence
from typing import Literal

from interp.training.logs import Log
from interp.training.objectives.answer import AnswerLoss
from interp.training.recipes import Draw, Recipe

Split = Literal["train", "validation"]


def splits_that_tell(logs: Sequence[Log], parts: Sequence[Sequence[bool]]) -> list[Split]:
    """The split on which each log shows when a part was learnt: "train" or "validation".

    "validation" where the log has it and its recipe's batches are something else than uniform
    problems in the final format, or were not logged by digit; and then for all logs that are put
    side by side and have it. Where a log's recipe is not known, "train".

    `parts` says of each log whether it has parts (digits or tasks) on (train, validation).
    """
    needed = any(
        held_out and (not train or asks_otherwise(log.recipe))
        for log, (train, held_out) in zip(logs, parts, strict=True)
    )
    return ["validation" if needed and held_out else "train" for _, held_out in parts]


def asks_otherwise(recipe: Recipe | None) -> bool:
    """True if training batches differ from held-out problems: no one uniform draw, rows
    that come again in every epoch, or another format than the final one."""
    if recipe is None:
        return False
    if recipe.fixed_rows is not None:
        return True
    return not _uniform(recipe) or recipe.objective.final_format(recipe) != recipe.format


def same_quantity(recipe: Recipe | None) -> bool:
    """True if the two totals are the same loss on problems of the same kind, so that the distance
    between them is the delay of generalisation (grokking, 2301.05217).

    So it is where every step learns from all training problems (`batch=None`) by the answer's
    cross-entropy. Elsewhere a batch is fresh, hence unseen too, or drawn in another way; or what is
    minimised is more than the answer's loss.
    """
    return recipe is not None and recipe.batch is None and type(recipe.objective) is AnswerLoss


def _uniform(recipe: Recipe) -> bool:
    if recipe.batch is None:
        return True
    return all(part.sampler == Draw().sampler and not part.options for part in recipe.mix)
