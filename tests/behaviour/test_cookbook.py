from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.behaviour import approximation, cookbook
from interp.engine import Cancel, Zero, answers, generate
from interp.engine.interventions import Replace
from interp.errors import Cancelled, InputError
from interp.models.text_prompts import TextPrompts
from interp.results.intervals import mean_interval
from interp.results.result import Result
from interp.suites._approximation import read_continuation
from interp.suites.number_cookbook.scores import (
    SURE_FROM,
    learned_lengths,
    length_interval,
    match_interval,
    score_cookbook,
)
from interp.suites.number_cookbook.tasks import cookbook_task
from tests import tiny

TASKS = ("add:integer", "max:integer")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A random model that knows every character of the questions and has room for them."""
    return interp.load(str(wide(tmp_path_factory.mktemp("wide"))), dtype="float64")


def wide(folder: Any) -> Any:
    from transformers import LlamaForCausalLM

    words = tiny.tokenizer(tiny.CHARACTERS + "$%/|~'><?é")
    config = tiny.config("llama", len(words))
    config.max_position_embeddings, config.num_hidden_layers = 1024, 1
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def writing(answer: Any, model: Any) -> Any:
    """`generate` that writes `answer(the last line of the prompt)` and ends the line."""

    def said(_model: Any, prompts: Any, *, max_new_tokens: int, **options: Any) -> torch.Tensor:
        rows = []
        for text in prompts.texts:
            ids = model.tokens.tokenizer(answer(text) + "\n", add_special_tokens=False)["input_ids"]
            rows.append((ids + [ids[-1]] * max_new_tokens)[:max_new_tokens])
        return torch.tensor(rows)

    return said


def solved(text: str) -> str:
    a, sign, b, _ = text.splitlines()[-1].split(": ")[-1].split(" ")
    return f" {int(a) + int(b) if sign == '+' else max(int(a), int(b))}"


def test_a_model_that_can_add_up_to_two_digits(
    reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(text: str) -> str:
        right = solved(text)
        return right if len(right) < 4 or "+" not in text.splitlines()[-1] else " 7"

    monkeypatch.setattr(answers, "generate", writing(answer, reader))
    result = cookbook(reader, TASKS, lengths=(1, 2, 4), n=40, shots=1)
    adds = result.of("add:integer").set_index("length")
    assert adds.loc[1, ["exact_match", "digit_match", "length_difference"]].tolist() == [1, 1, 0]
    assert adds.loc[4, "exact_match"] == 0
    assert result.of("max:integer")["exact_match"].eq(1).all()
    learned = result.learned.set_index(["task", "score"])
    assert learned.loc[("max:integer", "exact_match"), "well_learned"] == 4
    assert learned.loc[("max:integer", "exact_match"), "well_learned_sure"] == 4
    sure = learned.loc[("add:integer", "exact_match")]
    assert sure["performance_preserving_sure"] <= sure["performance_preserving"] <= 2
    assert result.metrics["tasks_learned"] == 2
    assert result.verdict is not None
    assert result.verdict.startswith("Of 2 tasks, 2 are well learned")


def test_a_length_is_sure_only_with_enough_problems(
    reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer is right; at 34 problems the intervals reach beyond the thresholds."""
    monkeypatch.setattr(answers, "generate", writing(solved, reader))
    for n, sure in ((SURE_FROM - 1, 0), (SURE_FROM, 2)):
        found = cookbook(reader, ["max:integer"], lengths=(2,), n=n, shots=1)
        learned = found.learned.set_index("score")
        assert (learned["well_learned"] == 2).all()
        assert (learned["well_learned_sure"] == sure).all(), n
        assert found.metrics["tasks_sure"] == (sure > 0)
        assert ("no length is surely well learned" in found.caption) == (sure == 0)
        cell = found.of("max:integer").iloc[0]
        assert cell["digit_match_low"] == cell["exact_match_low"] < 1
        assert cell["length_difference_high"] > 0


def test_the_default_can_be_sure(reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "generate", writing(solved, reader))
    found = cookbook(reader, ["max:integer"], lengths=(3,))
    assert found.learned["well_learned_sure"].tolist() == [3, 3, 3]


