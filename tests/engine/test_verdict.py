"""The kept verdict of the self-check: equal to a new one, and never in the way of a load."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from interp.engine import _selfcheck, verdict
from interp.models.model import Model
from interp.results.settings import Settings
from tests import nanogpt


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path))
    return tmp_path / "selfcheck"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were really checked."""
    asked, check = [], _selfcheck.selfcheck

    def counted(model: Model) -> object:
        asked.append(model.name)
        return check(model)

    monkeypatch.setattr(_selfcheck, "selfcheck", counted)
    return asked


def test_the_second_load_finds_the_verdict_of_the_first(cache: Path, checks: list[str]) -> None:
    first, second = interp.load("add5"), interp.load("add5")
    assert checks == ["add5"]
    assert first.unusable == second.unusable
    assert len(list(cache.glob("*"))) == 1
    _selfcheck.selfcheck(second)
    assert checks == ["add5", "add5"]  # asked for by itself, it always computes


def test_sites_that_are_unusable_stay_so(cache: Path, checks: list[str]) -> None:
    model = interp.load("add5")
    (file,) = cache.glob("*.json")
    kept = json.loads(file.read_text()) | {"unusable": {"pattern": "an edit does nothing."}}
    file.write_text(json.dumps(kept))
    assert interp.load("add5").unusable == {"pattern": "an edit does nothing."}
    with pytest.raises(interp.errors.SiteError, match="an edit does nothing"):
        interp.load("add5").require_site("pattern")
    assert model.unusable == {}


def test_a_verdict_is_of_weights_config_dtype_versions_and_code(
    cache: Path, checks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = interp.load("add5")
    other = interp.load("add5", dtype="float64")
    assert len(checks) == 2
    verdict.unusable_sites(replace(model, hash="another"))
    verdict.unusable_sites(replace(model, device=torch.device("cpu", 0)))
    assert len(checks) == 4
    module: Any = other.adapter.module
    module.config.layer_norm_epsilon = 1.0
    verdict.unusable_sites(other)
    assert len(checks) == 5
    for name, value in (
        ("installed_versions", lambda: Settings(torch="0")),
        ("_code", lambda: "changed"),
        ("_VERSION", 0),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(verdict, name, value)
            verdict.unusable_sites(model)
    assert len(checks) == 8
    verdict.unusable_sites(model)
    assert len(checks) == 8


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"unusable": 3}', b"\xff\xfe", b'{"key": {}}']
)
def test_a_damaged_verdict_is_made_again(cache: Path, checks: list[str], content: bytes) -> None:
    interp.load("add5")
    (file,) = cache.glob("*.json")
    sound = file.read_bytes()
    file.write_bytes(content)
    assert interp.load("add5").unusable == {}
    assert len(checks) == 2
    assert file.read_bytes() == sound


def test_a_verdict_that_names_a_site_the_model_lacks_is_made_again(
    cache: Path, checks: list[str]
) -> None:
    interp.load("add5")
    (file,) = cache.glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"unusable": {"gate": ""}}))
    assert interp.load("add5").unusable == {}
    assert len(checks) == 2


def test_a_cache_that_cannot_be_used_stops_no_load(
    tmp_path: Path, checks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "file"))
    assert interp.load("add5").unusable == interp.load("add5").unusable == {}
    assert len(checks) == 2


def test_a_refusal_is_not_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: Model) -> object:
        raise interp.errors.ModelError("computed otherwise")

    monkeypatch.setattr(_selfcheck, "selfcheck", refuse)
    with pytest.raises(interp.errors.ModelError, match="computed otherwise"):
        interp.load("add5")
    assert list(cache.glob("*")) == []


def test_wrapped_modules_and_models_without_a_hash_are_always_checked(
    cache: Path, checks: list[str]
) -> None:
    torch.manual_seed(0)
    config = nanogpt.GPTConfig(block_size=16, vocab_size=12, n_layer=1, n_head=2, n_embd=8)
    module = nanogpt.GPT(config)
    for _ in range(2):
        interp.wrap(module, "0123456789+=", name="mine")
    assert checks == ["mine", "mine"]
    unnamed = replace(interp.load("add5"), hash="")
    before = len(checks)
    for _ in range(2):
        verdict.unusable_sites(unnamed)
    assert len(checks) == before + 2
    assert len(list(cache.glob("*.json"))) == 1
