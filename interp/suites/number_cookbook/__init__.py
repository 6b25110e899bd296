"""The Number Cookbook (arXiv 2411.03766): 41 tasks over four representations, and their scores.

>>> problems = cookbook_task("add:fraction").sample(3, 2, seed=0)
>>> score_cookbook(problems, list(problems["answer"]))["exact_match"].all()
np.True_
"""

from __future__ import annotations

from interp.suites.number_cookbook.representations import (
    FLOAT,
    FRACTION,
    INTEGER,
    REPRESENTATIONS,
    SCIENTIFIC,
    Representation,
)
from interp.suites.number_cookbook.scores import (
    by_length,
    learned_lengths,
    read_cookbook_answer,
    score_cookbook,
    string_score,
)
from interp.suites.number_cookbook.tasks import CookbookTask, cookbook_task, cookbook_tasks

__all__ = [
    "FLOAT",
    "FRACTION",
    "INTEGER",
    "REPRESENTATIONS",
    "SCIENTIFIC",
    "CookbookTask",
    "Representation",
    "by_length",
    "cookbook_task",
    "cookbook_tasks",
    "learned_lengths",
    "read_cookbook_answer",
    "score_cookbook",
    "string_score",
]
