import os
import random
import shutil
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from interp.engine.requests import Cancel
from interp.errors import Cancelled, InputError, ModelError, StorageError
from interp.training import Recipe, build_model, digit_losses, read_log, train
from interp.training.checkpoint import checkpoint_folders
from interp.training.optimiser import learning_rate
from interp.training.run import Run
from tests.training.conftest import TINY


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


class Killed(BaseException):
    pass


def kill_at(step: int):
    def progress(done: int, total: int) -> None:
        if done == step:
            raise Killed

    return progress


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(Recipe(**TINY), folder)
    return folder


@pytest.fixture
def unbroken(trained_once, tmp_path) -> Path:
    """A copy of the finished tiny model, for a test to break."""
    return Path(shutil.copytree(trained_once, tmp_path / "unbroken"))


@pytest.mark.parametrize("step", [1, 4, 5, 11, 12])
def test_stopped_after_any_step_and_resumed_gives_the_same_bits(tiny, unbroken, tmp_path, step):
    with pytest.raises(Killed):
        train(tiny, tmp_path / "broken", progress=kill_at(step))
    trained = train(tiny, tmp_path / "broken")
    assert weights(tmp_path / "broken") == weights(unbroken)
    logs = [pd.read_parquet(p / "training_log.parquet") for p in (trained.folder, unbroken)]
    pd.testing.assert_frame_equal(*logs)


def killed_at(moment: str, count: int, recipe: Recipe, folder: Path) -> None:
    """Train in a child process that gets a real SIGKILL at the `count`-th `moment`."""

    def strike_at(name: str, owner: Any) -> None:
        sound, calls = getattr(owner, name), iter(range(1, 10**6))

        def striking(*args: Any, **options: Any) -> Any:
            if next(calls) == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return sound(*args, **options)

        setattr(owner, name, striking)

    child = os.fork()
    if child == 0:
        try:
            strike_at(*{"step": ("take_step", Run), "sync": ("fsync", os)}[moment])
            train(recipe, folder)
        finally:
            os._exit(0)  # never back into the tests; reached only where the kill did not strike
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.fixture(scope="module")
def moments(tmp_path_factory) -> dict[str, int]:
    """How many steps an unbroken run takes, and how many files it writes through to the disk."""
    syncs: list[int] = []
    with pytest.MonkeyPatch.context() as counting:
        sync = os.fsync
        counting.setattr(os, "fsync", lambda file: (syncs.append(file), sync(file))[1])
        train(Recipe(**TINY), tmp_path_factory.mktemp("counted"))
    return {"step": TINY["steps"], "sync": len(syncs)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the child that is killed is forked")
@pytest.mark.parametrize("moment", ["step", "sync"])
@pytest.mark.parametrize("at", [0.45, 0.95])
def test_killed_with_signal_9_and_resumed_gives_the_same_bits(
    moment, at, moments, tiny, unbroken, tmp_path
):
    """A real kill, in a step or while a checkpoint or one of the final files is written."""
    killed_at(moment, 1 + int(at * moments[moment]), tiny, tmp_path / "broken")
    train(tiny, tmp_path / "broken")
    assert weights(tmp_path / "broken") == weights(unbroken)
    assert not list((tmp_path / "broken").glob("checkpoints*"))


def test_a_budget_stops_with_a_checkpoint_and_the_next_call_goes_on(tiny, unbroken, tmp_path):
    recipe = replace(tiny, checkpoint_every=1000)
    calls = 0
    stopped = ""
    while stopped != "steps":
        before = pd.Timestamp.now()
        trained = train(tiny if calls > 99 else recipe, tmp_path / "out", budget_seconds=1e-9)
        stopped, calls = trained.stopped, calls + 1
        assert (trained.card is None) == (stopped == "budget")
        assert before <= pd.Timestamp.now()
    assert calls == tiny.steps  # one step a call, the least there is
    assert load_file(tmp_path / "out" / "model.safetensors").keys()
    assert weights(tmp_path / "out") == weights(unbroken)


def test_cancelling_keeps_what_was_done(tiny, unbroken, tmp_path):
    cancel = Cancel()
    with pytest.raises(Cancelled, match="after step 3; train again to go on from there"):
        train(
            tiny,
            tmp_path / "out",
            cancel=cancel,
            progress=lambda done, _: cancel.set() if done == 3 else None,
        )
    assert [folder.name for folder in checkpoint_folders(tmp_path / "out")] == ["step-00000003"]
    train(tiny, tmp_path / "out")
    assert weights(tmp_path / "out") == weights(unbroken)


def test_training_twice_gives_the_same_bits_and_another_seed_does_not(tiny, unbroken, tmp_path):
    train(tiny, tmp_path / "again")
    train(replace(tiny, seed=1), tmp_path / "other")
    assert weights(tmp_path / "again") == weights(unbroken)
    assert weights(tmp_path / "other") != weights(unbroken)


def test_looking_more_often_changes_no_weight(tiny, unbroken, tmp_path):
    watched = replace(tiny, evaluate_every=1, log_every=1, gradients_every=1, checkpoint_every=1)
    train(watched, tmp_path / "watched")
    assert weights(tmp_path / "watched") == weights(unbroken)


def test_callers_random_state_and_threads_are_left_alone(tiny, tmp_path):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    expected = torch.rand(2).tolist(), np.random.rand(), random.random()  # noqa: NPY002
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    torch.set_num_threads(2)
    train(tiny, tmp_path, threads=1)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert (torch.rand(2).tolist(), np.random.rand(), random.random()) == expected  # noqa: NPY002


def test_a_finished_model_is_returned_at_once(tiny, unbroken):
    def never(_done: int, _total: int) -> None:
        raise AssertionError("it trained again")

    trained = train(tiny, unbroken, progress=never)
    assert (trained.stopped, trained.step) == ("steps", tiny.steps)
    assert trained.card is not None
    with pytest.raises(
        StorageError, match=r"holds the model 'tiny' of another recipe.*resume=False"
    ):
        train(replace(tiny, seed=5), unbroken)
    replaced = train(replace(tiny, seed=5), unbroken, resume=False)
    assert replaced.card is not None
    assert replaced.card.seed == 5


def test_a_finished_model_that_was_changed_is_not_taken_for_the_recipes(tiny, unbroken):
    path = unbroken / "model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, path)
    with pytest.raises(StorageError, match=r"not the model that card.json describes.*resume=False"):
        train(tiny, unbroken)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StorageError, match=r"cannot be read .*resume=False"):
        train(tiny, unbroken)


