"""The suite and its phases by their commands, on planted models made into a series."""

from __future__ import annotations

import json

import numpy as np
import pytest

from app import cli
from interp.errors import InputError, ModelError
from interp.geometry._modular import modular
from interp.geometry._phases import phases
from interp.models.loading import load_model
from interp.planted import build
from interp.results.result import Result
from tests.planted.subjects import FIRST_SEED

P = 11


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A planted model whose series begins with another one."""
    path = tmp_path_factory.mktemp("adder")
    made = [build("modular", seed=FIRST_SEED + i, modulus=P, layers=2, family="gpt2")
            for i in range(2)]  # fmt: skip
    made[0].save(path)
    for step, one in ((0, made[1]), (10, made[0])):
        one.save(path / "series" / f"step-{step:08d}")
    return path


def command(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["arithmoscope", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_the_command_gives_the_librarys_numbers(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("interp.figures.export.browser", lambda: None)
    out = tmp_path / "out"
    flags = ("--model", folder, "--triples", "published", "--seed", "3", "--out", out)
    assert command(monkeypatch, "geometry", "modular", *flags) in (0, None)
    model = load_model(str(folder))
    assert Result.load(out) == modular(model, triples="published", seed=3)
    said = json.loads((out / "result.json").read_text())
    assert said["analysis"] == "modular_analysis" and said["metrics"]["modulus"] == P


def test_phases_use_the_finished_models_frequencies(folder, tmp_path):
    mask = np.random.default_rng(0).random((P, P)) < 0.5
    model = load_model(str(folder))
    found = phases(model, train=mask)
    assert found.steps["step"].tolist() == [0, 10]
    last = modular(load_model(str(folder)), train=mask, triples=4)
    assert sorted(found.keys) == sorted(last.keys)
    row = found.steps.iloc[-1]
    assert row["restricted_loss"] == pytest.approx(last.loss("restricted"), rel=1e-4)
    assert row["excluded_loss"] == pytest.approx(last.loss("excluded"), rel=1e-4)
    assert Result.load(found.save(tmp_path / "phases")) == found
    with pytest.raises(InputError, match=r"no checkpoint .* at step 5; there are 0, 10"):
        phases(model, train=mask, steps=(5,))


def test_without_training_pairs_or_a_series_there_are_no_phases(folder):
    model = load_model(str(folder))
    with pytest.raises(InputError, match="does not say which pairs"):
        phases(model)
    alone = load_model(str(folder / "series" / "step-00000010"))
    with pytest.raises(ModelError, match="no checkpoint series"):
        phases(alone, train=np.eye(P, dtype=bool))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fourier --frequencies 1,2,3,4,5", "10 columns fit 10 classes"),
        ("fourier --n 9 --roles a1", "have fewer than 2 prompts at a1"),
        ("fourier --roles eq", "is no number"),
        ("helix --n 20", "20 different numbers for 8 columns"),
        ("modular --modulus 31", "in 2 tokens in the format 'padded'"),
        ("modular --model mod113 --modulus 127", "If the modulus does not fit its vocabulary"),
    ],
)
def test_a_command_refuses_with_its_remedy(monkeypatch, tmp_path, capsys, words, message):
    name, *flags = words.split()
    given = () if "--model" in flags else ("--model", "add5")
    given += () if name == "modular" else ("--task", "add:5")
    code = command(monkeypatch, "geometry", name, *given, *flags, "--out", tmp_path / "out")
    said = capsys.readouterr().err
    assert code == 2 and message in " ".join(said.split()), said
    assert not (tmp_path / "out").exists()
