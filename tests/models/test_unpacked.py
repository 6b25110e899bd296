"""A GGUF file is unpacked once, and opens from what was kept to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from interp.models import loading, unpacked
from interp.models.sources import resolve

WIDTH, DEEP, HEADS = 32, 2, 4
LETTERS = [*"0123456789+=", "12", "<eos>"]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Llama of two layers in a GGUF file, and an empty cache."""
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "cache"))
    return resolve(str(write(tmp_path / "tiny.gguf")))


def write(path: Path) -> Path:
    rng = np.random.default_rng(0)
    out = gguf.GGUFWriter(path, "llama")
    out.add_block_count(DEEP)
    out.add_context_length(16)
    out.add_embedding_length(WIDTH)
    out.add_feed_forward_length(2 * WIDTH)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_rope_freq_base(10000.0)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(len(LETTERS))
    out.add_tokenizer_model("gpt2")
    out.add_token_list(LETTERS)
    out.add_token_merges(["1 2"])
    out.add_eos_token_id(len(LETTERS) - 1)

    def tensor(name: str, *shape: int) -> None:
        out.add_tensor(name, rng.normal(size=shape).astype(np.float32))

    tensor("token_embd.weight", len(LETTERS), WIDTH)
    tensor("output.weight", len(LETTERS), WIDTH)
    tensor("output_norm.weight", WIDTH)
    for layer in range(DEEP):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"blk.{layer}.{name}.weight", WIDTH, WIDTH)
        tensor(f"blk.{layer}.ffn_gate.weight", 2 * WIDTH, WIDTH)
        tensor(f"blk.{layer}.ffn_up.weight", 2 * WIDTH, WIDTH)
        tensor(f"blk.{layer}.ffn_down.weight", WIDTH, 2 * WIDTH)
        tensor(f"blk.{layer}.attn_norm.weight", WIDTH)
        tensor(f"blk.{layer}.ffn_norm.weight", WIDTH)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


def opened(source: Any, dtype: torch.dtype = torch.float32) -> tuple[Any, Any, list[int], str]:
    """Its tensors, its logits and the tokens of a sum (one for 12), and its hash."""
    module, tokenizer, digest = loading.open_module(source, dtype)
    tokens = tokenizer("12+7=").input_ids
    with torch.no_grad():
        logits = module(torch.tensor([tokens])).logits
    return module.state_dict(), logits, tokens, digest


def same(one: Any, other: Any) -> bool:
    return (
        one[2:] == other[2:]
        and torch.equal(one[1], other[1])
        and one[0].keys() == other[0].keys()
        and all(torch.equal(value, other[0][name]) for name, value in one[0].items())
    )


def folder_of(first: Any) -> Path:
    folder = unpacked.kept(first[-1])
    assert folder is not None
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_second_time_it_opens_from_what_was_kept(
    source: Any, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    first = opened(source, dtype)
    assert first[1].dtype == dtype
    monkeypatch.setattr(loading, "open_gguf", None)  # which reads the file
    assert same(opened(source, dtype), first)


def test_what_is_kept_is_float32_whatever_was_asked_for(source: Any) -> None:
    half = opened(source, torch.bfloat16)[0]
    whole = opened(source)[0]
    assert all(value.dtype == torch.float32 for value in whole.values())
    assert any(not torch.equal(half[name].float(), value) for name, value in whole.items())
    assert all(torch.equal(half[name], value.bfloat16()) for name, value in whole.items())


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_folder_is_made_again(source: Any, name: str) -> None:
    first = opened(source)
    file = folder_of(first) / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert same(opened(source), first)
    assert file.read_bytes() == whole
    assert [path.name for path in file.parent.parent.iterdir()] == [file.parent.name]


def test_another_file_of_the_same_name_is_another_model(source: Any) -> None:
    first = opened(source)
    data = bytearray(source.path.read_bytes())
    data[-1] ^= 1  # the sign or exponent of the last weight
    source.path.write_bytes(bytes(data))
    second = opened(source)
    assert second[-1] != first[-1] and not same(first, second)


def test_where_nothing_can_be_kept_it_opens_all_the_same(
    source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = opened(source)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "file"))
    assert same(opened(source), kept)
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "full"))

    def full(*args: Any, **options: Any) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(unpacked, "save_file", full)
    assert same(opened(source), kept)
    assert unpacked.kept(kept[-1]) is None and not list((tmp_path / "full" / "gguf").iterdir())


def test_a_cache_that_may_not_be_looked_into_counts_as_none(
    source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(source)

    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", refuse)
        assert unpacked.kept(first[-1]) is None
