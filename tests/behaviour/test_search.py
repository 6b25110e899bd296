from __future__ import annotations

import zlib
from typing import Any

import pytest

import interp
from interp.behaviour import search_prompts
from interp.engine import answers
from interp.errors import InputError
from interp.results.result import Result
from tests.behaviour.saying import right, saying


@pytest.fixture
def picky(llama: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Right in `calculate` with one example, every second time in `plain`, else wrong."""

    def answer(batch: Any, row: int) -> str:
        if batch.format.startswith("calculate@1"):
            return right(batch, row)
        if batch.format == "plain":
            return right(batch, row) if int(batch.problems.values(0)[row]) % 2 else "7"
        return "no"

    monkeypatch.setattr(answers, "generate", saying(answer, llama))
    return llama


def test_finds_the_prompt_that_works(picky: Any) -> None:
    result = search_prompts(picky, "add:1", styles=["plain", "calculate"], shots=(0, 1))
    assert result.best == "calculate@1:0"
    assert result.baseline == "plain"
    table = result.frame.set_index("format")
    assert table["n_chosen_on"].eq(50).all()
    assert table.loc[["calculate@1:0", "plain"], "n_reported"].eq(50).all()
    assert table.loc[["calculate", "plain@1:0"], "accuracy_reported"].isna().all()
    assert table.loc["calculate", "readable_chosen_on"] == 0
    assert table["shots"].to_dict() == {
        "plain": 0, "plain@1:0": 1, "calculate": 0, "calculate@1:0": 1
    }  # fmt: skip
    assert result.metrics["exact_accuracy"] == 1
    assert 0.3 < result.metrics["baseline_accuracy"] < 0.7
    assert result.verdict is not None
    assert result.verdict.startswith("'calculate@1:0' is answered best: 100 % exact")


def test_the_halves_are_disjoint_and_complete(picky: Any, monkeypatch: Any) -> None:
    asked: dict[str, list[set[str]]] = {}
    inner = answers.generate

    def watched(model: Any, batch: Any, **options: Any) -> Any:
        asked.setdefault(batch.format, []).append(
            {batch.problems.text(i) for i in range(len(batch))}
        )
        return inner(model, batch, **options)

    monkeypatch.setattr(answers, "generate", watched)
    search_prompts(picky, "add:1", styles=["plain", "calculate"], shots=(1,), seed=3)
    (chosen_on, reported) = asked["calculate@1:3"]
    assert not chosen_on & reported
    assert len(chosen_on | reported) == 100
    assert asked["plain@1:3"] == [chosen_on]  # neither best nor baseline: never asked the other


def test_chance_does_not_win_on_the_other_half(llama: Any, monkeypatch: Any) -> None:
    """Prompts that are all equally bad: the chosen one looks better where it was chosen."""

    def lucky(batch: Any, row: int) -> str:
        luck = zlib.crc32((batch.format + batch.problems.text(row)).encode()) % 2
        return right(batch, row) if luck else "0"

    monkeypatch.setattr(answers, "generate", saying(lucky, llama))
    styles = ["plain", "af1-original", "padded", "commas-r2l"]
    found = [
        search_prompts(llama, "add:2", n=60, seed=s, styles=styles, shots=(0, 1, 2))
        for s in range(6)
    ]
    gaps = [f.metrics["chosen_on_accuracy"] - f.metrics["exact_accuracy"] for f in found]
    assert sum(gaps) / len(gaps) > 0.05


def test_few_reported_prompts_give_no_verdict(picky: Any) -> None:
    result = search_prompts(picky, "add:1", n=50, styles=["plain"], shots=(0,))
    assert result.n_distinct > 30
    assert result.metrics["n_reported"] < 30
    assert result.verdict is None


def test_default_styles_are_those_people_write(picky: Any) -> None:
    result = search_prompts(picky, "add:1", n=20, shots=(0,))
    styles = set(result.frame["style"])
    assert {"plain", "qa-short", "calculate", "af1-qa", "af1-word"} <= styles
    assert not styles & {"reversed", "padded", "scratchpad", "icot", "reversed-answer"}
    # Without thousands they write the same as `plain`, and are not tried again.
    assert not styles & {"commas-r2l", "commas-l2r", "af1-original"}


def test_prompts_that_write_alike_are_one_candidate(picky: Any) -> None:
    result = search_prompts(
        picky, "add:1", styles=["commas-r2l", "plain", "commas-l2r", "calculate"], shots=(0, 1)
    )
    also = result.frame.set_index("format")["also"].to_dict()
    assert also == {
        "plain": "commas-r2l, commas-l2r",  # the baseline keeps its name
        "commas-r2l@1:0": "plain@1:0, commas-l2r@1:0",
        "calculate": "",
        "calculate@1:0": "",
    }
    assert "formats that write these problems alike count once" in result.caption
    thousands = search_prompts(picky, "add:4", n=8, styles=["plain", "commas-r2l"], shots=(0,))
    assert thousands.frame["also"].eq("").all()
    assert len(thousands.frame) == 2


def test_saved_and_made_again(picky: Any, tmp_path: Any, monkeypatch: Any) -> None:
    result = search_prompts(
        picky, "add:1", n=40, styles=["plain", "calculate"], shots=(0, 1), seed=2
    )
    assert Result.load(result.save(tmp_path)) == result
    monkeypatch.setattr(interp, "load", lambda name: picky, raising=False)
    names: dict[str, Any] = {}
    exec(result.code, names)
    assert names["result"].candidates.equals(result.candidates)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"styles": []}, "no prompt to try"),
        ({"shots": ()}, "no prompt to try"),
        ({"shots": (-1,)}, "shots=-1"),
        ({"styles": ["poem"]}, "there is no format 'poem'"),
        ({"shots": (60,)}, "does not fit the context"),
    ],
)
def test_errors(picky: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        search_prompts(picky, "add:1", **({"styles": ["plain"], "shots": (0,)} | options))


def test_one_problem_is_too_few(picky: Any) -> None:
    with pytest.raises(InputError, match="at least two distinct problems"):
        search_prompts(picky, interp.Addition(1).problems([1], [2]))
