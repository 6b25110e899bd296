"""What a GGUF file holds is what runs, or the file is refused by name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import interp
from interp.engine.passes import Job, forward
from interp.errors import ModelError
from interp.models.gguf_file import GgufFile
from interp.models.gguf_keys import HARMLESS, NEUTRAL
from interp.models.gguf_model import open_gguf
from tests.models import by_hand

FREQS = "rope_freqs.weight"
LLAMA3 = by_hand.llama3_factors(8.0, 1.0, 4.0, 16)
FEW = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def plain() -> Any:
    return by_hand.module()


def frequencies(case: dict[str, Any]) -> tuple[list[float], float]:
    """The rotary frequencies and the scale of a case, by the slow formulas."""
    factor, kind = case["factor"], case["type"]
    if kind == "yarn":
        scale = case["attention"] * (0.1 * math.log(factor) + 1.0)
        return by_hand.yarn(factor, case["original"]), scale
    divided = by_hand.linear(1.0 if kind == "none" else factor)
    return [f / g for f, g in zip(divided, case["freqs"], strict=True)], case["attention"]


def written(path: Path, made: Any, case: dict[str, Any]) -> Path:
    keys = {
        "rope.scaling.type": case["type"],
        "rope.scaling.factor": case["factor"],
        "rope.scaling.original_context_length": case["original"],
        "rope.scaling.attn_factor": case["attention"],
        "rope.scaling.finetuned": True,
    }
    freqs = {FREQS: np.array(case["freqs"])} if case["freqs"] != [1.0] * 4 else {}
    return by_hand.write(path, made, keys=keys, extra=freqs)


@FEW
@given(
    case=st.fixed_dictionaries(
        {
            "type": st.sampled_from([None, "none", "linear", "yarn"]),
            "factor": st.sampled_from([1.0, 2.0, 7.5]),
            "original": st.sampled_from([8, 16, 64]),
            "attention": st.sampled_from([1.0, 1.25]),
            "freqs": st.sampled_from([[1.0] * 4, LLAMA3, [1.0, 2.0, 0.5, 3.0]]),
        }
    )
)
def test_a_generated_scaling_is_that_of_the_file_or_refused(
    plain: Any, tmp_path: Path, case: dict[str, Any]
) -> None:
    path = written(tmp_path / "scaled.gguf", plain, case)
    if case["type"] == "yarn" and case["freqs"] != [1.0] * 4:
        with pytest.raises(ModelError, match=r"rope_freqs.weight' beside YaRN"):
            open_gguf(path)
        return
    found, _ = open_gguf(path)
    expected = by_hand.module(*frequencies(case))
    assert by_hand.close(by_hand.logits(found), by_hand.logits(expected))
    if frequencies(case) != (by_hand.plain(), 1.0):  # the case is one that can fail
        assert not by_hand.close(by_hand.logits(found), by_hand.logits(plain), 1e-3)


@pytest.mark.parametrize(
    "case",
    [
        {"type": None, "factor": 1.0, "original": 64, "attention": 1.0, "freqs": LLAMA3},
        {"type": "yarn", "factor": 4.0, "original": 16, "attention": 1.0, "freqs": [1.0] * 4},
    ],
    ids=["llama3", "yarn"],
)
def test_the_fast_blocks_rotate_as_the_file_says(
    plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]
) -> None:
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "cache"))
    path = written(tmp_path / "scaled.gguf", plain, case)
    expected = by_hand.logits(by_hand.module(*frequencies(case)))
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, len(by_hand.LETTERS), (2, 24), generator=generator)
    for _ in range(2):  # from the file, and from what was unpacked
        model = interp.load(str(path))
        assert model.shape.n_ctx == by_hand.CONTEXT and not model.unusable
        places = torch.arange(24).expand(2, -1)
        done = forward(model.adapter, Job(tokens, slice(0, 2), logit_positions=places))
        assert by_hand.close(done.logits, expected)
        later = forward(
            model.adapter,
            Job(tokens[:, :12], slice(0, 2), keep=True, logit_positions=places[:, :12]),
        )
        rest = Job(tokens, slice(0, 2), start=12, earlier=later.keys_values,
                   logit_positions=places[:, 12:])  # fmt: skip
        assert by_hand.close(forward(model.adapter, rest).logits, expected[:, 12:])


@FEW
@given(
    name=st.builds(
        "{}.{}_{}".format,
        st.sampled_from(["rope", "attention", "expert", "ssm"]),
        st.sampled_from(["scaling", "norm", "key", "output"]),
        st.sampled_from(["factor2", "bias", "offset", "base_swa", "multiplier"]),
    )
)
def test_an_unknown_key_is_refused_by_name(plain: Any, tmp_path: Path, name: str) -> None:
    path = by_hand.write(tmp_path / "odd.gguf", plain, keys={name: 3})
    with pytest.raises(ModelError, match=rf"odd\.gguf has the key llama\.{name}, which is not"):
        open_gguf(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rope.scaling.type", "longrope"),
        ("rope.scaling.type", "su"),
        ("rope.scaling.yarn_ext_factor", 0.5),
        ("rope.dimension_count", 4),
        ("attention.value_length", 4),
        ("attention.sliding_window", 8),
        ("attention.scale", 0.5),
        ("attention.causal", False),
        ("attention.clamp_kqv", 3.0),
        ("attn_logit_softcapping", 50.0),
        ("final_logit_softcapping", 30.0),
        ("logit_scale", 0.25),
        ("expert_count", 8),
        ("vocab_size", 99),
        ("tensor_data_layout", "another"),
        ("feed_forward_length", [48, 64]),
    ],
)
def test_a_setting_that_would_not_be_computed_is_refused(
    plain: Any, tmp_path: Path, key: str, value: Any
) -> None:
    path = by_hand.write(tmp_path / "odd.gguf", plain, keys={key: value})
    with pytest.raises(ModelError, match=rf"odd\.gguf .*{key.split('.')[-1]}|scores by 0\.5"):
        open_gguf(path)


@pytest.mark.parametrize("key", sorted(set(NEUTRAL) | set(HARMLESS)))
def test_a_key_that_changes_nothing_passes(plain: Any, tmp_path: Path, key: str) -> None:
    value = NEUTRAL[key][0] if key in NEUTRAL else 1
    value = "Meta AI original pth" if key == "tensor_data_layout" else value
    found, _ = open_gguf(by_hand.write(tmp_path / "same.gguf", plain, keys={key: value}))
    assert torch.equal(by_hand.logits(found), by_hand.logits(plain))


def test_left_out_keys_have_the_formats_defaults(plain: Any, tmp_path: Path) -> None:
    """transformers leaves q and k in llama.cpp's order where head_count_kv is left out."""
    dropped = {"rope.freq_base": None, "rope.dimension_count": None, "vocab_size": None}
    found, _ = open_gguf(by_hand.write(tmp_path / "few.gguf", plain, keys=dropped))
    assert by_hand.close(by_hand.logits(found), by_hand.logits(plain))
    for key in ("attention.layer_norm_rms_epsilon", "context_length"):
        path = by_hand.write(tmp_path / "few.gguf", plain, keys={key: None})
        with pytest.raises(ModelError, match=rf"lacks the key llama\.{key}"):
            open_gguf(path)


