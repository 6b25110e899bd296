"""The tokenizer of a Hugging Face folder: what its tokenizer.json says is what runs.

Some tokenizer classes of transformers (Qwen2Tokenizer, GPT2Tokenizer) take the vocabulary of the
file alone and put their own splitting on top; which class is used follows from the model where no
tokenizer_config.json names one. A vocabulary of ten digits then reads "1+2" as "12".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interp.errors import ModelError

_PROBES = ("12+345=357", "$907-68=839$", "4 * 5 = 20\n", "a, B: 0123456789 (x)")


def open_tokenizer(folder: Path, name: str) -> Any:
    """The fast tokenizer in `folder` that reads as its tokenizer.json does.

    Raises ModelError for one that cannot be read, or that gives no character offsets.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    shared: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        words = AutoTokenizer.from_pretrained(str(folder), **shared)
        if not _reads_as_its_file(words, folder / "tokenizer.json"):
            words = PreTrainedTokenizerFast.from_pretrained(str(folder), **shared)
    except Exception as error:  # the library raises many types, with one meaning for a user
        told = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"the tokenizer of {name} cannot be read ({told}). "
            f"Save it again beside the weights: tokenizer.save_pretrained(folder)."
        ) from error
    if not getattr(words, "is_fast", False):
        raise ModelError(
            f"the tokenizer of {name} gives no character offsets, so digits can't be found. Save a "
            f"fast tokenizer (tokenizer.json) beside the weights."
        )
    return words


def _reads_as_its_file(words: Any, file: Path) -> bool:
    """Whether the ids of the probe texts are those of the file, as far as there is one."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    if type(words) is PreTrainedTokenizerFast or not file.is_file():
        return True
    core = Tokenizer.from_file(str(file))
    return all(
        core.encode(text, add_special_tokens=False).ids
        == list(words(text, add_special_tokens=False)["input_ids"])
        for text in _PROBES
    )
