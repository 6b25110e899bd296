from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from interp.arithmetic.tasks import Addition, task
from interp.errors import InputError, StorageError
from interp.models.fixtures import read_card as read_mapping
from interp.models.weights import weight_hash
from interp.results.intervals import wilson
from interp.training import Recipe, train
from interp.training.card import Card, measure, read_card, share
from interp.training.evaluation import full_cascades, n_carries, score
from interp.training.rows import Encoder


def test_the_card_says_what_is_there(tiny, tmp_path):
    card = train(tiny, tmp_path).card
    assert card == read_card(tmp_path, Card)
    assert card is not None
    content = read_mapping(tmp_path)
    assert content is not None
    assert (content["task"], content["format"]) == ("add:2", "padded")
    assert Recipe.from_json(card.recipe) == tiny
    assert card.weight_hash == weight_hash(load_file(tmp_path / "model.safetensors"))
    assert card.accuracy["n"] == card.accuracy["n_distinct"] == min(200, card.accuracy["n"])
    assert sum(part["n"] for part in card.by_carries.values()) == card.accuracy["n"]
    assert sum(part["correct"] for part in card.by_carries.values()) == card.accuracy["correct"]
    assert set(card.by_digit) == {"c0", "c1", "c2"}
    assert {"torch", "python"} <= set(card.versions)
    assert content["wall_minutes"] >= 0


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_an_unreadable_card_is_told(tiny, tmp_path, content):
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(StorageError, match=r"not a readable card .* delete the folder and train"):
        train(tiny, tmp_path)


def test_the_measurement_is_that_of_the_saved_model(tiny, tmp_path):
    """Loaded anew, greedy and one token at a time, without any of our scoring."""
    train(replace(tiny, steps=60, learning_rate=5e-3), tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    problems = task("add:2").sample(20, seed=5)
    scores = score(model.train(False), Encoder(tokenizer, problems.task, "padded"), problems)
    pairs = list(zip(problems.values(0).tolist(), problems.values(1).tolist(), strict=True))
    prompts = tokenizer([f"{a:02}+{b:02}=" for a, b in pairs], return_tensors="pt")
    written = model.generate(**prompts, max_new_tokens=3, do_sample=False)
    texts = tokenizer.batch_decode(written)
    right = [text.endswith(f"={a + b:03}") for text, (a, b) in zip(texts, pairs, strict=True)]
    assert 0 < np.sum(scores.correct) < scores.correct.size
    assert scores.exact.tolist() == right


def test_a_share_and_its_interval():
    right = np.array([True] * 9 + [False])
    interval = wilson(9, 10)
    bounds = {"low": float(interval.low), "high": float(interval.high)}
    assert share(right) == {"correct": 9, "n": 10, "share": 0.9} | bounds
    assert share(np.zeros(0, dtype=bool))["share"] is None


def test_full_cascades_carry_through_all_columns():
    problems = full_cascades(Addition(4), "+", 500, seed=0)
    assert problems.n == problems.n_distinct
    assert (problems.columns("carry")[:, :4] == 1).all()
    assert (problems.columns("column_sum")[:, 1:4] == 9).all()
    everything = full_cascades(Addition(2), "+", 20_000, seed=0)
    assert everything.n == 45 * 10  # pairs that make ten or more, times pairs that make nine


def test_full_cascades_borrow_through_all_columns():
    problems = full_cascades(task("addsub:4"), "-", 500, seed=0)
    assert set(problems.operators.ravel()) == {"-"}
    assert (problems.columns("borrow")[:, :3] == 1).all()
    assert np.mean(problems.sign < 0) == pytest.approx(0.5, abs=0.1)
    assert set(problems.sign) == {-1, 1}


@pytest.mark.parametrize("name", ["mul:2x2", "mod:113", "sub:3", "expr:A+B-C", "add:1"])
def test_other_tasks_have_no_full_cascades(name):
    with pytest.raises(InputError, match=r"has no cascades of '\+': they belong to sums and"):
        full_cascades(task(name), "+", 10, seed=0)


def test_carries_are_counted():
    problems = Addition(3).problems([999, 123, 505], [1, 456, 505])
    counts = n_carries(problems)
    assert counts is not None
    assert counts.tolist() == [3, 0, 2]
    mixed = task("addsub:2").problems([31, 15, 15], [15, 31, 15], operators=["-", "-", "-"])
    counts = n_carries(mixed)
    assert counts is not None
    assert counts.tolist() == [1, 1, 0]
    assert n_carries(task("mod:7").grid()) is None


def test_a_model_is_measured_on_what_it_did_not_see(tiny):
    from interp.training import build_model, build_tokenizer

    measured = measure(tiny, build_model(tiny), build_tokenizer(tiny), 7)
    assert measured["data"]["rows_trained_on"] == 7 * 32  # of the steps taken, not those asked for
    assert measured["accuracy"]["n"] <= 200
    assert "distinct test problems" in measured["data"]["scored_on"]