def test_starting_again_forgets_a_checkpoint(tiny, unbroken, tmp_path):
    with pytest.raises(Killed):
        train(replace(tiny, learning_rate=0.1), tmp_path / "out", progress=kill_at(9))
    train(tiny, tmp_path / "out", resume=False)
    assert weights(tmp_path / "out") == weights(unbroken)


@pytest.mark.parametrize("budget", [0, 0.0, -1, float("nan")])
def test_no_budget_no_training(tiny, tmp_path, budget):
    with pytest.raises(InputError, match=r"leaves no time to train: give seconds above 0, or None"):
        train(tiny, tmp_path / "out", budget_seconds=budget)
    assert not (tmp_path / "out").exists()


def test_no_threads_no_training(tiny, tmp_path):
    with pytest.raises(InputError, match=r"threads=0: at least 1"):
        train(tiny, tmp_path, threads=0)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(
    tiny, unbroken, tmp_path, monkeypatch
):
    from interp.training.objectives import AnswerLoss

    sound = AnswerLoss.losses
    calls = 0

    def broken(self, model, extra, rows, step, offsets=None):
        nonlocal calls
        calls += 1
        losses = sound(self, model, extra, rows, step, offsets)
        if calls == 7:  # step 6, row 5
            digits = losses.digits.clone()
            digits[5] = torch.nan
            return losses._replace(digits=digits, total=digits.mean())
        return losses

    monkeypatch.setattr(AnswerLoss, "losses", broken)
    with pytest.raises(
        ModelError,
        match=r"the loss is no number at step 6, batch rows 5 to 5 \(1 of 32: \d+\+\d+, ",
    ):
        train(tiny, tmp_path / "out")
    monkeypatch.undo()
    assert [folder.name for folder in checkpoint_folders(tmp_path / "out")] == ["step-00000004"]
    train(tiny, tmp_path / "out")
    assert weights(tmp_path / "out") == weights(unbroken)


def test_a_learning_rate_that_explodes_is_told(tiny, tmp_path):
    with pytest.raises(ModelError, match=r"is no number.*lower learning_rate"):
        train(replace(tiny, learning_rate=1e38, warmup=0), tmp_path / "out")


def test_early_stop_on_the_target(tiny, tmp_path):
    one_digit = replace(tiny, task="add:1", mix=tiny.mix[:1], test_share=0.3, validation_share=0.3)
    reached = train(replace(one_digit, target=1e-9, steps=400), tmp_path / "easy")
    assert reached.stopped == "target"
    assert reached.step < 400
    assert reached.card is not None
    assert (reached.card.stopped, reached.card.steps) == ("target", reached.step)
    assert reached.card.data["rows_trained_on"] == one_digit.batch * reached.step


def test_progress_and_validation_are_told(tiny, tmp_path):
    steps, seen = [], []
    train(
        tiny,
        tmp_path,
        progress=lambda done, total: steps.append((done, total)),
        on_validation=seen.append,
    )
    assert steps == [(done, tiny.steps) for done in range(1, tiny.steps + 1)]
    assert [validation.step for validation in seen] == [5, 10, 12]
    assert set(seen[0].by_digit) == {"c0", "c1", "c2"}
    assert all(0 <= share <= 1 for share in seen[0].by_digit.values())


