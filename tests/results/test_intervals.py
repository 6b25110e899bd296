import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from interp.errors import InputError
from interp.results.intervals import benjamini_hochberg, mean_interval, wilson

FEW = settings(deadline=None, max_examples=50)


@FEW
@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(n, share, level):
    k = round(share * n)
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert wilson(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_many_cells_and_none():
    low, high = wilson([[0, 5], [10, 0]], [[10, 10], [10, 0]])
    assert low[0, 0] == 0
    assert high[1, 0] == 1
    assert np.isnan([low[1, 1], high[1, 1]]).all()
    assert (low[:1] < [[0.01, 0.5]]).all()
    assert (high[:1] > [[0, 0.5]]).all()


@pytest.mark.parametrize("counts", [(5, 4), (-1, 4), (0, -1)])
def test_wilson_refuses_impossible_counts(counts):
    with pytest.raises(InputError, match="between 0 and n"):
        wilson(*counts)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_levels(level):
    with pytest.raises(InputError, match="a coverage lies between 0 and 1"):
        wilson(1, 2, level)
    with pytest.raises(InputError, match="a coverage lies between 0 and 1"):
        mean_interval([1.0, 2.0], level=level)


def slow_bootstrap(x, groups, rng, resamples):
    """The definition, one resample at a time."""
    labels = np.unique(groups)
    means = []
    for _ in range(resamples):
        rows = [x[groups == label] for label in rng.choice(labels, len(labels))]
        means.append(np.nanmean(np.concatenate(rows), axis=0))
    return np.percentile(means, [2.5, 97.5], axis=0)


def test_mean_interval_equals_the_slow_bootstrap():
    rng = np.random.default_rng(0)
    groups = np.sort(rng.integers(0, 60, size=300))
    x = rng.normal(size=(300, 2)) + groups[:, None] / 20
    x[rng.random(x.shape) < 0.1] = np.nan
    fast = np.array(mean_interval(x, groups, seed=1, resamples=4000))
    slow = slow_bootstrap(x, groups, np.random.default_rng(2), 4000)
    width = slow[1] - slow[0]
    assert np.abs(fast - slow).max() < 0.05 * width.min()


def test_a_repeated_prompt_adds_no_certainty():
    x = np.random.default_rng(0).normal(size=50)
    once = mean_interval(x, np.arange(50))
    nine = mean_interval(np.repeat(x, 9), np.repeat(np.arange(50), 9))
    naive = mean_interval(np.repeat(x, 9))
    assert np.allclose(nine, once, atol=1e-12)
    assert np.ptp(naive) < 0.5 * np.ptp(nine)


def test_crossed_groups_equal_the_slow_pigeonhole_bootstrap():
    rng = np.random.default_rng(0)
    a, b = (labels.ravel() for labels in np.indices((12, 9)))
    x = rng.normal(size=108) + a / 4 - b / 3
    x[rng.random(108) < 0.1] = np.nan
    low, high = mean_interval(x, np.stack([a, b], axis=1), resamples=4000)
    means = []
    for _ in range(4000):
        times_a, times_b = (np.bincount(rng.integers(k, size=k), minlength=k) for k in (12, 9))
        weights = times_a[a] * times_b[b] * ~np.isnan(x)
        means.append((weights * np.nan_to_num(x)).sum() / weights.sum())
    slow = np.percentile(means, [2.5, 97.5])
    assert np.abs([low, high] - slow).max() < 0.06 * np.ptp(slow)


def test_crossed_groups_cover_where_independent_rows_do_not():
    """A mean over a grid whose rows and columns have effects of their own: true mean 0."""
    rng = np.random.default_rng(1)
    a, b = (labels.ravel() for labels in np.indices((10, 10)))
    effects = rng.normal(size=(150, 2, 10))
    x = (effects[:, 0][:, a] + effects[:, 1][:, b] + rng.normal(size=(150, 100))).T
    crossed = mean_interval(x, np.stack([a, b], axis=1), resamples=400)
    naive = mean_interval(x, resamples=400)
    held = [((low <= 0) & (high >= 0)).mean() for low, high in (crossed, naive)]
    assert held[0] > 0.88
    assert held[1] < 0.65


def test_coverage_of_the_mean():
    """Of 300 intervals, about 95 % hold the true mean (binomial limits, seed fixed)."""
    rng = np.random.default_rng(3)
    samples = rng.exponential(size=(80, 300))
    low, high = mean_interval(samples, seed=4)
    held = int(((low <= 1) & (high >= 1)).sum())
    assert 270 <= held <= 295


def test_cells_without_spread_have_no_interval():
    x = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, 5.0]])
    low, high = mean_interval(x)
    assert np.isfinite([low[0], high[0]]).all()
    assert np.isnan([low[1], high[1]]).all()
    assert np.isnan(mean_interval([1.0, 2.0], groups=["a", "a"])).all()


def test_same_seed_same_interval():
    x = np.random.default_rng(0).normal(size=40)
    assert mean_interval(x, seed=7) == mean_interval(x, seed=7)
    assert mean_interval(x, seed=7) != mean_interval(x, seed=8)


def test_mean_interval_leaves_the_global_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    mean_interval(np.arange(10.0))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_bad_samples():
    with pytest.raises(InputError, match="at least one row"):
        mean_interval([])
    with pytest.raises(InputError, match="one label for each row"):
        mean_interval([1.0, 2.0], groups=[1])
    with pytest.raises(InputError, match="resamples=0"):
        mean_interval([1.0, 2.0], resamples=0)


def test_benjamini_hochberg_keeps_shape_and_gaps():
    p = np.array([[0.01, np.nan], [0.04, 0.03]])
    q = benjamini_hochberg(p)
    assert np.isnan(q[0, 1])
    known = ~np.isnan(p)
    assert np.allclose(q[known], stats.false_discovery_control(p[known]))
    assert np.isnan(benjamini_hochberg([np.nan, np.nan])).all()
    assert benjamini_hochberg([]).shape == (0,)
    with pytest.raises(InputError, match="between 0 and 1"):
        benjamini_hochberg([0.1, 1.2])


@FEW
@given(st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=40))
def test_benjamini_hochberg_is_its_formula(p):
    """q_(i) = min over j >= i of p_(j) m / j, over the cells that were tested."""
    known = sorted(x for x in p if x == x)
    q = benjamini_hochberg(p)
    for value, found in zip(p, q, strict=True):
        steps = [x * len(known) / (j + 1) for j, x in enumerate(known) if x >= value]
        want = min([*steps, 1.0]) if value == value else np.nan
        assert found == pytest.approx(want, abs=1e-12, nan_ok=True)
