"""Attention patterns by role, plain and weighted by what each key's value writes.

At query role q and key role k of one head, with A its pattern and v_k W_O what it writes of key k:

    plain      A[q, k]
    weighted   A[q, k] ‖v_k W_O‖ / Σ_k' A[q, k'] ‖v_k' W_O‖      (Kobayashi et al., 2004.10102)

A head can attend to a token whose value it hardly writes: the weighted pattern shows that, and is a
distribution too. (Where a model normalises the attention's output afterwards, the weights are those
before that norm.)

*Operand and operator score* (2409.01659): the sum over operand digits, or operators, beside that of
uniform attention over all tokens seen. *Staircase* (2407.15360): the attention of the queries that
predict c_k to the digits x_{k+o} of one operand, for the one offset o that is best on half of the
prompts, measured on the other half; beside it the same for shuffled queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.engine._run import run
from interp.engine.requests import Cancel, Progress, Read
from interp.engine.writes import head_writes
from interp.errors import InputError
from interp.heads.results.attention import AttentionPatterns
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch, predicted
from interp.models.tokens import digits_in
from interp.results.grid import Axis, Grid
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling

Floats = npt.NDArray[np.float64]

_SHUFFLES = 200


class Patterns(NamedTuple):
    """Patterns of every prompt, [n, layer, head, query, key]; NaN where a prompt lacks a role."""

    plain: Floats
    weighted: Floats
    queries: tuple[str, ...]
    keys: tuple[str, ...]


def attention(
    model: Model,
    asked: Asked,
    *,
    queries: Sequence[str] | None = None,
    layers: Sequence[int] | None = None,
    n: int = 256,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> AttentionPatterns:
    """Attention of each head from query roles to all roles: mean, spread, one example, scores.

    Args:
        asked: a task's name, a Task, Problems or a PromptBatch.
        queries: roles such as predicts(c2) or eq; None means those that predict the answer.
        layers: layer indices; None means all.
        n, seed, held_out: the sample of a task (`interp.models.asking`); the seed is also that of
            the halves, of the shuffled control and of the intervals.
        format: the prompts' format; None means the model's first.
        memory, cancel, progress: as in `engine.run`.

    Does not show: that the model needs what a head attends to (`interp.heads.tree` cuts edges);
    keys beyond the first head of a group are shared on grouped-query models, patterns are not.

    Raises:
        InputError: for fewer than two prompts, or an unknown layer.
        RoleError: for a role that no prompt has.
        SiteError: for a model without attention patterns.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    if len(batch) < 2:
        raise InputError("the spread and the halves need at least two prompts: give more problems")
    chosen = tuple(range(model.shape.n_layers)) if layers is None else tuple(layers)
    if wrong := [one for one in chosen if not 0 <= one < model.shape.n_layers]:
        raise InputError(f"layers={wrong}: {model.name} has 0 to {model.shape.n_layers - 1}")
    found = read_patterns(
        model, batch, queries, chosen, memory=memory, cancel=cancel, progress=progress
    )
    groups, over = resampling(batch.problems)
    axes = (
        Axis("layer", tuple(map(str, chosen))),
        Axis("head", tuple(map(str, range(model.shape.n_heads)))),
        Axis("query", found.queries),
        Axis("key", found.keys),
    )

    def mean(values: Floats) -> Grid:
        return Grid(_nanmean(values), axes, *mean_interval(values, groups, seed=seed))

    return AttentionPatterns(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            "queries": None if queries is None else tuple(queries),
            "layers": None if layers is None else tuple(layers),
            **sampled,
        },
        plain=mean(found.plain),
        weighted=mean(found.weighted),
        spread=Grid(np.nanstd(found.plain, axis=0), axes),
        example=Grid(found.plain[0], axes),
        example_text=batch.texts[0],
        scores=_scores(found, batch, groups, axes, seed),
        staircase=_staircases(found, batch, groups, axes, seed),
        resampled=over,
    )


