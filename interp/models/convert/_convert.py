"""Convert checkpoints of other toolkits to standard folders, and verify the logits.

Reads weights only, nothing that could run code; writes safetensors. The folder opens like any other
(`interp.load`, the explorer's sidebar), with every site.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from interp.arithmetic.formats.standard import is_modular
from interp.arithmetic.tasks import task as task_named
from interp.errors import InputError, ModelError
from interp.models.characters import (
    Pieces,
    character_tokenizer,
    check_named,
    names_its_tokens,
    task_tokenizer,
)
from interp.models.convert import mapping as mapped
from interp.models.convert import nanogpt, transformerlens
from interp.models.convert.checkpoint import Checkpoint, read_checkpoint
from interp.models.convert.folder import prove, read_reference, write_json, write_weights
from interp.models.convert.standard import Options, Standard
from interp.models.wrapping import fed_ids, trained_on
from interp.results.atomic import folder_atomic

Kind = Literal["nanogpt", "transformerlens", "mapping"]


@dataclass(frozen=True)
class Conversion:
    """Result of a conversion.

    folder      path of the written folder
    kind        format of the source
    difference  largest |Δlogit| between source and folder over the largest |logit|
    parameters  number of parameters
    notes       assumptions and filled-in values
    """

    folder: Path
    kind: str
    difference: float
    parameters: int
    notes: tuple[str, ...]


def convert(
    source: str | Path,
    out: str | Path,
    *,
    kind: Kind,
    tokenizer: str | Path | None = None,
    characters: Pieces | None = None,
    heads: int | None = None,
    activation: str | None = None,
    normalization: str | None = None,
    causal: bool | None = None,
    attention_rate: float | None = None,
    mapping: Mapping[str, Any] | str | Path | None = None,
    reference: str | Path | None = None,
    task: str | None = None,
    format: str | None = None,
) -> Conversion:
    """Convert a checkpoint to a standard folder, and verify that its logits equal the source's.

    Args:
        source: a torch checkpoint or a `.safetensors` file.
        out: a folder that does not exist yet.
        kind: "nanogpt"; "transformerlens", the state dict of a 2.x HookedTransformer with learned
            positions, folded or not, with or without norms, or of the public grokking code, which
            has the same names; or "mapping", any state dict with a `mapping`
            (`interp.models.convert.mapping` says how one is written).
        tokenizer: a folder with a fast tokenizer; or
        characters: the characters in the order of their ids, "0123456789+=", or a list of pieces.
            Ids beyond them are padding of the vocabulary. Without either, the task names the tokens
            (`mod:p`, `add:n`; as in `interp.wrap`).
        heads, activation, normalization, causal: settings that no tensor determines, if not saved
            with the weights.
        attention_rate: α of attention rows α · softmax + (1 − α), of the grokking code.
        reference: a `.safetensors` file with `tokens` and the `logits` that the original model gave
            for them; the folder must give these too.
        task, format: its training task and format ("add:5", "reversed"), for the explorer.

    Verification: the written folder, opened again, against an explicit forward of this source
    format over the source's own tensors, in float64; at most 1e-5 of the largest logit apart. Does
    not show that the source's own code computes that formula; `reference` does, on its tokens.

    Raises InputError for an existing folder, a tokenizer that does not fit and a missing setting;
    ModelError for a file that is damaged, carries code, has missing, extra or misshapen tensors,
    or gives different logits. Nothing is left behind then.
    """
    target = Path(out).expanduser()
    if target.exists():
        raise InputError(f"{target} exists already. Name a new folder, or remove that one.")
    _check_words(tokenizer, characters, task, format)
    checkpoint = read_checkpoint(source)
    options = Options(heads, activation, normalization, causal, attention_rate)
    standard = _read(checkpoint, kind, options, mapping)
    card = trained_on(task, format, int(standard.config.max_position_embeddings))
    words = _tokenizer(tokenizer, characters, card)
    if tokenizer is None and characters is None:
        check_named(card, len(fed_ids(words)), standard.config.vocab_size)
    standard = _with_padding_noted(standard, words)
    known = None if reference is None else read_reference(reference)
    with folder_atomic(target) as folder:
        write_weights(standard, folder)
        words.save_pretrained(folder)
        if card is not None:
            write_json(folder / "card.json", card)
        difference = prove(standard, folder, known)
        record = {
            "source": checkpoint.path.name,
            "sha256": _hash(checkpoint.path),
            "kind": kind,
            "difference": difference,
            "reference": known is not None,
            "notes": list(standard.notes),
        }
        write_json(folder / "conversion.json", record)
    parameters = sum(tensor.numel() for tensor in standard.tensors.values())
    return Conversion(target, kind, difference, parameters, standard.notes)


def _read(checkpoint: Checkpoint, kind: str, options: Options, mapping: Any) -> Standard:
    if kind not in get_args(Kind):
        raise InputError(f"unknown kind {kind!r}. Use one of: {', '.join(get_args(Kind))}.")
    if kind != "transformerlens" and (options.causal, options.attention_rate) != (None, None):
        raise InputError(f"a {kind!r} source is causal: leave causal and attention_rate out.")
    if (mapping is None) == (kind == "mapping"):
        raise InputError(
            "the kind 'mapping' needs a mapping, and no other kind takes one: mapping=… (--mapping)"
        )
    if kind == "mapping":
        return mapped.read(checkpoint, options, mapping)
    return (nanogpt if kind == "nanogpt" else transformerlens).read(checkpoint, options)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_words(
    folder: str | Path | None, characters: Pieces | None, task: str | None, format: str | None
) -> None:
    """Raise InputError unless it is said how the model reads text, before a file is opened."""
    modular = task is not None and is_modular(task_named(task))
    if (task is None) != (format is None) and not (modular and format is None):
        raise InputError(
            "task and format go together: give both or neither. `arithmoscope doctor` finds the "
            "format that a model reads."
        )
    trained_on(task, format)
    named = task is not None and names_its_tokens(task)
    if (folder is not None and characters is not None) or not (
        named or folder is not None or characters is not None
    ):
        raise InputError(
            "say how the model reads text, in one way: tokenizer=FOLDER (--tokenizer), or "
            'characters="0123456789+=" in the order of their ids (--characters). The tasks mod:p '
            "and add:n name their tokens themselves."
        )
    if characters is not None:
        character_tokenizer(characters)


def _tokenizer(
    folder: str | Path | None, characters: Pieces | None, card: Mapping[str, str] | None
) -> Any:
    if characters is not None:
        return character_tokenizer(characters)
    if folder is None:
        return task_tokenizer(card)
    from transformers import AutoTokenizer

    try:
        words = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # the library raises many types, with one meaning for a user
        raise ModelError(
            f"no tokenizer can be read from {folder} ({str(error).strip().splitlines()[0][:160]}). "
            f"Save one there: tokenizer.save_pretrained(folder)."
        ) from error
    if not getattr(words, "is_fast", False):
        raise ModelError(f"the tokenizer in {folder} is not a fast one (tokenizer.json).")
    return words


def _with_padding_noted(standard: Standard, words: Any) -> Standard:
    """The conversion with a note for ids that the tokenizer does not name. Raises InputError for a
    tokenizer with ids beyond the model's."""
    ids, d_vocab = fed_ids(words), standard.config.vocab_size
    if ids[-1] >= d_vocab:
        raise InputError(
            f"the tokenizer has ids up to {ids[-1]}, the model tokens 0 to {d_vocab - 1}. Give the "
            f"tokenizer that it was trained with."
        )
    named = set(words.get_vocab().values()) - {words.unk_token_id}
    spare = d_vocab - len(named & set(range(d_vocab)))
    if not spare:
        return standard
    note = (
        f"the model has {d_vocab} tokens and {d_vocab - spare} are named: the other {spare} count "
        f"as padding and are never read"
    )
    return replace(standard, notes=(*standard.notes, note))
