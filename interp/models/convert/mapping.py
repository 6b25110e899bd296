"""Convert a bare state dict to GPT-2 or Llama by a user's mapping of tensor names.

The mapping is a JSON file (or a dict of the same shape):

    {"config": {"model_type": "gpt2", "n_head": 4, "activation_function": "gelu"},
     "tensors": {"transformer.wte.weight": "tokens.weight",
                 "transformer.h.{i}.attn.c_attn.weight":
                     {"from": ["layers.{i}.q.weight", "layers.{i}.k.weight", "layers.{i}.v.weight"],
                      "transpose": true},
                 "transformer.h.{i}.attn.c_attn.bias": null, …},
     "ignore": ["layers.*.mask"]}

Targets are the names of transformers, `{i}` runs over the layers, and null means a zero bias.
`transpose` transposes each source (GPT-2 stores linear weights as [in, out]); several sources are
then concatenated along the last axis. Sizes come from the shapes.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.models.convert import gpt2, llama
from interp.models.convert.checkpoint import Checkpoint, Shapes, listed
from interp.models.convert.standard import Options, Standard, heads_note

TARGETS: dict[str, Any] = {"gpt2": gpt2, "llama": llama}
_KEYS = {"config", "tensors", "ignore"}


@dataclass(frozen=True)
class Entry:
    """Sources of one standard tensor; none means zeros."""

    sources: tuple[str, ...]
    transpose: bool = False


def read(
    checkpoint: Checkpoint, options: Options, mapping: Mapping[str, Any] | str | Path
) -> Standard:
    """A bare state dict in the layout of GPT-2 or Llama.

    Raises InputError for a mapping that cannot be read or names no such target; ModelError for
    tensors that it leaves out, does not use, or that do not fit each other.
    """
    said = _read_mapping(mapping)
    given = dict(said["config"])
    family = given.pop("model_type", None)
    if family not in TARGETS:
        raise InputError(
            f"the mapping's config has model_type={family!r}. Name the layout to write: "
            f"{' or '.join(TARGETS)}."
        )
    target = TARGETS[family]
    checkpoint = _unwrapped(checkpoint, said["tensors"])
    entries = _expanded(said["tensors"], checkpoint)
    _check_sources(checkpoint, entries, said.get("ignore", []))
    used = (source for entry in entries.values() for source in entry.sources)
    checkpoint.require_numbers(used)
    named = _joined(entries, checkpoint.tensors)
    config = target.configure(named, given, options)
    wanted = target.shapes(config)
    tensors = _fitted(entries, named, wanted, family)
    source = _fitted(entries, _joined(entries, checkpoint.double()), wanted, family)
    return Standard(
        config,
        tensors,
        lambda tokens: target.forward(source, tokens, config),
        (
            f"compared with {family}'s formula over the source's tensors; that the source's own "
            f"code computes the same, only a reference shows",
            *heads_note(int(getattr(config, "n_head", None) or config.num_attention_heads), given),
        ),
    )


def _unwrapped(checkpoint: Checkpoint, tensors: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint without wrappers' prefixes, where the mapping names the tensors without."""
    entries = (_entry(name, given) for name, given in tensors.items())
    names = [source.replace("{i}", "0") for entry in entries for source in entry.sources]
    return checkpoint.unwrapped(names[0]) if names else checkpoint


