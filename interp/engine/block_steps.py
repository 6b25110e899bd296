"""Single blocks run on selected positions with explicit keys and values.

A complete forward computes every position of every prompt. With attention cut, most of that is
redundant: a token that attends only to itself and the sink has the same state in every prompt that
contains it, and prompts with a common prefix share its states. Here a row is a few positions with
the keys and values they may attend to; the caller chooses the rows. Results equal those of a
complete forward within `tolerance`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from interp.engine.requests import Cancel
from interp.errors import InputError, ModelError
from interp.models.adapter import Adapter
from interp.models.decoder import DecoderAdapter
from interp.models.model import Model
from interp.models.toy_adapter import ToyAdapter
from interp.models.wrapped import WrappedAdapter

Ints = npt.NDArray[np.int64]

_ROWS = 2048  # one-position rows per call: a block's intermediates fit the CPU cache


class KeysValues(NamedTuple):
    """Keys (after any rotary embedding) and values of one layer, [rows, heads, keys, d_head] with
    the model's key/value heads."""

    k: torch.Tensor
    v: torch.Tensor

    def take(self, rows: torch.Tensor | slice) -> KeysValues:
        return KeysValues(self.k[rows], self.v[rows])

    @staticmethod
    def beside(parts: list[KeysValues]) -> KeysValues:
        """Concatenate along the keys."""
        return KeysValues(torch.cat([p.k for p in parts], 2), torch.cat([p.v for p in parts], 2))


