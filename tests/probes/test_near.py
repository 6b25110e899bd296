"""Probes of numbers near a multiple: sentences, states of spans, and the numbers beside."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest, false_discovery_control
from sklearn.linear_model import LogisticRegression

import interp
import probes
from interp.engine.requests import Resources
from interp.engine.texts import span_means
from interp.errors import InputError
from probes import near as module
from probes.number_texts import FITTED, PARAPHRASED, near, sentences, words
from probes.results.near import NearMultiples
from probes.state_statistics import statistics
from tests.golden.entries import wrapped


def test_near_is_what_a_loop_says() -> None:
    numbers = np.arange(1000)
    for k in (2, 3, 5, 7, 9, 10, 113):
        distance = [min(abs(n - m) for m in (n // k * k, n // k * k + k)) for n in numbers]
        limit = 0 if k in (2, 3) else 1
        assert near(numbers, k).tolist() == [d <= limit for d in distance]
        assert near(np.arange(0, 10_000, k), k).all()


def test_every_number_has_its_own_words_and_they_add_up() -> None:
    value = {words(n): n for n in range(100)}
    told = {words(n) for n in range(10_000)}
    assert len(told) == 10_000
    for n in np.random.default_rng(0).integers(100, 10_000, size=200).tolist():
        total = 0
        rest = words(n)
        for name, size in (("thousand", 1000), ("hundred", 100)):
            if name in rest:
                many, _, rest = rest.partition(f" {name}")
                total += size * value[many]
                rest = rest.strip()
        assert total + (value[rest] if rest else 0) == n


@pytest.mark.parametrize("spelt", [False, True])
def test_a_span_holds_the_number_and_nothing_else(spelt: bool) -> None:
    numbers = [0, 7, 42, 1300, 9999]
    for templates in (FITTED, PARAPHRASED):
        texts, spans = sentences(numbers, templates, spelt=spelt, seed=1)
        for number, text, (low, high) in zip(numbers, texts, spans, strict=True):
            assert text[low:high] == (words(number) if spelt else str(number))
            assert text[:low] + "{}" + text[high:] in templates
    assert not set(FITTED) & set(PARAPHRASED)


def test_a_span_s_state_is_the_mean_of_its_tokens_states() -> None:
    """Against Hugging Face's own hidden states, text by text."""
    model = interp.load("smollm2")
    texts, spans = sentences([7, 42, 1300], FITTED, spelt=False, seed=0)
    layers = (0, model.shape.n_layers - 2)
    found = span_means(model, texts, spans, layers, Resources(2**20, None, None))
    module_, tokenizer = model.adapter.bridge.original_model, model.tokens.tokenizer
    for row, (text, (low, high)) in enumerate(zip(texts, spans.tolist(), strict=True)):
        ids = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        tokens = torch.tensor([[*model.tokens.bos, *ids["input_ids"]]])
        at = [i + len(model.tokens.bos) for i, (a, b) in enumerate(ids["offset_mapping"])
              if a < high and low < b]  # fmt: skip
        with torch.no_grad():
            hidden = module_(tokens, output_hidden_states=True).hidden_states
        for place, layer in enumerate(layers):
            want = hidden[layer + 1][0, at].mean(0)
            np.testing.assert_allclose(found[row, place], want, rtol=1e-3, atol=1e-3)


def _planted(k: int, told_at: dict[str, int]) -> Any:
    """States whose first dimension tells "near a multiple of k" for digits and nothing for words,
    after one layer of each model that is named."""

    def states(model: Any, texts: Any, spans: Any, layers: Any, resources: Any) -> Any:
        rng = np.random.default_rng(len(texts[0]))
        X = rng.normal(size=(len(texts), len(layers), 6)).astype(np.float32)
        told = [text[low:high] for text, (low, high) in zip(texts, spans, strict=True)]
        if told[0].isdigit() and told_at.get(model.name) in layers:
            at = list(layers).index(told_at[model.name])
            X[:, at, 0] = 6 * near([int(x) for x in told], k) - 3
        return X

    return states


def _found(
    monkeypatch: pytest.MonkeyPatch, told_at: dict[str, int], **options: Any
) -> NearMultiples:
    """Of planted states for k = 7, and of random weights named by their draw."""
    monkeypatch.setattr(module, "span_means", _planted(7, told_at))
    monkeypatch.setattr(module, "untrained", lambda _, seed: SimpleNamespace(name=f"draw {seed}"))
    chosen: dict[str, Any] = {"layers": (0, 1), "n": 600, "seed": 0} | options
    return probes.near_multiples(wrapped(), (7, 10), **chosen)


def test_a_planted_state_is_found_and_words_are_the_larger_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = _found(monkeypatch, {"speaker": 1})
    m = found.metrics
    assert m["digits[7]"] > 0.98 and m["paraphrased[7]"] > 0.98
    assert set(found.chosen.loc[found.chosen["k"] == 7, "layer"]) == {1}
    assert abs(m["words[7]"] - m["majority[7]"]) < 0.12
    assert abs(m["untrained_digits[7]"] - m["majority[7]"]) < 0.12
    assert m["digits_alone[10]"] == 1  # the last digit decides
    assert m["digits_alone[7]"] < 0.65
    low = found.scores["low"] <= found.scores["accuracy"]
    assert (low & (found.scores["accuracy"] <= found.scores["high"])).all()
    beaten = found.beaten
    assert beaten.loc[[(7, "digits"), (7, "paraphrased")]].all(axis=None)
    assert not beaten.loc[[(10, w) for w in module.WORDINGS]].fillna(False).any(axis=None)
    assert beaten["digits_alone"].isna().tolist() == [w == "words" for _, w in beaten.index]
    assert (m["probes"], m["beat_all"], m["beat_digits_alone"]) == (6, 2, 2)