@FEW
@given(
    name=st.sampled_from(
        [
            *("blk.0.attn_q_norm.weight", "blk.1.attn_q.bias", "blk.2.attn_norm.weight"),
            *("output.bias", "blk.0.ffn_gate_exps.weight", "rope_factors_short.weight", "odd"),
        ]
    ),
    size=st.sampled_from([4, 8, 32]),
)
def test_a_stray_tensor_is_refused_by_name(
    plain: Any, tmp_path: Path, name: str, size: int
) -> None:
    path = by_hand.write(tmp_path / "odd.gguf", plain, extra={name: np.ones(size)})
    lacking = name.replace("short", "long") if name.startswith("rope") else name
    with pytest.raises(ModelError, match=f"'({name}|{lacking})'"):
        open_gguf(path)


def test_missing_misshapen_and_doubled(plain: Any, tmp_path: Path) -> None:
    gone = by_hand.write(tmp_path / "a.gguf", plain, without=["blk.1.ffn_up.weight"])
    with pytest.raises(ModelError, match=r"lacks 1 tensors .* first 'blk\.1\.ffn_up\.weight'"):
        open_gguf(gone)
    odd = {"blk.0.attn_norm.weight": np.ones(31)}
    with pytest.raises(ModelError, match=r"'blk\.0\.attn_norm\.weight' as \[31\]; .* \[32\]"):
        open_gguf(by_hand.write(tmp_path / "b.gguf", plain, extra=odd))
    with pytest.raises(ModelError, match=r"'rope_freqs\.weight' that is not 4 positive factors"):
        open_gguf(by_hand.write(tmp_path / "c.gguf", plain, extra={FREQS: np.ones(3)}))
    part = by_hand.write(tmp_path / "d.gguf", plain, tokenizer={"split.count": 2})
    with pytest.raises(ModelError, match=r"one of 2 parts.*llama-gguf-split --merge"):
        open_gguf(part)


