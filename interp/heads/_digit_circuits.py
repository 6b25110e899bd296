"""Why one head looks at one digit, and what it writes of it: QK and OV circuits by digit pair.

For one head, one query role q and one key role k that holds a digit y, with x another digit of the
problem, all measured on the model's own activations:

    QK[x, y]   mean log-odds of the attention, log A[q, k] − log(1 − A[q, k]), where the digits are
               x and y: softmax's own scale, so a constant of the query cancels in its differences
    OV[y, d]   mean direct effect of A[q, k] v_k W_O on the logit of digit d, centred over the
               digits, minus that over all y: logits of the final stream minus those of the stream
               without that write

How much of the attention's variance the digits explain says whether the head looks by content: the
share that the means of a grouping explain (η²), beside shuffled labels. Position alone explains 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.engine._run import run
from interp.engine.readout import unembed
from interp.engine.requests import Cancel, Progress, Read
from interp.engine.writes import check_linear, head_writes
from interp.errors import InputError
from interp.heads._attention import read_patterns
from interp.heads.results.digit_circuits import DigitCircuits
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch, predicted
from interp.models.tokens import digits_in
from interp.results.grid import Axis, Grid
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHUFFLES = 200
_LEAST = 1e-12  # attention below is rounding
_LINEAR = {torch.float64: 1e-6, torch.float32: 1e-3}  # of the largest output, for linear writes


def digit_circuits(
    model: Model,
    asked: Asked,
    *,
    layer: int | None = None,
    head: int | None = None,
    query: str | None = None,
    key: str | None = None,
    by: str | None = None,
    n: int = 1000,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> DigitCircuits:
    """QK and OV circuit of one head between one query and one digit, by digit pair.

    Args:
        asked: a task's name, a Task, Problems or a PromptBatch.
        layer, head: indices of the head.
        query: the looking role, such as predicts(c2).
        key: the role looked at; it holds one digit, such as b0. Where one of layer, head, query
            and key is left out, half of the prompts choose it: the most attention from a position
            that predicts the answer to an operand digit. The other half is measured.
        by: role of the digit on the other axis of QK; None means the digit at the query itself if
            it has one, else the digit of the other operand with the key's index.
        n, seed, held_out: the sample of a task (`interp.models.asking`); the seed is also that of
            the shuffled labels and of the intervals.
        format: the prompts' format; None means the model's first.
        memory, cancel, progress: as in `engine.run`.

    Does not show: what later layers do with the write; nor which earlier layer made the query or
    the key depend on the digits.

    Raises:
        InputError: for an unknown layer or head, a role without one digit, or a key after the
            query.
        ModelError: for a model whose heads do not write linearly into the stream.
        RoleError: for a role that the prompts lack.
        SiteError: for a model without attention patterns.
    """
    model.require_site("pattern")
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    given = {"layer": layer, "head": head, "query": query, "key": key, "by": by}
    if layer is None or head is None or query is None or key is None:
        look, batch = _halves(batch, seed)
        layer, head, query, key = _most(model, look, layer, head, query, key, memory)
    _check(model, batch, layer, head, query, key)
    other = by or _other(batch, query, key)
    x, y = digit_at(batch, other), digit_at(batch, key)
    attention, write, stream = _reads(
        model, batch, layer, head, query, key, memory=memory, cancel=cancel, progress=progress
    )
    effect = _direct(model, batch, stream, write)
    odds = _log_odds(attention)
    groups, over = resampling(batch.problems)
    rng = np.random.default_rng(seed)
    shuffled = y[rng.permutation(len(y))]
    digits = tuple(map(str, range(10)))
    at_key, answer = Axis(key, digits), Axis("answer", digits)
    return DigitCircuits(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings={"format": batch.format, **given, **sampled},
        layer=layer,
        head=head,
        query=query,
        key=key,
        other=other,
        attention=float(attention.mean()),
        qk=_by_pair(odds, x, y, (Axis(other, digits), at_key), groups, seed),
        ov=_by_digit(effect, y, (at_key, answer), groups, seed),
        ov_shuffled=_by_digit(effect, shuffled, (at_key, answer), groups, seed),
        explained=_explained(odds, x, y, other, key, rng),
        resampled=over,
    )


def _halves(batch: PromptBatch, seed: int) -> tuple[PromptBatch, PromptBatch]:
    """Two halves of the prompts, drawn."""
    if len(batch) < 2:
        raise InputError("one prompt cannot be halved: give more, or name layer, head, query, key")
    half = len(batch) // 2
    order = np.random.default_rng(seed).permutation(len(batch))
    return batch[np.sort(order[:half])], batch[np.sort(order[half:])]


def _most(
    model: Model,
    batch: PromptBatch,
    layer: int | None,
    head: int | None,
    query: str | None,
    key: str | None,
    memory: int,
) -> tuple[int, int, str, str]:
    """The head, query and operand digit with the most attention, among those that are named."""
    layers = tuple(range(model.shape.n_layers)) if layer is None else (layer,)
    if not 0 <= layers[0] < model.shape.n_layers:
        raise InputError(f"no layer {layer}: {model.name} has 0 to {model.shape.n_layers - 1}")
    queries = None if query is None else [query]
    found = read_patterns(model, batch, queries, layers, memory=memory, cancel=None, progress=None)
    mean = np.nan_to_num(_means(found.plain), nan=-1.0)
    keys = batch.operand_digit_roles if key is None else (key,)
    mean[..., [one not in keys for one in found.keys]] = -1.0
    if head is not None:
        mean[:, [h for h in range(mean.shape[1]) if h != head]] = -1.0
    at = np.unravel_index(int(mean.argmax()), mean.shape)
    if mean[at] < 0:
        raise InputError("no such head looks at a digit of its own: name layer, head, query, key")
    return layers[at[0]], int(at[1]), found.queries[at[2]], found.keys[at[3]]


def _reads(
    model: Model,
    batch: PromptBatch,
    layer: int,
    head: int,
    query: str,
    key: str,
    *,
    memory: int,
    cancel: Cancel | None,
    progress: Progress | None,
) -> tuple[Floats, torch.Tensor, torch.Tensor]:
    """Attention [n], the head's write of the key and the final stream, both [n, d_model]."""
    last = model.shape.n_layers - 1
    done = run(
        model,
        batch,
        reads=[
            Read("pattern", (layer,), (query,)),
            Read("v", (layer,), (key,)),
            Read("resid_post", (last,), (query,)),
            *(Read(site, (layer,), (query,)) for site in ("z", "attn_out")),
        ],
        logits=None,
        memory=memory,
        cancel=cancel,
        progress=progress,
    )
    z, out = (done.activations[site, layer] for site in ("z", "attn_out"))
    check_linear(model, layer, z, out, _LINEAR.get(model.dtype, 5e-2))
    place = torch.from_numpy(batch.position_array(key))
    pattern = done.activations["pattern", layer][:, 0, head].double()
    attention = pattern.gather(1, place[:, None])[:, 0]
    value = done.activations["v", layer][:, 0, _group(model, head)].double()
    write = attention[:, None] * (value @ head_writes(model, layer)[head].double().cpu())
    return attention.numpy(), write, done.activations["resid_post", last][:, 0].double()