def test_a_series_is_loadable_models(tiny, tmp_path):
    from transformers import AutoModelForCausalLM

    train(replace(tiny, series=(0, 5, 12)), tmp_path)
    folders = sorted((tmp_path / "series").iterdir())
    assert [folder.name for folder in folders] == [
        "step-00000000",
        "step-00000005",
        "step-00000012",
    ]
    assert len({weights(folder) for folder in folders}) == 3
    assert weights(folders[-1]) == weights(tmp_path)
    AutoModelForCausalLM.from_pretrained(folders[1])
    train(replace(tiny, series=(3,)), tmp_path, resume=False)  # starting again leaves none of these
    assert [folder.name for folder in (tmp_path / "series").iterdir()] == ["step-00000003"]


def test_a_run_that_stops_earlier_is_the_beginning_of_the_whole(tiny, tmp_path):
    """The same rate at every step, so the same weights as the longer run had there."""
    train(replace(tiny, series=(5,)), tmp_path / "whole")
    part = train(replace(tiny, stop_after=5), tmp_path / "part")
    assert (part.step, part.stopped) == (5, "steps")
    assert part.card is not None and part.card.steps == 5
    assert weights(tmp_path / "part") == weights(tmp_path / "whole" / "series" / "step-00000005")


def test_a_training_in_stages_has_one_log(tiny, tmp_path):
    """What a run starts from stands in its log below step 0, also after a kill."""
    train(tiny, tmp_path / "first")
    second = replace(tiny, base=str(tmp_path / "first"))
    train(second, tmp_path / "unbroken")
    with pytest.raises(Killed):
        train(second, tmp_path / "killed", progress=kill_at(7))
    train(second, tmp_path / "killed")
    log = read_log(tmp_path / "killed")
    before = read_log(tmp_path / "first")
    pd.testing.assert_frame_equal(
        log[log["step"] <= -1].assign(step=lambda rows: rows["step"] + 12).reset_index(drop=True),
        before[before["step"] < 12].reset_index(drop=True),
    )
    assert log["step"].min() == -12 and log["step"].max() == 12
    assert weights(tmp_path / "killed") == weights(tmp_path / "unbroken")
    figure = digit_losses([tmp_path / "first", tmp_path / "killed"]).figure()
    assert "steps below 0: of what it was" in str(figure.to_dict()).replace("<br>", " ")
    third = train(replace(second, base=str(tmp_path / "killed")), tmp_path / "third")
    assert read_log(third.folder)["step"].min() == -24


def test_a_start_can_be_shrunk_towards_fresh_weights(tiny, tmp_path):
    """The blocks' matrices alone, by hand; and a killed run does not do it again."""
    train(tiny, tmp_path / "first")
    again = replace(tiny, base=str(tmp_path / "first"), shrink=0.25, seed=5)
    fresh = build_model(replace(tiny, seed=5)).state_dict()
    base = load_file(tmp_path / "first" / "model.safetensors")
    shrunk = build_model(again).state_dict()
    mixed = {name for name in base if ".h." in name and base[name].ndim == 2}
    assert len(mixed) == 4 * tiny.n_layers  # GPT-2: q, k and v in one, the output, the MLP's two
    for name, before in base.items():
        want = 0.25 * before + 0.75 * fresh[name] if name in mixed else before
        torch.testing.assert_close(shrunk[name], want)
    train(again, tmp_path / "unbroken")
    with pytest.raises(Killed):
        train(again, tmp_path / "killed", progress=kill_at(7))
    train(again, tmp_path / "killed")
    assert weights(tmp_path / "killed") == weights(tmp_path / "unbroken")


def test_a_tiny_model_learns(tiny, tmp_path):
    """The loop as a whole: one-digit sums are learnt, and many that it never saw (chance 0.1)."""
    recipe = replace(
        tiny, name="add1", task="add:1", mix=tiny.mix[:1],
        steps=300, batch=64, d_model=32, learning_rate=5e-3, weight_decay=0.3,
        test_share=0.1, validation_share=0.05, log_every=100, evaluate_every=300,
        checkpoint_every=1000, gradients_every=None,
    )  # fmt: skip
    trained = train(recipe, tmp_path)
    assert trained.card is not None
    log = pd.read_parquet(tmp_path / "training_log.parquet")
    last = log[(log.split == "train") & (log.group == "total")].iloc[-1]
    assert last.accuracy >= 0.95
    assert trained.card.accuracy["share"] >= 0.4


def test_the_learning_rate_warms_up_and_comes_down():
    recipe = Recipe(name="x", task="add:2", steps=110, warmup=10, learning_rate=2.0, final_rate=0.1)
    rates = [learning_rate(recipe, step) for step in range(110)]
    assert rates[:10] == pytest.approx([0.2 * k for k in range(1, 11)])
    assert rates[10] == pytest.approx(2.0)
    assert rates[-1] == pytest.approx(0.2)
    assert all(a >= b for a, b in pairwise(rates[10:]))
    linear = replace(recipe, decay="linear")
    assert learning_rate(linear, 60) == pytest.approx(2.0 * (1 - 0.9 * 50 / 99))
    constant = replace(recipe, decay="constant")
    assert learning_rate(constant, 109) == 2.0
