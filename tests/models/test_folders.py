"""What a Hugging Face folder holds is what runs, or the folder is refused by name."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import interp
from interp.engine.passes import Job, forward
from interp.errors import ModelError
from interp.models.loading import open_module
from interp.models.sources import resolve
from tests import tiny
from tests.models import by_hand

WORDS = tiny.tokenizer("".join(by_hand.LETTERS[:12]))
UNREAD = r"holds model-00002-of-00002\.safetensors, which would not be read"
FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folders") / "llama"
    by_hand.module().save_pretrained(folder)
    WORDS.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("gpt2", tmp_path_factory.mktemp("folders") / "gpt2")


def changed(
    folder: Path, to: Path, config: dict[str, Any] | None = None, **tensors: torch.Tensor | None
) -> Path:
    """A copy with these settings and tensors (None drops one; "__" in a name stands for ".")."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to)
    told = json.loads((to / "config.json").read_text()) | (config or {})
    (to / "config.json").write_text(json.dumps({k: v for k, v in told.items() if v != "drop"}))
    held: dict[str, Any] = load_file(to / "model.safetensors")
    held |= {name.replace("__", "."): value for name, value in tensors.items()}
    kept = {name: value for name, value in held.items() if value is not None}
    save_file(kept, to / "model.safetensors", metadata={"format": "pt"})
    return to


def opened(folder: Path) -> Any:
    return open_module(resolve(str(folder)), torch.float32)[0]


def scaled(rope: dict[str, Any]) -> tuple[list[float], float]:
    """Frequencies and scale of a rotary setting, by the slow formulas."""
    factor, original = rope.get("factor", 1.0), rope.get("original_max_position_embeddings", 64)
    if rope["rope_type"] == "linear":
        return by_hand.linear(factor), 1.0
    if rope["rope_type"] == "yarn":
        return by_hand.yarn(factor, original), 0.1 * math.log(factor) + 1.0
    if rope["rope_type"] == "llama3":
        divisors = by_hand.llama3_factors(factor, 1.0, 4.0, original)
        return [f / d for f, d in zip(by_hand.plain(), divisors, strict=True)], 1.0
    return by_hand.plain(), 1.0


ROPES = st.one_of(
    st.just({"rope_type": "default"}),
    st.builds(lambda f: {"rope_type": "linear", "factor": f}, st.sampled_from([2.0, 7.5])),
    st.builds(
        lambda kind, f, original: {
            "rope_type": kind,
            "factor": f,
            "original_max_position_embeddings": original,
            **({"low_freq_factor": 1.0, "high_freq_factor": 4.0} if kind == "llama3" else {}),
        },
        st.sampled_from(["yarn", "llama3"]),
        st.sampled_from([2.0, 7.5]),
        st.sampled_from([8, 16, 32]),
    ),
)


@FEW
@given(rope=ROPES, old=st.booleans())
def test_a_generated_scaling_is_used(
    llama: Path, tmp_path: Path, rope: dict[str, Any], old: bool
) -> None:
    """In the old spelling (rope_scaling beside rope_theta) and in the new one."""
    config: dict[str, Any] = {"rope_parameters": rope | {"rope_theta": by_hand.BASE}}
    if old:
        config = {"rope_parameters": "drop", "rope_scaling": rope, "rope_theta": by_hand.BASE}
    found = by_hand.logits(opened(changed(llama, tmp_path / "m", config)))
    assert by_hand.close(found, by_hand.logits(by_hand.module(*scaled(rope))))


def test_the_fast_blocks_rotate_as_the_config_says(llama: Path, tmp_path: Path) -> None:
    rope = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 16,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0}  # fmt: skip
    rope["rope_theta"] = by_hand.BASE
    model = interp.load(str(changed(llama, tmp_path / "m", {"rope_parameters": rope})))
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, len(by_hand.LETTERS), (2, 24), generator=generator)
    job = Job(tokens, slice(0, 2), logit_positions=torch.arange(24).expand(2, -1))
    expected = by_hand.logits(by_hand.module(*scaled(rope)))
    assert by_hand.close(forward(model.adapter, job).logits, expected)
    assert not by_hand.close(by_hand.logits(by_hand.module()), expected, 1e-2)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"sliding_window": 8}, "sliding_window = 8"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping = 30"),
        ({"logits_scaling": 4.0}, "logits_scaling = 4"),
        ({"num_local_experts": 8}, "num_local_experts = 8"),
        ({"rope_interleaved": True}, "rope_interleaved = True"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "they differ"),
        ({"rope_parameters": {"rope_type": "su2", "factor": 2.0}}, "rope_type = 'su2'"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "beta_fast": 3}}, "beta_fast"),
        ({"rope_parameters": {"rope_type": "default", "factor": 8.0}}, "factor = 8.0 in its def"),
        ({"rope_parameters": {"rope_type": "linear", "type": "yarn"}}, "and type ="),
        ({"rope_parameters": {"rope_theta": 5.0}, "rope_theta": 3.0}, "two values of rope_theta"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor = 0.5"),
        ({"quantization_config": {"bits": 4}}, "quantised weights"),
    ],
)
def test_a_setting_that_would_not_be_computed_is_refused(
    llama: Path, tmp_path: Path, config: dict[str, Any], match: str
) -> None:
    with pytest.raises(ModelError, match=match):
        opened(changed(llama, tmp_path / "m", config))


