"""Counterfactual attribution against a slow reference, and on a model whose answer key is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.attribution import counterfactual, measure
from interp.errors import InputError
from interp.models.swaps import swapped_prompts, swaps
from interp.results.result import Result
from tests.attribution.calculator import SURE, Calculator


def calculating(monkeypatch: pytest.MonkeyPatch, calculator: Calculator) -> None:
    monkeypatch.setattr(measure, "run", calculator.run)
    monkeypatch.setattr(measure, "run_variants", calculator.run_variants)


def plain_logits(model: Any, batch: Any) -> list[torch.Tensor]:
    """Logits [T, d_vocab] of every prompt, each by a forward of the Hugging Face module alone."""
    with torch.no_grad():
        return [model.adapter.module(row[None]).logits[0] for row in batch.tokens]


def place(batch: Any, role: str, row: int) -> int:
    return int(batch.position_array(role)[row]) if role in batch.roles else -1


def slow_delta(before: Any, after: Any, own: Any, answer: str, row: int, target: str) -> float:
    """Δ of one prompt in one cell; `before` and `after` are (batch, logits)."""
    places = [place(batch, answer, row) for batch, _ in (before, after)]
    if min(places) < 0:
        return np.nan
    x, y = (
        logits[row][where - 1] for (_, logits), where in zip((before, after), places, strict=True)
    )
    t = int(before[0].labels(answer)[row])
    if target == "argmax":
        t = int(x.argmax())
    if target != "difference":
        return float(x[t] - y[t])
    u = int(own.labels(answer)[row]) if place(own, answer, row) >= 0 else t
    return np.nan if u == t else float((x[t] - x[u]) - (y[t] - y[u]))


@pytest.mark.parametrize("prefix", ["keep", "recompute"])
@pytest.mark.parametrize("target", ["argmax", "true", "difference"])
@pytest.mark.parametrize(("task", "format"), [("add:2", "padded"), ("sub:2", "plain")])
def test_equals_plain_forwards(
    llama: Any, prefix: Any, target: Any, task: str, format: str
) -> None:
    batch = llama.prompts(interp.task(task).sample(12, seed=3), format=format)
    result = counterfactual(llama, batch, prefix=prefix, target=target, seed=5)
    roles, answers = (axis.labels for axis in result.effect.axes)
    seeds = np.random.SeedSequence(5).generate_state(len(roles))
    clean = batch, plain_logits(llama, batch)
    for role, seed in zip(roles, seeds, strict=True):
        (swap,) = swaps(batch, role, "one", int(seed))
        changed = swapped_prompts(llama, batch, swap, prefix)
        own = llama.prompts(swap.problems, format=format)
        after = changed, plain_logits(llama, changed)
        for answer in answers:
            slow = np.array([slow_delta(clean, after, own, answer, i, target) for i in range(12)])
            slow[~swap.valid] = np.nan
            cell = {"operand_digit": role, "answer_digit": answer}
            known = slow[~np.isnan(slow)]
            assert result.used.at(**cell) == len(known)
            if len(known):
                assert result.effect.at(**cell) == pytest.approx(known.mean(), abs=1e-9)
                assert result.magnitude.at(**cell) == pytest.approx(np.abs(known).mean(), abs=1e-9)


@pytest.mark.parametrize("target", ["argmax", "true"])
@pytest.mark.parametrize(
    ("task", "format", "prefix", "trusting"),
    [
        ("add:3", "padded", "keep", False),
        ("add:3", "reversed", "keep", True),
        ("add:3", "reversed", "recompute", False),
        ("mul:2x2", "reversed", "keep", True),
    ],
)
def test_on_a_calculator_the_magnitude_is_the_oracle(
    llama: Any,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    format: str,
    prefix: Any,
    target: Any,
    trusting: bool,
) -> None:
    """A changed digit moves its logit by 10, an unchanged one by 0: mean |Δ| = 10 P(change)."""
    problems = interp.task(task).sample(25, seed=1)
    batch = llama.prompts(problems, format=format)
    calculating(monkeypatch, Calculator(llama, problems, trusting))
    result = counterfactual(llama, batch, prefix=prefix, target=target, draws="all")
    assert np.allclose(result.magnitude.values, SURE * result.oracle.values, atol=1e-12)
    assert np.allclose(result.effect.values, result.magnitude.values)
    assert (result.oracle.values > 0.9).any()
    assert (result.oracle.values == 0).any()
    assert result.metrics["mean_abs_where_zero"] == 0
    assert result.metrics["ratio_oracle_low"] > 1e6
    assert result.correct.all()
    changed, stayed = result.changed, result.stayed
    assert (changed[~np.isnan(changed)] == SURE).all()
    assert (stayed[~np.isnan(stayed)] == 0).all()
    assert result.metrics["mean_abs_digit_changed"] == SURE


def test_on_a_calculator_the_difference_is_twenty(
    llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = interp.Addition(3).sample(30, seed=1)
    calculating(monkeypatch, Calculator(llama, problems, False))
    batch = llama.prompts(problems, format="padded")
    result = counterfactual(llama, batch, target="difference", draws="all")
    known = ~np.isnan(result.effect.values)
    assert np.allclose(result.effect.values[known], 2 * SURE)
    assert (result.oracle.values[known] > 0).all()
    # The digit stays: no difference is defined, and the cell says so instead of showing 0.
    assert np.isnan(result.effect.at(operand_digit="a1", answer_digit="c0"))
    assert result.used.at(operand_digit="a1", answer_digit="c0") == 0
    assert np.isnan(result.metrics["ratio_oracle"])


def test_a_shifted_answer_role_fails_the_identity(
    llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutation that the identity above must catch."""
    problems = interp.Addition(3).sample(25, seed=1)
    calculating(monkeypatch, Calculator(llama, problems, False, moved=1))
    batch = llama.prompts(problems, format="padded")
    result = counterfactual(llama, batch, draws="all")
    assert not np.allclose(result.magnitude.values, SURE * result.oracle.values, atol=1)


