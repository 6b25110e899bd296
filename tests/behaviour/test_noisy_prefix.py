"""The noisy-prefix test, against a plain loop over the module and solvers made by hand."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.engine import Cancel
from interp.errors import Cancelled, InputError
from interp.results.result import Result
from interp.suites._noisy_prefix import noisy_prefix, printed_columns
from interp.suites.results.noisy_prefix import ALL
from tests import tiny

test_module = import_module("interp.suites._noisy_prefix")


def solver(digit: Any, model: Any) -> Any:
    """`run` of a solver that puts `digit(batch, column)` [n] at each answer role."""
    ids = model.tokens.tokenizer("0123456789", add_special_tokens=False)["input_ids"]

    def run(_model: Any, batch: Any, **options: Any) -> Any:
        columns = [digit(batch, int(role[1:])) for role in batch.answer_roles]
        return SimpleNamespace(logits=torch.tensor(np.array(ids)[np.stack(columns, axis=1)]))

    return run


@pytest.fixture
def honest(llama: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Works every digit out from the operands."""
    right = solver(lambda batch, k: batch.problems.answer[:, k].astype(int), llama)
    monkeypatch.setattr(test_module, "run", right)
    return llama


def test_a_solver_that_ignores_its_own_digits(honest: Any) -> None:
    result = noisy_prefix(honest, "add:3", n=60, format="padded")
    assert result.printed == ("c3", "c2", "c1", "c0")
    assert (result.table["exact"] == 1).all()
    assert result.table["n"].eq(60).all()
    assert result.metrics["random"] == result.metrics["worst"] == 1
    pairs = set(result.table[["noise", "perturbed", "digit"]].itertuples(index=False, name=None))
    single = {(a, b) for i, a in enumerate(result.printed) for b in result.printed[i + 1 :]}
    every = {(ALL, b) for b in result.printed[1:]}
    want = {(noise, a, b) for noise in ("random", "precise") for a, b in single | every}
    assert pairs == want | {("none", "", b) for b in result.printed}


def test_a_solver_that_adds_the_error_of_the_digit_before(
    llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong right behind the perturbed digit, right elsewhere; within one behind a precise one."""
    ids = {
        str(d): llama.tokens.tokenizer(str(d), add_special_tokens=False)["input_ids"][0]
        for d in range(10)
    }
    digit_of = {token: int(text) for text, token in ids.items()}

    def copies(batch: Any, k: int) -> Any:
        right = batch.problems.answer.astype(int)
        if k == 3:
            return right[:, 3]
        before = np.array([digit_of[int(t)] for t in batch.labels(f"c{k + 1}")])
        return (right[:, k] + before - right[:, k + 1]) % 10

    monkeypatch.setattr(test_module, "run", solver(copies, llama))
    result = noisy_prefix(llama, "add:3", n=60, format="padded")
    for noise in ("random", "precise"):
        for row in result.table[result.table["noise"] == noise].itertuples():
            next_to = row.perturbed == ALL or int(row.perturbed[1]) == int(row.digit[1]) + 1
            assert row.exact == (0 if next_to else 1)
            if noise == "precise":
                assert row.relaxed == 1
    assert result.metrics["random"] == result.metrics["precise"] == 0
    assert result.metrics["precise_relaxed"] == 1
    assert result.verdict is not None
    assert result.verdict.startswith("Behind a prefix of random wrong digits 0 % of the digits")


@pytest.mark.parametrize("format", ["padded", "reversed", "plain"])
def test_it_equals_a_plain_loop_over_the_module(llama: Any, format: str) -> None:
    problems = interp.Addition(2).sample(30, seed=1)
    result = noisy_prefix(llama, problems, seed=4, format=format)
    order = result.printed
    noise = interp.suites.prefixes.noisy_prefix
    for first in order[:-1]:
        wrong = noise(problems, [int(first[1])], noise="random", seed=4)
        batch = llama.prompts(problems, format=format, answer=wrong)
        told = llama.prompts(problems, format=format)
        with torch.no_grad():
            said = llama.adapter.module(batch.tokens).logits.argmax(-1)
        for digit in order[order.index(first) + 1 :]:
            hits = n = 0
            for i in range(len(problems)):
                where = [b.find(role)[i] for b in (batch, told) for role in (first, digit)]
                if min(where) < 0 or batch.lengths[i] != told.lengths[i]:
                    continue
                n += 1
                text = llama.pieces([int(said[i, where[1] - 1])])[0]
                hits += text == str(problems.answer[i, int(digit[1])])
            row = result.rows("random", first).set_index("digit").loc[digit]
            assert row["n"] == n
            assert row["exact"] == pytest.approx(hits / n)


def test_numbers_as_long_as_they_are_keep_their_length(honest: Any) -> None:
    """A first digit that becomes 0 is not printed: such rows are left out, and counted out."""
    problems = interp.Addition(1).grid()
    result = noisy_prefix(honest, problems, format="plain")
    assert result.rows("random", "c1")["n"].iloc[0] < 45  # of the 45 sums with two digits
    assert result.rows("precise", "c1")["n"].iloc[0] < 45
    assert result.rows("none", "")["n"].tolist() == [45, 100]


def test_saved_and_made_again(llama: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result = noisy_prefix(llama, "add:2", n=20, seed=3, format="padded")
    assert Result.load(result.save(tmp_path)) == result
    assert result.verdict is None  # fewer than 30 prompts
    monkeypatch.setattr(interp, "load", lambda name: llama, raising=False)
    names: dict[str, Any] = {}
    exec(result.code, names)
    assert names["result"].table.equals(result.table)


def test_progress_and_cancel(llama: Any) -> None:
    seen: list[tuple[int, int]] = []
    noisy_prefix(llama, "add:2", n=4, format="padded", progress=lambda *done: seen.append(done))
    assert seen == [(i, 9) for i in range(1, 10)]
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        noisy_prefix(llama, "add:2", n=4, format="padded", cancel=cancel)


def test_errors(llama: Any, tmp_path: Any) -> None:
    chain: Any = SimpleNamespace(
        format="icot", roles=("a0", "t0", "c0", "c1"), answer_roles=("c0", "c1")
    )
    with pytest.raises(InputError, match="'icot' works the answer out before"):
        printed_columns(chain)
    with pytest.raises(InputError, match="no digit of these answers has another before it"):
        noisy_prefix(llama, interp.Addition(1).problems([1], [2]), format="plain")
    with pytest.raises(InputError, match="a sample needs n ≥ 1"):
        noisy_prefix(llama, "add:2", n=0)
    packed = interp.load(str(tiny.save("llama", tmp_path, pattern="[0-9]{1,3}|.")))
    with pytest.raises(InputError, match="holds several digits"):
        noisy_prefix(packed, "add:3", n=40, format="plain")
