"""Checkpoints as standard folders: the same logits, or nothing at all."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.nn import functional as F

import interp
from interp import engine
from interp.errors import InputError, ModelError
from tests import hooked_transformer as hooked
from tests import nanogpt
from tests.models.converting import LARGEST, assert_loads_and_agrees, convert, left_behind


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
def test_a_nanogpt_checkpoint(tmp_path: Path, bias: bool, compiled: bool) -> None:
    gpt = nanogpt.random_gpt(seed=4, bias=bias)
    source = nanogpt.save_checkpoint(gpt, tmp_path / "ckpt.pt", compiled=compiled)
    done = convert(source, tmp_path / "out", task="add:3", format="padded")
    assert done.difference <= LARGEST and done.folder == tmp_path / "out"
    model = assert_loads_and_agrees(done.folder, lambda tokens: nanogpt.all_logits(gpt, tokens))
    assert (model.task.name, model.formats) == ("add:3", ("padded",))
    assert model.shape.n_ctx == 32 and "pattern" in model.usable_sites and not model.unusable
    record = json.loads((done.folder / "conversion.json").read_text())
    assert record["kind"] == "nanogpt" and record["source"] == "ckpt.pt"
    assert left_behind(tmp_path) == ["ckpt.pt", "out"]


def test_bare_tensors_need_the_heads(tmp_path: Path) -> None:
    gpt = nanogpt.random_gpt(seed=4)
    state = {name: tensor.contiguous() for name, tensor in gpt.state_dict().items()}
    del state["lm_head.weight"]  # tied: safetensors keeps one of the two
    save_file(state, tmp_path / "gpt.safetensors")
    with pytest.raises(InputError, match=r"does not say how many heads .* heads=… \(--heads\)"):
        convert(tmp_path / "gpt.safetensors", tmp_path / "out")
    convert(tmp_path / "gpt.safetensors", tmp_path / "out", heads=4)
    assert_loads_and_agrees(tmp_path / "out", lambda tokens: nanogpt.all_logits(gpt, tokens))


@settings(max_examples=6)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(2, 6), st.booleans(), st.integers(0, 10**6)
)
def test_nanogpt_of_any_size(layers: int, heads: int, d_head: int, bias: bool, seed: int) -> None:
    """Sizes are read from the shapes alone, the heads given. In float64: LayerNorm over two
    features is a sign, which float32 decides one way or the other."""
    sizes = {"n_layer": layers, "n_head": heads, "n_embd": heads * d_head, "bias": bias}
    gpt = nanogpt.random_gpt(seed=seed, block_size=9, **sizes)
    with TemporaryDirectory() as name:
        torch.save(gpt.state_dict(), Path(name) / "gpt.pt")
        convert(Path(name) / "gpt.pt", Path(name) / "out", heads=heads)
        gpt.double()
        assert_loads_and_agrees(
            Path(name) / "out", lambda tokens: nanogpt.all_logits(gpt, tokens), 1, "float64"
        )


def test_an_untied_head(tmp_path: Path) -> None:
    gpt = nanogpt.random_gpt(seed=4)
    gpt.lm_head.weight = torch.nn.Parameter(torch.randn_like(gpt.lm_head.weight))
    source = nanogpt.save_checkpoint(gpt, tmp_path / "ckpt.pt")
    convert(source, tmp_path / "out")
    assert_loads_and_agrees(tmp_path / "out", lambda tokens: nanogpt.all_logits(gpt, tokens))


def test_the_folder_and_the_wrapped_class_agree(tmp_path: Path) -> None:
    gpt = nanogpt.random_gpt(seed=6)
    convert(nanogpt.save_checkpoint(gpt, tmp_path / "ckpt.pt"), tmp_path / "out")
    loaded = interp.load(str(tmp_path / "out"), dtype="float64")
    wrapped = interp.wrap(gpt.double(), nanogpt.CHARACTERS)
    runs = []
    for model in (loaded, wrapped):
        batch = model.prompts(interp.Addition(2).sample(8, seed=1), format="reversed")
        edit = engine.Replace("z", engine.Zero(), layers=1, roles="b0", heads=2)
        runs.append(engine.run(model, batch, [edit]).logits)
    assert (runs[0] - runs[1]).abs().max() <= 1e-9 * runs[0].abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    gpt = nanogpt.random_gpt(seed=4).to(dtype)
    convert(nanogpt.save_checkpoint(gpt, tmp_path / "ckpt.pt"), tmp_path / "out")
    plain = gpt.float()
    assert_loads_and_agrees(tmp_path / "out", lambda tokens: nanogpt.all_logits(plain, tokens))


def test_a_reference_shows_a_wrong_activation(tmp_path: Path) -> None:
    gpt = nanogpt.random_gpt(seed=4)
    for block in gpt.transformer.h:
        block.mlp.gelu = torch.nn.GELU(approximate="tanh")
    source = nanogpt.save_checkpoint(gpt, tmp_path / "ckpt.pt")
    tokens = torch.randint(0, 15, (3, 12))
    reference = tmp_path / "reference.safetensors"
    save_file({"tokens": tokens, "logits": nanogpt.all_logits(gpt, tokens)}, reference)
    with pytest.raises(ModelError, match=r"and the reference differ by .* nothing was written"):
        convert(source, tmp_path / "out", reference=reference)
    assert not (tmp_path / "out").exists()
    done = convert(source, tmp_path / "out", reference=reference, activation="gelu_new")
    assert 0 < done.difference <= LARGEST
    with torch.no_grad():
        last = gpt(tokens)[0][:, -1]
    save_file({"tokens": tokens, "logits": last}, reference)
    convert(source, tmp_path / "last", reference=reference, activation="gelu_new")


@pytest.mark.parametrize("fold", [True, False])
def test_a_hooked_transformer(tmp_path: Path, fold: bool) -> None:
    state = hooked.random_state(seed=1)
    state = hooked.folded(state) if fold else state
    assert bool(state["unembed.b_U"].any()) == fold
    torch.save(state, tmp_path / "model.pt")
    done = convert(tmp_path / "model.pt", tmp_path / "out", "transformerlens", activation="relu")
    assert_loads_and_agrees(done.folder, lambda tokens: hooked.logits(state, tokens))
    assert any("bias of the last norm" in note for note in done.notes) == fold


def test_folding_in_the_tests_is_folding() -> None:
    """Only the constant that every logit of a position shares may go."""
    state = hooked.random_state(seed=1)
    tokens = torch.randint(0, len(hooked.CHARACTERS), (2, 9))
    before, after = hooked.logits(state, tokens), hooked.logits(hooked.folded(state), tokens)
    assert torch.allclose(before.log_softmax(-1), after.log_softmax(-1), atol=1e-5)


def test_settings_beside_the_weights_are_read(tmp_path: Path) -> None:
    state = hooked.random_state(seed=2)
    torch.save({"model": state, "cfg": {"act_fn": "gelu", "n_heads": 4}}, tmp_path / "model.pt")
    convert(tmp_path / "model.pt", tmp_path / "out", "transformerlens")
    assert_loads_and_agrees(tmp_path / "out", lambda tokens: hooked.logits(state, tokens, F.gelu))


def test_attention_alone(tmp_path: Path) -> None:
    state = hooked.random_state(seed=3, mlp=False)
    torch.save(state, tmp_path / "model.pt")
    done = convert(tmp_path / "model.pt", tmp_path / "out", "transformerlens")
    model = assert_loads_and_agrees(done.folder, lambda tokens: hooked.logits(state, tokens))
    assert "mlp_post" in model.unusable and "resid_mid" not in model.unusable
    assert "there is no MLP" in done.notes[0]


def refused(
    tmp_path: Path, state: Any, error: type[Exception], message: str, **options: Any
) -> None:
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(error, match=message):
        convert(tmp_path / "model.pt", tmp_path / "out", "transformerlens", **options)
    assert left_behind(tmp_path) == ["model.pt"]


def test_what_no_tensor_tells_must_be_said(tmp_path: Path) -> None:
    state = hooked.random_state()
    refused(tmp_path, state, InputError, r"does not say what its neurons compute. Say it: activ")
    refused(tmp_path, state, InputError, r"'solu_ln' has no place", activation="solu_ln")
    refused(tmp_path, state, InputError, r"heads=2 was given, but the checkpoint says 4",
            activation="relu", heads=2)  # fmt: skip
    said = {"model": state, "cfg": {"act_fn": "gelu"}}
    refused(tmp_path, said, InputError, r"'relu' was given, but its cfg says act_fn='gelu'",
            activation="relu")  # fmt: skip
    bare = {name: tensor for name, tensor in state.items() if ".ln" not in f".{name}"}
    refused(tmp_path, bare, InputError, r"nobody can tell a model without normalisation",
            activation="relu")  # fmt: skip
    refused(tmp_path, {"model": bare, "cfg": {"normalization_type": "RMSPre"}}, ModelError,
            r"its normalisation is 'RMSPre'", activation="relu")  # fmt: skip


def test_norms_without_weights_that_nobody_folded(tmp_path: Path) -> None:
    bare = {n: t for n, t in hooked.random_state().items() if ".ln" not in f".{n}"}
    torch.save(bare, tmp_path / "model.pt")
    options = {"activation": "relu", "normalization": "LNPre"}
    convert(tmp_path / "model.pt", tmp_path / "out", "transformerlens", **options)
    assert_loads_and_agrees(tmp_path / "out", lambda tokens: hooked.logits(bare, tokens))


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"positional_embedding_type": "rotary"}, "positional_embedding_type='rotary', and GPT-2"),
        ({"parallel_attn_mlp": True}, "parallel_attn_mlp=True, and GPT-2 has False"),
        ({"attn_scale": 1.0, "d_head": 8}, r"attn_scale=1.0, and GPT-2 divides by √d_head"),
    ],
)
def test_what_gpt2_does_not_do(tmp_path: Path, cfg: dict[str, Any], message: str) -> None:
    state = {"model": hooked.random_state(), "cfg": cfg}
    refused(tmp_path, state, ModelError, message, activation="relu")


def test_heads_that_do_not_fill_the_stream(tmp_path: Path) -> None:
    state = hooked.random_state(d_head=4)
    torch.save(state, tmp_path / "model.pt")
    convert(tmp_path / "model.pt", tmp_path / "out", "transformerlens", activation="relu")
    model = assert_loads_and_agrees(tmp_path / "out", lambda tokens: hooked.logits(state, tokens))
    assert (model.family, model.shape.d_head) == ("arithmoscope-toy", 4)


def test_an_unembedding_bias_that_has_no_place(tmp_path: Path) -> None:
    state = hooked.random_state()
    state["unembed.b_U"] = torch.randn(len(hooked.CHARACTERS))
    torch.save(state, tmp_path / "model.pt")  # 12 tokens in 32 dimensions: any bias is in the span
    convert(tmp_path / "model.pt", tmp_path / "out", "transformerlens", activation="relu")
    assert_loads_and_agrees(tmp_path / "out", lambda tokens: hooked.logits(state, tokens))
    state["unembed.W_U"][:, 3] = state["unembed.W_U"][:, 2]
    torch.save(state, tmp_path / "model.pt")  # now it is not, and the folder is a toy's
    convert(tmp_path / "model.pt", tmp_path / "toy", "transformerlens", activation="relu")
    model = assert_loads_and_agrees(tmp_path / "toy", lambda tokens: hooked.logits(state, tokens))
    assert model.family == "arithmoscope-toy"