def test_sign_and_its_oracle(llama: Any) -> None:
    batch = llama.prompts(interp.Subtraction(1).problems([5, 5, 3], [4, 5, 9]), format="padded")
    result = counterfactual(llama, batch, draws="all", prefix="recompute")
    assert result.oracle.axis("answer_digit").labels[-1] == "sign"
    # 5−4: a below 4 is negative (1, 2, 3 of 8); 5−5: 1 … 4 of 8; 3−9: a = 9 alone is not.
    want = np.mean([3 / 8, 4 / 8, 1 / 8])
    assert result.oracle.at(operand_digit="a0", answer_digit="sign") == pytest.approx(want)


def test_one_digit_pairs_are_enumerated(llama: Any) -> None:
    batch = llama.prompts(interp.Addition(1).grid(), format="plain")
    result = counterfactual(llama, batch, draws="all")
    assert (result.n, result.n_distinct) == (100, 100)
    assert result.pairs == 2 * 10 * (9 * 8 + 9)  # a leading digit stays non-zero, a 0 may be any
    tens = result.used.at(operand_digit="a0", answer_digit="c1")
    assert tens == 45  # sums of 10 and more; the others write no c1
    assert result.metrics["excluded_share"] == pytest.approx(55 / 200)


def test_packed_digits_are_swapped_one_by_one(packed: Any) -> None:
    problems = interp.Addition(3).problems([123, 456, 700], [321, 123, 99])
    batch = packed.prompts(problems, format="plain")
    result = counterfactual(packed, batch)
    rows = result.effect.axis("operand_digit").labels
    assert rows == ("a0", "a1", "a2", "b0", "b1", "b2")
    assert result.effect.axis("answer_digit").labels == ("c[0:3]",)
    assert result.oracle.at(operand_digit="a0", answer_digit="c[0:3]") == 1
    assert result.used.at(operand_digit="b2", answer_digit="c[0:3]") == 2  # 99 writes no b2


