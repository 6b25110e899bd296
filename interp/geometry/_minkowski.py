"""Minkowski sums: does a head's output add one point of each of two numbers?

For a head whose query looks at two tokens a and b with weights α and β,

    out = α W_O v_a + β W_O v_b,     v_t = W_V norm(E[t] + position)

so with constant weights its outputs are the Minkowski sum of two scaled copies of the values'
images. Bai et al. (arXiv 2510.00184) give no number, and the formula

    out = α W_O W_V E[a] + (1 − α) W_O W_V E[b] + ε,     Σ = α² Σ_A + (1 − α)² Σ_B

without position, normalisation and looks at other tokens. Here: the share of interaction in the
output's cell means, the weights' means and spreads, and how well this formula and those with the
norm, with the position and with the head's own weights predict the output.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from interp.engine._run import run
from interp.engine.interventions import Replace, Rows
from interp.engine.progress import shows_progress
from interp.engine.readout import embedding
from interp.engine.requests import Cancel, Progress, Read
from interp.engine.writes import value_reads
from interp.errors import InputError
from interp.geometry.additive import Additive, additive_fit, covariance_error, fitted
from interp.geometry.classes import Classes, as_array, classes_of
from interp.geometry.linear_maps import unit_writes
from interp.geometry.results.minkowski import MinkowskiSum
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_COMPONENTS = 3


class Images(NamedTuple):
    """What a head's query would add of each token at weight 1, [n, d] both."""

    a: Floats
    b: Floats


class Looks(NamedTuple):
    """Weights α, β [n] of a head's query on the two tokens, and what it reads there.

    own         W_O v of both tokens
    normed      W_O W_V norm(E), without position; None above the first block
    published   W_O W_V E, without position and norm; None also for a model that runs as a whole
    """

    alpha: Floats
    beta: Floats
    own: Images
    normed: Images | None
    published: Images | None


