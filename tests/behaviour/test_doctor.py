"""The doctor on models that read one way alone: each must be told apart, with the remedy."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.behaviour import doctor
from interp.behaviour.results.doctor import Diagnosis
from interp.engine import Cancel, answers
from interp.errors import Cancelled, InputError
from interp.results.result import Result
from tests import nanogpt, tiny
from tests.behaviour.saying import saying

TASK, WIDTH = "add:3", 3


def padded(text: str) -> bool:
    """Whether both operands in a prompt have the task's width."""
    return all(len(number) == WIDTH for number in re.findall(r"\d+", text)[-2:])


def sum_in(text: str, *, turned: bool = False) -> int:
    """The sum of the last two numbers of a prompt, read from either end."""
    a, b = (int(n[::-1] if turned else n) for n in re.findall(r"\d+", text)[-2:])
    return a + b


@pytest.fixture
def patient(llama: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The tiny model with another mouth: `answer(prompt, first token)`."""

    def made(answer: Callable[[str, int], str], model: Any = llama) -> Any:
        def says(batch: Any, row: int) -> str:
            return answer(batch.texts[row], int(batch.tokens[row, 0]))

        monkeypatch.setattr(answers, "generate", saying(says, model))
        return model

    return made


def diagnosed(model: Any, task: Any = TASK, **options: Any) -> Diagnosis:
    return doctor(model, task, **options)


def test_one_that_is_asked_rightly(patient: Any) -> None:
    result = diagnosed(patient(lambda text, first: str(sum_in(text))))
    assert result.trials.loc[result.best, "format"] == "plain"
    assert result.verdict.startswith("It is asked rightly: 100 % exact (")
    assert result.metrics["default_accuracy"] == 1
    assert result.n_distinct >= 70 and result.n_reported >= 35


def test_one_that_reads_the_least_digit_first(patient: Any) -> None:
    def answer(text: str, first: int) -> str:
        return f"{sum_in(text, turned=True):04d}"[::-1] if padded(text) else "0"

    result = diagnosed(patient(answer))
    assert result.trials.loc[result.best, "format"] == "reversed"
    assert result.verdict.startswith(
        "This model reads and writes the least significant digit first, padded with zeros: pass "
        "format='reversed'. 100 % exact ("
    )
    assert "as it is asked by default" in result.verdict


def test_one_that_turns_its_answer_alone(patient: Any) -> None:
    def answer(text: str, first: int) -> str:
        return f"{sum_in(text):04d}"[::-1] if padded(text) else "0"

    result = diagnosed(patient(answer))
    assert result.trials.loc[result.best, "format"] == "reversed-answer"
    assert "pass format='reversed-answer'" in result.verdict


def test_one_that_wants_zeros_in_front(patient: Any) -> None:
    result = diagnosed(patient(lambda text, first: f"{sum_in(text):04d}" if padded(text) else "99"))
    assert result.trials.loc[result.best, "format"] == "padded"
    assert "This model reads numbers padded with zeros" in result.verdict


def test_one_that_needs_examples(patient: Any) -> None:
    result = diagnosed(patient(lambda text, first: str(sum_in(text)) if "\n" in text else "x"))
    best = result.trials.loc[result.best]
    assert best["format"] in ("plain@2:0", "qa-short@2:0", "qa-short")
    shown = diagnosed(
        patient(lambda text, first: str(sum_in(text)) if text.count("=") == 3 else "x")
    )
    assert shown.trials.loc[shown.best, "format"] == "plain@2:0"
    assert "This model needs solved examples: pass format='plain@2:0'." in shown.verdict


def with_bos(llama: Any, token: str) -> Any:
    from dataclasses import replace

    tokens = copy.copy(llama.tokens)
    tokens.tokenizer = copy.deepcopy(tokens.tokenizer)
    tokens.tokenizer.bos_token = token
    return replace(llama, tokens=tokens)


def test_one_that_misses_its_bos(patient: Any, llama: Any) -> None:
    model = with_bos(llama, "#")
    bos = model.tokens.tokenizer.bos_token_id
    result = diagnosed(
        patient(lambda text, first: str(sum_in(text)) if first == bos else "7", model)
    )
    best = result.trials.loc[result.best]
    assert (best["format"], best["start"]) == ("plain", "#")
    assert result.verdict.startswith(
        "This model wants a prompt that begins with '#': use model.starting_with('#'). 100 % exact"
    )
    fixed = model.starting_with("#")
    batch = fixed.prompts(interp.Addition(1).problems([1], [2]), format="plain")
    assert batch.tokens[0, 0] == bos and batch.positions["bos"] == 0
    assert interp.behaviour.accuracy(fixed, TASK, n=40).metrics["exact_accuracy"] == 1


def test_one_that_its_bos_confuses(patient: Any, llama: Any) -> None:
    model = with_bos(llama, "#").starting_with("#")
    bos = model.tokens.tokenizer.bos_token_id
    result = diagnosed(
        patient(lambda text, first: "7" if first == bos else str(sum_in(text)), model)
    )
    assert "wants no BOS token: use model.starting_with('')" in result.verdict


def test_one_that_wants_a_line_break_in_front(patient: Any, llama: Any) -> None:
    line = llama.tokens.tokenizer.convert_tokens_to_ids("\n")
    result = diagnosed(patient(lambda text, first: str(sum_in(text)) if first == line else "7"))
    assert "model.starting_with('\\n')" in result.verdict


def test_one_that_answers_in_words_first(patient: Any) -> None:
    result = diagnosed(patient(lambda text, first: f"That is {sum_in(text)}"))
    assert result.verdict.startswith("It answers in other words first: the first number anywhere")
    assert "it writes 'That is " in result.verdict
    assert "format='plain@2:0'" in result.verdict
    assert result.metrics["readable"] == 0 and result.metrics["exact_accuracy"] == 0
    assert result.trials.loc[0, "anywhere"] == 1


def test_one_that_cannot_add(patient: Any) -> None:
    result = diagnosed(patient(lambda text, first: "812"))
    assert result.verdict.startswith("It answers no better than chance in any of ")
    assert "it writes '812', where '" in result.verdict
    assert "Compare that prompt with a line that it was trained on" in result.verdict
    assert set(result.asked["start"]) == {"", "\n"}  # nothing worked, so everything was tried


def test_what_shuffled_answers_score_too_is_no_skill(patient: Any) -> None:
    """Every tenth sum of two digits is 9: a model that says nothing else can do nothing."""
    result = diagnosed(patient(lambda text, first: "9"), "add:1", n=100)
    assert result.trials.loc[0, ["accuracy_chosen_on", "accuracy"]].mean() == pytest.approx(0.1)
    assert result.metrics["shuffled_accuracy"] == pytest.approx(0.1)
    assert result.verdict.startswith("It answers no better than chance")


def test_a_default_that_cannot_be_written(patient: Any) -> None:
    model = interp.wrap(nanogpt.random_gpt(), nanogpt.CHARACTERS, format="qa-short")
    result = diagnosed(patient(lambda text, first: str(sum_in(text)), model))
    assert "pass format='plain'. As it is asked by default it cannot be: the t" in result.verdict


def test_a_tokenizer_that_cannot_see_the_sign() -> None:
    model = interp.wrap(nanogpt.random_gpt(vocab_size=11), "0123456789+")
    result = diagnosed(model, "add:2")
    assert result.asked.empty and result.metrics["tried"] == 0
    assert result.verdict.startswith("No format can be written for this model: the tokenizer does")
    assert "does not know '='" in result.verdict
    assert np.isnan(result.metrics["exact_accuracy"])


def test_digits_that_share_a_token_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = interp.load(str(tiny.save("gpt2", tmp_path / "packed", pattern="[0-9]{1,3}|.")))
    monkeypatch.setattr(
        answers, "generate", saying(lambda b, row: str(sum_in(b.texts[row])), model)
    )
    result = diagnosed(model)
    assert result.digits_per_token == 3
    assert "up to 3 digits into a token, so roles are spans such as a[0:3]" in result.verdict


def test_a_clearly_better_way_is_needed_to_call_the_default_wrong(patient: Any) -> None:
    def answer(text: str, first: int) -> str:
        right = sum_in(text) % 10 < 9 or padded(text)
        return str(sum_in(text)) if right else "0"

    result = diagnosed(patient(answer))
    assert result.verdict.startswith(("It can be asked as it is", "It is asked rightly"))


def test_the_models_own_format_comes_first_and_is_never_too_long(llama: Any) -> None:
    model = interp.wrap(nanogpt.random_gpt(), nanogpt.CHARACTERS, task=TASK, format="reversed")
    result = doctor(model, longest=1, formats=["plain", "padded"])
    assert list(result.trials["format"].unique()) == ["reversed", "plain", "padded"]
    assert result.trials["refusal"].str.contains("more than longest=1").tolist()[:3] == [
        False, True, True
    ]  # fmt: skip
    assert result.task == TASK


def test_fewer_than_thirty_give_numbers_and_no_verdict(patient: Any) -> None:
    result = diagnosed(patient(lambda text, first: str(sum_in(text))), n=40)
    assert result.verdict is None and result.conclusion() is not None
    assert result.metrics["exact_accuracy"] == 1
    assert "too few distinct prompts" in result.caption


def test_short_operands_are_in_the_sample(patient: Any) -> None:
    seen: list[str] = []
    diagnosed(patient(lambda text, first: seen.append(text) or "1"), formats=["plain"])
    lengths = [len(re.findall(r"\d+", text)[0]) for text in seen]
    assert min(lengths.count(k) for k in (1, 2, 3)) >= 5


def test_equal_prompts_are_generated_once(patient: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = patient(lambda text, first: str(sum_in(text))), []
    inner = answers.generate
    monkeypatch.setattr(
        answers, "generate", lambda m, b, **o: calls.append(b.format) or inner(m, b, **o)
    )
    diagnosed(model, formats=["plain", "padded", "reversed", "reversed-answer"])
    assert "reversed-answer" not in calls


def test_round_trip_code_and_figure(patient: Any, tmp_path: Path) -> None:
    model = patient(lambda text, first: f"{sum_in(text):04d}" if padded(text) else "99")
    result = diagnosed(model, shots=(1,))
    assert Result.load(result.save(tmp_path / "saved")) == result
    space = {"interp": interp, "model": model}
    exec(result.code.replace(f"interp.load({model.name!r})", "model"), space)
    assert space["result"].trials.equals(result.trials)
    given = interp.Addition(3).problems([1, 25, 7, 30], [9, 4, 400, 5])
    assert repr([1, 25, 7, 30]) in diagnosed(model, given, formats=["plain"]).code
    figure = result.figure()
    marks = next(t for t in figure.data if t.name == "half that nothing was chosen on")
    assert dict(zip(marks.y, marks.x, strict=True))["padded"] == 1
    assert len(marks.y) == len(result.asked)
    assert marks.y[-1] == "padded"  # the best on top


def test_progress_has_one_total_and_cancel_stops(patient: Any) -> None:
    model, seen = patient(lambda text, first: str(sum_in(text))), []
    diagnosed(model, progress=lambda done, total: seen.append((done, total)))
    assert len({total for _, total in seen}) == 1 and seen[-1][0] == seen[-1][1]
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        diagnosed(model, cancel=cancel)


def test_what_cannot_be_asked(llama: Any) -> None:
    with pytest.raises(InputError, match=r"was trained for no task that is known: say which"):
        doctor(llama)
    with pytest.raises(InputError, match=r"there is no format 'plian'"):
        doctor(llama, TASK, formats=["plian"])
    with pytest.raises(InputError, match=r"'modular' cannot write 'add:3'"):
        doctor(llama, TASK, formats=["modular"])
    for none in ([], "padded"):
        with pytest.raises(InputError, match=r"names none: give a list, such as"):
            doctor(llama, TASK, formats=none)
    with pytest.raises(InputError, match=r"at least two distinct problems"):
        doctor(llama, interp.Addition(2).problems([1, 1], [2, 2]))
    with pytest.raises(InputError, match=r"has no token for '€'"):
        llama.starting_with("€")


def test_the_engine_itself_is_asked(llama: Any) -> None:
    """Without a stand-in: what is shown as emitted is the model's greedy answer."""
    result = diagnosed(llama, formats=["plain"], n=8)
    row = result.trials.iloc[0]
    ids = llama.tokens.tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
    tokens = torch.tensor([ids])
    with torch.no_grad():
        for _ in range(3):
            best = llama.adapter.module(tokens).logits[:, -1].argmax(-1, keepdim=True)
            tokens = torch.cat([tokens, best], dim=1)
    said = llama.tokens.decode(tokens[0, len(ids) :].tolist()).partition("\n")[0]
    assert row["emitted"].startswith(said)
