"""Attention trees of products: which site caches which a_i·b_j, and which answer digit fetches it.

Bai et al. (2510.00184) read such trees off averaged attention maps by eye. Here a tree is a
function of a set of edges (`products`), and the set is chosen in two ways:

    attention   a head looks from the query at the key with a mean weight of at least
                `least_attention`
    effect      of these, those whose cut (weight 0, the rest renormalised) lowers the margin of
                c_k by at least the share `least_effect` of it, significantly (one-sided,
                false-discovery rate 5 % over all edges and digits)

The margin is the true token's logit minus the mean of the other digits'. Each answer digit k has a
score: the share of {i + j = k} that its tree holds, beside that of as many products at random; the
products of lower columns, which its carry needs; and extra ones, with i + j > k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.tasks import Multiplication, Task
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.heads._attention import read_patterns
from interp.heads.products import (
    Pair,
    Tree,
    carry_pairs,
    column_pairs,
    jaccard,
    tree_of,
)
from interp.heads.results.tree import ROUTES, AttentionTree
from interp.heads.tree_edges import Measured, candidates, cut_effects
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch

Floats = npt.NDArray[np.float64]
Trees = dict[tuple[str, int], Tree]  # (route, answer digit) → tree


def tree(
    model: Model,
    asked: Asked,
    *,
    least_attention: float = 0.1,
    least_effect: float = 0.02,
    resamples: int = 20,
    n: int = 128,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> AttentionTree:
    """The tree of each answer digit of a product, by attention and by the effect of cuts.

    Args:
        asked: a task's name, a Task, Problems or a PromptBatch, of products.
        least_attention: mean attention weight from which an edge counts.
        least_effect: share of a digit's margin from which a cut edge's effect counts.
        resamples: bootstrap samples of the prompts for the stability of the trees.
        n, seed, held_out: the sample of a task (`interp.models.asking`); the seed is also that of
            the resamples.
        format: the prompts' format; None means the model's first.
        memory, cancel, progress: as in `engine.run`.

    Does not show: products that one head brings to a site in several steps; nor that a site holds
    the product of the digits that meet there (`probes.probe` shows what it holds). An edge whose
    work another head can do has no effect.

    Raises:
        InputError: for a task that is no product, prompts of different length or roles, and
            thresholds outside 0 … 1.
        SiteError: for a model without attention patterns.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    task = _product(batch.problems.task)
    _check(batch, least_attention, least_effect, resamples)
    roles = [f"c{k}" for k in range(task.answer_digits) if f"c{k}" in batch.answer_roles]
    asking = {role: str(batch.roles_at(f"predicts({role})")[0]) for role in roles}
    measured = _measure(model, batch, roles, asking, least_attention, memory, cancel, progress)
    weights = np.full(len(batch), 1 / len(batch))
    trees = _trees(measured, asking, weights, least_attention, least_effect)
    stable = _stability(
        measured, asking, trees, task, least_attention, least_effect, resamples, seed
    )
    return AttentionTree(
        model=batch.model,
        task=task.name,
        n=len(batch),
        n_distinct=batch.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            "least_attention": least_attention,
            "least_effect": least_effect,
            "resamples": resamples,
            **sampled,
        },
        digits=(task.m, task.n),
        asking=asking,
        sites=tuple(role for role in batch.roles if role != "last"),
        edges=_edges(measured, roles, weights, least_effect),
        products=_products(trees, task),
        links=_links(trees, measured, roles, weights),
        scores=_scores(trees, stable, asking, task),
    )


def _product(task: Task) -> Multiplication:
    if not isinstance(task, Multiplication):
        raise InputError(
            f"{task.name} has no products a_i·b_j: ask a multiplier, with a task such as "
            "'mul:4x4'; interp.heads.carry is for sums, interp.heads.attention for every task"
        )
    return task


def _check(batch: PromptBatch, least_attention: float, least_effect: float, resamples: int) -> None:
    if len(np.unique(batch.lengths)) > 1 or len(np.unique(batch.layout_of)) > 1:
        raise InputError(
            "these prompts have different lengths or roles, so an edge is not the same edge in "
            "each: use a format of fixed width, such as 'padded' or 'reversed'"
        )
    for name, value in (("least_attention", least_attention), ("least_effect", least_effect)):
        if not 0 < value < 1:
            raise InputError(f"{name}={value} must lie between 0 and 1")
    if resamples < 2 or len(batch) < 2:
        raise InputError("the stability needs at least two prompts and two resamples")


def _measure(
    model: Model, batch: PromptBatch, roles: Sequence[str], asking: Mapping[str, str],
    least: float, memory: int, cancel: Cancel | None, progress: Progress | None,
) -> Measured:  # fmt: skip
    layers = tuple(range(model.shape.n_layers))
    end = max(int(batch.predicting_positions(role)[0]) for role in roles)
    sites = [r for r in batch.roles if r != "last" and int(batch.find(r)[0]) <= end]
    found = read_patterns(model, batch, sites, layers, memory=memory, cancel=cancel, progress=None)
    edges, where = candidates(
        found.plain.mean(axis=0), found.queries, found.keys, tuple(asking.values()), least
    )
    attention = found.plain[(slice(None), *where.T)]
    margin, effect = cut_effects(
        model,
        batch,
        edges,
        attention.max(axis=0),
        roles,
        memory=memory,
        cancel=cancel,
        progress=progress,
    )
    return Measured(edges, attention, effect, margin)