def _read_mapping(mapping: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    said: Any = mapping
    if not isinstance(mapping, Mapping):
        try:
            said = json.loads(Path(mapping).expanduser().read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"the mapping {mapping} cannot be read as JSON ({error}).") from error
    good = isinstance(said, Mapping) and set(said) <= _KEYS
    if not good or not all(isinstance(said.get(key), Mapping) for key in ("config", "tensors")):
        raise InputError(
            'a mapping holds "config" and "tensors", each an object, and perhaps "ignore", a list '
            "of names. See docs/my-model.md."
        )
    return dict(said)


def _expanded(tensors: Mapping[str, Any], checkpoint: Checkpoint) -> dict[str, Entry]:
    """Every entry, those with {i} once for each layer."""
    entries = {name: _entry(name, given) for name, given in tensors.items()}
    layers = max((_layers(e, checkpoint) for e in entries.values()), default=0)
    out = {}
    for name, entry in entries.items():
        if "{i}" not in name:
            out[name] = entry
            continue
        for layer in range(layers):
            sources = tuple(source.replace("{i}", str(layer)) for source in entry.sources)
            out[name.replace("{i}", str(layer))] = Entry(sources, entry.transpose)
    return out


def _entry(name: str, given: Any) -> Entry:
    if given is None:
        if not name.endswith(".bias"):
            raise InputError(f"the mapping gives null for {name}: only a bias can be left out.")
        return Entry(())
    if isinstance(given, str):
        return Entry((given,))
    fits = isinstance(given, Mapping) and set(given) <= {"from", "transpose"}
    sources = given.get("from") if fits else None
    sources = [sources] if isinstance(sources, str) else sources
    if not sources or not all(isinstance(source, str) for source in sources):
        raise InputError(
            f"the mapping of {name} must be a name, null, or "
            f'{{"from": name or list of names, "transpose": true}}, not {given!r}.'
        )
    return Entry(tuple(sources), bool(given.get("transpose", False)))


def _layers(entry: Entry, checkpoint: Checkpoint) -> int:
    """Number of layers of an entry's first source in the checkpoint."""
    if not entry.sources or "{i}" not in entry.sources[0]:
        return 0
    pattern = re.escape(entry.sources[0]).replace(r"\{i\}", r"(\d+)")
    found = (re.fullmatch(pattern, name) for name in checkpoint.tensors)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _check_sources(checkpoint: Checkpoint, entries: Mapping[str, Entry], ignore: Any) -> None:
    used = {source for entry in entries.values() for source in entry.sources}
    if missing := sorted(used - set(checkpoint.tensors)):
        raise ModelError(
            f"{checkpoint.path} lacks {listed(missing)} that the mapping takes. It holds "
            f"{listed(list(checkpoint.tensors))}."
        )
    rest = [name for name in checkpoint.tensors if name not in used]
    extra = [name for name in rest if not any(fnmatch(name, pattern) for pattern in ignore)]
    if extra:
        raise ModelError(
            f"{checkpoint.path} has {listed(extra)} that the mapping does not use. Map them, or "
            f'name them under "ignore" where they hold no weights.'
        )


def _joined(entries: Mapping[str, Entry], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every target with a source. Raises ModelError if its sources cannot be concatenated."""
    named = {}
    for name, entry in entries.items():
        parts = [tensors[source] for source in entry.sources]
        try:
            parts = [part.T if entry.transpose else part for part in parts]
            if parts:
                named[name] = torch.cat(parts, dim=-1)
        except RuntimeError as error:
            shapes = ", ".join(str(list(part.shape)) for part in parts)
            raise ModelError(
                f"the sources of {name} do not fit side by side: {shapes}. Name tensors that "
                f"differ in the last axis alone."
            ) from error
    return named


def _fitted(
    entries: Mapping[str, Entry], named: Mapping[str, Tensor], wanted: Shapes, family: str
) -> dict[str, Tensor]:
    """The tensors of the folder, zeros where the mapping says null; errors as in `read`."""
    if unknown := [name for name in entries if name not in wanted]:
        raise ModelError(
            f"the mapping fills {listed(unknown)}, which this {family} folder does not have."
        )
    if missing := [name for name in wanted if name not in entries]:
        raise ModelError(
            f"the mapping leaves out {listed(missing)} of this {family} folder. Map them; a bias "
            f"that the source does not have is null."
        )
    dtype = next(iter(named.values())).dtype
    out = {name: named.get(name, torch.zeros(wanted[name], dtype=dtype)) for name in wanted}
    for name, tensor in out.items():
        if tuple(tensor.shape) != wanted[name]:
            raise ModelError(
                f"{name} comes to shape {list(tensor.shape)}, where this {family} folder has "
                f"{list(wanted[name])}. Is it to be transposed, or mapped from another tensor?"
            )
    return out
