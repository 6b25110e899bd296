"""What to do about a run that came to no number: change what may change, and go on."""

from dataclasses import replace

import pytest
import torch

from interp.errors import ModelError, StorageError
from interp.training import Recipe, train
from interp.training.card import Card, read_card
from interp.training.checkpoint import checkpoint_folders
from interp.training.optimiser import Optimiser, learning_rate
from tests.training.test_loop import Killed, kill_at, weights

CALMER = {"learning_rate": 1e-4, "warmup": 10, "precision": "float32", "clip": 0.5}


def test_the_remedy_goes_on_from_the_checkpoint_and_the_card_tells_of_it(tiny, tmp_path):
    folders = [tmp_path / name for name in ("once", "twice")]
    for folder in folders:
        with pytest.raises(Killed):
            train(tiny, folder, progress=kill_at(9))
    calmer = replace(tiny, **CALMER)
    steps = []
    once = train(calmer, folders[0], progress=lambda done, _: steps.append(done)).card
    assert steps[0] == 9  # after the checkpoint at step 8
    assert once is not None
    assert Recipe.from_json(once.recipe) == calmer
    assert [(change["step"], change["field"]) for change in once.changes] == [
        (8, field) for field in CALMER
    ]
    assert once.changes[0] == {
        "step": 8, "field": "learning_rate", "before": 1e-3, "after": 1e-4,
    }  # fmt: skip
    assert read_card(folders[0], Card) == once
    # A change is kept through a further kill, and made once.
    with pytest.raises(Killed):
        train(calmer, folders[1], progress=kill_at(11))
    train(calmer, folders[1], budget_seconds=1e-9)
    again = train(calmer, folders[1]).card
    assert again is not None
    assert again.changes == once.changes
    assert weights(folders[0]) == weights(folders[1])


def test_nothing_else_may_change_on_the_way(tiny, tmp_path):
    train(tiny, tmp_path, budget_seconds=1e-9)
    with pytest.raises(StorageError, match=r"batch: 32 there, 16 here.*only learning_rate, warmup"):
        train(replace(tiny, batch=16, learning_rate=1e-4), tmp_path)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # it is validated before it is finished
def test_a_model_that_is_no_number_at_the_end_is_not_finished(tiny, tmp_path, monkeypatch):
    """The last step's update breaks it: no card, and the checkpoint stays to go on from."""
    sound = Optimiser.step

    def breaking(self, rate):
        sound(self, rate)
        if rate == learning_rate(tiny, tiny.steps - 1):
            next(iter(self._parameters.values())).data[0] = torch.nan

    monkeypatch.setattr(Optimiser, "step", breaking)
    with pytest.raises(ModelError, match=r"is no number after step 12: train into the same folder"):
        train(tiny, tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "card.json").exists()
    assert not (tmp_path / "model.safetensors").exists()
    assert [folder.name for folder in checkpoint_folders(tmp_path)][-1] == "step-00000008"
    assert train(replace(tiny, clip=0.5), tmp_path).card is not None