def test_a_tied_file_and_one_with_biases(plain: Any, tmp_path: Path) -> None:
    tied, _ = open_gguf(by_hand.write(tmp_path / "t.gguf", plain, without=["output.weight"]))
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    sizes = {"attn_q": 32, "attn_k": 16, "attn_v": 16, "attn_output": 32}
    ones = {
        f"blk.{layer}.{name}.bias": np.full(size, 0.3)
        for layer in range(by_hand.DEEP)
        for name, size in sizes.items()
    }
    found, _ = open_gguf(by_hand.write(tmp_path / "biases.gguf", plain, extra=ones))
    assert float(found.model.layers[1].self_attn.v_proj.bias.detach().mean()) == pytest.approx(0.3)


def test_an_architecture_that_is_not_read(plain: Any, tmp_path: Path) -> None:
    path = by_hand.write(tmp_path / "m.gguf", plain, architecture="mamba")
    with pytest.raises(ModelError, match=r"architecture 'mamba'; those read here are gpt2, llama"):
        open_gguf(path)


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        ({}, [1, 12 + 0, 3]),
        ({"tokenizer.ggml.pre": "smollm"}, [1, 1, 2, 3]),
        ({"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 13}, [13, 1, 12, 3]),
        ({"tokenizer.ggml.add_eos_token": True}, [1, 12, 3, 13]),
    ],
    ids=["merged", "digits apart", "bos", "eos"],
)
def test_the_tokenizer_is_the_files(
    plain: Any, tmp_path: Path, keys: dict[str, Any], ids: list[int]
) -> None:
    """Before, BOS and EOS and the split of digits were dropped."""
    _, words = open_gguf(by_hand.write(tmp_path / "w.gguf", plain, tokenizer=keys))
    assert words("1123").input_ids == ids
    words.save_pretrained(tmp_path / "kept")
    again = type(words).from_pretrained(tmp_path / "kept")
    assert again("1123").input_ids == ids


@pytest.mark.parametrize(
    ("keys", "match"),
    [
        ({"tokenizer.ggml.pre": "of-mine"}, r"splits text by 'of-mine'"),
        ({"tokenizer.ggml.pre_digits": 3}, r"has the key tokenizer\.ggml\.pre_digits"),
        ({"tokenizer.ggml.model": "rwkv"}, r"tokenizer that can't be read"),
        ({"tokenizer.ggml.add_bos_token": True}, r"adds a BOS token to every text and names none"),
    ],
)
def test_a_tokenizer_that_would_encode_otherwise_is_refused(
    plain: Any, tmp_path: Path, keys: dict[str, Any], match: str
) -> None:
    with pytest.raises(ModelError, match=match):
        open_gguf(by_hand.write(tmp_path / "w.gguf", plain, tokenizer=keys))


def test_the_reader_agrees_with_ggufs(plain: Any, tmp_path: Path) -> None:
    from gguf import GGUFReader

    path = by_hand.write(tmp_path / "r.gguf", plain, tokenizer={"general.languages": ["en", "de"]})
    ours, theirs = GgufFile(path), GGUFReader(str(path))
    assert {k: f.contents() for k, f in theirs.fields.items() if not k.startswith("GGUF")} == dict(
        ours.values
    )
    for tensor in theirs.tensors:
        assert np.array_equal(ours.tensor(tensor.name).ravel(), tensor.data.ravel())