class _Seen:
    """Key/value store of a block: the given ones, then its own, which it keeps."""

    def __init__(self, seen: KeysValues | None) -> None:
        self.seen = seen
        self.own: KeysValues | None = None

    def update(
        self, k: torch.Tensor, v: torch.Tensor, layer: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.own = KeysValues(k, v)
        return (k, v) if self.seen is None else KeysValues.beside([self.seen, self.own])


def own_blocks(model: Model) -> Adapter | DecoderAdapter | ToyAdapter:
    """The adapter of a causal model with separately runnable blocks; ModelError for any other."""
    if not model.adapter.causal:
        raise ModelError(
            f"{model.name!r} has no causal mask: the state of a token depends on those behind it, "
            f"so nothing can be computed token by token. Mask its attention in whole runs instead: "
            f"interp.engine.run(model, batch, [MaskAttention(…)])."
        )
    if not isinstance(model.adapter, WrappedAdapter):
        return model.adapter
    if model.wrapped:
        raise ModelError(
            f"the attention of {model.name!r} cannot be masked token by token: a wrapped module "
            f"runs as a whole. Convert it to a folder with interp.convert, and load that."
        )
    raise ModelError(
        f"the attention of {model.name!r} cannot be masked: the blocks of the family "
        f"{model.family!r} do not run one by one, and show no pattern, keys or values. Use "
        f"interp.attribution or probes on it, or a family of the route 'blocks' (docs/models.md)."
    )


def embed(model: Model, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Residual stream before block 0: token ids int64 [m], positions int64 [m] → [m, d_model]."""
    adapter = own_blocks(model)
    with model.lock, torch.no_grad():
        tokens, positions = tokens.to(model.device), positions.to(model.device)
        return adapter.embed(tokens[None], positions)[0]


def step(
    model: Model,
    layer: int,
    resid: torch.Tensor,
    positions: torch.Tensor,
    seen: KeysValues | None = None,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, KeysValues]:
    """Run one block on independent rows: [m, P, d_model] → the same, and their keys and values.

    Args:
        positions: int64 [m, P], positions in the prompt. InputError beyond a sliding window: which
            of `seen` it would hide is not known here.
        seen: keys and values besides their own, [m, heads, S, d_head].
        mask: bool, [m or 1, heads or 1, P, S + P], True where a query may attend; None: to all of
            `seen`, and causally to one another. Every query needs at least one key.
    """
    adapter = own_blocks(model)
    m, width = positions.shape
    if adapter.window is not None and positions.numel() and int(positions.max()) >= adapter.window:
        raise InputError(
            f"{model.name} has layers that see {adapter.window} positions, and a prompt is longer: "
            f"this analysis runs its blocks with full attention. Use shorter prompts."
        )
    if mask is None:
        seen_keys = 0 if seen is None else seen.k.shape[2]
        causal = torch.ones(width, seen_keys + width, dtype=torch.bool).tril(seen_keys)
        mask = causal[None, None]
    hidden = ~mask.to(model.device)
    added = torch.zeros(hidden.shape, dtype=model.dtype, device=model.device)
    added.masked_fill_(hidden, torch.finfo(model.dtype).min)
    parts, made = [], []
    rows_at_once = max(1, _ROWS // width)
    with model.lock, torch.no_grad():
        for first in range(0, m, rows_at_once):
            rows = slice(first, min(first + rows_at_once, m))
            store = _Seen(None if seen is None else seen.take(rows))
            adapter.width = added.shape[-1]
            parts.append(
                adapter.block(
                    layer,
                    resid[rows],
                    mask=added if len(added) == 1 else added[rows],
                    rotation=adapter.rotation(resid, positions[rows].to(resid.device)),
                    store=store,
                )
            )
            assert store.own is not None
            made.append(store.own)
    if len(parts) == 1:
        return parts[0], made[0]
    return torch.cat(parts), KeysValues(
        torch.cat([x.k for x in made]), torch.cat([x.v for x in made])
    )


@dataclass(frozen=True)
class Prefixes:
    """Residual states of every distinct prefix of some prompts.

    states  [n_layers + 1, prefixes, d_model]: the stream at the last token, by number of layers
    index   int64 [n, T], the prefix that ends at each position of each prompt
    """

    states: torch.Tensor
    index: torch.Tensor


def prefix_states(
    model: Model, tokens: torch.Tensor, *, memory: int, cancel: Cancel | None = None
) -> Iterator[tuple[Ints, Prefixes]]:
    """Residual states of prompts, int64 [n, T], each distinct prefix computed once.

    A causal model's state at a token depends only on the prefix. Yields parts of the prompts, as
    row numbers with their Prefixes; prompts with a common prefix come together, and a part is as
    large as `memory` bytes allow.
    """
    s = model.shape
    each = 2 * s.n_layers * s.n_kv_heads * s.d_head + (s.n_layers + 1) * s.d_model
    at_once = max(1, int(memory // (each * tokens.shape[1] * model.dtype.itemsize)))
    order = np.lexsort(tokens.numpy().T[::-1]).astype(np.int64)
    for first in range(0, len(order), at_once):
        if cancel is not None:
            cancel.check()
        rows = order[first : first + at_once]
        yield rows, _prefixes(model, tokens[torch.from_numpy(rows)])


def _prefixes(model: Model, tokens: torch.Tensor) -> Prefixes:
    n, length = tokens.shape
    index = torch.empty_like(tokens)
    parent = torch.zeros(n, dtype=torch.int64)
    before: list[KeysValues] = []  # by layer, for the prefixes one token shorter
    states: list[torch.Tensor] = []
    made = 0
    for position in range(length):
        pairs = torch.stack([parent, tokens[:, position]], dim=1)
        pairs, parent = torch.unique(pairs, dim=0, return_inverse=True)
        index[:, position] = made + parent
        made += len(pairs)
        at = torch.full((len(pairs), 1), position)
        resid = embed(model, pairs[:, 1], at[:, 0])[:, None]
        depths = [resid[:, 0]]
        after: list[KeysValues] = []
        for layer in range(model.shape.n_layers):
            seen = before[layer].take(pairs[:, 0].to(model.device)) if before else None
            resid, own = step(model, layer, resid, at, seen)
            after.append(own if seen is None else KeysValues.beside([seen, own]))
            depths.append(resid[:, 0])
        before = after
        states.append(torch.stack(depths))
    return Prefixes(torch.cat(states, dim=1), index)


class TokenLogits:
    """Unembedding restricted to a few tokens. A cap on the logits comes after it."""

    def __init__(self, model: Model, tokens: torch.Tensor) -> None:
        self._model = model
        adapter = own_blocks(model)
        with model.lock, torch.no_grad():
            width = model.shape.d_model
            unit = torch.eye(width, dtype=model.dtype, device=model.device)
            self._bias = adapter.linear_head(torch.zeros_like(unit[:1]))[0, tokens]
            columns = [adapter.linear_head(part)[:, tokens] for part in unit.split(64)]
            self._weight = torch.cat(columns) - self._bias  # [d_model, tokens]

    def __call__(self, stream: torch.Tensor) -> torch.Tensor:
        """[..., d_model] after the last block → [..., tokens], equal to `unembed` there."""
        with self._model.lock, torch.no_grad():
            linear = self._model.adapter.final_norm(stream) @ self._weight + self._bias
            found = self._model.adapter.readout(linear)
            return found.float() if found.dtype.itemsize < 4 else found
