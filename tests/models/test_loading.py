"""Opening models: every family, every refusal with its message."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import interp
from interp.errors import InputError, ModelError
from interp.models import list_models, load_model, weight_hash
from tests import tiny


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("gpt2", tmp_path_factory.mktemp("source") / "gpt2")


@pytest.fixture
def copy(gpt2: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gpt2, tmp_path / "copy"))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_family_loads_through_one_path(family: str, tmp_path: Path) -> None:
    model = interp.load(str(tiny.save(family, tmp_path / family)), dtype="float32")
    assert model.family == family
    assert model.shape.n_layers == tiny.N_LAYERS and model.shape.d_model == tiny.D_MODEL
    assert model.shape.n_kv_heads == (2 if family in ("llama", "qwen2") else tiny.N_HEADS)
    assert not model.unusable
    assert ("resid_mid" in model.usable_sites) == (family != "gpt_neox")
    tokens = torch.randint(0, model.shape.d_vocab, (3, 9))
    plain = tiny.plain(tmp_path / family, torch.float32)
    with torch.no_grad():
        want, got = plain(tokens).logits, model.adapter.module(tokens).logits
    assert (want - got).abs().max() <= 1e-4 * want.abs().max()


def test_hash_is_of_the_stored_weights(gpt2: Path) -> None:
    stored = weight_hash(load_file(gpt2 / "model.safetensors"))
    assert load_model(str(gpt2), dtype="float64").hash == stored
    assert load_model(str(gpt2), dtype="float32").hash == stored


def test_unknown_name_says_what_exists() -> None:
    with pytest.raises(ModelError, match=r"unknown model 'smolm'.*: smollm2, .*'owner/name'"):
        interp.load("smolm")
    with pytest.raises(ModelError, match="no file or folder"):
        interp.load("./nowhere")
    with pytest.raises(ModelError, match="name is empty"):
        interp.load(" ")


def test_hub_id_offline_is_a_clear_error() -> None:
    with pytest.raises(ModelError, match="not in the local cache and HF_HUB_OFFLINE"):
        interp.load("someone/some-model")


def test_cached_hub_id_loads_offline(
    gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = "0" * 40
    home = tmp_path / "hub" / "models--someone--adder"
    shutil.copytree(gpt2, home / "snapshots" / revision)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert load_model("someone/adder").name == "someone/adder"


def test_truncated_safetensors(copy: Path) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model\.safetensors is cut short: it has .* bytes of"):
        interp.load(str(copy))
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ModelError, match="cut short: its header is incomplete"):
        interp.load(str(copy))
    file.write_bytes(struct.pack("<Q", 4) + b"oops")
    with pytest.raises(ModelError, match="not a safetensors file"):
        interp.load(str(copy))


def test_folder_without_its_parts(copy: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copy / name).rename(copy / f"{name}.away")
    with pytest.raises(ModelError, match=r"holds no tokenizer.*tokenizer\.save_pretrained"):
        interp.load(str(copy))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copy / f"{name}.away").rename(copy / name)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"holds no \.safetensors weights"):
        interp.load(str(copy))
    (copy / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(ModelError, match=r"pickled checkpoint.*can run any code.*safetensors"):
        interp.load(str(copy))
    (copy / "config.json").unlink()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        interp.load(str(copy))


def test_pickles_and_remote_code_are_refused(copy: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "weights.pt"
    torch.save({}, pickled)
    with pytest.raises(ModelError, match="pickled checkpoint"):
        interp.load(str(pickled))
    other = tmp_path / "notes.txt"
    other.write_text("hello")
    with pytest.raises(ModelError, match=r"neither a \.gguf file nor a model folder"):
        interp.load(str(other))
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Evil"}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"remote code \(auto_map\), which is never run"):
        interp.load(str(copy))


def test_incomplete_weights_never_become_random(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    del tensors["transformer.h.1.mlp.c_fc.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 tensors.*h\.1\.mlp\.c_fc\.weight"):
        interp.load(str(copy))


def test_unknown_family(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["model_type"] = "t5"
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"'t5' model, and transformers .* has no causal language"):
        interp.load(str(copy))


def test_bad_device_and_dtype(gpt2: Path) -> None:
    with pytest.raises(InputError, match=r"unknown dtype 'int4'. Use one of: float32"):
        interp.load(str(gpt2), dtype="int4")
    with pytest.raises(InputError, match="device 'gpu' cannot be used here"):
        interp.load(str(gpt2), device="gpu")


def test_broken_card(copy: Path) -> None:
    (copy / "card.json").write_text("{")
    with pytest.raises(ModelError, match="not a readable card"):
        interp.load(str(copy))


def test_gguf_cut_short(smollm2: interp.models.Model, tmp_path: Path) -> None:
    source = interp.models.fixtures.smollm2_file()
    head = tmp_path / "head.gguf"
    with source.open("rb") as file:
        start = file.read(8_000_000)
    for size in (16, 4_000, 8_000_000):
        head.write_bytes(start[:size])
        with pytest.raises(ModelError, match="is cut short"):
            interp.load(str(head))
    head.write_bytes(b"GGML" + start[4:100])
    with pytest.raises(ModelError, match="not a GGUF file"):
        interp.load(str(head))


def test_list_names_the_language_model() -> None:
    frame = list_models()
    assert [name for name in frame["name"] if name != "gemma3-270m"][-1] == "smollm2"
    assert frame["name"].is_unique