def test_signed_answers_on_a_calculator(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference has no cell of probability 0: any digit may turn the sign, and all digits."""
    problems = interp.Subtraction(2).sample(25, seed=1)
    calculating(monkeypatch, Calculator(llama, problems, False))
    batch = llama.prompts(problems, format="padded")
    result = counterfactual(llama, batch, prefix="recompute", draws="all")
    assert np.allclose(result.magnitude.values, SURE * result.oracle.values)
    assert np.isnan(result.metrics["ratio_oracle"])
    assert result.metrics["ratio_pairs_low"] > 1e6
    few = counterfactual(llama, batch[:20], prefix="recompute", draws="all")
    assert few.verdict is None


def test_keep_keeps_the_chain_of_thought(chains: Any) -> None:
    problems = interp.Multiplication(2, 2).problems([12, 34], [56, 78])
    batch = chains.prompts(problems, format="icot")
    (swap,) = swaps(batch, "a0", "one", 0)
    kept = swapped_prompts(chains, batch, swap, "keep")
    again = swapped_prompts(chains, batch, swap, "recompute")
    differ = (kept.tokens != batch.tokens).nonzero()[:, 1]
    assert set(differ.tolist()) == {batch.positions["a0"]}
    for text, new in zip(batch.texts, kept.texts, strict=True):
        assert [i for i in range(len(text)) if text[i] != new[i]] == [text.index("*") - 4]
    assert (again.tokens != batch.tokens).sum() > 2


def test_a_chain_of_another_length_cannot_be_kept(chains: Any) -> None:
    batch = chains.prompts(interp.Addition(2).problems([55], [44]), format="scratchpad-detailed")
    with pytest.raises(InputError, match="chains of thought of another length after a swap"):
        counterfactual(chains, batch, draws="all")


def test_modular_swaps_leave_out_what_cannot_change(llama: Any) -> None:
    problems = interp.ModularAddition(13).problems([2, 12, 5], [1, 1, 1])
    batch = llama.prompts(problems, format="padded")
    result = counterfactual(llama, batch, draws="all")
    # 2 may become 12; 12 keeps its leading 1, as 22 is too large; 5 would become 15.
    assert result.used.at(operand_digit="a1", answer_digit="c0") == 1
    assert result.used.at(operand_digit="a0", answer_digit="c0") == 3


def test_seeds_and_subsets(llama: Any) -> None:
    batch = llama.prompts(interp.Addition(3).sample(20, seed=0), format="padded")
    full = counterfactual(llama, batch, seed=1)
    assert full == counterfactual(llama, batch, seed=1)
    assert full != counterfactual(llama, batch, seed=2)
    part = counterfactual(llama, batch, seed=1, operand_digits=["b1"])
    assert part.effect.axis("operand_digit").labels == ("b1",)
    assert np.array_equal(part.by_prompt[:, 0], full.by_prompt[:, 4])


def test_repeated_problems_are_not_new_evidence(llama: Any) -> None:
    once = interp.Addition(2).sample(15, seed=0)
    twice = interp.Problems.concat([once] * 4)
    result = counterfactual(llama, llama.prompts(twice, format="padded"), draws="all")
    alone = counterfactual(llama, llama.prompts(once, format="padded"), draws="all")
    assert (result.n, result.n_distinct) == (60, 15)
    assert result.verdict is None
    assert np.allclose(result.effect.values, alone.effect.values)
    assert np.allclose(result.effect.low, alone.effect.low)


def test_saved_drawn_and_made_again(llama: Any, tmp_path: Any, monkeypatch: Any) -> None:
    batch = llama.prompts(interp.Addition(2).sample(20, seed=4), format="padded")
    result = counterfactual(llama, batch, prefix="recompute", target="true", seed=4)
    assert Result.load(result.save(tmp_path)) == result
    monkeypatch.setattr(interp, "load", lambda name: llama, raising=False)
    names: dict[str, Any] = {}
    exec(result.code, names)
    assert names["result"] == result
    assert list(result.frame.columns[:3]) == ["operand_digit", "answer_digit", "effect"]
    assert len(result.frame) == 4 * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefix": "drop"}, "unknown prefix 'drop': choose one of keep, recompute"),
        ({"target": "logit"}, "unknown target 'logit': choose one of argmax, true, difference"),
        ({"draws": "some"}, "unknown draws 'some': choose one of one, all"),
        ({"operand_digits": ["a7"]}, "unknown operand digit 'a7': choose one of a0, a1, b0, b1"),
    ],
)
def test_bad_arguments(llama: Any, options: Any, message: str) -> None:
    batch = llama.prompts(interp.Addition(2).sample(3), format="padded")
    with pytest.raises(InputError, match=message):
        counterfactual(llama, batch, **options)


def test_prompts_must_hold_the_true_answers(llama: Any) -> None:
    problems = interp.Addition(2).sample(3)
    with pytest.raises(InputError, match="hold no answer"):
        counterfactual(llama, llama.prompts(problems, format="padded", answer="none"))
    wrong = llama.prompts(problems, format="padded", answer=(problems.answer + 1) % 10)
    with pytest.raises(InputError, match="other answers than the true ones"):
        counterfactual(llama, wrong)


def test_cancelled(llama: Any) -> None:
    cancel = interp.engine.Cancel()
    cancel.set()
    batch = llama.prompts(interp.Addition(2).sample(3), format="padded")
    with pytest.raises(interp.errors.Cancelled):
        counterfactual(llama, batch, cancel=cancel)
