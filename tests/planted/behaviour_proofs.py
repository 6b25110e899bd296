"""What a planted model answers, how its errors are explained, what a wrong prefix does to it."""

from __future__ import annotations

import numpy as np

from interp import behaviour, suites
from interp.arithmetic.problems import Problems
from interp.arithmetic.simulators import simulator
from tests.planted.subjects import Subject

_PROBLEMS = 80


def prove_accuracy(subject: Subject) -> None:
    """Each answer as the interpreter gives it, and the shares of them that are right."""
    key, problems = subject.key, subject.problems
    if key.fault is not None:
        problems = cascading(subject)
    found = behaviour.accuracy(subject.model, problems, strict=False)
    rows = [_row_of(problems, text) for text in found.answers["problem"]]
    vocabulary = np.array(key.program.vocabulary, dtype=object)
    said, true = key.said(problems)[rows], key.tokens(problems)[rows]
    true = true[:, -said.shape[1] :]
    assert found.answers["given"].tolist() == vocabulary[said].sum(axis=1).tolist()
    assert found.answers["exact"].tolist() == (said == true).all(axis=1).tolist()
    digits = found.breakdown("digit").set_index("answer_digit")["accuracy"]
    for column, role in enumerate(key.program.layout[-said.shape[1] :]):
        if "[" not in role:
            assert digits[role] == np.mean(said[:, column] == true[:, column]), role
    if key.fault is None and set(key.answers) == set(subject.batch.answer_roles):
        assert found.metrics["exact_accuracy"] == 1


def cascading(subject: Subject) -> Problems:
    """Distinct problems, in half of which a carry travels: where a careless adder goes wrong."""
    drawn = subject.key.task.sample(
        _PROBLEMS, seed=subject.key.program.seed, sampler="cascades", share=0.5
    )
    return drawn[np.unique(drawn.rows, axis=0, return_index=True)[1]]


def _row_of(problems: Problems, text: str) -> int:
    return next(row for row in range(len(problems)) if problems.text(row) == text)


def prove_explanation(subject: Subject) -> None:
    """The planted fault predicts every wrong answer, far above chance, and no error too many."""
    key = subject.key
    problems = cascading(subject)
    wrong = simulator(str(key.fault), key.task).answers(problems) != problems.answers()
    found = behaviour.explain_errors(subject.model, problems, shuffles=40, strict=False)
    table = found.simulators.set_index("simulator")
    planted, others = table.loc[key.fault], table.drop(str(key.fault))
    assert planted["n"] == wrong.sum()
    assert planted["share"] == 1 and planted["false_alarms"] == 0
    assert planted["chance"] < 0.5
    # A rule that may write either digit, as the look-ahead does, explains as much.
    sure = [name for name in others.index if simulator(name, key.task).digits is None]
    assert (others.loc[sure, "share"] < 1).all()


def prove_noisy_prefix(subject: Subject) -> None:
    """A sound adder reads the digit before and no other; a careless one reads none."""
    key = subject.key
    problems = key.task.sample(_PROBLEMS, seed=key.program.seed)
    found = suites.noisy_prefix(subject.model, problems, seed=key.program.seed)
    clean = found.rows("none", "").set_index("digit")["exact"]
    if key.fault is None:
        assert (clean == 1).all()
    noisy = found.table[
        (found.table["noise"] != "none") & (found.table["perturbed"] != "all before")
    ]
    assert set(noisy["noise"]) == {"random", "precise"} and len(noisy) >= 2
    for row in noisy.itertuples():
        read = row.digit == f"c{int(row.perturbed[1:]) + 1}" and key.fault is None
        if not read or row.noise == "precise":  # one more or less leaves the carry as it was
            assert row.exact == clean[row.digit], (row.noise, row.perturbed, row.digit)
            continue
        want = _right_behind_noise(problems, int(row.perturbed[1:]))
        spread = 5 * np.sqrt(want * (1 - want) / row.n) + 0.02
        assert abs(row.exact - want) <= spread, (row.perturbed, row.exact, want)


def _right_behind_noise(problems: Problems, k: int) -> float:
    """P(carry out of column k is still seen), over all wrong digits that may stand there."""
    a, b = (digits[:, k].astype(int) for digits in problems.operands)
    carry, right = problems.truth[f"carry[{k}]"].to_numpy(), problems.answer[:, k].astype(int)
    seen = (a + b)[:, None] - np.arange(10) >= 5
    wrong = np.arange(10) != right[:, None]
    return float((seen == carry[:, None])[wrong].mean())
