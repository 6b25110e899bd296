"""Simulators that predict a model's wrong answers, against chance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.arithmetic.problems import Problems
from interp.arithmetic.proportions import share_of
from interp.arithmetic.scoring import digit_table
from interp.arithmetic.simulators import Simulator
from interp.arithmetic.simulators import simulators as all_simulators
from interp.arithmetic.wrong_answers import Rows, WrongAnswers, as_codes, wrong_answers
from interp.errors import InputError

_RIGHT = -1


def explain_errors(
    problems: Problems,
    answers: Sequence[Any] | NDArray[Any],
    simulators: Sequence[Simulator] | None = None,
    *,
    seed: int = 0,
    shuffles: int = 1000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Share of the model's wrong answers that each simulator predicts exactly; best first.

    Each wrong answer to each problem counts once. Chance is the same wrong answers shuffled among
    problems whose right answers are equally long.

    simulator      its name
    n              wrong answers; n_distinct of them to different problems
    errs           on how many of them the simulator errs too: it can explain no others
    hits, share    how many it predicts to the last digit, and hits / n, between low and high
                   (Wilson); a rule that guesses predicts every answer that it could have given
    alone          hits that no other simulator here predicts
    chance         mean share over the shuffles, below chance_high in `level` of them
    excess         share - chance: the table is sorted by it
    p              how often a shuffle does as well, one-sided, (1 + count) / (1 + shuffles)
    p_best         how often the best of all simulators on a shuffle does as well: p corrected for
                   having looked at them all (Westfall and Young 1993)
    false_alarms   share of the model's right answers on which the simulator errs

    Raises InputError without wrong answers or simulators. Does not show: that the model computes
    this way, or its behaviour on other problems.
    """
    chosen = tuple(all_simulators(problems.task) if simulators is None else simulators)
    if not chosen:
        raise InputError("there is no simulator to compare with: leave simulators out to use all.")
    kept = wrong_answers(problems, answers).once()
    predictions = _Predictions(chosen, kept, seed)
    hits = predictions.hits(np.arange(kept.n))
    by_chance = np.stack(
        [predictions.hits(order).sum(axis=1) for order in kept.shuffles(shuffles, seed)]
    )
    table = _table(chosen, kept, hits, by_chance, level)
    table["errs"] = predictions.errs
    table["false_alarms"] = _false_alarms(problems, answers, chosen, seed)
    table = table.sort_values(["excess", "share"], ascending=False, kind="stable")
    return table[list(_COLUMNS)].reset_index(drop=True)


def predicted(
    wrong: WrongAnswers, simulators: Sequence[Simulator], *, seed: int = 0
) -> NDArray[np.bool_]:
    """Mask [simulators, n] of the exactly predicted wrong answers."""
    return _Predictions(simulators, wrong, seed).hits(np.arange(wrong.n))


class _Predictions:
    """Answers of the simulators to the problems that the model got wrong."""

    def __init__(self, chosen: Sequence[Simulator], wrong: WrongAnswers, seed: int) -> None:
        problems = wrong.problems
        said = np.stack([one.answers(problems, seed=seed) for one in chosen])
        right, given, codes = as_codes(problems.answers(), wrong.given, said)
        # A simulator that is right predicts no error, whatever answer a shuffle puts there.
        self._said = np.where(codes == right, _RIGHT, codes)
        self._given, self._right = given, right
        self._negative = (wrong.given < 0).astype(bool), problems.sign < 0
        width = problems.answer.shape[1]
        self._fits = (np.abs(wrong.given) < 10**width).astype(bool)
        self._digits = digit_table([str(abs(v)) for v in wrong.given], width)
        self._open = {i: one.digits(problems) for i, one in enumerate(chosen) if one.digits}
        self.errs = (self._said != _RIGHT).sum(axis=1)
        for i, digits in self._open.items():
            own = np.take_along_axis(digits, problems.answer[..., None].astype(np.int64), axis=2)
            self.errs[i] = ((digits.sum(axis=2) > 1) | ~own[..., 0]).any(axis=1).sum()

    def hits(self, order: Rows) -> NDArray[np.bool_]:
        """[simulators, n]: predicted, when answer order[i] is given to problem i."""
        given = self._given[order]
        hits = self._said == given
        for i, digits in self._open.items():
            hits[i] = self._possible(digits, order) & (given != self._right)
        return hits

    def _possible(self, digits: NDArray[np.bool_], order: Rows) -> NDArray[np.bool_]:
        """Mask [n] of the answers that a guessing rule could have given."""
        given = np.maximum(self._digits[order], 0).astype(np.int64)
        allowed = np.take_along_axis(digits, given[..., None], axis=2)[..., 0].all(axis=1)
        given_negative, negative = self._negative
        return allowed & self._fits[order] & (given_negative[order] == negative)


_COLUMNS = (
    *("simulator", "n", "n_distinct", "errs", "hits", "alone", "share", "low", "high"),
    *("chance", "chance_high", "excess", "p", "p_best", "false_alarms"),
)


def _table(
    chosen: Sequence[Simulator],
    wrong: WrongAnswers,
    hits: NDArray[np.bool_],
    by_chance: NDArray[np.int64],
    level: float,
) -> pd.DataFrame:
    count, n = hits.sum(axis=1), wrong.n
    shares = [share_of(int(k), n, level) for k in count]
    best = by_chance.max(axis=1, keepdims=True)
    table = pd.DataFrame(
        {
            "simulator": [one.name for one in chosen],
            "n": n,
            "n_distinct": wrong.problems.n_distinct,
            "hits": count,
            "alone": (hits & (hits.sum(axis=0) == 1)).sum(axis=1),
            "share": [s.share for s in shares],
            "low": [s.low for s in shares],
            "high": [s.high for s in shares],
            "chance": by_chance.mean(axis=0) / n,
            "chance_high": np.quantile(by_chance, level, axis=0, method="higher") / n,
            "p": (1 + (by_chance >= count).sum(axis=0)) / (1 + len(by_chance)),
            "p_best": (1 + (best >= count).sum(axis=0)) / (1 + len(by_chance)),
        }
    )
    table["excess"] = table["share"] - table["chance"]
    return table


def _false_alarms(
    problems: Problems,
    answers: Sequence[Any] | NDArray[Any],
    chosen: Sequence[Simulator],
    seed: int,
) -> list[float]:
    given = np.empty(len(problems), dtype=object)
    given[:] = list(answers)
    rows = np.flatnonzero(given == problems.answers())
    if not len(rows):
        return [float("nan")] * len(chosen)
    kept = problems[rows]
    return [float(np.mean(one.answers(kept, seed=seed) != kept.answers())) for one in chosen]
