"""Character-level tokenizer of small arithmetic models, from a list of characters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from interp.errors import InputError

UNKNOWN = "<unk>"
Pieces = str | Sequence[str] | Mapping[str, int]


def character_tokenizer(pieces: Pieces) -> PreTrainedTokenizerFast:
    """One token for each character of a text, or for each given piece.

    Args:
        pieces: the characters in the order of their ids, "0123456789+="; or a list of pieces, some
            of them longer, ["000", …, "112", "="]; or nanoGPT's `stoi`, {"0": 0, …}.

    An unknown character gets an id that no model has, so that such prompts are refused before they
    reach the model. Blanks are dropped if some piece is longer than a character and none contains a
    blank: one-token numbers are separated by blanks.

    Raises InputError for an empty list, a repeated piece, and ids that repeat or are negative.
    """
    ids = _ids(pieces)
    vocabulary = {**ids, UNKNOWN: max(ids.values()) + 1}
    core = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    longest_first = sorted(ids, key=len, reverse=True)
    # `(?m:.)` is any other character, a line break too, so that a message can name just that one.
    pattern = "|".join([*map(re.escape, longest_first), "(?m:.)"])
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    numbers = len(longest_first[0]) > 1 and not any(re.search(r"\s", piece) for piece in ids)
    blanks = [pre_tokenizers.Split(Regex(r"\s+"), "removed")] if numbers else []
    core.pre_tokenizer = pre_tokenizers.Sequence([*blanks, split])
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token=UNKNOWN, clean_up_tokenization_spaces=False
    )


def _ids(pieces: Pieces) -> dict[str, int]:
    if isinstance(pieces, Mapping):
        ids = {str(piece): int(id) for piece, id in pieces.items()}
    else:
        repeated = [piece for piece, count in Counter(pieces).items() if count > 1]
        if repeated:
            raise InputError(
                f"the characters name {repeated[0]!r} twice. Name each once, in the order of the "
                f"ids."
            )
        ids = {piece: id for id, piece in enumerate(pieces)}
    if not ids or "" in ids:
        raise InputError(
            "the list of characters is empty or holds an empty one. Name one for each id, such as "
            "'0123456789+='."
        )
    if len(set(ids.values())) < len(ids) or min(ids.values()) < 0:
        raise InputError("two characters share an id, or one is negative. Give each an id from 0.")
    return ids
