"""Convert checkpoints of other toolkits to standard folders, and verify the logits.

Reads weights only, nothing that could run code; writes safetensors. The folder opens like any other
(`interp.load`, the explorer's sidebar), with every site.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from interp.errors import InputError, ModelError
from interp.models.characters import Pieces, character_tokenizer
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
            positions, folded or not; or "mapping", any state dict with a `mapping`
            (`interp.models.convert.mapping` says how one is written).
        tokenizer: a folder with a fast tokenizer; or
        characters: the characters in the order of their ids, "0123456789+=", or a list of pieces.
        heads, activation, normalization: settings that no tensor determines, if not saved with
            the weights.
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
    card = _card(task, format)
    words = _tokenizer(tokenizer, characters)
    checkpoint = read_checkpoint(source)
    standard = _read(checkpoint, kind, Options(heads, activation, normalization), mapping)
    _check_vocabulary(words, standard.config.vocab_size, characters)
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


def _card(task: str | None, format: str | None) -> dict[str, str] | None:
    if (task is None) != (format is None):
        raise InputError(
            "task and format go together: give both or neither. `arithmoscope doctor` finds the "
            "format that a model reads."
        )
    return trained_on(task, format)


def _tokenizer(folder: str | Path | None, characters: Pieces | None) -> Any:
    if (folder is None) == (characters is None):
        raise InputError(
            "say how the model reads text, in one way: tokenizer=FOLDER (--tokenizer), or "
            'characters="0123456789+=" in the order of their ids (--characters).'
        )
    if characters is not None:
        return character_tokenizer(characters)
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


def _check_vocabulary(words: Any, d_vocab: int, characters: Pieces | None) -> None:
    ids = fed_ids(words)
    if ids[-1] >= d_vocab:
        raise InputError(
            f"the tokenizer has ids up to {ids[-1]}, the model tokens 0 to {d_vocab - 1}. Give the "
            f"tokenizer that it was trained with."
        )
    if characters is not None and len(ids) != d_vocab:
        raise InputError(
            f"{len(ids)} characters were named and the model has {d_vocab} tokens. Name one for "
            f"each id, in their order (a line break counts), or give a tokenizer's folder."
        )
