"""Building, saving, opening and refusing planted models."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import interp
from interp.errors import InputError, ModelError
from interp.planted.mechanisms import kinds
from interp.planted.planted import build, read_key
from tests import tiny
from tests.planted.subjects import SEEDS

DRAWN = 24  # seeds looked at where all that chance can do should turn up


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("addition", seed=SEEDS[0], digits=2).save(tmp_path_factory.mktemp("planted"))


def test_kinds() -> None:
    adders = ("careless", "relay", "lookahead")
    assert kinds() == ("addition", "modular", "waiting", "early", "column", *adders)


@pytest.mark.parametrize("kind", kinds())
def test_the_seed_decides_everything(kind: str) -> None:
    programs = [build(kind, seed=SEEDS[0] + i).program for i in range(DRAWN)]
    assert len({p.digest for p in programs}) == DRAWN
    assert build(kind, seed=SEEDS[0]).program.digest == programs[0].digest
    assert {p.family for p in programs} == {"gpt2", "llama"}
    assert len({p.n_layers for p in programs}) >= 4 and len({p.n_heads for p in programs}) >= 2
    assert all(2 <= p.n_layers <= 8 for p in programs)
    assert any(p.n_kv_heads < p.n_heads for p in programs)
    roles = {tuple(head.role for layer in p.layers for head in layer.heads) for p in programs}
    assert len(roles) > DRAWN // 2
    assert all(any(h.role == "distractor" for la in p.layers for h in la.heads) for p in programs)


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_sizes_can_be_chosen(kind: str, family: str) -> None:
    digits = 2 if kind == "lookahead" else None  # each doubling of the digits needs a layer
    least = build(kind, seed=SEEDS[0] + 1, layers=3, family=family, digits=digits).program
    most = build(kind, seed=SEEDS[0] + 1, layers=8, family=family, digits=digits).program
    assert (least.n_layers, most.n_layers) == (3, 8)
    assert least.family == most.family == family


def test_any_width_adds_rightly() -> None:
    for digits in (1, 12):
        key = build("addition", seed=SEEDS[0] + 2, digits=digits).key
        assert key.accuracy(key.task.sample(100, seed=0)) == 1.0
    assert key.accuracy(key.task.sample(100, seed=0, sampler="cascades", share=1.0)) == 1.0


@pytest.mark.parametrize("modulus", [11, 113])
def test_any_modulus_adds_rightly(modulus: int) -> None:
    key = build("modular", seed=SEEDS[0] + 2, modulus=modulus).key
    assert key.accuracy(key.task.sample(2000, seed=0)) == 1.0


def test_a_folder_opens_like_any_other(folder: Path) -> None:
    model = interp.load(str(folder))
    assert model.dtype == torch.float32 and not model.unusable
    assert model.task == interp.Addition(2) and model.formats == ("reversed",)
    found = interp.behaviour.accuracy(model, model.task, n=64, seed=0)
    assert found.metrics["exact_accuracy"] == 1.0
    assert read_key(model).program.digest == read_key(folder).program.digest


def test_the_example_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "planted.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(example, str(page), "exec"), names)
    assert abs(names["found"].effect.values - names["want"].effect).max() < 1e-3


def test_methods_are_not_told(folder: Path) -> None:
    card = interp.load(str(folder)).card or {}
    assert set(card) == {"name", "task", "format"}
    assert str(SEEDS[0]) not in card["name"] and "addition" not in card["name"]


def test_the_key_is_readable_by_people(folder: Path) -> None:
    key = read_key(folder)
    facts = json.loads((folder / "key.json").read_text())["facts"]
    assert facts["wait"] == key.wait and len(facts["heads"]) == len(key.heads)
    assert [tuple(edge.values()) for edge in facts["edges"]] == [tuple(e) for e in key.edges]


def test_weights_are_those_of_the_program(folder: Path) -> None:
    planted = build("addition", seed=np.int64(SEEDS[0]), digits=np.int32(2))  # type: ignore[arg-type]
    assert planted.arguments == json.loads((folder / "key.json").read_text())["arguments"]
    assert interp.load(str(folder)).hash == planted.weight_hash
    assert all(t.dtype == torch.float64 for t in load_file(folder / "model.safetensors").values())


def test_a_key_asked_of_another_model(tmp_path: Path) -> None:
    other = tiny.save("gpt2", tmp_path / "other")
    with pytest.raises(ModelError, match=r"holds no planted model: there is no key\.json"):
        read_key(other)
    with pytest.raises(ModelError, match="Only models made by"):
        read_key(interp.load(str(other)))


def test_a_key_of_changed_weights(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    weights = load_file(copy / "model.safetensors")
    first = next(iter(weights))
    save_file({**weights, first: weights[first] + 1e-6}, copy / "model.safetensors")
    with pytest.raises(ModelError, match="not those that the key describes"):
        read_key(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        read_key(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"program": "0"}, "another version of this package"),
        ({"arguments": {"kind": "addition"}}, "no readable key"),
        ({"arguments": {"kind": "poetry", "seed": 1}}, "no readable key"),
    ],
)
def test_a_damaged_key(folder: Path, tmp_path: Path, change: dict, message: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    content = json.loads((copy / "key.json").read_text())
    (copy / "key.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(ModelError, match=message):
        read_key(copy)
    (copy / "key.json").write_text("{")
    with pytest.raises(ModelError, match="no readable key"):
        read_key(copy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "poetry"}, r"unknown kind .*'poetry': choose addition, modular"),
        ({"seed": -1}, "whole number from 0"),
        ({"seed": "3"}, "whole number from 0"),
        ({"layers": 1}, r"needs 2 to 8 layers, not 1: choose layers=2"),
        ({"layers": 9}, r"needs 2 to 8 layers, not 9: choose layers=8"),
        ({"layers": 2.5}, "layers must be a whole number"),
        ({"family": "qwen2"}, "choose gpt2 or llama"),
        ({"digits": 13}, r"cannot have digits=13: choose from 1 to 12"),
        ({"kind": "waiting", "digits": 3}, r"choose from 1 to 2"),
        ({"kind": "waiting", "digits": 2, "layers": 2}, r"needs 3 to 8 layers"),
        ({"kind": "column", "digits": 3}, r"cannot have digits=3"),
        ({"kind": "modular", "digits": 2}, "no digits to choose: give modulus="),
        ({"kind": "modular", "modulus": 24}, "cannot be planted: choose a prime"),
        ({"modulus": 23}, "no modulus: leave it out"),
    ],
)
def test_impossible_sizes(options: dict, message: str) -> None:
    arguments = {"kind": "addition", "seed": 0, **options}
    with pytest.raises(InputError, match=message):
        build(arguments.pop("kind"), **arguments)


def test_questions_that_a_key_cannot_answer() -> None:
    key = build("addition", seed=0, digits=2).key
    with pytest.raises(InputError, match=r"no feature 'soul'; it has anchor"):
        key.direction("soul")
    with pytest.raises(InputError, match="no operand digit 'a9': choose from a0"):
        key.counterfactual(key.problems(4), operand_digits=["a9"])
