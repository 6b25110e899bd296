"""docs/models.md is what `python -m bench.models` writes."""

from __future__ import annotations

import re

import pytest

from bench import families, models


def committed() -> dict[str, list[str]]:
    """Family → the cells of its row."""
    lines = models.PAGE.read_text(encoding="utf-8").splitlines()
    rows = [re.split(r" \| ", line.strip("| ")) for line in lines if line.startswith("| ")]
    return {cells[0].rpartition(" (")[0]: cells for cells in rows[2:]}


def test_the_page_lists_every_family() -> None:
    rows = committed()
    assert list(rows) == list(families.FAMILIES) and len(rows) >= 20
    routes = [cells[1] for cells in rows.values()]
    assert routes.count("blocks") >= 20 and set(routes) == {"blocks", "module"}
    text = models.PAGE.read_text(encoding="utf-8")
    assert text.startswith(models._HEAD) and text.endswith(models._TAIL)
    assert "**" not in text.removeprefix(models._HEAD)  # bold: not equal to Hugging Face


@pytest.mark.parametrize("family", ["Qwen3", "Gemma 3", "BLOOM"])
def test_a_fresh_run_gives_the_committed_row(family: str) -> None:
    """But for the last digit of a difference, which depends on the processor."""
    fresh, kept = list(models.row(family).values()), committed()[family]
    assert [c for i, c in enumerate(fresh) if i not in (2, 3)] == [
        c for i, c in enumerate(kept) if i not in (2, 3)
    ]
    for column, bound in ((2, models.EQUAL["float32"]), (3, models.EQUAL["float64"])):
        assert float(fresh[column]) <= bound and float(kept[column]) <= bound
