"""Every formula of the suite equals a slow reference, and knows its edge cases."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from interp.errors import InputError
from interp.geometry import additive, clock_pizza, fits, helix_fit, key_frequencies, losses, spectra
from interp.geometry._phases import gini
from interp.geometry.heuristics import heuristics, matches, renamed
from interp.geometry.regular import circle, circle_table, prism, wave_part, wave_span
from tests.geometry import reference


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("p", [2, 7, 10, 13])
def test_the_basis_is_the_references_and_orthonormal(p):
    found = spectra.basis(p)
    assert np.allclose(found @ found.T, np.eye(p))
    assert np.allclose(found, [v for _, v in reference.waves(p)])
    assert spectra.frequencies_of(p).tolist() == [k for k, _ in reference.waves(p)]


def test_transforms_keep_squares(rng):
    x = rng.standard_normal((7, 7, 3))
    whole = spectra.dft2(x)
    assert np.allclose((whole**2).sum(), (x**2).sum())
    f = spectra.basis(7)
    assert np.allclose(whole, np.einsum("fa,gb,abz->fgz", f, f, x))
    assert np.allclose(spectra.power(x[:, 0]).sum(axis=0), (x[:, 0] ** 2).sum(axis=0))


@pytest.mark.parametrize("p", [7, 8])
def test_power_by_the_frequencies_of_both_numbers(rng, p):
    x = rng.standard_normal((p, p, 3))
    want = np.zeros((p // 2 + 1, p // 2 + 1))
    for k, v in reference.waves(p):
        for j, w in reference.waves(p):
            want[k, j] += sum(float(np.array(v) @ x[..., u] @ w) ** 2 for u in range(3))
    assert np.allclose(spectra.power2(x), want)
    assert np.allclose(spectra.power2(x.astype(np.float32)), want, rtol=1e-4)
    a, b = np.indices((p, p))
    alone = spectra.power2(np.cos(2 * np.pi * 2 * (a + b) / p)[..., None])
    assert alone[2, 2] == pytest.approx(alone.sum()) and alone[2, 2] > 1


@pytest.mark.parametrize("p", [7, 8])
def test_neuron_clusters(rng, p):
    acts = rng.standard_normal((p, p, 4))
    acts[..., 3] = 2.5  # a dead neuron
    found = spectra.clusters(acts)
    best, explained = reference.clusters(acts[..., :3])
    assert found.frequency.tolist() == [*best, -1]
    assert np.allclose(found.explained[:3], explained) and np.isnan(found.explained[3])
    single = spectra.clusters(acts.astype(np.float32))
    assert single.frequency.tolist() == [*best, -1]
    assert np.allclose(single.explained[:3], explained, atol=1e-5)


def test_restricted_and_excluded_logits_keep_two_directions_a_frequency(rng):
    x = rng.standard_normal((7, 7, 7))
    want = reference.trig(x, (1, 3))
    plain = losses.kept(x, (1, 3), bias_correction=False)
    assert np.allclose(plain, want)
    assert np.allclose(losses.removed(x, (1, 3)), x - want)
    assert np.allclose(losses.kept(x, (1, 3)).mean(axis=(0, 1)), x.mean(axis=(0, 1)))
    outer = spectra.basis(7)[np.isin(spectra.frequencies_of(7), (0, 1, 3))]
    masked = np.einsum("fa,gb,fx,gy,xyz->abz", outer, outer, outer, outer, x)
    assert not np.allclose(plain, masked), "the outer product of key rows keeps 25 directions"


def test_losses(rng):
    x = 3 * rng.standard_normal((7, 7, 7))
    mask = rng.random((7, 7)) < 0.4
    assert losses.cross_entropy(x) == pytest.approx(reference.loss(x))
    assert losses.cross_entropy(x, mask) == pytest.approx(reference.loss(x, mask))
    assert losses.cross_entropy(x, None, "float32") == pytest.approx(reference.loss(x), rel=1e-5)
    n = np.arange(7)
    sure = 30.0 * (n == (n[:, None, None] + n[None, :, None]) % 7)
    assert losses.cross_entropy(sure, None, "float32") == 0.0 < losses.cross_entropy(sure) < 1e-11


def test_neuron_parts_add_up(rng):
    h, w = rng.standard_normal((7, 7, 5)), rng.standard_normal((5, 7))
    kept, rest = losses.neuron_parts(h.astype(np.float32), w, [2])
    assert np.allclose(kept + rest, h @ w, atol=1e-5)
    assert np.allclose(kept, reference.trig(h, (2,)) @ w, atol=1e-5)


@pytest.mark.parametrize("p", [7, 8])
def test_characters_keep_one_direction_a_frequency(rng, p):
    x = rng.standard_normal((p, p, p))
    for got, want in zip(
        losses.characters(x, (1, 3)), reference.characters(x, (1, 3)), strict=True
    ):
        assert np.allclose(got, want)
    kept = losses.characters(x, (1,))[0]
    assert np.allclose(
        (kept**2).sum(),
        (
            key_frequencies.wave_cosines(x)[0] ** 2
            * ((x - x.mean(axis=2, keepdims=True)) ** 2).sum()
        ),
    )


def test_cosines_with_waves_of_the_answer(rng):
    x = rng.standard_normal((7, 7, 7))
    found = key_frequencies.wave_cosines(x)
    assert np.allclose(found, [reference.logit_cosine(x, k) for k in (1, 2, 3)])


def test_distance_irrelevance_and_circularity(rng):
    x = rng.standard_normal((7, 7, 7))
    assert clock_pizza.distance_irrelevance(x) == pytest.approx(reference.distance_irrelevance(x))
    e = rng.standard_normal((7, 9))
    assert clock_pizza.circularity(e) == pytest.approx(reference.circularity(e))
    turn = 2 * np.pi * np.outer(np.arange(7), [1, 2]) / 7
    circles = np.concatenate([np.cos(turn), np.sin(turn)], axis=1) * [1.0, 0.5, 1.0, 0.5]
    assert clock_pizza.circularity(circles) == pytest.approx(1.0)
    n = np.arange(7)
    pizza = np.cos(2 * np.pi * (n[:, None] - n) / 7)[..., None] * np.ones(7)
    assert clock_pizza.distance_irrelevance(pizza) == pytest.approx(0.0, abs=1e-9)


def test_the_published_triples():
    every = list(itertools.product(range(5), repeat=3))
    random.Random(42).shuffle(every)
    assert clock_pizza.published_triples(5) == tuple(every[:100])


def test_gini():
    x = [0.0, 1.0, 2.0, 7.5]
    assert gini(x) == pytest.approx(reference.gini(x))
    assert gini([3.0, 3.0, 3.0]) == pytest.approx(0.0)


def test_fits_equal_least_squares_and_know_their_degrees_of_freedom(rng):
    rows = rng.standard_normal((6, 10))
    rows[2] = 4.0
    found = fits.fit(rows, (1, 2, 5))
    want = [reference.r2(row, (1, 2, 5)) for i, row in enumerate(rows) if i != 2]
    assert np.allclose(found.r2[[0, 1, 3, 4, 5]], want)
    assert found.flat == 1 and found.columns == 6 and found.expected == pytest.approx(5 / 9)
    many = fits.fit(rng.standard_normal((4000, 10)), (1, 2, 5))
    assert many.r2.mean() == pytest.approx(5 / 9, abs=0.01)
    assert many.adjusted(float(many.r2.mean())) == pytest.approx(0.0, abs=0.03)
    assert fits.fit(np.eye(10), (1, 2, 5)).r2 == pytest.approx(np.full(10, 5 / 9))


def test_permuted_numbers_are_the_null(rng):
    rows = rng.standard_normal((5, 10))
    orders = fits.permutations(10, 30, 3)
    null = fits.null_of(rows, np.array([1, 5]), orders)
    for draw in (0, 17):
        moved = [reference.r2(row[orders[draw]], (1, 5)) for row in rows]
        assert null.median[draw] == pytest.approx(np.median(moved))
    v = np.arange(10)
    wave = np.stack([np.cos(2 * np.pi * v / 10), np.sin(2 * np.pi * v / 10)])
    fitted = fits.fit(wave, (1,)).median
    assert fitted == pytest.approx(1.0)
    assert fits.exceed(fitted, fits.null_of(wave, np.array([1]), orders).median) == 1 / 31
    selected = fits.null_of(rows, None, orders, select=2).median
    assert selected.mean() > fits.null_of(rows, np.array([1, 2]), orders).median.mean()


def test_intervals_cover_and_shrink_with_prompts():
    """R² of class means around planted ones: its interval has the spread of fresh samples."""
    chosen, width, spread = np.array([1, 2]), [], []
    for n in (5, 80):
        labels, found = np.repeat(np.arange(10), n), []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            turn = 2 * np.pi * np.arange(10) / 10
            means = np.stack([np.cos(turn), np.sin(turn)]).T @ np.ones((2, 6))
            x = means[labels] + 1.5 * rng.standard_normal((10 * n, 6))
            own = np.stack([x[labels == v].mean(axis=0) for v in range(10)])
            found.append(fits.fit(own.T, chosen).median)
            drawn = fits.resampled_prompts(x, labels, chosen, 60, seed)
        width.append(np.ptp(np.quantile(drawn, [0.025, 0.975])))
        spread.append(4 * np.std(found))
    assert width[1] < width[0] / 3
    assert np.allclose(np.log(width), np.log(spread), atol=np.log(2.5))
    r2 = np.append(np.linspace(0, 1, 99), np.nan)
    assert fits.resampled_rows(r2, 300, 0).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("rows", "frequencies", "message"),
    [
        (np.ones((3, 10)), (1,), "all 3 rows are constant"),
        (np.arange(30.0).reshape(3, 10), (1, 2, 3, 4, 5), "10 columns fit 10 classes"),
        (np.arange(30.0).reshape(3, 10), (6,), "frequency 6 does not exist modulo 10"),
        (np.full((3, 10), np.nan), (1,), "NaN"),
        (np.arange(30.0).reshape(3, 10), (), "at least one frequency"),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows, frequencies, message):
    with pytest.raises(InputError, match=message):
        fits.fit(rows, frequencies)


def test_a_prism_is_found_with_its_radius(rng):
    v = np.arange(10)
    turn = 4 * np.pi * v / 10 + 0.3
    shape = np.stack([1.7 * np.cos(turn), 1.7 * np.sin(turn), 0.6 * (-1.0) ** v], axis=1)
    means = shape @ np.linalg.qr(rng.standard_normal((20, 20)))[0][:3] + 5.0
    found = prism(means)
    assert found["prism_share"] == pytest.approx(1.0)
    assert found["edge_cosine"] == pytest.approx(1.0)
    pentagon = circle(means, 2)
    assert pentagon.radius == pytest.approx(1.7) and pentagon.radius_spread < 1e-9
    assert pentagon.angle_spread < 1e-9 and pentagon.roundness == pytest.approx(1.0)
    assert len(wave_span(means, (2, 5))) == 3
    assert np.allclose(wave_part(means, (2, 5)), means - means.mean(axis=0))
    rows = circle_table(means, fits.permutations(10, 40, 1))
    assert rows[1]["p_share"] < 0.05 < rows[2]["p_share"]
    noise = circle_table(rng.standard_normal((10, 20)), fits.permutations(10, 40, 1))
    assert min(row["p_share_best"] for row in noise) > 0.05


def test_an_additive_table_has_no_interaction(rng):
    i, j = rng.integers(4, size=600), rng.integers(5, size=600)
    a, b = rng.standard_normal((4, 6)), rng.standard_normal((5, 6))
    fit = additive.additive_fit(a[i] + b[j], i, j, 4, 5)
    assert fit.additive == pytest.approx(1.0) and abs(fit.of_cells) < 1e-9
    assert np.allclose(fit.a_part[1] - fit.a_part[0], a[1] - a[0])
    mixed = additive.additive_fit(rng.standard_normal((4, 5, 6))[i, j], i, j, 4, 5)
    assert mixed.interaction > 0.3 and mixed.within == pytest.approx(0.0, abs=1e-9)
    noise = [additive.additive_fit(rng.standard_normal((600, 6)), i, j, 4, 5) for _ in range(30)]
    assert abs(np.mean([f.additive for f in noise])) < 0.002
    assert abs(np.mean([f.interaction for f in noise])) < 0.002
    every, other = np.divmod(np.arange(20), 5)  # each cell once, a function of its numbers
    table = a[every] + b[other]
    once = additive.additive_fit(table, every, other, 4, 5, determined=True)
    assert once.additive == pytest.approx(1.0) and abs(once.of_cells) < 1e-9
    drawn = [
        additive.additive_fit(rng.standard_normal((20, 6)), every, other, 4, 5, determined=True)
        for _ in range(200)
    ]
    assert abs(np.mean([f.additive for f in drawn])) < 0.03
    assert drawn[0].additive + drawn[0].interaction == pytest.approx(1.0)
    few = table[[0, 6, 12, 18, 4]]
    with pytest.raises(InputError, match="8 parameters: ask for more"):
        additive.additive_fit(few, np.arange(5) % 4, np.arange(5), 4, 5, determined=True)
    with pytest.raises(InputError, match="once each"):
        additive.additive_fit(a[[0, 1, 2, 3, 0]], np.arange(5) % 4, np.arange(5), 4, 5)


def test_a_helix_is_found_and_permuted_values_are_not(rng):
    values = np.arange(60)
    design = helix_fit.columns(values, helix_fit.PERIODS, True, 59.0)
    assert design.shape[1] == 9 and helix_fit.effective(design) == 8
    means = design @ rng.standard_normal((9, 40))
    train = rng.permutation(60)[:45]
    found = helix_fit.models_of(
        means[train], values[train], helix_fit.PERIODS, 59.0, np.random.default_rng(0)
    )
    test = np.setdiff1d(values, train)
    score = {f.name: helix_fit.r2(f.predict(test), means[test]) for f in found}
    assert score["helix"] == pytest.approx(1.0)
    assert score["helix, values permuted"] < 0.5
    span = helix_fit.plane(found[0], values)
    assert span.shape == (8, 40) and np.allclose(span @ span.T, np.eye(8))
    centred = means - means.mean(axis=0)
    assert np.allclose(centred @ span.T @ span, centred)
    many = rng.standard_normal((60, 80))
    drawn = helix_fit.random_plane(many, 8, rng)
    assert np.allclose(drawn @ drawn.T, np.eye(8))
    rows = np.linalg.svd(many - many.mean(axis=0), full_matrices=False)[2][:59]
    assert np.allclose(drawn @ rows.T @ rows, drawn)  # within the means' space
    beyond = helix_fit.random_plane(means, 8, rng)
    assert not np.allclose(beyond @ span.T @ span, beyond)  # that space is the helix's own
    with pytest.raises(InputError, match="needs at least 24"):
        helix_fit.check_values(20, 8)


def test_heuristics_are_matched_and_renamed_numbers_are_not(rng):
    a, b = np.divmod(np.arange(900), 30)
    numbers = {"a": a, "b": b, "result": a + b}
    known = heuristics(numbers)
    acts = np.stack([a % 5 == 2, (a + b) % 10 == 7, rng.random(900)], axis=1) + 0.0
    acts[:, :2] += 0.01 * rng.random((900, 2))
    found = matches(acts, known)
    names = [known.names[i] for i in found.best]
    assert names[:2] == ["a mod 5 = 2", "result mod 10 = 7"] and found.overlap[2] < 0.6
    draws = [matches(acts, heuristics(renamed(numbers, rng))).overlap for _ in range(5)]
    assert np.mean(np.array(draws) >= 0.6) < 0.3
