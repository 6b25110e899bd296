"""The proof on a language model, run on a planted one: what its parts know of one another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import harness
from bench.proofs import af1_smollm2
from interp.ablation.results.af1 import AllForOne
from interp.errors import InputError
from interp.planted.planted import build


@pytest.fixture
def run(tmp_path: Path, monkeypatch: Any) -> Any:
    """Runs parts of the proof, and what it has written by then."""
    found = build("waiting", seed=11, digits=1, layers=4)
    folder = str(found.save(tmp_path / "waiting"))
    results = tmp_path / "results"
    for module in (harness, af1_smollm2):
        monkeypatch.setattr(module, "RESULTS", results)
    monkeypatch.setattr(af1_smollm2, "STYLES", ("padded",))
    monkeypatch.setattr(af1_smollm2, "OTHERS", ())

    def run(*parts: str) -> dict[str, Any]:
        options = ["--model", folder, "--task", "add:1", "--format", "padded", "--parts", *parts]
        options += ["--replacement", "cama"]
        monkeypatch.setattr(sys, "argv", ["af1_smollm2", *options])
        af1_smollm2.main()
        return json.loads(next(results.glob("*.json")).read_text())

    run.results = results  # type: ignore[attr-defined]
    return run


def test_transfer_leaves_out_what_the_search_of_an_earlier_run_saw(run: Any) -> None:
    run("search")
    body = run("transfer")
    found = AllForOne.load(next(run.results.glob("*_search")))
    assert found.status == "found"
    row = body["transfer"]["rows"][0]
    assert (row["n"], row["left_out"]) == (50, 50) == (found.n, len(found.searched))
    first, second = body["commands"]["search"], body["commands"]["transfer"]
    assert ("--parts search" in first, "--parts transfer" in second) == (True, True)
    assert body["command"] == f"{first} && {second}"


def test_without_its_search_nothing_is_transferred(run: Any) -> None:
    with pytest.raises(InputError, match="run --parts search with the same options first"):
        run("transfer")
