"""Character-level tokenizer of small arithmetic models, from a list of characters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from interp.arithmetic.tasks import task as task_named
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
    longest = max(map(len, ids))
    return _of_pieces(ids, longest > 1 and not any(re.search(r"\s", piece) for piece in ids))


def names_its_tokens(task: str) -> bool:
    """Whether `task_tokenizer` knows the tokens of models of this task."""
    return task.partition(":")[0] in ("mod", "add")


def task_tokenizer(card: Mapping[str, str] | None) -> PreTrainedTokenizerFast:
    """The tokenizer that a task and its format name, {"task": "mod:113", "format": "modular"}.

    The numbers of `mod:p` are tokens 0 … p − 1, written with leading zeros, and `=` is token p
    where the format has it. Of `add:n`, digits are tokens 0 … 9, `+` is 10 and `=` is 11.

    Raises InputError without a task, and for one that does not name its tokens.
    """
    kind, _, size = (card or {}).get("task", "").partition(":")
    if kind == "mod":
        task_named(f"mod:{size}")
        width = len(str(int(size) - 1))
        numbers = [f"{value:0{width}d}" for value in range(int(size))]
        equals = [] if (card or {}).get("format") == "modular-pair" else ["="]
        return _of_pieces(_ids([*numbers, *equals]), drops_blanks=True)
    if kind == "add":
        return character_tokenizer("0123456789+=")
    raise InputError(
        "say how the module reads text: its characters in the order of their ids, "
        "tokenizer='0123456789+=', or a fast tokenizer. Only the tasks mod:p and add:n name their "
        "tokens themselves: task='mod:113'."
    )


def check_named(card: Mapping[str, str] | None, named: int, d_vocab: int) -> None:
    """Raise InputError unless a task names as many tokens as the model reads."""
    if named != d_vocab:
        told = " in the format ".join((card or {}).values())
        raise InputError(
            f"{told} names {named} tokens, and the model reads {d_vocab}: its tokens mean another "
            f"thing (a number may have one token as a and another as b). Name them in the order of "
            f"their ids, tokenizer=[…] (convert: characters=[…]), or wrap a module that takes "
            f"these {named}."
        )


def _of_pieces(ids: Mapping[str, int], drops_blanks: bool) -> PreTrainedTokenizerFast:
    vocabulary = {**ids, UNKNOWN: max(ids.values()) + 1}
    core = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    longest_first = sorted(ids, key=len, reverse=True)
    # `(?m:.)` is any other character, a line break too, so that a message can name just that one.
    pattern = "|".join([*map(re.escape, longest_first), "(?m:.)"])
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    blanks = [pre_tokenizers.Split(Regex(r"\s+"), "removed")] if drops_blanks else []
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
