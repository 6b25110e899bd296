"""The doctor on models that read one way alone: each must be told apart, with the remedy."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.behaviour import doctor, trials
from interp.behaviour.by_digit import Choices, by_digit, forced_choices
from interp.behaviour.results.doctor import Diagnosis
from interp.engine import Cancel, answers
from interp.engine.requests import Resources
from interp.errors import Cancelled, InputError
from interp.results.result import Result
from tests import nanogpt, tiny
from tests.behaviour.saying import choosing, saying

TASK, WIDTH = "add:3", 3


def padded(text: str) -> bool:
    """Whether both operands in a prompt have the task's width."""
    return all(len(number) == WIDTH for number in re.findall(r"\d+", text)[-2:])


def sum_in(text: str, *, turned: bool = False) -> int:
    """The sum of the last two numbers of a prompt, read from either end."""
    a, b = (int(n[::-1] if turned else n) for n in re.findall(r"\d+", text)[-2:])
    return a + b


@pytest.fixture(scope="module")
def speaker() -> Any:
    """A small vocabulary: every delimiter that it has is tried."""
    return interp.wrap(nanogpt.random_gpt(vocab_size=17, block_size=64), nanogpt.CHARACTERS + " #")


@pytest.fixture(scope="module")
def lettered() -> Any:
    """A small vocabulary with letters, which no delimiter is."""
    return interp.wrap(
        nanogpt.random_gpt(vocab_size=22, block_size=64), nanogpt.CHARACTERS + " Thatis"
    )


