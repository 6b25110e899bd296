"""Flip one column of the truth table and keep others, with as few digits changed as possible.

For sums the search is exact (`sum_flips`: a shortest path through the schoolbook algorithm), so a
refusal proves that there is no such pair. For products and modular additions candidates are
enumerated (`flip_search`), completely where the task has at most 2**16 problems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.arithmetic.constraints import Found, Wish, read_wishes
from interp.arithmetic.flip_search import is_complete, search_flips
from interp.arithmetic.pairing import raise_for_rows
from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import generator
from interp.arithmetic.sum_flips import sum_flips
from interp.arithmetic.truth import column_names


def flip_truth(
    problems: Problems, column: str, *, keep: Sequence[str] | str = (), seed: int = 0
) -> Problems:
    """Problems in which one truth column has another value and the kept ones their old.

    `column` is one of the truth table's, such as `"carry[2]"`; if it is not binary it takes any
    other value, and a sign the opposite one (from 0, either). `keep` names columns (`"c[3]"`) or
    whole families (`"c"`). Operators always stay. Among all pairs that fulfil this, one with the
    fewest changed operand digits is drawn, so that the rest of the table stays where it can.

    >>> from interp.arithmetic.tasks import Addition
    >>> flip_truth(Addition(3).problems(125, 456), "carry[0]", keep=["c", "carry[1]"]).answers()
    array([581], dtype=object)

    Raises InputError for a column that the task does not have, and where some row has no such pair:
    it names the rows, and says whether `keep` stands in the way.
    """
    wishes = read_wishes(problems.task, column, keep)
    found = _search(problems, wishes, generator(seed))
    if not found.solved.all():
        _refuse(problems, column, wishes, found, seed)
    return Problems(problems.task, found.operands, problems.operators)


def _search(problems: Problems, wishes: Sequence[Wish], rng: np.random.Generator) -> Found:
    search = sum_flips if problems.task.arithmetic == "sum" else search_flips
    return search(problems, wishes, rng)


def _refuse(
    problems: Problems, column: str, wishes: Sequence[Wish], found: Found, seed: int
) -> None:
    task = problems.task
    proven = task.arithmetic == "sum" or is_complete(task)
    reason = f"{'there is' if proven else 'found'} no problem of {task.name} that changes {column}"
    remedy = "leave these rows out"
    if len(wishes) > 1:
        kept = [column_names(task, wish.family)[wish.place] for wish in wishes[1:]]
        reason += f" and keeps {', '.join(kept[:4])}{', …' if len(kept) > 4 else ''}"
        first = problems[np.flatnonzero(~found.solved)[0]]
        alone = _search(first, wishes[:1], generator(seed)).solved.all()
        remedy += ", or keep less: with keep=() there is one" if alone else ""
    raise_for_rows(~found.solved, reason, remedy)
