"""A Qwen3 model of three dimensions over ten digit tokens, as public ten-digit adders are written.

One head of width four, RoPE θ = 3, tied embeddings; `0`, a reversed, `00`, b reversed, `0`, and the
sum reversed in eleven digits. Its weights are set by hand. Digit t is the point at angle 2π t / 10
on a circle in two dimensions; the third is 1 for every token and makes all queries and keys alike.
The keys are turned by ten positions, so the head reads the token ten places back, which is the
digit of b where that of the answer is predicted, and copies it: right where a is 0.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

import interp
import probes
from interp.engine import Replace, Zero
from interp.errors import ModelError
from interp.models import character_tokenizer, load_model

TEMPLATE = "0{a:reversed,pad=10}00{b:reversed,pad=10}0{c:reversed,pad=11}"
BACK, DIGITS = 10, "0123456789"
TASK = interp.task("add:10")


def copier() -> Any:
    """The module; an MLP with random weights, small beside the head's, stands behind it."""
    config = Qwen3Config(
        vocab_size=10, hidden_size=3, intermediate_size=7, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, head_dim=4, max_position_embeddings=64,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 3.0},
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    module = Qwen3ForCausalLM(config)
    angle = 2 * math.pi * torch.arange(10) / 10
    turn = BACK * torch.tensor([1.0, 3**-0.5])  # at the two frequencies 1 and 3^(-1/2)
    attn = module.model.layers[0].self_attn
    with torch.no_grad():
        for weight in module.model.layers[0].mlp.parameters():
            weight.mul_(15)
        points = torch.stack([angle.cos(), angle.sin(), torch.ones(10)], dim=1)
        module.model.embed_tokens.weight.copy_(points)
        for weight in (attn.q_proj.weight, attn.k_proj.weight, attn.v_proj.weight):
            weight.zero_()
        attn.q_proj.weight[:2, 2] = 1.0
        attn.k_proj.weight[:, 2] = torch.cat([turn.cos(), turn.sin()])
        attn.q_norm.weight.fill_(5.5)  # weight of the head elsewhere: at most e⁻¹⁰
        attn.k_norm.weight.fill_(5.5)
        attn.v_proj.weight[:2, :2] = torch.eye(2)
        attn.o_proj.weight.zero_()
        attn.o_proj.weight[:2, :2] = 50 * torch.eye(2)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("copier")
    copier().save_pretrained(out)
    character_tokenizer(DIGITS).save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return interp.load(str(folder))


@pytest.fixture(scope="module")
def batch(model: Any) -> Any:
    return model.prompts(TASK.sample(24, seed=0), format=TEMPLATE)


def test_its_shape_and_tokens(model: Any, batch: Any) -> None:
    s = model.shape
    assert (s.d_model, s.n_heads, s.n_kv_heads, s.d_head, s.d_vocab) == (3, 1, 1, 4, 10)
    assert not model.unusable and model.adapter.module.config.tie_word_embeddings
    problem = TASK.problems([12], [95])
    (text,) = model.prompts(problem, format=TEMPLATE).texts
    assert text == "0" + "2100000000" + "00" + "5900000000" + "0" + "70100000000"
    assert batch.tokens.tolist() == [[int(char) for char in text] for text in batch.texts]
    assert batch.positions["a9"] == 10 and batch.positions["b0"] == 13


@pytest.mark.parametrize("mode", ["greedy", "forced"])
def test_it_is_right_where_a_is_zero(model: Any, batch: Any, mode: str) -> None:
    b = batch.problems.values(1)
    zero = TASK.problems([0] * len(b), [int(value) for value in b])
    found = interp.behaviour.accuracy(model, zero, format=TEMPLATE, mode=mode)
    assert found.metrics["exact_accuracy"] == 1
    found = interp.behaviour.accuracy(model, batch.problems, format=TEMPLATE, mode=mode)
    c = batch.problems.values(0) + b
    places = [int(x) // 10**k % 10 == int(y) // 10**k % 10 for x, y in zip(b, c, strict=True)
              for k in range(11)]  # fmt: skip
    assert found.metrics["exact_accuracy"] == 0
    assert found.metrics["digit_accuracy"] == pytest.approx(np.mean(places))


def test_without_the_head_it_repeats_the_token_before(model: Any, batch: Any) -> None:
    off = Replace("z", Zero(), layers=0, heads=0)
    before = interp.engine.run(model, batch, logits=("c1", "c4")).logits.argmax(-1)
    after = interp.engine.run(model, batch, [off], logits=("c1", "c4")).logits.argmax(-1)
    place = batch.positions
    assert torch.equal(before, batch.tokens[:, [place["b1"], place["b4"]]])
    assert torch.equal(after, batch.tokens[:, [place["c0"], place["c3"]]])


def test_attribution_finds_the_digit_copied(model: Any, batch: Any) -> None:
    """Digit k of the answer follows digit k of b alone."""
    frame = interp.attribution.counterfactual(model, batch).frame
    own = frame.operand_digit == "b" + frame.answer_digit.str[1:]
    assert own.sum() == 10
    assert frame.magnitude[own].min() > 50 * frame.magnitude[~own].max()
    lens = interp.attribution.logit_lens(model, batch)
    places = [role for role in batch.answer_roles if role != "c10"]
    assert len(places) == 10 and lens.metrics["layers"] == 1


def test_probes_read_b_and_not_a(model: Any) -> None:
    found = probes.probe(
        model, TASK.sample(120, seed=1), format=TEMPLATE, targets=("a[3]", "b[3]"), sites=("z",),
        roles=("predicts(c3)",), controls=(), folds=2,
    )  # fmt: skip
    assert found.metrics["score[b[3]]"] > 0.95
    assert found.metrics["score[a[3]]"] < 0.5


def test_ablation_runs_though_no_prompt_is_right(model: Any) -> None:
    found = interp.ablation.removal(model, TASK, format=TEMPLATE, n=48)
    assert found.metrics["base_accuracy"] == 0


@pytest.fixture
def bare(folder: Path, tmp_path: Path) -> Path:
    """The model's folder without a tokenizer."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


def test_without_a_tokenizer_the_remedy_works(bare: Path, model: Any) -> None:
    remedy = r"interp.models.character_tokenizer\('0123456789'\).save_pretrained\(folder\)"
    with pytest.raises(ModelError, match=remedy):
        load_model(str(bare))
    interp.models.character_tokenizer("0123456789").save_pretrained(bare)
    assert load_model(str(bare)).tokens.tokenizer("907")["input_ids"] == [9, 0, 7]


def test_a_tokenizer_file_is_read_as_it_is(bare: Path, folder: Path) -> None:
    """Without tokenizer_config.json, transformers' class for Qwen3 drops what it does not know."""
    (bare / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    model = load_model(str(bare))
    assert model.tokens.tokenizer("9+07")["input_ids"] == [9, 10, 0, 7]
    with_unknown = r"writes '<unk>' as token 10, but the model reads 10 tokens"
    with pytest.raises(ModelError, match=with_unknown):
        model.prompts(TASK.problems([12], [95]))
    assert model.prompts(TASK.problems([12], [95]), format=TEMPLATE).tokens.max() == 9
