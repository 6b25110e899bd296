"""State dicts beside the standard: without norms, with two vocabularies, under wrappers' prefixes,
with wrong names, NaN and padded vocabularies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import interp
from interp import engine
from interp.errors import InputError, ModelError
from tests import hooked_transformer as hooked
from tests import nanogpt
from tests.models.converting import assert_loads_and_agrees, convert


def without_norms(state: hooked.StateDict) -> hooked.StateDict:
    return {name: t for name, t in state.items() if ".ln" not in f".{name}"}


def plain_logits(
    state: hooked.StateDict, tokens: torch.Tensor, causal: bool = True
) -> torch.Tensor:
    """A HookedTransformer without normalisation, float64."""
    t = {name: tensor.double() for name, tensor in state.items()}
    x = t["embed.W_E"][tokens] + t["pos_embed.W_pos"][: tokens.shape[1]]
    for layer in range(hooked.LAYERS):
        at = f"blocks.{layer}"
        q, k, v = (
            torch.einsum("npd,hde->nhpe", x, t[f"{at}.attn.W_{name}"])
            + t[f"{at}.attn.b_{name}"][:, None]
            for name in "QKV"
        )
        z = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        x = x + torch.einsum("nhpe,hed->npd", z, t[f"{at}.attn.W_O"]) + t[f"{at}.attn.b_O"]
        hidden = F.relu(x @ t[f"{at}.mlp.W_in"] + t[f"{at}.mlp.b_in"])
        x = x + hidden @ t[f"{at}.mlp.W_out"] + t[f"{at}.mlp.b_out"]
    return x @ t["unembed.W_U"] + t["unembed.b_U"]


def save(state: Any, tmp_path: Path) -> Path:
    torch.save(state, tmp_path / "model.pt")
    return tmp_path / "model.pt"


@pytest.mark.parametrize("said", ["option", "cfg"])
def test_a_hooked_transformer_without_normalisation(tmp_path: Path, said: str) -> None:
    state = without_norms(hooked.random_state(seed=1))
    held = {"model": state, "cfg": {"normalization_type": None}} if said == "cfg" else state
    options = {} if said == "cfg" else {"normalization": "none"}
    convert(save(held, tmp_path), tmp_path / "out", "transformerlens", activation="relu", **options)
    model = assert_loads_and_agrees(
        tmp_path / "out", lambda tokens: plain_logits(state, tokens), dtype="float64"
    )
    assert model.family == "arithmoscope-toy" and not model.unusable


@pytest.mark.parametrize("norms", [True, False])
def test_a_five_digit_adder_with_twelve_tokens_in_and_ten_out(tmp_path: Path, norms: bool) -> None:
    """18 tokens a problem and 17 places: the last one is only predicted."""
    state = hooked.random_state(seed=5)
    state = state if norms else without_norms(state)
    state["unembed.W_U"], state["unembed.b_U"] = torch.randn(hooked.WIDTH, 10), torch.randn(10)
    state["pos_embed.W_pos"] = state["pos_embed.W_pos"][:17]
    said = {} if norms else {"normalization": "none"}
    convert(save(state, tmp_path), tmp_path / "out", "transformerlens", activation="relu", **said)
    model = interp.load(str(tmp_path / "out"), dtype="float64")
    assert (model.shape.d_vocab, model.shape.d_vocab_out, model.shape.n_ctx) == (12, 10, 17)
    problems = interp.Addition(5).sample(40, seed=1).distinct()
    batch = model.prompts(problems, format="padded")
    assert batch.tokens.shape[1] == 18 and batch.n_input == 17
    logits = hooked.logits if norms else plain_logits
    want = logits(state, batch.inputs)[:, 11:]
    found = engine.run(model, batch).logits
    assert (found - want).abs().max() <= 1e-9 * want.abs().max()
    forced = interp.behaviour.accuracy(model, problems, format="padded", mode="forced")
    right = (want.argmax(-1) == batch.tokens[:, 12:]).double().mean()
    assert forced.metrics["digit_accuracy"] == pytest.approx(float(right))
    asked = model.prompts(problems, format="padded", answer="none")
    made = engine.generate(model, asked, max_new_tokens=6)
    tokens = asked.tokens
    for _ in range(6):
        tokens = torch.cat([tokens, logits(state, tokens)[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(made, tokens[:, 12:])
    with pytest.raises(InputError, match=r"7 new ones do not fit the context .*\(17; the last new"):
        engine.generate(model, asked, max_new_tokens=7)


def test_attention_in_both_directions(tmp_path: Path) -> None:
    state = without_norms(hooked.random_state(seed=2))
    cfg = {"act_fn": "relu", "attention_dir": "bidirectional", "normalization_type": None}
    convert(save({"model": state, "cfg": cfg}, tmp_path), tmp_path / "out", "transformerlens")
    model = interp.load(str(tmp_path / "out"))
    batch = model.prompts(interp.Addition(2).sample(9, seed=0), format="padded", answer="none")
    found = engine.run(model, batch, logits="last").logits[:, 0]
    want = plain_logits(state, batch.tokens, causal=False)[:, -1]
    assert (found - want).abs().max() <= 1e-5 * want.abs().max()
    with pytest.raises(InputError, match=r"causal=True was given, but its cfg says attention_dir="):
        convert(tmp_path / "model.pt", tmp_path / "two", "transformerlens", causal=True)


PREFIXES = ("module._orig_mod.", "_orig_mod.module.", "model.", "base_model.", "base_model.model.",
            "model._orig_mod.module.")  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_of_wrappers_nest_in_any_order(tmp_path: Path, prefix: str) -> None:
    gpt = nanogpt.random_gpt(seed=4)
    state = {f"{prefix}{name}": tensor for name, tensor in gpt.state_dict().items()}
    done = convert(save(state, tmp_path), tmp_path / "out", heads=4)
    assert_loads_and_agrees(tmp_path / "out", lambda tokens: nanogpt.all_logits(gpt, tokens))
    assert any("4 attention heads, as you said: no tensor tells" in note for note in done.notes)
    lens = {f"{prefix}{name}": tensor for name, tensor in hooked.random_state().items()}
    convert(save(lens, tmp_path), tmp_path / "lens", "transformerlens", activation="relu")


def refused(tmp_path: Path, state: Any, message: str, kind: str = "nanogpt") -> None:
    with pytest.raises(ModelError, match=message):
        convert(save(state, tmp_path), tmp_path / "out", kind, heads=4, activation="relu")
    assert not (tmp_path / "out").exists()


def test_a_wrong_name_is_no_wrong_kind(tmp_path: Path) -> None:
    state = dict(nanogpt.random_gpt().state_dict())
    renamed = {name.replace("wte", "tok"): tensor for name, tensor in state.items()}
    refused(tmp_path, renamed, r"lacks transformer.wte.weight .* 'transformer.tok.weight' is the")
    lens = hooked.random_state()
    lens["embed.WE"] = lens.pop("embed.W_E")
    refused(tmp_path, lens, r"lacks embed.W_E of a Hooked.* 'embed.WE' is the nearest",
            "transformerlens")  # fmt: skip
    held = {f"net.gpt.{name}": tensor for name, tensor in state.items()}
    refused(tmp_path, held, r"under 'net.gpt.'. Save that part alone: torch.save\(model.net.gpt.st")
    refused(tmp_path, hooked.random_state(), r"so it is not a nanoGPT model.*\(--kind\)")
    both = {f"{prefix}{name}": t for prefix in ("", "model.") for name, t in state.items()}
    refused(tmp_path, both, r"which a nanoGPT model does not have")


def test_weights_that_are_no_numbers_are_called_that(tmp_path: Path) -> None:
    state = dict(nanogpt.random_gpt().state_dict())
    name = "transformer.h.1.mlp.c_fc.weight"
    state[name] = state[name].clone()
    state[name][0, :3] = torch.nan
    refused(tmp_path, state, r"c_fc.weight of .* holds NaN \(3 of 4096 entries\): the training div")
    lens = hooked.random_state()
    lens["unembed.W_U"][0, 0] = torch.inf
    refused(
        tmp_path, lens, r"unembed.W_U of .* holds infinite numbers \(1 of 384", "transformerlens"
    )


def test_a_vocabulary_padded_beyond_the_characters(tmp_path: Path) -> None:
    gpt = nanogpt.random_gpt(seed=4, vocab_size=64)
    source = nanogpt.save_checkpoint(gpt, tmp_path / "ckpt.pt")
    done = convert(source, tmp_path / "out")
    told = "the model has 64 tokens and 15 are named: the other 49 count as padding"
    assert any(told in note for note in done.notes)
    assert_loads_and_agrees(tmp_path / "out", lambda tokens: nanogpt.all_logits(gpt, tokens))
