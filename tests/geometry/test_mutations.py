"""Small mistakes in the suite fail its planted proof."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from interp.geometry._modular import modular
from interp.geometry.spectra import basis
from interp.planted import build
from tests.geometry import reference
from tests.planted.subjects import FIRST_SEED

P = 23


@pytest.fixture(scope="module")
def planted():
    hidden = build("modular", seed=FIRST_SEED, modulus=P, layers=2, family="gpt2")
    return hidden.model(), hidden.key


def prove(model, key):
    """Keys, losses and algorithm of the planted adder."""
    want = sorted(int(one["frequency"]) for one in key.frequencies)
    found = modular(model, layer=key.readable_from, triples=8, seed=1)
    assert sorted(found.keys) == want
    assert found.value("logits_explained") > 0.5
    assert found.loss("excluded") > 1.5 * found.loss("full")
    assert found.loss("restricted") < 0.5
    assert found.value("gradient_symmetricity") > 0.98
    assert found.value("distance_irrelevance") < 0.6
    own = found.neurons[found.neurons["explained"] > 0.85]["frequency"].value_counts()
    assert set(want) <= set(own[own > 2].index)


def test_the_unchanged_suite_passes(planted):
    prove(*planted)


def _differences(by_sum):
    def wrong(x):
        flipped = np.asarray(x)[:, (-np.arange(len(x))) % len(x)]
        return by_sum(flipped)

    return wrong


MUTATIONS = (
    ("a − b for a + b in the logits", "key_frequencies", "by_difference", _differences),
    ("a − b for a + b in the losses", "spectra", "by_sum", _differences),
    ("a neighbouring frequency", "spectra", "frequencies_of", lambda f: lambda p: np.roll(f(p), 2)),
    ("kept for removed", "losses", "removed", lambda f: lambda x, k, **o: x - 0 * f(x, k, **o)),
    (
        "rows and columns of the right logit exchanged",
        "clock_pizza",
        "correct_logits",
        lambda f: lambda x: f(x).T,
    ),
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one[0])
def test_the_mutated_suite_fails(planted, monkeypatch, mutation):
    _, module, name, wrap = mutation
    place = import_module(f"interp.geometry.{module}")
    monkeypatch.setattr(place, name, wrap(getattr(place, name)))
    basis.cache_clear()  # a basis made before has no mistake, and one made here must not outlive it
    try:
        with pytest.raises((AssertionError, ValueError)):
            prove(*planted)
    finally:
        basis.cache_clear()


def test_the_reference_is_independent():
    """It imports nothing of the suite."""
    with open(reference.__file__, encoding="utf-8") as source:
        assert "interp" not in source.read().replace("`interp.geometry`", "")