def test_the_conclusion_names_the_controls_that_are_beaten_and_those_that_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = str(_found(monkeypatch, {"speaker": 1, "draw 1": 0}).conclusion())
    assert "Of 6 probes, 0 beat each of their controls (16 paired tests" in said
    assert "They beat the larger class in the same sentences for k = 7 (not 10)" in said
    assert "; the digits alone in the same sentences for k = 7 (not 10)" in said
    assert "; random weights in the same sentences for no k" in said
    without = _found(monkeypatch, {"speaker": 1}, control=False)
    assert "Random weights were not measured" in str(without.conclusion())
    assert not len(without.random) and without.metrics["beat_all"] == 2


def test_random_weights_choose_their_own_layer_and_every_draw_must_be_beaten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trained model tells after layer 1, one draw of three after layer 0."""
    found = _found(monkeypatch, {"speaker": 1, "draw 1": 0})
    mine = found.random[(found.random["k"] == 7) & (found.random["wording"] == "digits")]
    assert mine.loc[(mine["draw"] == 1) & mine["chosen"], "layer"].tolist() == [0]
    chosen = mine[mine["chosen"]].set_index("draw")["accuracy"]
    assert len(chosen) == 3 and chosen[1] > 0.98 and chosen.drop(1).max() < 0.7
    assert found.metrics["untrained_digits[7]"] == pytest.approx(chosen.mean())
    assert not found.beaten.loc[(7, "digits"), "untrained"]
    tests = found.tests.set_index(["k", "wording", "control"])
    assert tests.loc[(7, "digits", "untrained"), "control_accuracy"] == chosen[1]
    assert found.beaten.loc[(7, "digits"), "majority"]


def test_the_tests_are_scipy_s_over_pairs_with_one_correction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tests = _found(monkeypatch, {"speaker": 1}).tests
    assert len(tests) == 2 * (3 + 3 + 2)
    for row in tests.itertuples():
        both = row.only_probe + row.only_control
        exact = binomtest(row.only_probe, both, alternative="greater").pvalue if both else 1.0
        assert row.p == pytest.approx(exact)
        gained = row.only_probe - row.only_control
        assert row.accuracy - row.control_accuracy == pytest.approx(gained / 300)
    np.testing.assert_allclose(tests["q"], false_discovery_control(tests["p"]))


def test_statistics_are_of_every_layer_whichever_are_probed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = _found(monkeypatch, {"speaker": 1}, layers=(1,))
    assert found.states["layer"].tolist() == [0, 1]
    assert found.states["cosine"].notna().tolist() == [True, False]
    assert set(found.scores["layer"]) == {1}
    assert found.metrics["digits[7]"] > 0.98


def test_a_result_saved_without_tests_still_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _found(monkeypatch, {"speaker": 1})
    settings = {key: value for key, value in found.settings.items() if key != "draws"}
    none = pd.DataFrame()
    old = dataclasses.replace(found, tests=none, random=none, settings=settings)
    assert str(old.conclusion()).startswith("Saved without tests against the controls. Highest")
    assert "beat_all" not in old.metrics and "draws" not in old.code
    shades = [bar.marker.opacity for bar in old.figure().data if bar.type == "bar"]
    assert all((np.asarray(shade) == 1).all() for shade in shades)
    now = [bar.marker.opacity for bar in found.figure().data if bar.type == "bar"]
    assert [list(shade) for shade in now] == [[1, 0.35], [1, 0.35], [0.35, 0.35]]


def test_the_probe_is_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 8))
    y = (X @ rng.normal(size=8) + rng.normal(size=300) > 0)[:, None]
    fitted, _ = module._fit(X, y, np.arange(300) % 5)
    test = rng.normal(size=(400, 8))
    other = LogisticRegression(C=1e3, max_iter=2000).fit(X, y[:, 0])
    assert (fitted.predict(test)[:, 0] == other.predict(test)).mean() > 0.97


def test_statistics_by_hand() -> None:
    flat = np.array([[1.0, 0.0], [-1.0, 0.0], [3.0, 0.0], [-3.0, 0.0]], dtype=np.float32)
    both = np.array([[1.0, 2.0], [1.0, -2.0], [1.0, 2.0], [1.0, -2.0]], dtype=np.float32)
    found = statistics(np.stack([flat + 1, both], axis=1), (0, 4))
    first = found.iloc[0]
    assert (first["effective_rank"], first["spectral_entropy"]) == (1, 0)
    assert first["trace"] == pytest.approx(20 / 3)
    assert first["cosine"] == pytest.approx(1 / np.sqrt(2))  # means (1, 1) and (1, 0)
    assert (first["distance"], first["angle"]) == (pytest.approx(1), pytest.approx(45))
    assert np.isnan(found.iloc[1]["cosine"])
    assert found.iloc[1]["root_variance_size"] == pytest.approx(8 * both.std())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ks": (1,)}, "give numbers from 2"),
        ({"ks": ()}, "give numbers from 2"),
        ({"n": 10}, "n=10 must be from 50"),
        ({"n": 9000}, "n=9000 must be from 50"),
        ({"draws": 0}, "draws=0: 1 or more"),
        ({"layers": (99,)}, r"layers=\[99\]: .* has 0 to"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        probes.near_multiples(wrapped(), **options)


def test_a_model_of_digits_cannot_read_sentences() -> None:
    with pytest.raises(InputError, match="does not know"):
        probes.near_multiples(interp.load("add5"), n=60)
