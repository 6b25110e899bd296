"""The tokenizer of a GGUF file: what transformers' reader leaves out of it, put in.

transformers builds a tokenizer from the file's vocabulary and merges. It drops whether a BOS or EOS
token is added, whether a blank stands before a text, and the split of digits of most pre-tokenizers
(`tokenizer.ggml.pre`), on which a model of arithmetic depends: "smollm" gives each digit its own
token, "llama-bpe" packs three. What stays out after all is refused by name.

Source of the defaults: llama.cpp, src/llama-vocab.cpp.
"""

from __future__ import annotations

import re
from typing import Any

from interp.models.gguf_file import GgufFile

# GPT-2's split, after one that sets each digit apart.
_SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
# GPT-2's split, which transformers' byte-level tokenizer has.
_GPT2 = ("", "gpt-2", "gpt2", "phi-2", "olmo", "mpt", "jais", "default")
# Those whose whole words go before merges, and whose files leave out that a BOS is added.
_WHOLE_WORDS = (
    *("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
    *("jina-v5-nano", "tekken"),
)
_READ = {
    "model", "pre", "tokens", "scores", "token_type", "merges", "add_space_prefix",
    "add_bos_token", "add_eos_token",
}  # fmt: skip
HARMLESS = {
    "chat_template": "prompts are written by a format, not by a chat",
    "token_type_count": "segments of BERT-like models",
    "add_sep_token": "sentence pairs of BERT-like models",
    "precompiled_charsmap": "Unicode normalisation; digits and operators are ASCII",
}
_SPECIAL_ID = re.compile(r"ggml\.\w+_token_ids?$|chat_template(s|\.\w+)?$|huggingface\.json$")


def tokenizer_of(file: GgufFile) -> Any:
    """A fast tokenizer that encodes as the file says. Raises ModelError where it can't."""
    from transformers import AutoTokenizer

    _check_keys(file)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(file.path.parent),
            gguf_file=file.path.name,
            local_files_only=True,
            trust_remote_code=False,
        )
    except Exception as error:  # the library raises many types, with one meaning for a user
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise file.refused(f"holds a tokenizer that can't be read ({first})") from error
    if not getattr(tokenizer, "is_fast", False):
        raise file.refused("holds a tokenizer without character offsets, so digits can't be found")
    _set_split(file, tokenizer)
    _set_blank(file, tokenizer)
    _set_ends(file, tokenizer)
    return tokenizer


def _get(file: GgufFile, name: str, default: Any) -> Any:
    return file.values.get(f"tokenizer.ggml.{name}", default)


def _check_keys(file: GgufFile) -> None:
    for key in file.values:
        section, _, name = key.partition(".")
        if section != "tokenizer" or _SPECIAL_ID.search(name):
            continue
        short = name.removeprefix("ggml.")
        if short == "remove_extra_whitespaces" and not file.values[key]:
            continue
        if short not in _READ and short not in HARMLESS:
            raise file.refused(f"has the key {key}, which is not known here")


def _set_split(file: GgufFile, tokenizer: Any) -> None:
    """The pre-tokenizer that `tokenizer.ggml.pre` names, for byte-level vocabularies."""
    from tokenizers import pre_tokenizers
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    if _get(file, "model", "") != "gpt2":
        return
    core, name = tokenizer.backend_tokenizer, str(_get(file, "pre", ""))
    if name in _SINGLE_DIGITS:
        core.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    elif name not in GGUF_PRE_TOKENIZER_SPLITS and name not in _GPT2:
        raise file.refused(f"splits text by {name!r} (tokenizer.ggml.pre), which is not known here")
    if name in _WHOLE_WORDS:
        core.model.ignore_merges = True


def _set_blank(file: GgufFile, tokenizer: Any) -> None:
    """A blank before every text, or none, for SentencePiece vocabularies."""
    from tokenizers import pre_tokenizers

    if _get(file, "model", "") != "llama":
        return
    wanted = bool(_get(file, "add_space_prefix", not file.architecture.startswith("gemma")))
    if _starts_with_blank(tokenizer) != wanted:
        scheme = "first" if wanted else "never"
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
            prepend_scheme=scheme, split=False
        )
    if _starts_with_blank(tokenizer) != wanted:
        raise file.refused(f"has add_space_prefix = {wanted}, which its tokenizer does not follow")


def _starts_with_blank(tokenizer: Any) -> bool:
    ids = tokenizer("1", add_special_tokens=False)["input_ids"]
    return bool(ids) and str(tokenizer.convert_ids_to_tokens(ids)[0]).startswith("▁")


def _set_ends(file: GgufFile, tokenizer: Any) -> None:
    """The BOS before every text and the EOS after it, where the file asks for them."""
    from tokenizers import processors

    kind, pre = _get(file, "model", ""), _get(file, "pre", "")
    bos = bool(_get(file, "add_bos_token", kind == "llama" or pre in _WHOLE_WORDS))
    eos = bool(_get(file, "add_eos_token", False))
    tokens = {"bos": tokenizer.bos_token, "eos": tokenizer.eos_token}
    wanted = [name for name, on in (("bos", bos), ("eos", eos)) if on]
    if lacking := [name for name in wanted if tokens[name] is None]:
        raise file.refused(f"adds a {lacking[0].upper()} token to every text and names none")
    ids = {name: tokenizer.convert_tokens_to_ids(tokens[name]) for name in wanted}
    plain = tokenizer("1", add_special_tokens=False)["input_ids"]
    ends = ([ids["bos"]] if bos else []), ([ids["eos"]] if eos else [])
    if tokenizer("1")["input_ids"] == [*ends[0], *plain, *ends[1]]:
        return
    parts = [tokens["bos"]] * bos + ["$A"] + [tokens["eos"]] * eos
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=parts, special_tokens=[(tokens[name], ids[name]) for name in wanted]
    )
    if tokenizer("1")["input_ids"] != [*ends[0], *plain, *ends[1]]:
        raise file.refused("adds BOS or EOS in a way that its tokenizer does not follow")