def _check(model: Model, batch: PromptBatch, layer: int, head: int, query: str, key: str) -> None:
    s = model.shape
    if not (0 <= layer < s.n_layers and 0 <= head < s.n_heads):
        raise InputError(
            f"{model.name} has no head {head} of layer {layer}: it has layers 0 to "
            f"{s.n_layers - 1} and heads 0 to {s.n_heads - 1}"
        )
    late = batch.position_array(key) > batch.position_array(query)
    if late.any():
        raise InputError(f"{query} comes before {key} and cannot look at it: choose a later query")


def _group(model: Model, head: int) -> int:
    """The key/value head that a head shares."""
    return head // (model.shape.n_heads // model.shape.n_kv_heads)


def digit_at(batch: PromptBatch, role: str) -> Ints:
    """The digit [n] that the token at a role shows. InputError for a role without one digit."""
    found = digits_in(role)
    if found is None or len(found[1]) != 1:
        raise InputError(
            f"{role!r} holds no single digit: choose a role such as 'a0', 'b1' or 'c2', or another "
            "format"
        )
    batch.position_array(role)
    name, index = found[0], found[1].start
    if name == "c":
        return batch.problems.answer[:, index].astype(np.int64)
    operand = batch.problems.task.operand_names.index(name)
    return batch.problems.operands[operand][:, index].astype(np.int64)


