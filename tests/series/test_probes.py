"""Probes of several seeds and of a training series, by name as any analysis of `interp`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

import interp
import probes
from interp.many.calling import named, title

ASKED: dict[str, Any] = {
    "targets": ["carry[0]:real", "column_sum[1]"], "sites": ["resid_mid", "z"],
    "roles": ["last", "c1"], "split": "problem", "controls": (), "n": 200,
}  # fmt: skip


def test_names_lead_to_the_room_above_and_back() -> None:
    assert named("probes.probe") is probes.probe
    assert title(probes.probe) == "probes.probe"


def test_seeds_are_compared_cell_by_cell(trained: tuple[Path, ...]) -> None:
    """Heads are summed over; every other cell is one of the sweep's own."""
    names = [str(folder) for folder in trained[:2]]
    found = interp.over_seeds(names, named("probes.probe"), "add:2", **ASKED)
    gains = []
    for name in names:
        frame = probes.probe(interp.load(name), "add:2", **ASKED).frame
        gains.append(frame.groupby(["target", "site", "layer", "role"])["gain"].sum())
    assert len(gains[0]) == 2 * 2 * 2
    row = found.pairs.iloc[0]
    assert (row["grid"], row["cells"]) == ("gain", len(gains[0]))
    assert row["rank_correlation"] == pytest.approx(spearmanr(*gains).statistic)
    assert found.function == "probes.probe"
    scope: dict[str, Any] = {}
    exec(found.code, scope)
    again = scope["result"].cells["value"].to_numpy()
    assert np.array_equal(again, found.cells["value"].to_numpy(), equal_nan=True)


def test_probes_over_a_series(trained: tuple[Path, ...]) -> None:
    options = ASKED | {"sites": ["resid_mid"], "roles": ["last"]}
    found = interp.over_checkpoints(str(trained[0]), named("probes.probe"), "add:2", **options)
    assert "import probes" in found.code
    step = found.steps[-1]
    model = interp.checkpoints(str(trained[0])).load(step)
    want = probes.probe(model, "add:2", **options).metrics
    values = found.values[found.values["step"] == step].set_index("metric")["value"]
    assert values.to_dict() == pytest.approx(want, nan_ok=True)
