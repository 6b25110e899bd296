"""Every metric has a sentence, and every further figure is named in its Result's docstring."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import interp
from interp.figures.registry import closer
from interp.results.result import Result

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "data" / "results"
FOLDERS = sorted(GOLDEN.iterdir())
LEARNED = {"learned", "learned_placebo", "learned_arbitrary", "learned_untrained"}
UNSAVED = {"random_direction", *LEARNED}
"""Metrics of calls that no `code` can write (`along=` takes directions), or whose numbers are those
of a search that ends elsewhere on another processor (tests/heads/test_interchange.py has them)."""


def golden() -> dict[str, Result]:
    return {path.name: interp.Result.load(path) for path in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_metric_has_a_sentence(folder: Path) -> None:
    result = Result.load(folder)
    for name in result.metrics:
        meaning = result.meaning(name)
        assert len(meaning) > 12, name
        assert "{" not in meaning, name
        assert not meaning.endswith("."), name
        assert f"\n{name} = " in f"\n{result.describe()}"
        assert f": {meaning}" in result.describe()


def test_every_sentence_has_its_metric() -> None:
    found = golden().values()
    metrics: dict[type[Result], set[str]] = {type(result): set() for result in found}
    for result in found:
        metrics[type(result)] |= set(result.metrics)
    for kind, names in metrics.items():
        used = {kind.meaning(name) for name in names}
        for name, sentence in kind.meanings.items():
            if name in UNSAVED:
                continue
            pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(sentence))
            assert any(re.fullmatch(pattern, one) for one in used), f"{kind.__name__}: {name}"


def test_a_name_with_a_gap_is_repeated_in_the_sentence() -> None:
    sweep = Result.load(GOLDEN / "probe-sweep")
    assert "of running_sum[2] on held-out rows" in sweep.meaning("score[running_sum[2]]")
    assert sweep.meaning("nothing") == ""
    assert "Does not show " in sweep.describe()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_further_figures_are_named_in_the_docstring(folder: Path) -> None:
    result = Result.load(folder)
    said = re.findall(r'"([a-zK-]+?)(?:-TARGET)?"', inspect.getdoc(type(result)) or "")
    for name in closer(result):
        any_digit = re.sub(r"^c\d+$", "cK", name)
        assert any_digit in said or name.partition("-")[0] in said, name
