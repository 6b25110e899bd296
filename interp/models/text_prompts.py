"""Prompts without roles: plain texts for a language model to continue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from interp.errors import InputError

if TYPE_CHECKING:
    from interp.models.model import Model


@dataclass(frozen=True, eq=False)
class TextPrompts:
    """Texts as token ids [n, longest], right-padded; `prompt_lengths` [n].

    Input of `engine.generate` for questions that are no problems of a task, and so have no digit
    roles.
    """

    texts: tuple[str, ...]
    tokens: torch.Tensor
    prompt_lengths: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, model: Model, texts: Sequence[str]) -> TextPrompts:
        """Encode the texts for this model, with its tokenizer's leading tokens.

        Raises InputError for an empty list, an empty text, and a character that the tokenizer does
        not know (a model trained on one task knows only that task's characters).
        """
        if not len(texts) or not all(texts):
            raise InputError("there is no text to continue: pass at least one, none of them empty.")
        tokenizer = model.tokens.tokenizer
        out = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
        unknown = tokenizer.unk_token_id
        for text, ids, spans in zip(texts, out["input_ids"], out["offset_mapping"], strict=True):
            if unknown is not None and unknown in ids:
                start, stop = spans[ids.index(unknown)]
                raise InputError(
                    f"{model.name} does not know {text[start:stop]!r} in {text[:60]!r}: it was "
                    "trained on other text. Ask a language model, such as smollm2."
                )
        rows = [[*model.tokens.bos, *ids] for ids in out["input_ids"]]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        tokens = torch.full((len(rows), int(lengths.max())), model.tokens.pad, dtype=torch.int64)
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = torch.tensor(row)
        return cls(tuple(texts), tokens, lengths)
