"""What is shipped is what its recipe makes: the card, the catalogue and the weights agree."""

import pytest
from safetensors.torch import load_file

from bench.proofs import card_accuracy
from interp.models.fixtures import fixture_folders, read_card
from interp.models.weights import weight_hash
from interp.training import recipe

TRAINED = [name for name, folder in fixture_folders().items() if (folder / "card.json").exists()]


@pytest.mark.parametrize("name", TRAINED)
def test_the_catalogue_still_has_the_recipe_of_the_card(name):
    card = read_card(fixture_folders()[name])
    assert card is not None
    made = recipe(name)
    assert type(made).from_json(card["recipe"]) == made


@pytest.mark.parametrize("name", TRAINED)
def test_the_rows_of_the_card_are_those_of_the_steps_taken(name):
    card = read_card(fixture_folders()[name])
    assert card is not None
    batch = card["recipe"]["batch"]
    rows = None if batch is None else batch * card["steps"]
    assert card["data"]["rows_trained_on"] == rows


@pytest.mark.parametrize("name", TRAINED)
def test_the_weights_are_those_of_the_card(name):
    folder = fixture_folders()[name]
    card = read_card(folder)
    assert card is not None
    file = next(iter(sorted(folder.glob("*.safetensors"))))
    assert weight_hash(load_file(file)) == card["weight_hash"]


def test_a_card_is_reproduced_and_a_wrong_one_is_not(monkeypatch):
    found = card_accuracy.reproduce("add5", 300, 1)
    assert found["intervals_overlap"]
    assert found["measured"]["n"] == 300
    false = {"accuracy": {"correct": 900, "n": 1000, "share": 0.9, "low": 0.88, "high": 0.917}}
    monkeypatch.setattr(card_accuracy, "read_card", lambda folder: false)
    assert not card_accuracy.reproduce("add5", 300, 1)["intervals_overlap"]
