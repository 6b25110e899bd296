from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from interp.arithmetic.tasks import task
from interp.training import train
from interp.training.log_rows import COLUMNS, batch_rows, groups_of
from interp.training.objectives import AnswerLoss, Step
from interp.training.run_state import TrainingRun


@pytest.fixture
def measured(tiny):
    """One batch of a fresh model: the run, the rows, the losses and the log's rows."""
    run = TrainingRun.start(replace(tiny, precision="float32"))
    rows = run.encoder(run.stream.training(0))
    losses = AnswerLoss().losses(run.model, {}, rows, Step(0, 10, 0))
    log = batch_rows(0, losses, rows.problems, rows.roles, run.trained)
    return run, rows, losses, pd.DataFrame(log).set_index("group")


def test_losses_and_gradients_against_plain_torch(measured):
    """The log's numbers for digit c1 and for the total, from the Hugging Face module alone."""
    run, rows, _, log = measured
    logits = run.model(rows.tokens[:, :-1]).logits
    place = rows.digits[:, rows.roles.index("c1")]
    each = [logits[i, p - 1] for i, p in enumerate(place.tolist())]
    targets = rows.tokens.gather(1, place[:, None])[:, 0]
    loss = F.cross_entropy(torch.stack(each), targets)
    parameters = list(run.trained.values())
    own = torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters, retain_graph=True)])
    everything = F.cross_entropy(logits[:, 5:].flatten(0, 1), rows.tokens[:, 6:].flatten())
    total = torch.cat([g.flatten() for g in torch.autograd.grad(everything, parameters)])
    assert log.loss["c1"] == pytest.approx(float(loss.detach()), rel=1e-4)
    assert log.grad_norm["c1"] == pytest.approx(float(own.norm()), rel=1e-3)
    cosine = F.cosine_similarity(own, total, dim=0)
    assert log.cosine["c1"] == pytest.approx(float(cosine), rel=1e-3)
    assert log.grad_norm["total"] == pytest.approx(float(total.norm()), rel=1e-3)


def test_digits_average_to_the_total(measured):
    _, rows, losses, log = measured
    digits = log.loc[list(rows.roles)]
    assert digits.loss.mean() == pytest.approx(float(losses.total.detach()), rel=1e-5)
    # Gradients are linear: the digits' parts along the total sum to it.
    parts = (digits.grad_norm * digits.cosine).mean()
    assert parts == pytest.approx(log.grad_norm["total"], rel=1e-3)
    assert log.cosine["total"] == pytest.approx(1.0)


def test_classes_partition_the_digits_that_have_one(measured):
    _, rows, _, log = measured
    classes = log[log.index.str.startswith("class:")]
    assert classes.n.sum() == rows.problems.columns("class").size
    masks = groups_of(rows.problems, rows.roles)
    covered = np.sum([mask for name, mask in masks.items() if name.startswith("class:")], axis=0)
    assert covered.max() == 1


def test_class_masks_are_those_of_the_truth_table():
    problems = task("mul:3x1").sample(200, seed=0)
    roles = [f"c{k}" for k in range(4)]
    masks = groups_of(problems, roles)
    for k in range(4):
        for name in set(problems.truth[f"class[{k}]"]) - {""}:
            expected = (problems.truth[f"class[{k}]"] == name).to_numpy()
            assert np.array_equal(masks[f"class:{name}"][:, k], expected)


def test_the_log_of_a_run(tiny, tmp_path):
    train(tiny, tmp_path)
    log = pd.read_parquet(tmp_path / "training_log.parquet")
    assert tuple(log.columns) == COLUMNS
    batches = log[log.split == "train"]
    assert sorted(batches.step.unique()) == [0, 3, 6, 9]
    assert sorted(log[log.split == "validation"].step.unique()) == [5, 10, 12]
    with_gradients = batches[batches.group == "c0"].set_index("step").grad_norm
    assert with_gradients.notna().to_dict() == {0: True, 3: False, 6: True, 9: False}
    assert batches.accuracy.dropna().between(0, 1).all()
    assert {"total", "c0", "c1", "c2", "term:answer"} <= set(batches.group)
