"""StreetMath's test of approximation: everyday questions with a rough and an exact wording."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.proportions import paired_difference
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.engine.texts import continued, fitting
from interp.models.model import Model
from interp.suites.grades import GRADES, grade, read_final_answer, share_of_grades
from interp.suites.results.approximation import Approximation
from interp.suites.street_problems import WORDINGS, street_problems, street_prompt

_NEW_TOKENS = 24  # for a number with a unit, or a line of working that ends in one
_WORKING = re.compile(r"[$€£]?[\d.,]+\s*%?\s*(?:[-+*/×÷x]|of\b)")
_SHUFFLES = 200


@shows_progress
def approximation(
    model: Model,
    *,
    n: int = 120,
    seed: int = 0,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Approximation:
    """The grades of a model's answers to `n` different `street_problems` in three wordings.

    The prompt ends in "Final answer:", which the model continues. If it writes a calculation there,
    the number after the last "=" or "≈" counts, and an unfinished calculation is no answer.

    Every wording asks the same questions, so the intervals of their differences are of pairs
    (`arithmetic.proportions.paired_difference`). A two-proportion test (`grades.compare_shares`)
    takes the answers for independent: where the same questions are hard in both wordings, it
    overstates the error.

    Args:
        n: questions, the eight topics in turn.
        seed: draws the questions, and the shuffles of the control.
        memory, cancel, progress: as in `engine.generate`; progress counts the wordings.

    Raises:
        InputError: for n below 1, or a model that cannot read these questions.
    """
    problems = street_problems(n, seed=seed)
    prompts = [
        fitting(model, [street_prompt(q, wording) for q in problems["question"]], _NEW_TOKENS)
        for wording in WORDINGS
    ]
    tables = []
    for done, (wording, asked) in enumerate(zip(WORDINGS, prompts, strict=True)):
        texts = continued(model, asked, _NEW_TOKENS, Resources(memory, cancel, None))
        tables.append(_graded(problems, texts, wording))
        if progress is not None:
            progress(done + 1, len(WORDINGS))
    good = {w: _is_good(table) for w, table in zip(WORDINGS, tables, strict=True)}
    share = {wording: found.mean() for wording, found in good.items()}
    interval = paired_difference(good["roughly"], good["exactly"])
    hint = paired_difference(good["hinted"], good["roughly"])
    return Approximation(
        model=model.id,
        task="street problems",
        n=len(problems) * len(WORDINGS),
        n_distinct=len(problems),
        seed=seed,
        settings={"n": n},
        grades=pd.concat([_shares(table, seed) for table in tables], ignore_index=True),
        answers=pd.concat(tables, ignore_index=True),
        difference=float(share["roughly"] - share["exactly"]),
        difference_low=float(interval.low),
        difference_high=float(interval.high),
        hint=float(share["hinted"] - share["roughly"]),
        hint_low=float(hint.low),
        hint_high=float(hint.high),
        echo=_echo(problems),
    )


def read_continuation(text: str) -> float | None:
    """The number after "Final answer:"; None for none, or for an unfinished calculation.

    >>> read_continuation(" about"), read_continuation(" 2 * 3"), read_continuation(" 2 * 3 = 6")
    (None, None, 6.0)
    """
    told = re.split("[=≈]", text)[-1].strip()
    return None if _WORKING.match(told) else read_final_answer(f"Final answer: {told}")


def _graded(problems: pd.DataFrame, texts: list[str], wording: str) -> pd.DataFrame:
    answers = [read_continuation(text) for text in texts]
    graded = grade(problems["exact"].tolist(), answers)
    table = problems.drop(columns="exact").assign(wording=wording, given=texts)
    table = pd.concat([table, graded], axis=1)
    return table[list(_COLUMNS)]


_COLUMNS = (
    *("wording", "topic", "question", "exact", "given"),
    *("answer", "relative_error", "grade"),
)


def _echo(problems: pd.DataFrame) -> float:
    """The share of exact or good answers of a baseline that repeats the question's first number."""
    first = problems["question"].str.extract(r"(\d+(?:\.\d+)?)")[0].astype(float)
    graded = grade(problems["exact"].tolist(), first.tolist())
    return float(_is_good(graded).mean())


def _is_good(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return table["grade"].isin(["exact", "good"]).to_numpy(bool)


def _shares(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The share of each grade over all topics, with chance, and by topic."""
    rows = [share_of_grades(table).assign(topic="", chance=_chance(table, seed))]
    for topic, part in table.groupby("topic", sort=False):
        rows.append(share_of_grades(part).assign(topic=topic, chance=np.nan))
    shares = pd.concat(rows, ignore_index=True).assign(wording=table["wording"].iloc[0])
    return shares[["wording", "topic", "grade", "hits", "n", "share", "low", "high", "chance"]]


def _chance(table: pd.DataFrame, seed: int) -> list[float]:
    """The mean share of each grade with answers shuffled among questions of the same topic."""
    rng = np.random.default_rng(seed)
    topic = pd.factorize(table["topic"])[0]
    home = np.argsort(topic, kind="stable")
    exact = table["exact"].to_numpy(float)
    given = [None if np.isnan(value) else float(value) for value in table["answer"]]
    counts = np.zeros(len(GRADES))
    for _ in range(_SHUFFLES):
        order = np.empty(len(table), dtype=np.int64)
        order[home] = np.lexsort((rng.random(len(table)), topic))
        grades = grade(exact.tolist(), [given[i] for i in order])["grade"]
        counts += [(grades == name).sum() for name in GRADES]
    return list(counts / (_SHUFFLES * len(table)))
