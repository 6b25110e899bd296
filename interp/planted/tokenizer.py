"""The tokenizer of a planted model: one token a digit, or one a number, after `<bos>`."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from interp.planted.circuit import BOS, PAD, UNKNOWN
from interp.planted.program import Ints, Program


def tokenizer(program: Program) -> Any:
    """A `PreTrainedTokenizerFast` that puts `<bos>` before every text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {token: i for i, token in enumerate(program.vocabulary)}
    core = Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), "removed"),
            pre_tokenizers.Split(Regex(program.pattern), "isolated"),
        ]
    )
    core.decoder = decoders.Fuse()
    core.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, numbers[BOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BOS,
        model_max_length=len(program.layout),
        clean_up_tokenization_spaces=False,
    )


def token_ids(program: Program, texts: Sequence[str]) -> Ints:
    """Token ids [n, T] of texts of equal length, by a regular expression."""
    numbers = {token: i for i, token in enumerate(program.vocabulary)}
    rows = [[numbers[BOS], *map(numbers.__getitem__, re.findall(program.pattern, text))]
            for text in texts]  # fmt: skip
    return np.array(rows, dtype=np.int64)