def test_intervals_of_digits_and_lengths_by_hand() -> None:
    """Wilson with z² = 3.8415: 36 of 36 right digits, or a mean of 0.75 of 36 answers."""
    z = 1.959964
    same = match_interval(np.ones(36))
    assert (float(same.low), float(same.high)) == (pytest.approx(36 / (36 + z**2)), 1)
    half = match_interval(np.full(36, 0.75))
    spread = z * np.sqrt(0.75 * 0.25 / 36 + z**2 / (4 * 36**2))
    centre, scale = 0.75 + z**2 / 72, 1 + z**2 / 36
    assert float(half.low) == pytest.approx((centre - spread) / scale)
    assert float(half.high) == pytest.approx((centre + spread) / scale)
    none = length_interval(np.zeros(36))
    assert (float(none.low), float(none.high)) == (0, pytest.approx(z**2 / (36 + z**2)))
    four = length_interval(np.full(36, 4))  # nothing was readable
    assert (float(four.low), float(four.high)) == (pytest.approx(4 * 36 / (36 + z**2)), 4)
    mixed = np.repeat([0, 1, 6], [30, 3, 3])
    drawn, found = mean_interval(mixed), length_interval(mixed)
    assert found.low <= drawn.low < mixed.mean() < drawn.high <= found.high


def test_intervals_of_digits_cover_their_mean() -> None:
    """Of partly right answers; a bootstrap covers too seldom where nearly all are right."""
    rng = np.random.default_rng(0)
    share, mean = 0.97, 0.97 + 0.03 * 0.5
    match = np.where(rng.random((2000, 40)) < share, 1.0, 0.5)
    covered = [float(match_interval(x).low) <= mean <= float(match_interval(x).high) for x in match]
    assert np.mean(covered) > 0.94


def test_scores_are_those_of_the_text_level(reader: Any) -> None:
    """What the engine really writes, scored by the benchmark's rules."""
    result = cookbook(reader, TASKS, lengths=(2,), n=5, shots=2, seed=3)
    for name in TASKS:
        drawn = cookbook_task(name).sample(7, 2, seed=3)
        asked = drawn.iloc[2:].reset_index(drop=True)
        mine = result.answers[result.answers["task"] == name]
        assert list(mine["question"]) == list(asked["question"])
        want = score_cookbook(asked, list(mine["given"]))
        row = result.of(name).iloc[0]
        assert row["digit_match"] == pytest.approx(want["digit_match"].mean())
        columns = ["task", "score", "well_learned", "performance_preserving"]
        learned = result.learned[result.learned["task"] == name][columns]
        assert learned.to_numpy().tolist() == learned_lengths(want)[columns].to_numpy().tolist()


def test_examples_come_before_and_are_never_asked(reader: Any, monkeypatch: Any) -> None:
    seen: list[str] = []
    monkeypatch.setattr(answers, "generate", writing(lambda text: seen.append(text) or "1", reader))
    cookbook(reader, ["add:integer"], lengths=(2,), n=10, shots=3)
    for text in seen:
        *examples, question = text.split("\n")
        assert len(examples) == 3
        assert all(solved(e.rpartition(" = ")[0] + " =") == " " + e.split()[-1] for e in examples)
        assert question not in [e.rpartition(" ")[0] for e in examples]


def test_time_is_up_between_cells(reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 100, 1.0))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(answers, "generate", writing(solved, reader))
    seen: list[tuple[int, int]] = []
    result = cookbook(
        reader, TASKS, lengths=(1, 2, 3), n=3, seconds=2, progress=lambda *done: seen.append(done)
    )
    assert result.lengths[["task", "length"]].to_numpy().tolist() == [
        ["add:integer", 1], ["add:integer", 2], ["max:integer", 1]
    ]  # fmt: skip
    assert seen == [(1, 6), (2, 6), (3, 6), (6, 6)]
    assert (result.metrics["cells"], result.metrics["cells_left"]) == (3, 3)
    assert "time was up before 3 of 6 cells" in result.caption