def _trees(
    measured: Measured, asking: Mapping[str, str], weights: Floats, least_attention: float,
    least_effect: float,
) -> Trees:  # fmt: skip
    looked = measured.by_attention(weights, least_attention)
    needed = measured.by_effect(weights, least_effect)
    trees: Trees = {}
    for column, (role, site) in enumerate(asking.items()):
        for route, mask in (("attention", looked), ("effect", needed[:, column])):
            kept = [edge for edge, keep in zip(measured.edges, mask, strict=True) if keep]
            trees[route, int(role[1:])] = tree_of(kept, site)
    return trees


def _stability(
    measured: Measured, asking: Mapping[str, str], whole: Trees, task: Multiplication,
    least_attention: float, least_effect: float, resamples: int, seed: int,
) -> dict[tuple[str, int], tuple[Floats, float]]:  # fmt: skip
    """Jaccard of each tree's products with those of resampled prompts, and of random sets."""
    rng = np.random.default_rng(seed)
    n = len(measured.margin)
    found: dict[tuple[str, int], list[float]] = {key: [] for key in whole}
    for _ in range(resamples):
        weights = rng.multinomial(n, np.full(n, 1 / n)) / n
        again = _trees(measured, asking, weights, least_attention, least_effect)
        for key, one in again.items():
            found[key].append(jaccard(one.pairs, whole[key].pairs))
    every = [(i, j) for i in range(task.m) for j in range(task.n)]
    chance = {key: _random_jaccard(every, len(one.pairs), rng) for key, one in whole.items()}
    return {key: (np.array(values), chance[key]) for key, values in found.items()}


def _random_jaccard(every: Sequence[Pair], size: int, rng: np.random.Generator) -> float:
    """Mean Jaccard of two random sets of this size."""
    draws = [
        frozenset(every[i] for i in rng.choice(len(every), size, replace=False)) for _ in range(60)
    ]
    return float(np.mean([jaccard(a, b) for a, b in zip(draws[::2], draws[1::2], strict=True)]))


def _edges(
    measured: Measured, roles: Sequence[str], weights: Floats, least_effect: float
) -> pd.DataFrame:
    """One row for each edge and answer digit."""
    share, q = measured.tests(weights)
    kept = measured.by_effect(weights, least_effect)
    attention = weights @ measured.attention
    mean = np.tensordot(weights, measured.effect, axes=1)
    rows = [
        {
            "layer": edge.layer,
            "head": edge.head,
            "query": edge.query,
            "key": edge.key,
            "attention": attention[i],
            "answer_digit": role,
            "effect": mean[i, k],
            "share": share[i, k],
            "q": q[i, k],
            "kept": bool(kept[i, k]),
        }
        for i, edge in enumerate(measured.edges)
        for k, role in enumerate(roles)
    ]
    names = ("layer", "head", "query", "key", "attention", "answer_digit", "effect", "share", "q",
             "kept")  # fmt: skip
    return pd.DataFrame(rows, columns=list(names))


def _products(trees: Trees, task: Multiplication) -> pd.DataFrame:
    """One row for each product of each tree and site."""
    rows = []
    for (route, k), one in trees.items():
        for cached in one.cached:
            i, j = cached.pair
            kind = "column" if i + j == k else "carry" if i + j < k else "extra"
            heads = ", ".join(sorted({f"{e.layer}.{e.head}" for e in cached.edges}))
            rows.append({"route": route, "answer_digit": f"c{k}", "site": cached.site,
                         "layer": cached.layer, "heads": heads, "i": i, "j": j,
                         "kind": kind})  # fmt: skip
    names = ("route", "answer_digit", "site", "layer", "heads", "i", "j", "kind")
    return pd.DataFrame(rows, columns=list(names))


def _links(trees: Trees, measured: Measured, roles: Sequence[str], weights: Floats) -> pd.DataFrame:
    """The edges of each tree: `part` "cache" (digit → site) or "fetch" (site → answer digit)."""
    share, _ = measured.tests(weights)
    attention = weights @ measured.attention
    index = {edge: i for i, edge in enumerate(measured.edges)}
    rows = []
    for (route, k), one in trees.items():
        column = list(roles).index(f"c{k}")
        brings = dict.fromkeys(edge for cached in one.cached for edge in cached.edges)
        for part, edges in (("cache", brings), ("fetch", one.fetches)):
            for edge in edges:
                rows.append({"route": route, "answer_digit": f"c{k}", "part": part,
                             **edge._asdict(), "attention": attention[index[edge]],
                             "share": share[index[edge], column]})  # fmt: skip
    names = ("route", "answer_digit", "part", "layer", "head", "query", "key", "attention", "share")
    return pd.DataFrame(rows, columns=list(names))


def _scores(
    trees: Trees,
    stable: Mapping[tuple[str, int], tuple[Floats, float]],
    asking: Mapping[str, str],
    task: Multiplication,
) -> pd.DataFrame:
    """Coverage, extra products and stability of each tree."""
    rows = []
    for route in ROUTES:
        for role in asking:
            k = int(role[1:])
            pairs = trees[route, k].pairs
            column, carry = column_pairs(k, task.m, task.n), carry_pairs(k, task.m, task.n)
            values, chance = stable[route, k]
            rows.append(
                {
                    "route": route,
                    "answer_digit": role,
                    "products": len(pairs),
                    "coverage": len(pairs & column) / len(column) if column else np.nan,
                    "chance": len(pairs) / (task.m * task.n) if column else np.nan,
                    "carry_coverage": len(pairs & carry) / len(carry) if carry else np.nan,
                    "extra": len(pairs - column - carry),
                    "sites": len({one.site for one in trees[route, k].cached}),
                    "stability": float(values.mean()),
                    "stability_low": float(np.percentile(values, 2.5)),
                    "stability_high": float(np.percentile(values, 97.5)),
                    "stability_random": chance,
                }
            )
    return pd.DataFrame(rows)
