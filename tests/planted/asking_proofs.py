"""How a planted model is asked, what it errs in, one swap token by token, and how it is tokenised.

What the model must write to any text, also in formats that it was not made for and without its BOS
token, comes from the interpreter, one token after another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from interp import attribution, behaviour
from interp.arithmetic.formats import format
from interp.arithmetic.problems import Problems
from interp.behaviour.results.errors import ErrorTaxonomy
from interp.planted.interpret import interpret, read_out
from interp.planted.key import AnswerKey
from tests.planted.behaviour_proofs import cascading
from tests.planted.subjects import Subject

_PROBLEMS = 60
_SWAPS = 4
_OTHER = "padded"  # what an adder that writes its answer reversed does not read


def written(key: AnswerKey, texts: Sequence[str], new: int, *, bos: bool = True) -> list[str]:
    """What the interpreter writes after texts of one length, `new` tokens each."""
    program = key.program
    ids = {token: i for i, token in enumerate(program.vocabulary)}
    start = [ids["<bos>"]] * bos
    tokens = np.array(
        [[*start, *map(ids.__getitem__, re.findall(program.pattern, text))] for text in texts]
    )
    asked = tokens.shape[1]
    for _ in range(new):
        final = interpret(program, tokens).resid_post[-1][:, -1]
        tokens = np.column_stack([tokens, read_out(program, final).argmax(axis=-1)])
    return ["".join(program.vocabulary[i] for i in row[asked:]) for row in tokens]


def _hits(key: AnswerKey, problems: Problems, name: str, *, bos: bool = True) -> list[bool]:
    """Which answers the interpreter gets right when asked in a format."""
    texts = format(name).render(problems, answer="none"), format(name).render(problems)
    asked, told = ([w.text for w in part] for part in texts)
    right = [whole[len(question) :] for question, whole in zip(asked, told, strict=True)]
    said = written(key, asked, len(right[0]), bos=bos)
    return [mine == true for mine, true in zip(said, right, strict=True)]


def _distinct(key: AnswerKey) -> Problems:
    drawn = key.task.sample(_PROBLEMS, seed=key.program.seed)
    return drawn[np.unique(drawn.rows, axis=0, return_index=True)[1]]


def prove_prompt_search(subject: Subject) -> None:
    """The planted format wins, and both halves together are what the interpreter gets right."""
    key, problems = subject.key, _distinct(subject.key)
    found = behaviour.search_prompts(
        subject.model, problems, styles=[_OTHER, key.format], shots=(0,), baseline=_OTHER
    )
    assert (found.best, found.baseline) == (key.format, _OTHER)
    table = found.candidates.set_index("format")
    for name in (key.format, _OTHER):
        row, hits = table.loc[name], _hits(key, problems, name)
        assert row["n_chosen_on"] + row["n_reported"] == len(problems), name
        right = row["n_chosen_on"] * row["accuracy_chosen_on"]
        right += row["n_reported"] * row["accuracy_reported"]
        assert round(right, 6) == sum(hits), name
    assert found.metrics["exact_accuracy"] == 1


def prove_doctor(subject: Subject) -> None:
    """The best way to ask is the planted one, and every trial is as the interpreter has it."""
    key, problems = subject.key, _distinct(subject.key)
    found = behaviour.doctor(subject.model, problems, formats=[key.format, _OTHER])
    best = found.trials.iloc[found.best]
    assert (best["format"], best["start"], best["accuracy"]) == (key.format, "<bos>", 1)
    assert {"<bos>", ""} == set(found.trials["start"])
    halves = np.random.default_rng(0).permutation(len(problems))
    reported = problems[np.sort(halves[len(problems) // 2 :])]
    for row in found.asked[found.asked["accuracy"].notna()].itertuples():
        hits = _hits(key, reported, str(row.format), bos=row.start == "<bos>")
        assert row.accuracy == np.mean(hits), (row.format, row.start)
        (said,) = written(key, [row.prompt], len(row.expected), bos=row.start == "<bos>")
        assert row.emitted[: len(said)] == said, (row.format, row.start)
    assert best["digits"] == best["gain"] == 1 and best["p"] < 1e-6
    assert best["digits_of_others"] < 0.7
    assert best["emitted"].startswith(best["expected"]) and best["shuffled"] < 0.2


def prove_error_taxonomy(subject: Subject) -> None:
    """A careless adder's wrong answers, one by one; shares and chance by Python's integers."""
    key, problems = subject.key, cascading(subject)
    given = [_number(key, row) for row in key.said(problems)]
    true = [int(value) for value in problems.answers()]
    found = behaviour.error_taxonomy(subject.model, problems, strict=False)
    rows = [i for i in range(len(problems)) if given[i] != true[i]]
    wrong = [(problems.text(i), str(true[i]), str(given[i])) for i in rows]
    columns = ["problem", "answer", "given"]
    assert sorted(map(tuple, found.wrong[columns].to_numpy())) == sorted(wrong)
    longest = [max(int(problems.values(i)[row]) for i in range(2)) for row in rows]
    longer = [len(str(true[row])) > len(str(most)) for row, most in zip(rows, longest, strict=True)]
    for name, members in (("all", [True] * len(rows)), ("longer answer", longer)):
        mine = [row for row, member in zip(rows, members, strict=True) if member]
        if mine:
            _check_group(found, name, [given[i] for i in mine], [true[i] for i in mine])


def _check_group(
    found: ErrorTaxonomy, name: str, given: Sequence[int], true: Sequence[int]
) -> None:
    kinds = found.group(name).set_index("kind")
    # Answers go to other problems whose right answers are equally long: all pairs of those.
    pairs = [[j for j, y in enumerate(true) if len(str(y)) == len(str(x))] for x in true]
    for kind, holds in _KINDS.items():
        share = np.mean([holds(g, t) for g, t in zip(given, true, strict=True)])
        chance = np.mean(
            [np.mean([holds(given[j], t) for j in others])
             for t, others in zip(true, pairs, strict=True)]
        )  # fmt: skip
        assert abs(kinds.loc[kind, "share"] - share) < 1e-9, (name, kind)
        assert abs(kinds.loc[kind, "chance"] - chance) < 0.06, (name, kind)
    digits = found.group(name, "digits").set_index("digit")
    for k in digits.index:
        asked = [i for i, t in enumerate(true) if len(str(t)) > k]
        missed = np.mean([given[i] // 10**k % 10 != true[i] // 10**k % 10 for i in asked])
        assert abs(digits.loc[k, "share"] - missed) < 1e-9, (name, k)


_KINDS = {
    "multiple_of_ten": lambda given, true: given != true and given % 10 == true % 10,
    "power_of_ten": lambda given, true: str(abs(given - true)).strip("0") == "1",
    "one_digit": lambda given, true: (
        len(str(given)) == len(str(true))
        and sum(x != y for x, y in zip(str(given), str(true), strict=True)) == 1
    ),
}


def _number(key: AnswerKey, tokens: npt.NDArray[np.int64]) -> int:
    """The number that answer tokens spell, least digit first."""
    return int("".join(key.program.vocabulary[i] for i in tokens)[::-1])


def prove_swap_example(subject: Subject) -> None:
    """Logits of single prompts before and after a swap, under both prefixes."""
    key, rng = subject.key, np.random.default_rng(subject.key.program.seed)
    for operand, width in enumerate(key.task.operand_digits):
        for place in range(width):
            for row in rng.choice(len(subject.problems), _SWAPS, replace=False).tolist():
                for prefix in ("keep", "recompute"):
                    _check_swap(subject, operand, place, row, prefix)


def _check_swap(
    subject: Subject, operand: int, place: int, row: int, prefix: Literal["keep", "recompute"]
) -> None:
    key, one = subject.key, subject.problems[[row]]
    numbers = [int(one.values(i)[0]) for i in range(2)]
    old = numbers[operand] // 10**place % 10
    new = (old + 5) % 10  # far enough for a kept digit to tell of another carry
    numbers[operand] += (new - old) * 10**place
    changed = key.task.problems(*[[number] for number in numbers])
    digit = "ab"[operand] + str(place)
    found = attribution.swap_example(
        subject.model, subject.batch, digit, row=row, digit=new, prefix=prefix
    )
    kept = one if prefix == "keep" else None
    ids = {token: i for i, token in enumerate(key.program.vocabulary)}
    logits = {"before": key.logits(one)[0], "after": key.logits(changed, prefix=kept)[0]}
    labels = {"before": key.tokens(one)[0], "after": key.tokens(changed)[0]}
    assert set(found.logits["answer_digit"]) == set(key.answers)
    for role, table in found.logits.groupby("answer_digit"):
        k, tokens = key.answers.index(str(role)), [ids[t] for t in table["token"]]
        for name in ("before", "after"):
            want, what = logits[name][k], f"{role} {name} {digit} of row {row}, {prefix}"
            subject.assert_close(table[f"logit_{name}"], want[tokens], what)
            share = np.exp(want - want.max()) / np.exp(want - want.max()).sum()
            off = np.abs(table[f"probability_{name}"] - share[tokens]).max()
            assert off < 1e-3, f"{what}: probability off by {off:.3g}"
            true = labels[name][key.position(str(role))]
            assert [t == true for t in tokens] == table[f"true_{name}"].tolist(), what


def prove_tokenisation(subject: Subject) -> None:
    """Tokens, roles and packing as the program's layout has them."""
    program = subject.key.program
    found = subject.model.tokenisation(subject.problems)
    tokens = subject.key.tokens(subject.problems)[0]
    assert found.example["id"].tolist() == tokens.tolist()
    assert found.example["token"].tolist() == [program.vocabulary[i] for i in tokens]
    assert found.example["role"].tolist() == list(program.layout)
    assert (found.tokens_min, found.tokens_max) == (len(program.layout),) * 2
    assert found.bos == "<bos>" and found.moving_roles == ()
    packed: dict[str, list[int]] = {}
    for role in program.layout:
        span = re.fullmatch(r"([abc])(?:\d+|\[(\d+):(\d+)\])", role)
        if span:
            width = int(span[3]) - int(span[2]) if span[2] else 1
            packed.setdefault(span[1], []).append(width)
    assert set(found.packing["number"]) == set(packed)
    for row in found.packing.itertuples():
        assert row.pattern == "+".join(map(str, packed[str(row.number)]))
        assert (row.digits, row.n) == (sum(packed[str(row.number)]), len(subject.problems))
