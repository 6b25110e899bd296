"""Folders that are valid and unusual: what cannot be computed faithfully is refused, the rest
works."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

import interp
from interp import engine
from interp.errors import ModelError
from interp.models import load_model
from tests import tiny

SIZES = {
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "hidden_size": 32,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}


def saved(folder: Path, config: Any, words: Any = None) -> str:
    words = words or tiny.tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)


def sentencepiece_like() -> PreTrainedTokenizerFast:
    """A blank before every text, as Llama-2 and Mistral tokenizers have it, then BOS before that,
    and EOS behind."""
    pieces = ["<unk>", "<s>", "</s>", "▁", *dict.fromkeys(tiny.CHARACTERS.replace(" ", ""))]
    core = Tokenizer(WordLevel({p: i for i, p in enumerate(pieces)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Split("", "isolated"),
        ]
    )
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def test_a_blank_before_every_text_hides_no_digit(tmp_path: Path) -> None:
    words = sentencepiece_like()
    model = interp.load(saved(tmp_path, LlamaConfig(**SIZES, vocab_size=len(words)), words))
    batch = model.prompts(interp.Addition(2).problems([12], [34]), format="plain")
    assert model.tokens.bos == (1,)
    assert batch.layouts == (("bos", "x", "a1", "a0", "op", "b1", "b0", "eq", "c1", "c0"),)
    assert model.pieces(batch.tokens[0, 2:].tolist()) == list("12+34=46")
    # Where prompt and answer are tokenised apart, no blank appears between them.
    batch = model.prompts(interp.Addition(2).problems([12], [34]), format="calculate")
    answer = batch.tokens[0, batch.prompt_lengths[0] :].tolist()
    assert model.pieces(answer)[-2:] == ["4", "6"] and len(answer) == 2


@pytest.mark.parametrize("layers", [0, 2])
def test_prompts_beyond_a_sliding_window(tmp_path: Path, layers: int) -> None:
    config = Qwen2Config(
        **SIZES, vocab_size=len(tiny.tokenizer()), num_key_value_heads=2,
        use_sliding_window=True, sliding_window=8, max_window_layers=layers,
    )  # fmt: skip
    model = interp.load(saved(tmp_path, config), dtype="float64")
    assert model.shape.n_ctx == 64
    batch = model.prompts(interp.Addition(4).problems([9999], [9999]), format="plain")
    assert batch.tokens.shape[1] == 15
    with torch.no_grad():
        want = tiny.plain(tmp_path)(batch.tokens).logits[:, batch.predicts("c0")]
    assert (engine.run(model, batch).logit("c0") - want).abs().max() <= 1e-9 * want.abs().max()


def test_a_pad_token_without_weights(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    config = LlamaConfig(**SIZES, vocab_size=len(words))
    words.add_special_tokens({"pad_token": "<a new one>"})
    model = interp.load(saved(tmp_path, config, words))
    batch = model.prompts(interp.Addition(2).problems([1, 55], [2, 66]), format="plain")
    assert int(batch.tokens.max()) < model.shape.d_vocab
    assert engine.run(model, batch, logits="all").logits is not None


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    model = interp.load(saved(tmp_path, LlamaConfig(**SIZES, vocab_size=10)))
    with pytest.raises(ModelError, match=r"as token \d+, but the model reads 10 tokens: they are"):
        model.prompts(interp.Addition(2).problems([98], [76]), format="plain")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_opening_leaves_the_random_state_alone(family: str, tmp_path: Path) -> None:
    folder = str(tiny.save(family, tmp_path))
    torch_state, plain_state = torch.get_rng_state(), random.getstate()
    numpy_state = str(np.random.get_state())  # noqa: NPY002
    load_model(folder)
    assert torch.equal(torch_state, torch.get_rng_state()) and plain_state == random.getstate()
    assert numpy_state == str(np.random.get_state())  # noqa: NPY002


def test_models_open_in_several_threads(tmp_path: Path) -> None:
    """The libraries below set the default dtype while they open a model."""
    folder = str(tiny.save("gpt2", tmp_path))
    errors: list[BaseException] = []

    def work(dtype: str) -> None:
        try:
            model = interp.load(folder, dtype=dtype)
            assert str(model.dtype) == f"torch.{dtype}"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(d,)) for d in ("float64", "float32") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and torch.get_default_dtype() == torch.float32