def test_settings_of_other_architectures(gpt2: Path, tmp_path: Path) -> None:
    for config in (
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_theta": 3.0},
        {"num_key_value_heads": 2},
    ):
        with pytest.raises(ModelError, match=f"{next(iter(config))} = .* does not compute in a "):
            opened(changed(gpt2, tmp_path / "m", config))


def test_unknown_metadata_and_settings_that_are_off_pass(llama: Path, tmp_path: Path) -> None:
    config = {"trained_by": "us", "notes": [1, 2], "qk_norm": False, "sliding_window": None,
              "num_experts": 0, "logit_scale": 1.0, "pretraining_tp": 1}  # fmt: skip
    found = by_hand.logits(opened(changed(llama, tmp_path / "m", config)))
    assert torch.equal(found, by_hand.logits(by_hand.module()))


@FEW
@given(
    name=st.sampled_from(
        [
            *("model.layers.0.self_attn.q_norm.weight", "model.layers.1.self_attn.q_proj.bias"),
            *("model.layers.2.mlp.up_proj.weight", "lm_head.bias", "self_attn.rotary_emb.inv_freq"),
            *("model.layers.0.mlp.up_proj.weight_scale", "position_ids", "odd"),
        ]
    ),
    size=st.sampled_from([3, 4, 32]),
)
def test_a_stray_tensor_is_refused_by_name(
    llama: Path, tmp_path: Path, name: str, size: int
) -> None:
    folder = changed(llama, tmp_path / "m", **{name: torch.full((size,), 2.0)})
    with pytest.raises(ModelError, match=f"holds the tensor '{name}', which a llama model"):
        opened(folder)


def test_buffers_pass_where_they_are_what_their_name_says(
    llama: Path, gpt2: Path, tmp_path: Path
) -> None:
    rotary = "model__layers__0__self_attn__rotary_emb__inv_freq"
    opened(changed(llama, tmp_path / "m", **{rotary: torch.tensor(by_hand.plain())}))
    with pytest.raises(ModelError, match=r"rotary_emb\.inv_freq"):
        opened(changed(llama, tmp_path / "m", **{rotary: torch.tensor(by_hand.linear(2.0))}))
    mask = torch.ones(1, 1, 8, 8).tril()
    named = "transformer__h__0__attn__bias"
    opened(changed(gpt2, tmp_path / "m", **{named: mask}))
    opened(changed(gpt2, tmp_path / "m", **{named[:-4] + "masked_bias": torch.tensor(-1e4)}))
    for odd in (torch.ones(1, 1, 8, 8), torch.ones(32)):
        with pytest.raises(ModelError, match=r"h\.0\.attn\.bias', which a gpt2 model"):
            opened(changed(gpt2, tmp_path / "m", **{named: odd}))


def test_missing_misshapen_and_quantised(llama: Path, tmp_path: Path) -> None:
    up = "model__layers__1__mlp__up_proj__weight"
    for value, match in (
        (None, r"lacks 1 tensors .* 'model\.layers\.1\.mlp\.up_proj\.weight'"),
        (torch.ones(48, 31), r"another shape for 1 .* 'model\.layers\.1\.mlp\.up_proj\.weight'"),
        (torch.ones(48, 32, dtype=torch.int8), r"'model\.layers\.1\.mlp\.up_proj\.weight' as I8"),
    ):
        with pytest.raises(ModelError, match=match):
            opened(changed(llama, tmp_path / "m", **{up: value}))
    with pytest.raises(ModelError, match=r"lacks 1 tensors .* 'lm_head\.weight'"):
        opened(changed(llama, tmp_path / "m", lm_head__weight=None))


def test_a_tied_head(llama: Path, tmp_path: Path) -> None:
    tie = {"tie_word_embeddings": True}
    tied = opened(changed(llama, tmp_path / "m", tie, lm_head__weight=None))
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    with pytest.raises(ModelError, match="tie_word_embeddings and holds an output matrix"):
        opened(changed(llama, tmp_path / "m", tie))


def test_weight_files_that_would_not_be_read(llama: Path, tmp_path: Path) -> None:
    folder = changed(llama, tmp_path / "m")
    extra = {"model.layers.0.self_attn.q_proj.weight": torch.zeros(32, 32)}
    save_file(extra, folder / "model-00002-of-00002.safetensors")
    with pytest.raises(ModelError, match=UNREAD):
        opened(folder)
    held = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(ModelError, match=r"neither model\.safetensors nor a readable model\.safet"):
        opened(folder)
    where = dict.fromkeys(held, "model-00001-of-00002.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    with pytest.raises(ModelError, match=UNREAD):
        opened(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert torch.equal(by_hand.logits(opened(folder)), by_hand.logits(by_hand.module()))
    index.write_text(json.dumps({"weight_map": where | {"odd": "model-00003.safetensors"}}))
    with pytest.raises(ModelError, match=r"lacks model-00003\.safetensors, which"):
        opened(folder)