def test_saved_and_made_again(reader: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interp, "load", lambda name: reader, raising=False)
    for result in (
        cookbook(reader, TASKS, lengths=(1, 2), n=3, seed=2),
        approximation(reader, n=7, seed=2),
    ):
        assert Result.load(result.save(tmp_path / result.analysis)) == result
        assert result.verdict is None  # fewer than 30 questions
        names: dict[str, Any] = {}
        exec(result.code, names)
        assert names["result"].frame.equals(result.frame)


def test_cancel(reader: Any) -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        cookbook(reader, TASKS, lengths=(1,), n=2, cancel=cancel)
    with pytest.raises(Cancelled):
        approximation(reader, n=2, cancel=cancel)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ["add:roman"]}, "no task 'add:roman' in the Number Cookbook"),
        ({"tasks": []}, "nothing to ask"),
        ({"lengths": ()}, "nothing to ask"),
        ({"lengths": (21,)}, "lengths 1 to 20, not 21"),
        ({"n": 0}, "n=0 and shots=2"),
        ({"shots": -1}, "shots=-1"),
        ({"seconds": 0}, "seconds=0"),
        ({"tasks": ["add:integer", "add:integer"]}, "named twice"),
        ({"shots": 40, "n": 1}, "do not fit the context"),
        ({"tasks": ["length:integer"], "shots": 12}, "too few for 12 shots"),
    ],
)
def test_errors(reader: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cookbook(reader, **({"tasks": ["add:integer"], "lengths": (1,)} | options))


def test_a_model_of_one_task_is_refused(llama: Any) -> None:
    with pytest.raises(InputError, match=r"does not know .* Ask a language model"):
        approximation(llama, n=6)
    with pytest.raises(InputError, match="n must be at least 1"):
        approximation(llama, n=0)


def test_bare_texts_are_continued_as_the_module_would(reader: Any) -> None:
    prompts = TextPrompts.of(reader, ["12 + 3 =", "How much"])
    found = generate(reader, prompts, max_new_tokens=4)
    for row, length, tokens in zip(found, prompts.prompt_lengths, prompts.tokens, strict=True):
        ids = tokens[None, : int(length)]
        for _ in range(4):
            with torch.no_grad():
                ids = torch.cat([ids, reader.adapter.module(ids).logits[:, -1:].argmax(-1)], 1)
        assert row.tolist() == ids[0, int(length) :].tolist()
    with pytest.raises(InputError, match="bare texts have no roles"):
        generate(reader, prompts, max_new_tokens=1, interventions=[Replace("resid_post", Zero())])
    with pytest.raises(InputError, match="no text to continue"):
        TextPrompts.of(reader, [""])


def test_grades_by_hand(reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that says 100 whatever is asked: its grades are those of 100, and so is chance."""
    monkeypatch.setattr(answers, "generate", writing(lambda text: " 100", reader))
    result = approximation(reader, n=60, seed=1)
    rows = result.answers[result.answers["wording"] == "roughly"]
    away = (rows["exact"] - 100).abs() / rows["exact"]
    shares = result.shares("roughly").set_index("grade")["share"]
    assert shares["good"] + shares["exact"] == pytest.approx((away <= 0.2).mean())
    assert shares.sum() == pytest.approx(1)
    assert result.metrics["roughly"] == pytest.approx(result.metrics["roughly_chance"])
    assert result.difference == 0
    first = rows["question"].str.extract(r"([\d.]+)")[0].str.rstrip(".").astype(float)
    assert result.echo == pytest.approx(
        ((first - rows["exact"]).abs() / rows["exact"] <= 0.2).mean()
    )
    assert sum(result.shares("exactly", topic)["n"].iloc[0] for topic in set(rows["topic"])) == 60


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (" 42", 42), (" $1,250.50 in all", 1250.5), (" 2 * 3 = 6", 6), ("2 + 3 ≈ 5 or so", 5),
        (" 19.76 + 19", None), ("20% of 30", None), (" 12 / 4", None), (" about ten", None),
        ("", None), (" 12 / 4 = ", None),
    ],
)  # fmt: skip
def test_a_calculation_is_no_answer(text: str, number: float | None) -> None:
    assert read_continuation(text) == number
