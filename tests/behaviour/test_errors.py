from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import interp
from interp.arithmetic import faults
from interp.arithmetic.published_answers import read_published
from interp.behaviour import error_taxonomy, explain_errors, explain_published, published_errors
from interp.behaviour.answers_given import published_file, token_cut
from interp.engine import answers
from interp.errors import FormatError, InputError, StorageError
from interp.results.result import Result
from tests import tiny
from tests.behaviour.saying import saying


def forgets(k: int) -> Any:
    """Answers as a solver who forgets the carry out of column k."""
    return lambda batch, row: str(faults.carries_dropped(batch.problems)[row, k])


@pytest.fixture
def forgetful(llama: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(answers, "generate", saying(forgets(1), llama))
    return llama


def test_a_forgotten_carry_is_named_and_placed(forgetful: Any) -> None:
    result = error_taxonomy(forgetful, "add:3", n=200, format="plain", shuffles=50)
    kinds = result.group("all").set_index("kind")
    assert kinds.loc["carry_omitted", "share"] == 1
    assert kinds.loc["carry_omitted", "chance"] < 0.2
    assert kinds.loc["other", "share"] == 0
    digits = result.group("all", "digits").set_index("digit")
    assert digits.loc[[0, 1], "share"].eq(0).all()
    assert digits.loc[2, "share"] == 1
    assert result.metrics["wrong"] == len(result.wrong) == result.group("all")["n"].iloc[0]
    assert result.verdict is not None
    assert "carry out of one column forgotten 100 %" in result.verdict


def test_longer_answers_are_told_apart(forgetful: Any) -> None:
    result = error_taxonomy(forgetful, "add:2", n=400, format="plain", shuffles=5)
    counts = {name: result.group(name)["n"].iloc[0] for name in result.kinds["problems"].unique()}
    assert counts["longer answer"] + counts.get("as long as an operand", 0) == counts["all"]
    with pytest.raises(InputError, match="no errors in 'poetry' of kinds; there are all"):
        result.group("poetry")
    with pytest.raises(InputError, match="no table 'rows'"):
        result.group("all", "rows")


def test_the_simulator_that_made_the_errors_is_found(forgetful: Any) -> None:
    result = explain_errors(forgetful, "add:3", n=200, format="plain", shuffles=100)
    assert result.best == "drops-carry-1"
    assert result.metrics["share"] == result.metrics["explained"] == 1
    assert result.metrics["chance"] < 0.2
    assert result.metrics["false_alarms"] == 0
    assert result.wrong["simulators"].str.contains("drops-carry-1").all()
    assert result.verdict is not None
    assert result.verdict.startswith("drops-carry-1 (forgets the carry out of column 1)")


def test_noise_is_explained_by_nobody(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def noise(batch: Any, row: int) -> str:
        return str(np.random.default_rng(row).integers(200, 1999))

    monkeypatch.setattr(answers, "generate", saying(noise, llama))
    result = explain_errors(llama, "add:3", n=150, format="plain", shuffles=100)
    assert result.verdict is not None
    assert result.verdict.startswith("No simulator predicts the wrong answers better than chance")


def test_few_wrong_answers_give_no_verdict(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def seldom(batch: Any, row: int) -> str:
        return str(int(batch.problems.answers()[row]) + (row < 20))

    monkeypatch.setattr(answers, "generate", saying(seldom, llama))
    for analysis in (error_taxonomy, explain_errors):
        result = analysis(llama, "add:3", n=200, format="plain", shuffles=5)
        assert result.n_distinct == 200
        assert result.metrics["wrong_distinct"] == 20
        assert result.verdict is None
        assert "too few distinct prompts" in result.caption


def test_published_answers_equal_the_text_levels_counts() -> None:
    result = published_errors(where={"num_shots": 8}, shuffles=20)
    file = read_published(published_file()).where(num_shots=8)
    for row in file.kinds(shuffles=20).itertuples():
        mine = result.group(row.problems).set_index("kind").loc[row.kind]
        assert (mine["n"], mine["hits"], mine["chance"]) == (row.n, row.hits, row.chance)
    errors = file.errors().drop_duplicates(["answer", "right"])
    places = result.group("all", "places")
    for row in places.itertuples():
        here = (errors["token"] == row.token) & (errors["place"] == row.place)
        assert row.hits == here.sum()
    assert result.model is None
    assert result.tokens == "mixed"
    assert result.n == file.n


@pytest.mark.parametrize("analysis", [published_errors, explain_published])
def test_published_saved_and_made_again(analysis: Any, tmp_path: Any) -> None:
    result = analysis(where={"num_shots": 4}, shuffles=10, seed=2)
    assert Result.load(result.save(tmp_path)) == result
    names: dict[str, Any] = {}
    exec(result.code, names)
    assert names["result"].frame.equals(result.frame)
    assert names["result"].wrong.equals(result.wrong)


@pytest.mark.parametrize("analysis", [error_taxonomy, explain_errors])
def test_saved_and_made_again(
    analysis: Any, forgetful: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = analysis(forgetful, "add:2", n=60, seed=1, format="plain", shuffles=10)
    assert Result.load(result.save(tmp_path)) == result
    monkeypatch.setattr(interp, "load", lambda name: forgetful, raising=False)
    names: dict[str, Any] = {}
    exec(result.code, names)
    assert names["result"].frame.equals(result.frame)


def test_tokens_of_three_digits_are_recognised(llama: Any, tmp_path: Any) -> None:
    assert token_cut(llama) == "none"
    packed = interp.load(str(tiny.save("llama", tmp_path, pattern="[0-9]{1,3}|.")))
    assert token_cut(packed) == "left"


def test_places_need_tokens_of_three_digits(forgetful: Any) -> None:
    result = error_taxonomy(forgetful, "add:2", n=60, format="plain", shuffles=5)
    assert result.tokens == "none"
    assert not len(result.places)
    with pytest.raises(InputError, match="there are none"):
        result.group("all", "places")


@pytest.mark.parametrize("analysis", [error_taxonomy, explain_errors])
def test_errors(analysis: Any, llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="shuffles=0"):
        analysis(llama, "add:2", shuffles=0)
    monkeypatch.setattr(
        answers, "generate", saying(lambda b, r: str(b.problems.answers()[r]), llama)
    )
    with pytest.raises(InputError, match=r"none of these is wrong.*Ask harder problems"):
        analysis(llama, "add:2", n=20, format="plain")
    monkeypatch.setattr(answers, "generate", saying(lambda b, r: "I think", llama))
    with pytest.raises(FormatError, match="does not answer in format 'plain'"):
        analysis(llama, "add:3", n=60, format="plain")
    with pytest.raises(InputError, match="could be read, and none of these"):
        analysis(llama, "add:3", n=60, format="plain", strict=False)


@pytest.mark.parametrize("analysis", [published_errors, explain_published])
def test_bad_files(analysis: Any, tmp_path: Any) -> None:
    with pytest.raises(StorageError, match="cannot read"):
        analysis(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="lacks num1"):
        analysis(tmp_path / "other.csv")
    with pytest.raises(InputError, match="no column 'colour'"):
        analysis(where={"colour": "red"})
    with pytest.raises(InputError, match="no answer of the file"):
        analysis(where={"num_shots": 3})
