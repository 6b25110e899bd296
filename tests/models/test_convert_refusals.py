"""Checkpoints that are refused: each with its reason, and nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import interp
from interp.errors import InputError, ModelError
from tests import nanogpt, tiny
from tests.models.converting import convert, left_behind


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return nanogpt.save_checkpoint(nanogpt.random_gpt(), tmp_path / "ckpt.pt", compiled=False)


def resaved(source: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    held = torch.load(source, weights_only=True)
    change(held)
    torch.save(held, source)


C_FC = "transformer.h.1.mlp.c_fc.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda held: held["model"].pop(C_FC), rf"ckpt.pt lacks 1 tensor \({C_FC}\) of a nanoGPT"),
        (
            lambda held: held["model"].update({"probe.weight": torch.ones(2), "x": torch.ones(1)}),
            r"ckpt.pt has 2 tensors \(probe.weight, x\), which a nanoGPT model does not have",
        ),
        (
            lambda held: held["model"].update({C_FC: torch.ones(3, 3)}),
            r"c_fc.weight of .*ckpt.pt has shape \[3, 3\], where .* has \[128, 32\]",
        ),
        (lambda held: held["model_args"].update(n_layer=4), r"lacks \d+ tensors \(transformer.h.3"),
        (
            lambda held: held["model_args"].update(n_embd=64),
            r"has shape \[15, 32\], where .* has \[15, 64\]",
        ),
        (
            lambda held: held["model"].pop("transformer.wte.weight"),
            r"ckpt.pt lacks transformer.wte.weight of a nanoGPT model. Save the whole state dict",
        ),
        (lambda held: held["model"].update(x=3), r"holds no state dict: under model, "),
        (
            lambda held: held["model"]["transformer.ln_f.weight"].fill_(float("nan")),
            r"ln_f.weight of .* holds NaN \(32 of 32 entries\): .* Convert an earlier checkpoint",
        ),
    ],
)
def test_wrong_tensors(source: Path, tmp_path: Path, change: Any, message: str) -> None:
    resaved(source, change)
    with pytest.raises(ModelError, match=message):
        convert(source, tmp_path / "out")
    assert left_behind(tmp_path) == ["ckpt.pt"]


class Payload:
    """What an attacker hides in a pickle: a call that opening it would make."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_that_carries_code(tmp_path: Path) -> None:
    gpt, trap = nanogpt.random_gpt(), tmp_path / "trap"
    source = nanogpt.save_checkpoint(gpt, tmp_path / "ckpt.pt", hidden=Payload(trap))
    with pytest.raises(ModelError, match=r"holds more than tensors \(posix.mkdir\), .* not opened"):
        convert(source, tmp_path / "out")
    assert not trap.exists()
    torch.save({"model": gpt.state_dict(), "config": gpt.config}, source)
    with pytest.raises(ModelError, match=r"\(tests.nanogpt.GPTConfig\).*save its tensors alone"):
        convert(source, tmp_path / "out")
    torch.save(gpt, source)
    with pytest.raises(ModelError, match="holds more than tensors"):
        convert(source, tmp_path / "out")
    assert left_behind(tmp_path) == ["ckpt.pt"]


@pytest.mark.parametrize("content", [b"", b"hello world", b"PK\x03\x04 and no more"])
def test_a_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ckpt.pt").write_bytes(content)
    with pytest.raises(ModelError, match=r"is damaged or no torch checkpoint .* Copy it again"):
        convert(tmp_path / "ckpt.pt", tmp_path / "out")


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file"):
        convert(tmp_path / "nowhere.pt", tmp_path / "out")
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    with pytest.raises(ModelError, match="holds a list, not a state dict"):
        convert(tmp_path / "list.pt", tmp_path / "out")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(ModelError, match="is cut short"):
        convert(tmp_path / "cut.safetensors", tmp_path / "out")


def test_the_wrong_kind_says_so(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no embed.W_E, so it is not a HookedTransformer"):
        convert(source, tmp_path / "out", "transformerlens", activation="relu")
    with pytest.raises(InputError, match=r"unknown kind 'gpt2'. Use one of: nanogpt, transformer"):
        convert(source, tmp_path / "out", "gpt2")
    with pytest.raises(InputError, match="needs a mapping, and no other kind takes one"):
        convert(source, tmp_path / "out", mapping={})


def test_heads_that_contradict_the_checkpoint(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"heads=8 was given, but the checkpoint says 4"):
        convert(source, tmp_path / "out", heads=8)
    resaved(source, lambda held: held["model_args"].update(n_head=5))
    with pytest.raises(InputError, match=r"5 heads do not divide the model's width 32"):
        convert(source, tmp_path / "out")


def test_a_folder_that_exists(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"out exists already. Name a new folder"):
        convert(source, tmp_path / "out")


def test_tokenizers(source: Path, tmp_path: Path) -> None:
    def refused(error: type[Exception], message: str, **options: Any) -> None:
        with pytest.raises(error, match=message):
            interp.convert(source, tmp_path / "out", kind="nanogpt", **options)

    refused(InputError, "in one way: tokenizer=FOLDER")
    refused(InputError, "in one way", tokenizer=tmp_path, characters="01")
    refused(InputError, r"ids up to 15, the model tokens 0 to 14",
            characters=nanogpt.CHARACTERS + "x")  # fmt: skip
    refused(ModelError, r"no tokenizer can be read from .*save_pretrained", tokenizer=tmp_path)
    refused(InputError, "task and format go together", characters="01", task="add:2")
    tiny.tokenizer().save_pretrained(tmp_path / "words")
    refused(InputError, "the model tokens 0 to 14", tokenizer=tmp_path / "words")


@pytest.mark.parametrize(
    ("held", "error", "message"),
    [
        ({"tokens": torch.zeros(2, 3)}, InputError, "cannot be read .*logits.* Write it with"),
        (
            {"tokens": torch.zeros(2, 3), "logits": torch.zeros(3, 15)},
            InputError,
            r"tokens \[2, 3\] and logits \[3, 15\] do not fit",
        ),
        (
            {"tokens": torch.full((2, 3), 99), "logits": torch.zeros(2, 15)},
            ModelError,
            "the reference has ids up to 99, .* Is it of the same model",
        ),
    ],
)
def test_references_that_do_not_fit(
    source: Path, tmp_path: Path, held: Any, error: Any, message: str
) -> None:
    save_file(held, tmp_path / "reference.safetensors")
    with pytest.raises(error, match=message):
        convert(source, tmp_path / "out", reference=tmp_path / "reference.safetensors")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("interp.models.convert._convert.write_json", full)
    with pytest.raises(interp.errors.StorageError, match="the disk is full"):
        convert(source, tmp_path / "out")
    assert left_behind(tmp_path) == ["ckpt.pt"]


def test_a_proof_that_fails_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutation of the writer: Q and K change places."""
    from interp.models.convert import nanogpt as reader

    right = reader._gpt2_names

    def swapped(*args: Any) -> Any:
        named = right(*args)
        name = "transformer.h.0.attn.c_attn.weight"
        q, k, v = named[name].chunk(3, dim=1)
        return {**named, name: torch.cat([k, q, v], dim=1)}

    monkeypatch.setattr(reader, "_gpt2_names", swapped)
    with pytest.raises(ModelError, match=r"and the source's own formula differ by"):
        convert(source, tmp_path / "out")
    assert left_behind(tmp_path) == ["ckpt.pt"]
