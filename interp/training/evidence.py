"""Choice of the log split that dates learning, and comparability of train and validation loss.

Training batches date the learning of a digit only if they have the distribution of the test
problems. A mix of samplers has rows that are easier or harder than uniform problems, and a partial
chain of thought gives digits away: both date a digit too early. So do the rows of a fixed set,
which the model has seen before. A run without leading zeros is the reverse: its batches are unseen
problems of its own kind, and held-out problems are partly of a kind that it never sees.
"""

from collections.abc import Sequence
from typing import Literal

from interp.training.logs import Log
from interp.training.objectives.answer import AnswerLoss
from interp.training.recipes import Draw, Recipe

Split = Literal["train", "validation"]


def splits_that_tell(logs: Sequence[Log], parts: Sequence[Sequence[bool]]) -> list[Split]:
    """The split that dates learning in each log: "train" or "validation".

    "validation" if the log has it and its batches are not uniform problems in the final format, or
    were not logged by digit; then also for every other compared log that has it, but for those of
    runs without leading zeros. "train" if the recipe is unknown.

    `parts`: for each log, whether it has digits or tasks on (train, validation).
    """
    needed = any(
        held_out and (not train or asks_otherwise(log.recipe))
        for log, (train, held_out) in zip(logs, parts, strict=True)
    )
    return [
        "validation" if needed and held_out and not (train and never_asks_zeros(log.recipe))
        else "train"
        for log, (train, held_out) in zip(logs, parts, strict=True)
    ]  # fmt: skip


def never_asks_zeros(recipe: Recipe | None) -> bool:
    """True if every training batch is fresh uniform problems without leading zeros, in the final
    format, where held-out problems have some."""
    if recipe is None or recipe.batch is None or recipe.fixed_rows is not None:
        return False
    own = all(
        part.sampler == Draw().sampler and dict(part.options).get("full_width", False)
        for part in recipe.mix
    )
    return own and recipe.objective.final_format(recipe) == recipe.format


def asks_otherwise(recipe: Recipe | None) -> bool:
    """True if training batches differ in distribution from held-out problems, and these are what
    the run learns: not a single uniform draw, rows repeated in every epoch, or another format than
    the final one."""
    if recipe is None or never_asks_zeros(recipe):
        return False
    if recipe.fixed_rows is not None:
        return True
    return not _uniform(recipe) or recipe.objective.final_format(recipe) != recipe.format


def same_quantity(recipe: Recipe | None) -> bool:
    """True if both totals are the same loss on the same distribution, so that the distance between
    them is the delay of generalisation (grokking, 2301.05217).

    This holds if every step trains on all training problems (`batch=None`) with the answer's
    cross-entropy. Otherwise a batch is fresh, hence also unseen, or has another distribution, or
    the training loss has further terms.
    """
    return recipe is not None and recipe.batch is None and type(recipe.objective) is AnswerLoss


def _uniform(recipe: Recipe) -> bool:
    if recipe.batch is None:
        return True
    return all(part.sampler == Draw().sampler and not part.options for part in recipe.mix)
