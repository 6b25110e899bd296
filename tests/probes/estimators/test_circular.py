"""The circular probe on circles drawn by hand."""

import numpy as np
import pytest

from interp.errors import InputError
from probes.estimators import CircularProbe


def circle(modulus: int, frequency: int = 1, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Residues and activations: their point on a circle of radius 3, turned into five dimensions,
    far from the origin.
    """
    rng = np.random.default_rng(0)
    y = np.arange(4 * modulus) % modulus
    z = np.exp(2j * np.pi * frequency * y / modulus)
    plane = np.linalg.qr(rng.normal(size=(5, 2)))[0]
    X = 3 * np.stack([z.real, z.imag], axis=1) @ plane.T + 20
    return X + noise * rng.normal(size=X.shape), y


@pytest.mark.parametrize(("modulus", "frequency"), [(4, 1), (10, 1), (10, 3), (113, 50)])
def test_reads_every_residue_off_its_circle(modulus: int, frequency: int) -> None:
    X, y = circle(modulus, frequency)
    probe = CircularProbe(modulus, alpha=1e-6, frequency=frequency).fit(X, y)
    np.testing.assert_array_equal(probe.predict(X), y)
    want = np.angle(np.exp(2j * np.pi * frequency * y / modulus))
    gap = np.angle(np.exp(1j * (probe.angle(X) - want)))
    np.testing.assert_allclose(gap, 0, atol=1e-5)
    np.testing.assert_array_equal(probe.decision_function(X).argmax(axis=1), y)


def test_reads_residues_never_seen() -> None:
    X, y = circle(12)
    seen = y != 7
    assert set(CircularProbe(12, alpha=1e-6).fit(X[seen], y[seen]).predict(X[~seen])) == {7}


def test_the_wrong_frequency_reads_nothing() -> None:
    X, y = circle(11, frequency=3)
    assert CircularProbe(11, frequency=3).fit(X, y).score(X, y) == 1.0
    assert CircularProbe(11, frequency=2).fit(X, y).score(X, y) <= 2 / 11


def test_six_points_by_hand() -> None:
    """On a hexagon at unit distance ridge only shrinks: the Gram matrix is 3·1, so by 3/(3 + α)."""
    y = np.arange(6)
    angles = np.pi * y / 3
    X = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    probe = CircularProbe(6, alpha=1.0).fit(X, y)
    np.testing.assert_allclose(probe.coef_, 0.75 * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(probe.angle(X[:3]), angles[:3], atol=1e-12)


def test_two_residues_lie_on_a_line() -> None:
    X = np.array([[0.0], [1.0], [0.1], [0.9]])
    probe = CircularProbe(2, alpha=0.01).fit(X, [0, 1, 0, 1])
    np.testing.assert_array_equal(probe.predict(X), [0, 1, 0, 1])
    np.testing.assert_array_equal(probe.decision_function(X) > 0, [False, True, False, True])


def test_bad_input_names_its_remedy() -> None:
    X, y = circle(6)
    with pytest.raises(InputError, match="from 0 to 4; take them modulo 5"):
        CircularProbe(5).fit(X, y)
    with pytest.raises(InputError, match="continuous"):
        CircularProbe(6).fit(X, y + 0.5)
    with pytest.raises(InputError, match="shares no divisor with 6"):
        CircularProbe(6, frequency=2).fit(X, y)
    with pytest.raises(InputError, match="from 2 up"):
        CircularProbe(1).fit(X, y)
    with pytest.raises(InputError, match="1 class"):
        CircularProbe(6).fit(X, np.zeros(len(y), dtype=int))