def read_patterns(
    model: Model,
    batch: PromptBatch,
    queries: Sequence[str] | None,
    layers: tuple[int, ...],
    *,
    memory: int,
    cancel: Cancel | None,
    progress: Progress | None,
) -> Patterns:
    """Plain and weighted patterns of some layers, by role. Raises as `attention`."""
    model.require_site("pattern")
    asked = tuple(queries or (f"predicts({role})" for role in batch.answer_roles))
    asked = tuple(dict.fromkeys(asked))
    keys = _in_print([role for role in batch.roles if role != "last"], batch)
    reads = [Read("pattern", layers, asked), Read("v", layers, keys)]
    done = run(
        model, batch, reads=reads, logits=None, memory=memory, cancel=cancel, progress=progress
    )
    places = torch.from_numpy(np.stack([batch.find(key) for key in keys], axis=1))  # [n, keys]
    plain, weighted = [], []
    for layer in layers:
        pattern = done.activations["pattern", layer].double()  # [n, queries, heads, positions]
        index = places.clamp(min=0, max=pattern.shape[-1] - 1)[:, None, None, :]
        by_role = pattern.gather(-1, index.expand(*pattern.shape[:3], -1))
        absent = (places < 0) | (places >= pattern.shape[-1])
        by_role = by_role.masked_fill(absent[:, None, None, :], torch.nan).transpose(1, 2)
        size = _sizes(model, done.activations["v", layer].double(), layer)  # [n, keys, heads]
        product_ = by_role * size.permute(0, 2, 1)[:, :, None, :]
        plain.append(by_role.numpy())
        weighted.append((product_ / product_.nansum(dim=-1, keepdim=True)).numpy())
    return Patterns(np.stack(plain, axis=1), np.stack(weighted, axis=1), asked, keys)


def _in_print(roles: Sequence[str], batch: PromptBatch) -> tuple[str, ...]:
    """Roles by their mean position: those that the first prompt lacks in their place too."""
    at = {role: batch.find(role) for role in roles}
    return tuple(sorted(roles, key=lambda role: float(at[role][at[role] >= 0].mean())))


def _sizes(model: Model, v: torch.Tensor, layer: int) -> torch.Tensor:
    """‖v_k W_O‖ of each head, [n, keys, heads], from values [n, keys, groups, d_head]."""
    writes = head_writes(model, layer).double().cpu()
    shared = model.shape.n_heads // model.shape.n_kv_heads
    own = v.repeat_interleave(shared, dim=2)
    return torch.einsum("nkhd,hdm->nkhm", own, writes).norm(dim=-1)


def _nanmean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _kind(role: str) -> str:
    """ "operand", "operator" or "other"."""
    digits = digits_in(role)
    if digits is not None and digits[0] != "c":
        return "operand"
    return "operator" if role.startswith("op") else "other"


