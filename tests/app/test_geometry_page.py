"""The page Geometry: the library's numbers, further figures on request, a small sample refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

import interp
from app.calls import problems
from tests.app.test_explorer import (
    FORMAT,
    SEED,
    explorer,
    folder,
    loaded,
    numbers,
    open_page,
    words,
)

__all__ = ["explorer", "folder", "loaded"]  # fixtures

N, ROLE = 100, "predicts(c0)"


def opened(at: AppTest, n: int) -> AppTest:
    at.query_params["n"] = str(n)
    return open_page(at, "geometry")


def chosen(at: AppTest) -> AppTest:
    at.selectbox(key="numbers-at").select(ROLE).run()
    assert not at.exception
    return at


def test_the_figure_is_the_librarys(explorer: AppTest, loaded: Any) -> None:
    at = chosen(opened(explorer, N))
    batch = loaded.prompts(problems("add:2", N, seed=SEED), format=FORMAT)
    want = interp.geometry.figure(
        loaded, batch, role=ROLE, frequencies=(1, 2, 5), causal=False, seed=SEED
    )
    spec = json.loads(at.get("plotly_chart")[0].proto.spec)
    points = next(t for t in spec["data"] if "markers" in t.get("mode", ""))
    np.testing.assert_allclose(numbers(points["x"]), want.points["pc1"])
    assert "Whether it is used was not tested" in words(at)


def test_it_is_moved_along_on_request(explorer: AppTest) -> None:
    at = chosen(opened(explorer, N))
    at.toggle(key="move-along").set_value(True).run()
    assert not at.exception
    assert "a random displacement" in words(at)


def test_a_sample_without_every_digit_is_told(explorer: AppTest) -> None:
    at = opened(explorer, 12)
    assert "ask for more problems" in words(at) + str(at.error)
