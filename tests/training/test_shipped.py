"""What is shipped is what its recipe makes: the card, the catalogue and the weights agree."""

import numpy as np
import pytest
from safetensors.torch import load_file

import interp
from bench.proofs import card_accuracy
from interp.arithmetic.held_out import Split
from interp.models.fixtures import fixture_folders, read_card
from interp.models.weights import weight_hash
from interp.training import recipe
from interp.training.card import share

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


def card_of(correct: int, n: int) -> dict:
    return {"accuracy": share(np.arange(n) < correct)}


def test_a_card_is_reproduced_and_a_wrong_one_is_not(monkeypatch):
    found = card_accuracy.reproduce("add5", 300, 1)
    assert found["in_the_cards_interval"]
    assert found["reproduced"]
    assert found["measured"]["n"] == found["measured"]["correct"] == 300
    # (card, in its interval, the two intervals overlap, reproduced): by 300 right of 300.
    for card, told in (
        (card_of(900, 1000), (False, False, False)),
        (card_of(985, 1000), (False, True, False)),  # overlapping intervals are not enough
        (card_of(9_998, 10_000), (False, True, True)),  # 0 of 300 wrong is what 2 of 10,000 gives
    ):
        monkeypatch.setattr(card_accuracy, "read_card", lambda folder, card=card: card)
        found = card_accuracy.reproduce("add5", 300, 1)
        names = ("in_the_cards_interval", "intervals_overlap", "reproduced")
        assert tuple(found[name] for name in names) == told


def test_the_shipped_series_knows_its_pairs_before_the_others():
    """All trained pairs at step 250 and no others; all of both at the end."""
    found = interp.checkpoints("mod113")
    made = recipe("mod113")
    assert len(found) >= 12
    pairs = interp.task("mod:113").grid()
    parts = Split(made.test_share, made.validation_share, made.split_seed).part(pairs)

    def right(step, part):
        some = pairs[np.flatnonzero(parts == part)[::10]]
        result = interp.behaviour.accuracy(found.load(step), some, strict=False)
        return result.metrics["exact_accuracy"]

    assert right(250, "train") == 1
    assert right(250, "test") < 0.05
    assert right(found.steps[-1], "train") == right(found.steps[-1], "test") == 1