def _scores(
    found: Patterns, batch: PromptBatch, groups: npt.NDArray[np.int64], axes: tuple[Axis, ...],
    seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Attention to operand digits and operators, with interval, beside uniform attention."""
    kinds = np.array([_kind(role) for role in found.keys])
    where = np.stack([batch.find(key) for key in found.keys], axis=1)
    rows = []
    for kind in ("operand", "operator"):
        mine = kinds == kind
        uniform = []
        for query in found.queries:
            at = batch.find(query)[:, None]
            seen = ((where >= 0) & (where <= at))[at[:, 0] >= 0]
            uniform.append(((seen & mine).sum(axis=1) / seen.sum(axis=1)).mean())
        for name, values in (("plain", found.plain), ("weighted", found.weighted)):
            total = np.nansum(values[..., mine], axis=-1)
            total[np.isnan(values).all(axis=-1)] = np.nan  # a prompt without this query
            low, high = mean_interval(total, groups, seed=seed)
            grid = Grid(_nanmean(total), axes[:3], low, high).frame("score")
            grid.insert(3, "weights", name)
            grid.insert(3, "attends_to", kind)
            grid["uniform"] = np.tile(uniform, len(grid) // len(uniform))
            rows.append(grid)
    return pd.concat(rows, ignore_index=True)


def _staircases(
    found: Patterns, batch: PromptBatch, groups: npt.NDArray[np.int64], axes: tuple[Axis, ...],
    seed: int,
) -> pd.DataFrame:  # fmt: skip
    """The best offset of each head and operand, and the attention on it, beside its control."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(found.plain))
    chosen_on, scored_on = np.array_split(order, 2)
    choose, score = _nanmean(found.plain[chosen_on]), found.plain[scored_on]
    rows = []
    for name, stairs in _stairs(found, batch):
        offsets = list(stairs)
        if not offsets:
            continue
        for layer, head in product(range(choose.shape[0]), range(choose.shape[1])):
            means = [_on(choose[layer, head], stairs[o]) for o in offsets]
            best = int(np.argmax(means))
            steps = stairs[offsets[best]]
            values = _nanmean(np.stack([score[:, layer, head, q, k] for q, k in steps]))
            low, high = mean_interval(values[:, None], groups[scored_on], seed=seed)
            control = _shuffled(_nanmean(score[:, layer, head]), stairs, rng)
            rows.append(
                {
                    "layer": axes[0].labels[layer],
                    "head": axes[1].labels[head],
                    "operand": name,
                    "offset": offsets[best],
                    "steps": len(steps),
                    "attention": float(np.nanmean(values)),
                    "attention_low": float(low[0]),
                    "attention_high": float(high[0]),
                    "shuffled": control[0],
                    "shuffled_95": control[1],
                }
            )
    names = ("layer", "head", "operand", "offset", "steps", "attention", "attention_low",
             "attention_high", "shuffled", "shuffled_95")  # fmt: skip
    return pd.DataFrame(rows, columns=list(names))


Steps = list[tuple[int, int]]


def _stairs(found: Patterns, batch: PromptBatch) -> Iterator[tuple[str, dict[int, Steps]]]:
    """For each operand: offset → the (query, key) pairs from c_k to its digit k + offset, of
    offsets with at least three steps."""
    asked = {}
    for i, query in enumerate(found.queries):
        emitted = digits_in(predicted(query))
        if emitted is not None and emitted[0] == "c" and len(emitted[1]) == 1:
            asked[emitted[1].start] = i
    for name in batch.problems.task.operand_names:
        there = {}
        for i, key in enumerate(found.keys):
            digits = digits_in(key)
            if digits is not None and digits[0] == name and len(digits[1]) == 1:
                there[digits[1].start] = i
        stairs: dict[int, Steps] = {}
        for offset in sorted({d - k for d in there for k in asked}):
            steps = [(asked[k], there[k + offset]) for k in asked if k + offset in there]
            seen = [(q, k) for q, k in steps if not np.isnan(found.plain[:, 0, 0, q, k]).all()]
            if len(seen) >= 3:
                stairs[offset] = seen
        yield name, stairs


def _on(pattern: Floats, steps: Steps) -> float:
    return float(np.nanmean([pattern[q, k] for q, k in steps]))


def _shuffled(
    pattern: Floats, stairs: dict[int, Steps], rng: np.random.Generator
) -> tuple[float, float]:
    """Mean and 95th percentile of the best offset's attention where queries are shuffled."""
    rows = sorted({q for steps in stairs.values() for q, _ in steps})
    found = []
    for _ in range(_SHUFFLES):
        turned = dict(zip(rows, rng.permutation(rows), strict=True))
        found.append(max(
            np.nanmean([pattern[turned[q], k] for q, k in steps]) for steps in stairs.values()
        ))  # fmt: skip
    return float(np.mean(found)), float(np.percentile(found, 95))