def _other(batch: PromptBatch, query: str, key: str) -> str:
    """The digit on the other axis."""
    at = query if predicted(query) == query else str(batch.roles_at(query)[0])
    if digits_in(at) is not None:
        return at
    name = key[0]
    names = [one for one in batch.problems.task.operand_names if one != name]
    wanted = [f"{one}{key[1:]}" for one in names] + [f"{one}0" for one in names]
    return next((role for role in wanted if role in batch.roles), key)


def _log_odds(attention: Floats) -> Floats:
    a = np.clip(attention, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(a) - np.log1p(-a))


def _direct(model: Model, batch: PromptBatch, stream: torch.Tensor, write: torch.Tensor) -> Floats:
    """Effect [n, 10] of the write on the digits' logits, centred over digits and prompts."""
    tokens = _digit_tokens(model, batch)
    whole, without = (
        unembed(model, x.to(model.dtype))[:, tokens].double() for x in (stream, stream - write)
    )
    change = whole - without
    change = change - change.mean(dim=1, keepdim=True)
    return np.asarray((change - change.mean(dim=0)).numpy())


def _digit_tokens(model: Model, batch: PromptBatch) -> list[int]:
    """The token of each digit, as the prompts write them."""
    found: dict[int, int] = {}
    for role in batch.roles:
        digits = digits_in(role)
        if digits is not None and len(digits[1]) == 1:
            found |= zip(digit_at(batch, role).tolist(), batch.labels(role).tolist(), strict=True)
    if missing := [d for d in range(10) if d not in found]:
        raise InputError(f"these prompts never write {missing}: give more problems")
    return [found[d] for d in range(10)]


def _by_pair(
    values: Floats, x: Ints, y: Ints, axes: tuple[Axis, Axis], groups: Ints, seed: int
) -> Grid:
    cells = np.full((len(values), 10, 10), np.nan)
    cells[np.arange(len(values)), x, y] = values
    if axes[0].name == axes[1].name:
        axes = (Axis(f"{axes[0].name} (query)", axes[0].labels), axes[1])
    return Grid(_means(cells), axes, *mean_interval(cells, groups, seed=seed))


def _by_digit(effect: Floats, y: Ints, axes: tuple[Axis, Axis], groups: Ints, seed: int) -> Grid:
    cells = np.full((len(effect), 10, 10), np.nan)
    cells[np.arange(len(effect)), y] = effect
    return Grid(_means(cells), axes, *mean_interval(cells, groups, seed=seed))


def _means(cells: Floats) -> Floats:
    known = ~np.isnan(cells)
    total, count = np.where(known, cells, 0.0).sum(axis=0), known.sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _explained(
    values: Floats, x: Ints, y: Ints, other: str, key: str, rng: np.random.Generator
) -> pd.DataFrame:
    """η² of each grouping, beside that of shuffled values."""
    rows = []
    for name, labels in ((key, y), (other, x), (f"{other} and {key}", 10 * x + y)):
        chance = [_eta(rng.permutation(values), labels) for _ in range(_SHUFFLES)]
        rows.append(
            {
                "digits": name,
                "share": _eta(values, labels),
                "shuffled": float(np.mean(chance)),
                "shuffled_95": float(np.percentile(chance, 95)),
            }
        )
    return pd.DataFrame(rows)


def _eta(values: Floats, labels: Ints) -> float:
    """Variance of the group means over the variance; 0 where the values do not vary."""
    total = ((values - values.mean()) ** 2).sum()
    if total <= 1e-12 * max(1.0, float((values**2).sum())):
        return 0.0
    count = np.bincount(labels, minlength=100)
    sums = np.bincount(labels, weights=values, minlength=100)
    known = count > 0
    between = (count[known] * (sums[known] / count[known] - values.mean()) ** 2).sum()
    return float(between / total)
