"""A Model from a plain `nn.Module` and its tokenizer."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from interp.arithmetic import formats
from interp.arithmetic.formats.standard import is_modular
from interp.arithmetic.tasks import task as task_named
from interp.errors import InputError
from interp.models.adapter import probe_tokens
from interp.models.characters import character_tokenizer, check_named, task_tokenizer
from interp.models.model import Model, Shape
from interp.models.site_map import SiteMap
from interp.models.structure import Readout, find_sites
from interp.models.tokens import Tokens
from interp.models.weights import weight_hash
from interp.models.wrapped import WrappedAdapter


def wrap_module(
    module: nn.Module,
    tokenizer: Any = None,
    *,
    name: str | None = None,
    sites: SiteMap | None = None,
    task: str | None = None,
    format: str | None = None,
) -> Model:
    """A Model around a copy of `module`, without the self-check; `interp.wrap` adds it."""
    plain = _copied(module)
    readout = None
    if sites is None:
        sites, readout = _found_sites(plain)
    if not isinstance(sites, SiteMap):
        raise InputError(f"sites must be a SiteMap, not {type(sites).__name__}.")
    card = trained_on(task, format, sites.number(plain, "n_ctx"))
    words = task_tokenizer(card) if tokenizer is None else _fast(tokenizer)
    ids = fed_ids(words)
    adapter = WrappedAdapter(plain, sites, ids, readout=readout)
    d_vocab_out = int(adapter.probe_logits.shape[-1])
    if tokenizer is None:
        check_named(card, len(ids), adapter.d_vocab)
    return Model(
        name=name or type(plain).__name__,
        hash=weight_hash(plain.state_dict()),
        family=adapter.family,
        shape=Shape(
            n_layers=adapter.n_layers,
            n_heads=adapter.n_heads,
            n_kv_heads=adapter.n_kv_heads,
            d_model=adapter.widths.d_model,
            d_head=adapter.widths.d_head,
            d_mlp=adapter.widths.d_mlp,
            d_vocab=adapter.d_vocab,
            n_ctx=adapter.n_ctx,
            d_vocab_out=d_vocab_out,
        ),
        adapter=adapter,
        tokens=Tokens(words, adapter.d_vocab, d_vocab_out),
        dtype=adapter.dtype,
        device=adapter.device,
        card=card,
    )


def _found_sites(module: Any) -> tuple[SiteMap, Readout | None]:
    """The map of a module of transformers, found by structure; else that of `SiteMap.of`."""
    if not hasattr(module, "get_output_embeddings") or not hasattr(module, "config"):
        return SiteMap.of(module), None
    sites = find_sites(module.eval(), probe_tokens(module))
    return sites, Readout.of(module.config)


def trained_on(
    task: str | None, format: str | None, n_ctx: int | None = None
) -> dict[str, str] | None:
    """A card with the task and format that a model was trained on; None if neither is given.

    A modular task has one format of value tokens for a context: `a b =`, or `a b` where the context
    has two places.

    Raises InputError for an unknown task or format, or a format that cannot write the task.
    """
    if task is not None and format is None and is_modular(task_named(task)):
        format = "modular-pair" if n_ctx == 2 else "modular"
    if format is not None:
        writer = formats.format(format)
        if task is not None:
            writer.require(task_named(task))
    elif task is not None:
        task_named(task)
    known = {"task": task, "format": format}
    return {key: value for key, value in known.items() if value is not None} or None


def _copied(module: Any) -> nn.Module:
    """A copy, so that further training of the original does not change the measured model."""
    if not isinstance(module, nn.Module):
        raise InputError(
            f"wrap takes an nn.Module, not {type(module).__name__}. A model on disk is opened with "
            f"interp.load, a checkpoint is turned into one with `arithmoscope convert`."
        )
    module = getattr(module, "_orig_mod", module)  # the wrapper of torch.compile
    if next(module.parameters(), None) is None:
        raise InputError(f"{type(module).__name__} has no parameters: there is nothing to study.")
    try:
        return copy.deepcopy(module)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{type(module).__name__} cannot be copied ({error}). Keep no activations, locks or "
            f"generators on the module."
        ) from error


def fed_ids(tokenizer: Any) -> list[int]:
    """Token ids that a prompt can contain, in order: all but unused special tokens."""
    plain = set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)
    return sorted(plain | set(Tokens(tokenizer).bos))


def _fast(tokenizer: Any) -> Any:
    if isinstance(tokenizer, str | Mapping) or (
        isinstance(tokenizer, Sequence) and all(isinstance(piece, str) for piece in tokenizer)
    ):
        return character_tokenizer(tokenizer)
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"a {type(tokenizer).__name__} gives no character offsets, so digits can't be found. "
            f"Give a fast tokenizer of transformers, or the characters in the order of their ids: "
            f"'0123456789+='."
        )
    return tokenizer