@pytest.fixture
def patient(speaker: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The tiny model with another mouth: `answer(prompt, first token)`."""

    def made(answer: Callable[[str, int], str], model: Any = speaker) -> Any:
        def says(batch: Any, row: int) -> str:
            return answer(batch.texts[row], int(batch.tokens[row, 0]))

        monkeypatch.setattr(answers, "generate", saying(says, model))
        monkeypatch.setattr(trials, "forced_choices", choosing(answer))
        return model

    return made


def diagnosed(model: Any, task: Any = TASK, **options: Any) -> Diagnosis:
    return doctor(model, task, **options)


def test_one_that_is_asked_rightly(patient: Any) -> None:
    result = diagnosed(patient(lambda text, first: str(sum_in(text))))
    assert (result.format, result.start, result.fits) == ("plain", "", True)
    assert result.verdict.startswith("It is asked rightly, as far as was tried: the best of ")
    assert "100 % of generated answers are exact (" in result.verdict
    assert result.metrics["default_accuracy"] == result.metrics["digit_accuracy"] == 1
    assert result.metrics["gain"] == 1 and result.metrics["p"] < 1e-6
    assert result.n_distinct >= 70 and result.n_reported >= 35


def digits_of(text: str, end: str = "=") -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text.partition(end)[0])][-2:]


WANTS = {
    "reversed": (
        lambda text: f"{sum_in(text, turned=True):04d}"[::-1] if padded(text) else "0",
        ["(operand_order)", "(operand_padding)", "(answer_order)", "(answer_padding)"],
    ),
    "reversed-answer": (
        lambda text: f"{sum_in(text):04d}"[::-1] if padded(text) else "0",
        ["operands are padded with zeros (operand_padding)", "(answer_order)", "(answer_padding)"],
    ),
    "padded": (
        lambda text: f"{sum_in(text):04d}" if padded(text) else "99",
        ["(operand_padding)", "the answer is padded with zeros (answer_padding)"],
    ),
    "{a}+{b}={c:reversed}": (
        lambda text: str(sum_in(text))[::-1],
        ["the answer is written least significant digit first (answer_order)"],
    ),
    "#{a}+{b}={c}": (
        lambda text: str(sum_in(text)) if text[0] == "#" else "7",
        ["the line begins with '#' (begin)"],
    ),
    "\\n{a}+{b}={c}": (
        lambda text: str(sum_in(text)) if text[0] == "\n" else "7",
        ["the line begins with '\\n' (begin)"],
    ),
    "{a} + {b} = {c}": (
        lambda text: " " * (text[-1] == "=") + str(sum_in(text)) if " + " in text else "7",
        ["blanks stand around the signs (blanks)"],
    ),
}


@pytest.mark.parametrize("wanted", WANTS)
def test_the_fields_that_a_model_wants_are_named(patient: Any, wanted: str) -> None:
    answer, fields = WANTS[wanted]
    result = diagnosed(patient(lambda text, first: answer(text)))
    assert result.format == wanted
    assert f"prompts tried is format={wanted!r}" in result.verdict
    assert all(field in result.verdict for field in fields)
    named = re.findall(r"\((?:begin|end|blanks|signs|\w+_(?:order|padding))\)", result.verdict)
    assert len(named) == len(fields)  # and no other
    assert "as it is asked by default" in result.verdict
    told = result.examples[result.examples["format"] == wanted]
    assert len(told) == 2 and (told["expected"] == told["emitted"]).all()
    assert all(repr(prompt) in result.verdict for prompt in told["prompt"])


def test_a_model_with_seven_of_eight_digits_right_fits(patient: Any) -> None:
    """Never exact, so no exact answer is better than chance; by digit it is."""

    def answer(text: str, first: int) -> str:
        right = f"{sum_in(text):08d}" if padded(text) else "1"
        return f"{right[:3]}{(int(right[3:4] or 0) + 1) % 10}{right[4:]}"

    def padded(text: str) -> bool:
        return all(len(number) == 7 for number in re.findall(r"\d+", text)[-2:])

    result = diagnosed(patient(answer), "add:7")
    assert result.format == "padded" and result.fits
    assert result.metrics["exact_accuracy"] == 0
    assert result.metrics["digit_accuracy"] == pytest.approx(7 / 8)
    assert "88 % of forced answer digits are right" in result.verdict


def test_what_the_model_writes_behind_an_answer_is_the_end(patient: Any) -> None:
    result = diagnosed(
        patient(lambda text, first: str(sum_in(text)) + "#" if text[0] == "#" else "7#")
    )
    assert result.format == "#{a}+{b}={c}#" and result.end_share == 1
    assert "the line ends with '#' (end)" in result.verdict
    assert result.metrics["exact_accuracy"] == 1


def test_one_that_needs_examples(patient: Any) -> None:
    shown = diagnosed(
        patient(lambda text, first: str(sum_in(text)) if text.count("=") == 3 else "x")
    )
    assert shown.format == "plain@2:0"
    assert "is format='plain@2:0': it needs solved examples" in shown.verdict


def with_bos(lettered: Any, token: str) -> Any:
    from dataclasses import replace

    tokens = copy.copy(lettered.tokens)
    tokens.tokenizer = copy.deepcopy(tokens.tokenizer)
    tokens.tokenizer.bos_token = token
    return replace(lettered, tokens=tokens)


def test_one_that_misses_its_bos(patient: Any, lettered: Any) -> None:
    model = with_bos(lettered, "T")
    bos = model.tokens.tokenizer.bos_token_id
    result = diagnosed(
        patient(lambda text, first: str(sum_in(text)) if first == bos else "7", model)
    )
    best = result.trials.loc[result.best]
    assert (best["format"], best["start"]) == ("plain", "T")
    assert "is model.starting_with('T'): prompts begin with 'T' (start)" in result.verdict
    fixed = model.starting_with("T")
    batch = fixed.prompts(interp.Addition(1).problems([1], [2]), format="plain")
    assert batch.tokens[0, 0] == bos and batch.positions["bos"] == 0
    assert interp.behaviour.accuracy(fixed, TASK, n=40).metrics["exact_accuracy"] == 1


def test_one_that_its_bos_confuses(patient: Any, lettered: Any) -> None:
    model = with_bos(lettered, "T").starting_with("T")
    bos = model.tokens.tokenizer.bos_token_id
    result = diagnosed(
        patient(lambda text, first: "7" if first == bos else str(sum_in(text)), model)
    )
    assert "is model.starting_with(''): no BOS token (start)" in result.verdict


def test_one_that_answers_in_words_first(patient: Any, lettered: Any) -> None:
    result = diagnosed(patient(lambda text, first: f"That is {sum_in(text)}", lettered))
    assert result.verdict.startswith("It answers in other words first: the first number anywhere")
    assert "it writes 'That is " in result.verdict
    assert "format='plain@2:0'" in result.verdict
    assert not result.fits and result.trials.loc[0, "anywhere"] == 1


def test_one_that_cannot_add(patient: Any) -> None:
    result = diagnosed(patient(lambda text, first: "812"))
    assert not result.fits and result.metrics["p"] > 0.05
    assert result.verdict.startswith(f"None of the {len(result.asked)} prompts tried fits")
    assert "it writes '812'" in result.verdict
    assert "Compare that prompt with a line that it was trained on" in result.verdict
    assert {"none", "around signs", "everywhere"} <= set(result.asked["blanks"])  # all was tried


def test_what_can_not_fit_is_set_aside_early(speaker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt that is asked everything has the numbers that it has where all are."""
    names = ["plain", "padded", "reversed", "reversed-answer", "{a}+{b}={c:reversed}"]
    names += [f"{sign}{{a}}+{{b}}={{c}}" for sign in "#*-="]
    quick = diagnosed(speaker, formats=names)
    monkeypatch.setattr(trials, "_GLANCE", 10**6)
    slow = diagnosed(speaker, formats=names)
    assert not slow.trials["set_aside"].any() and not quick.fits and not slow.fits
    out = quick.trials["set_aside"]
    assert len(out) / 3 < out.sum() < len(out) and not out[0] and not out[quick.best]
    assert quick.trials.loc[out, ["digits", "gain", "p"]].isna().all(axis=None)
    columns = ["format", "gain_chosen_on", "digits", "digits_of_others", "gain", "p"]
    assert quick.trials.loc[~out, columns].equals(slow.trials.loc[~out, columns])
    assert quick.metrics["tried"] == slow.metrics["tried"] == len(out)
    figure = quick.figure()
    marks = next(t for t in figure.data if t.name == "half that nothing was chosen on")
    assert len(marks.y) == min(24, int((~out).sum()))


def test_steps_are_written_for_few_problems_once_something_fits(
    patient: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    characters = "\n" + "".join(map(chr, range(32, 127)))
    model = interp.wrap(nanogpt.random_gpt(vocab_size=len(characters), block_size=200), characters)
    model = patient(lambda text, first: str(sum_in(text)) if "\n" not in text else "?", model)
    written: list[str] = []
    says = answers.generate

    def counted(model: Any, batch: Any, **options: Any) -> Any:
        written.extend(text for text in batch.texts if "Target" in text)
        return says(model, batch, **options)

    monkeypatch.setattr(answers, "generate", counted)
    names = ["plain", "padded", "reversed", *(f"{sign}{{a}}+{{b}}={{c}}" for sign in "$#&")]
    result = diagnosed(model, "add:1", formats=[*names, "scratchpad"], longest=200)
    pad = result.trials[result.trials["format"] == "scratchpad"]
    assert result.format == "plain" and result.fits
    assert pad["set_aside"].all() and len(written) == trials._GLANCE


def test_what_other_answers_score_too_is_no_skill(patient: Any) -> None:
    """Every tenth sum of two digits is 9: a model that says nothing else can do nothing."""
    result = diagnosed(patient(lambda text, first: "9"), "add:1", n=100)
    row = result.trials.iloc[0]
    assert row["digits"] == pytest.approx(row["digits_of_others"], abs=0.02)
    assert result.verdict.startswith("None of the ")


def test_a_default_that_cannot_be_written(patient: Any) -> None:
    model = interp.wrap(nanogpt.random_gpt(), nanogpt.CHARACTERS, format="qa-short")
    result = diagnosed(patient(lambda text, first: str(sum_in(text)), model))
    assert "prompts tried is format='plain'" in result.verdict
    assert "As it is asked by default it cannot be: the t" in result.verdict


def test_a_tokenizer_without_digits() -> None:
    model = interp.wrap(nanogpt.random_gpt(vocab_size=11), "abcdefghij+")
    result = diagnosed(model, "add:2")
    assert result.asked.empty and result.metrics["tried"] == 0
    assert result.verdict.startswith("No format can be written for this model: the tokenizer does")
    assert np.isnan(result.metrics["exact_accuracy"])


def test_digits_that_share_a_token_are_told(tmp_path: Path) -> None:
    model = interp.load(str(tiny.save("gpt2", tmp_path / "packed", pattern="[0-9]{1,3}|.")))
    result = diagnosed(model, n=12, formats=["plain"])
    assert result.digits_per_token == 3
    assert "up to 3 digits into a token, so roles are spans such as a[0:3]" in result.conclusion()


def test_a_clearly_better_way_is_needed_to_call_the_default_wrong(patient: Any) -> None:
    def answer(text: str, first: int) -> str:
        right = sum_in(text) % 10 < 9 or text[0] == "#"
        return str(sum_in(text)) if right else "0"

    result = diagnosed(patient(answer))
    assert result.format == "#{a}+{b}={c}"
    assert result.verdict.startswith("It can be asked as it is (format 'plain')")
    assert "is not clearly better" in result.verdict


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
    lengths = [len(re.findall(r"\d+", text)[0]) for text in dict.fromkeys(seen)]
    assert min(lengths.count(k) for k in (1, 2, 3)) >= 5


def test_round_trip_code_and_figure(patient: Any, tmp_path: Path) -> None:
    model = patient(lambda text, first: f"{sum_in(text):04d}" if padded(text) else "99")
    result = diagnosed(model, shots=(1,))
    assert Result.load(result.save(tmp_path / "saved")) == result
    space = {"interp": interp, "model": model}
    exec(re.sub(r"interp\.(load|wrap)\(.*\)$", "model", result.code, flags=re.M), space)
    assert space["result"].trials.equals(result.trials)
    given = interp.Addition(3).problems([1, 25, 7, 30], [9, 4, 400, 5])
    assert repr([1, 25, 7, 30]) in diagnosed(model, given, formats=["plain"]).code
    figure = result.figure()
    marks = next(t for t in figure.data if t.name == "half that nothing was chosen on")
    assert dict(zip(marks.y, marks.x, strict=True))["padded"] == 1
    assert len(marks.y) == min(24, len(result.asked))
    assert marks.y[-1] == "padded"  # the best on top
    assert len(set(marks.y)) == len(marks.y) and max(len(y.split(" · ")[0]) for y in marks.y) <= 46


def test_progress_ends_at_its_total_and_cancel_stops(patient: Any) -> None:
    model, seen = patient(lambda text, first: str(sum_in(text))), []
    diagnosed(model, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and seen[-1][0] == seen[-1][1]  # the search grows as it finds
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


def test_what_an_earlier_version_saved_still_loads() -> None:
    """Its table has exact answers alone, and it keeps its metrics, a conclusion and a figure."""
    loaded = Result.load(Path(__file__).parent / "data" / "earlier-diagnosis")
    assert isinstance(loaded, Diagnosis) and not loaded.by_digit
    assert loaded.metrics["exact_accuracy"] == 1 and "digit_accuracy" not in loaded.metrics
    assert loaded.conclusion().startswith("It is asked rightly") and loaded.figure().data


def test_the_numbers_by_digit() -> None:
    """Two lengths by hand: own share, share of the others, and the exact permutation moments."""
    right = np.array([[1, 2], [3, 4], [1, 4], [5, -1], [6, -1]])
    chosen = np.array([[1, 2], [3, 0], [1, 4], [5, -1], [5, -1]])
    rows = np.arange(5)
    found = by_digit(Choices(chosen, right, np.zeros(5)), rows)
    own = [1, 0.5, 1, 1, 0]
    # Row 0 hits the 1 of row 2; row 2 the 1 of row 0 and the 4 of row 1; row 4 the 5 of row 3.
    others = [0.25, 0, 0.5, 0, 1]
    assert found.own == pytest.approx(np.mean(own))
    assert found.others == pytest.approx(np.mean(others))
    assert found.gain == pytest.approx((0.7 - 0.35) / 0.65)
    sums = []
    for order in itertools.permutations(range(3)):
        for tail in ([3, 4], [4, 3]):
            moved = right[[*order, *tail]]
            sums.append(((chosen == moved) & (right >= 0)).sum(axis=1) / (right >= 0).sum(axis=1))
    totals = np.array(sums).sum(axis=1)
    assert found.z == pytest.approx((sum(own) - totals.mean()) / totals.std())


def test_the_engine_itself_is_asked(llama: Any) -> None:
    """Without a stand-in: forced choices and log-probabilities are those of the module."""
    result = diagnosed(llama, formats=["{a}+{b}={c:pad}"], n=8)
    told = llama.prompts(interp.Addition(3).problems([12, 7], [900, 5]), format="{a}+{b}={c:pad}")
    found = forced_choices(llama, told, Resources(2**30, None, None))
    with torch.no_grad():
        logits = llama.adapter.module(told.tokens).logits.double().log_softmax(-1)
    for row in range(2):
        total = 0.0
        for column, role in enumerate(["c0", "c1", "c2", "c3"]):
            at = told.predicting_positions(role)[row]
            assert found.chosen[row, column] == logits[row, at].argmax()
            total += float(logits[row, at, told.labels(role)[row]])
        assert found.log_probability[row] == pytest.approx(total)
    assert len(result.trials) >= 2