@shows_progress
def minkowski(
    model: Model,
    asked: Asked,
    *,
    layer: int = 0,
    head: int | None = None,
    role: str = "last",
    a: str | None = None,
    b: str | None = None,
    draws: int = 20,
    n: int = 1024,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> MinkowskiSum:
    """Additive fit of an attention output on two operand digits, beside the prediction by weights.

    Args:
        layer, head: the attention; None means the head that looks most at one digit of each
            operand, -1 all heads together (no prediction by weights then).
        role: the query, such as "predicts(c2)".
        a, b: the two operand tokens; None means the two that the head looks at most, one of each
            operand.
        draws: of the control, in which both numbers come from other prompts.
        n, seed, format, held_out: the sample of a task (`interp.models.asking`).
        memory, cancel, progress: as in `engine.run`.

    The published formula is given for the first block, whose input it names, and where the value
    projection is known.

    Does not show: that later layers read the sum, or what other tokens add (share within).

    Raises:
        InputError: for roles that are no operand numbers or the same one, a sample in which no pair
            of numbers repeats, or a head that does not exist.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    if head is not None and not -1 <= head < model.shape.n_heads:
        raise InputError(
            f"head {head} does not exist: {model.name} has {model.shape.n_heads}, or -1"
        )
    pattern = _pattern(model, batch, layer, role, memory, cancel)
    chosen, roles = _chosen(batch, pattern, head, a, b)
    first, second = (classes_of(batch, name) for name in roles)
    rows = np.flatnonzero((first.values >= 0) & (second.values >= 0))
    output, looks = _outputs(model, batch, layer, chosen, role, roles, pattern, memory, cancel)
    output = output[rows]
    determined = _all_digits(batch, roles)
    fit = additive_fit(
        output, first.values[rows], second.values[rows], first.q, second.q, determined=determined
    )
    control = _control(output, first, second, rows, draws, seed, determined)
    return MinkowskiSum(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(rows),
        n_distinct=batch[rows].n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            **sampled,
            "layer": layer,
            "head": chosen,
            "role": role,
            "a": roles[0],
            "b": roles[1],
            "draws": draws,
        },
        shares=_shares(fit, control),
        weights=_weights(looks, rows),
        predictions=_predictions(output, fit, looks, first, second, rows),
        points=_points(output, first.values[rows], second.values[rows]),
    )


def _pattern(
    model: Model, batch: PromptBatch, layer: int, role: str, memory: int, cancel: Cancel | None
) -> Floats | None:
    """Attention of the query, [n, heads, keys]; None where the model has no such site."""
    if "pattern" not in model.usable_sites:
        return None
    reads = [Read("pattern", (layer,), (role,))]
    found = run(model, batch, reads=reads, logits=None, memory=memory, cancel=cancel)
    return as_array(found.activations["pattern", layer][:, 0])


def _chosen(
    batch: PromptBatch, pattern: Floats | None, head: int | None, a: str | None, b: str | None
) -> tuple[int, tuple[str, str]]:
    """The head and the two roles: named, or those with most weight."""
    names = batch.problems.task.operand_names
    roles = {
        name: [r for r in batch.roles if (d := digits_in(r)) and d[0] == name] for name in names[:2]
    }
    for given in (a, b):
        if given is not None and not any(given in known for known in roles.values()):
            every = ", ".join(role for known in roles.values() for role in known)
            raise InputError(f"{given!r} is no operand token of these prompts: choose of {every}")
    if a is not None and a == b:
        raise InputError(f"a and b are both {a!r}: name two different tokens")
    if pattern is None:
        if a is None or b is None:
            raise InputError("this model has no attention pattern: name the two tokens, a= and b=")
        return (-1 if head is None else head), (a, b)
    weight = {
        role: _weight_on(pattern, batch, role).mean(axis=0)
        for known in roles.values()
        for role in known
    }
    one = [a] if a is not None else roles[names[0]]
    two = [b] if b is not None else [r for r in roles[names[1]] if r != a]
    heads = range(pattern.shape[1]) if head in (None, -1) else [head]
    best = max(
        ((h, x, y) for h in heads for x in one for y in two),
        key=lambda c: min(weight[c[1]][c[0]], weight[c[2]][c[0]]),
    )
    return (best[0] if head is None else int(head)), (best[1], best[2])


def _all_digits(batch: PromptBatch, roles: tuple[str, str]) -> bool:
    """Whether the two tokens are all that differs between prompts: both operands whole."""
    problems = batch.problems
    names = problems.task.operand_names
    seen = {d[0]: d[1] for role in roles if (d := digits_in(role))}
    several = any(len(choices) > 1 for choices in problems.task.operators)
    return not several and all(
        set(range(problems.operands[i].shape[1])) <= set(seen.get(name, ()))
        for i, name in enumerate(names)
    )


def _weight_on(pattern: Floats, batch: PromptBatch, role: str) -> Floats:
    """Weight of each head on the token at `role`, [n, heads]."""
    where = batch.find(role)
    found = pattern[np.arange(len(batch)), :, np.maximum(where, 0)]
    return np.asarray(np.where((where >= 0)[:, None], found, 0.0))


def _outputs(
    model: Model,
    batch: PromptBatch,
    layer: int,
    head: int,
    role: str,
    roles: tuple[str, str],
    pattern: Floats | None,
    memory: int,
    cancel: Cancel | None,
) -> tuple[Floats, Looks | None]:
    """The head's output in d_model columns [n, d], and its looks where values can be read."""
    if head < 0:
        reads = [Read("attn_out", (layer,), (role,))]
        done = run(model, batch, reads=reads, logits=None, memory=memory, cancel=cancel)
        return as_array(done.activations["attn_out", layer][:, 0]), None
    shape = model.shape
    writes = unit_writes(model, batch, "z", layer, memory=memory, cancel=cancel)
    own = writes.reshape(shape.n_heads, shape.d_head, -1)[head]
    values = pattern is not None and "v" in model.usable_sites
    reads = [Read("z", (layer,), (role,))] + ([Read("v", (layer,), roles)] if values else [])
    found = run(model, batch, reads=reads, logits=None, memory=memory, cancel=cancel).activations
    output = as_array(found["z", layer][:, 0, head]) @ own
    if not values or pattern is None:
        return output, None
    group = head // (shape.n_heads // shape.n_kv_heads)
    images = Images(*(as_array(found["v", layer][:, i, group]) @ own for i in range(2)))
    alpha, beta = (_weight_on(pattern, batch, name)[:, head] for name in roles)
    if layer > 0:
        return output, Looks(alpha, beta, images, None, None)
    embedded = torch.stack([embedding(model)[batch.labels(name).clamp(min=0)] for name in roles], 1)
    edit = Replace("resid_pre", Rows({0: embedded}), layers=(0,), roles=roles)
    found = run(
        model, batch, [edit], reads=[Read("v", (0,), roles)], logits=None, memory=memory,
        cancel=cancel,
    ).activations  # fmt: skip
    normed = Images(*(as_array(found["v", 0][:, i, group]) @ own for i in range(2)))
    reads_of = value_reads(model, 0)
    published = None
    if reads_of is not None:
        read = as_array(reads_of[group]) @ own
        published = Images(*(as_array(embedded[:, i]) @ read for i in range(2)))
    return output, Looks(alpha, beta, images, normed, published)


def _control(
    output: Floats, first: Classes, second: Classes, rows: Ints, draws: int, seed: int,
    determined: bool,
) -> pd.DataFrame:  # fmt: skip
    """Shares with the numbers of other prompts, one row a draw."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(max(draws, 2)):
        order = rng.permutation(rows)
        fit = additive_fit(
            output, first.values[order], second.values[order], first.q, second.q,
            determined=determined,
        )  # fmt: skip
        found.append((fit.a, fit.b, fit.additive, fit.interaction))
    return pd.DataFrame(found, columns=["a", "b", "additive", "interaction"])


def _shares(fit: Additive, control: pd.DataFrame) -> pd.DataFrame:
    terms = ("a", "b", "additive", "interaction", "within", "of_cells")
    rows = []
    for term in terms:
        null = control.get(term)
        rows.append(
            {
                "term": term,
                "share": float(getattr(fit, term)),
                "null_low": np.nan if null is None else float(null.quantile(0.025)),
                "null_high": np.nan if null is None else float(null.quantile(0.975)),
            }
        )
    return pd.DataFrame(rows)


def _weights(looks: Looks | None, rows: Ints) -> pd.DataFrame:
    """token, mean, sd, low, high (5 % and 95 % of prompts) of the attention weights."""
    columns = ["token", "mean", "sd", "low", "high"]
    if looks is None:
        return pd.DataFrame({name: [] for name in columns})
    found = []
    for name, x in (("a", looks.alpha), ("b", looks.beta), ("both", looks.alpha + looks.beta)):
        own = x[rows]
        low, high = np.quantile(own, [0.05, 0.95])
        found.append((name, own.mean(), own.std(), low, high))
    return pd.DataFrame(found, columns=columns)


def _predictions(
    output: Floats, fit: Additive, looks: Looks | None, first: Classes, second: Classes, rows: Ints
) -> pd.DataFrame:
    """prediction, r2 of the output, scale, r2_scaled, covariance_error."""
    i, j = first.values[rows], second.values[rows]
    arms: dict[str, Floats] = {"additive fit": fit.mean + fit.a_part[i] + fit.b_part[j]}
    if looks is not None:
        alpha, beta = looks.alpha[rows, None], looks.beta[rows, None]
        share = (alpha / np.maximum(alpha + beta, 1e-12)).mean()
        for name, images, x, y in (
            ("weights of each prompt", looks.own, alpha, beta),
            ("mean weights", looks.own, alpha.mean(), beta.mean()),
            ("α and 1 − α", looks.own, share, 1 - share),
            ("published, with the norm", looks.normed, share, 1 - share),
            ("published", looks.published, share, 1 - share),
        ):
            if images is not None:
                arms[name] = x * images.a[rows] + y * images.b[rows]
    return pd.DataFrame(
        [
            {"prediction": name, **fitted(output, guess),
             "covariance_error": covariance_error(output, guess)}
            for name, guess in arms.items()
        ]
    )  # fmt: skip


def _points(output: Floats, i: Ints, j: Ints) -> pd.DataFrame:
    """One row a prompt: its numbers, global principal coordinates, and those of the prompts of the
    commonest first number (NaN for others)."""
    table = pd.DataFrame({"a": i, "b": j})
    centred = output - output.mean(axis=0)
    for name, rows in (("pc", np.arange(len(i))), ("local", np.flatnonzero(i == _commonest(i)))):
        own = centred[rows] - centred[rows].mean(axis=0)
        left, sizes, _ = np.linalg.svd(own, full_matrices=False)
        for c in range(min(_COMPONENTS, len(sizes))):
            column = np.full(len(i), np.nan)
            column[rows] = left[:, c] * sizes[c]
            table[f"{name}{c + 1}"] = column
    return table


def _commonest(labels: Ints) -> int:
    return int(np.bincount(labels).argmax())
