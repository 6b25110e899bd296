"""Intervals of many scores at once agree with the room of Results' own bootstrap."""

import numpy as np
import pytest

from interp.results.intervals import ratio_interval
from probes.resample import resamples


def test_bounds_are_those_of_the_slow_bootstrap() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(40, size=(300, 2))
    top, bottom = rng.normal(0.3, 1, size=(300, 2)), rng.uniform(0.5, 1.5, size=(300, 2))
    found = resamples(groups, seed=1, count=4000).ratio(top, bottom)
    for cell in range(2):
        slow = ratio_interval(top[:, cell], bottom[:, cell], groups, seed=2, resamples=4000)
        width = float(slow.high - slow.low)
        assert found.low[cell] == pytest.approx(float(slow.low), abs=0.1 * width)
        assert found.high[cell] == pytest.approx(float(slow.high), abs=0.1 * width)


def test_what_is_not_known_and_what_is_certain() -> None:
    again = resamples(np.arange(50), seed=0)
    top = np.stack([np.ones(50), np.zeros(50), np.full(50, np.nan), np.ones(50)], axis=1)
    bottom = np.stack([np.ones(50), np.ones(50), np.ones(50), np.zeros(50)], axis=1)
    found = again.ratio(top, bottom)
    assert found.value[:2].tolist() == [1, 0] and np.isnan(found.value[2:]).all()
    assert found.p[:2].tolist() == [0, 1] and np.isnan(found.p[2:]).all()


def test_p_values_are_uniform_without_an_effect() -> None:
    rng = np.random.default_rng(3)
    top = rng.normal(size=(200, 400))
    p = resamples(np.arange(200), seed=4).ratio(top, np.ones_like(top)).p
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.09)
