"""Circuits of nodes or edges: the smallest set that keeps the answer, and what it is worth.

A circuit C is a set of heads and MLPs, or of edges between them. m(C) is the mean metric when every
other node has its activation of the corrupted prompt, at all positions, or every other edge carries
it (`interp.heads.circuit_runs`); m(N) is the plain clean run, m(∅) the run with everything
replaced. Faithfulness is (arXiv 2504.13151)

    f(C) = (m(C) − m(∅)) / (m(N) − m(∅))

Nodes are ordered by their noising effect on one half of the prompts, edges by |score|
(`interp.heads.edges`), and circuits of growing size are chosen there; everything said of a circuit
is measured on the other half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources, Savings
from interp.errors import InputError
from interp.heads._paths import _check_blocks
from interp.heads.circuit_runs import EdgeRuns, Runs
from interp.heads.circuits import SIZES, Circuit, areas, jaccard
from interp.heads.effects import halves, mean_of, over_answers, told
from interp.heads.metrics import Floats, metric
from interp.heads.nodes import check_nodes, edge, node, nodes_of
from interp.heads.pairs import pairs
from interp.heads.results.circuit import CircuitScore
from interp.models.asking import Asked
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix
from interp.results.intervals import ratio_interval, resampled_means
from interp.results.resampling import resampling

_RANDOM = 20  # random circuits of the same size
_ORDERS = 10  # random orders of edges
_RESAMPLES = 50  # bootstrap resamples of the stored effects


@shows_progress
def circuit(
    model: Model,
    asked: Asked,
    *,
    n: int = 128,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    nodes: Sequence[str] | str | None = None,
    kinds: Sequence[str] | str = ("head", "mlp"),
    steps: int = 1,
    target: float = 0.9,
    metrics: str = "logit_difference",
    swap: str | None = None,
    corrupted: Problems | PromptBatch | None = None,
    answers: Sequence[str] | str | None = None,
    prefix: Prefix = "keep",
    memory: int = 2**30,
    savings: Savings | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> CircuitScore:
    """The smallest circuit with faithfulness ≥ `target`, its scores, and the curve over sizes.

    Args:
        asked, n, seed, format, held_out, swap, corrupted, answers, prefix: as in
            `interp.heads.patch`.
        nodes: a circuit of your own to be scored, "L0H3,L1.mlp" or a saved one's `nodes`; None: it
            is chosen here.
        kinds: nodes to choose from: "head" and "mlp", or one of them. Others always stay clean.
            "edge": edges instead, every edge of the model.
        steps: points of the gradient that edges are scored by, as in `interp.heads.edges`.
        target: faithfulness that the chosen circuit must reach on the half it is chosen on.
        metrics: a metric with a value (`logit_difference`, `logit`, `probability`, `kl`).
        memory, savings, cancel, progress: as in `engine.run_variants`.

    Does not show: that the circuit is the only one, or what its nodes compute.

    Of more than 128 edges none is tried without, so `smallest_loss` is empty.

    Raises InputError for an unknown kind, node or metric, prompts that do not align, and where
    replacing every node changes nothing. With edges ModelError for a wrapped module, and a family
    whose heads and MLPs do not sum to the stream.
    """
    if metric(metrics).value is None:
        raise InputError(f"{metrics!r} compares two runs: a circuit needs a metric of one run")
    if not 0 < target <= 1:
        raise InputError(f"target={target}: a share of the effect above 0, at most 1")
    chosen_kinds = selection("roles", kinds) or ()
    of_edges = chosen_kinds == ("edge",)
    if not of_edges and (unknown := set(chosen_kinds) - {"head", "mlp"}):
        raise InputError(
            f"circuits are made of 'head' and 'mlp', or of 'edge' alone, not of {sorted(unknown)}"
        )
    if steps < 1:
        raise InputError(f"steps={steps}: a gradient takes at least one step")
    if of_edges:
        _check_blocks(model)
    found = pairs(
        model, asked, swap=swap, corrupted=corrupted, answers=selection("roles", answers),
        prefix=prefix, n=n, seed=seed, format=format, held_out=held_out,
    )  # fmt: skip
    first, second = halves(found.clean.problems, seed)
    if not len(first) or not len(second):
        raise InputError("a circuit is chosen on one half and scored on the other: give more n")
    resources = Resources(memory, cancel, progress, savings)
    runs: Runs
    if of_edges:
        runs = EdgeRuns(model, found, metrics, resources)
        every: Sequence[Any] = runs.every
        own = _given(model, nodes, every, of_edges)
        effects = runs.graph.scores(steps, progress)  # [n, edges]
        rank: Callable[[Floats], Floats] = np.abs
    else:
        every = tuple(
            one for kind in ("head", "mlp") if kind in chosen_kinds
            for one in nodes_of(model.shape, kind)
        )  # fmt: skip
        runs = Runs(model, found, every, metrics, resources)
        own = _given(model, nodes, every, of_edges)
        single = runs.values([[one] for one in every])  # all of them kept but one
        effects = over_answers((runs.full[None] - single).transpose(1, 0, 2))  # [n, nodes]
        rank = np.positive
    order = _order(rank(mean_of(effects[first])))
    ranked = [every[i] for i in order]
    groups, over = resampling(found.clean.problems[second])
    table, area = _curve(runs, ranked, first, second, groups, seed)
    kept = own if own is not None else _smallest(runs, ranked, first, target)
    scores = _scores(runs, kept, every, second, seed)
    stability = _stability(effects, len(kept), seed, rank)
    numerator, denominator = runs.parts(kept, second)
    low, high = ratio_interval(numerator, denominator, groups, seed=seed)
    return CircuitScore(
        model=found.clean.model,
        task=found.clean.problems.task.name,
        n=len(second),
        n_distinct=found.clean[second].n_distinct,
        seed=seed,
        settings=dict(found.settings) | {
            "nodes": None if own is None else [one.name for one in own],
            "kinds": list(chosen_kinds),
            "target": target,
            "metrics": metrics,
            "answers": None if answers is None else found.answers,
            "chosen_on": len(first),
        } | ({"steps": steps} if of_edges else {}),
        nodes=tuple(one.name for one in runs.in_order(kept)),
        ranking=pd.DataFrame(
            {"node": [x.name for x in ranked], "effect": mean_of(effects[second])[order]}
        ),
        curve=table,
        areas=told(area),
        faithfulness_low=float(low),
        faithfulness_high=float(high),
        scores=told(scores),
        stability=told(stability),
        resampled=over,
    )  # fmt: skip


def _order(effects: Floats) -> Any:
    """Indices, largest first."""
    return np.argsort(-np.nan_to_num(effects), kind="stable")


def _given(
    model: Model, nodes: Sequence[str] | str | None, every: Sequence[Any], of_edges: bool
) -> list[Any] | None:
    if nodes is None:
        return None
    names = selection("roles", nodes) or ()
    named: list[Any] = [edge(name) if of_edges else node(name) for name in names]
    if not of_edges:
        check_nodes(model.shape, named, model.name)
    known = set(every)
    if lost := [one.name for one in named if one not in known]:
        raise InputError(
            f"{lost[0]} is no edge of {model.name}: one is {every[-1].name}"
            if of_edges
            else f"{lost[0]} is not among the nodes that are replaced: name its kind"
        )
    return named


def _curve(
    runs: Runs, ranked: Sequence[Any], first: Any, second: Any, groups: Any, seed: int
) -> tuple[pd.DataFrame, dict[str, float]]:
    """f by number of kept nodes on both halves, and areas over the published sizes that hold a node
    with bounds; of edges at those sizes alone, and in random orders too."""
    total, of_edges = len(ranked), isinstance(runs, EdgeRuns)
    at = {size: int(size * total) for size in SIZES if int(size * total) >= 1}
    step = total if of_edges else max(1, total // 20)
    counts = sorted({*range(0, total + 1, step), *at.values(), total})
    values = runs.keeping([ranked[:k] for k in counts])
    chosen, scored = (runs.faithfulness(values, rows) for rows in (first, second))
    table = pd.DataFrame({"nodes": counts, "chosen_on": chosen, "faithfulness": scored})

    def measured(f: Floats) -> dict[str, float]:
        by_count = dict(zip(counts, f.tolist(), strict=True))
        return areas({size: by_count[k] for size, k in at.items()}, total)

    found = measured(scored)
    # Sums over answers, so that a ratio of means over prompts is f.
    parts = [np.nansum((x - runs.empty)[second], axis=-1) for x in (*values, runs.full)]
    means = resampled_means(np.stack(parts, axis=1), groups, seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample of few prompts without effect
        drawn = [measured(f) for f in means[:, :-1] / means[:, -1:]]
        for name in ("cpr", "cmd"):
            low, high = np.nanpercentile([one[name] for one in drawn], [2.5, 97.5])
            found |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    if of_edges:
        rng = np.random.default_rng([seed, 6])
        orders = [[runs.every[i] for i in rng.permutation(total)] for _ in range(_ORDERS)]
        every = runs.keeping([order[:k] for order in orders for k in counts])
        f = runs.faithfulness(every, second).reshape(_ORDERS, len(counts))
        low, high = np.percentile(f, [2.5, 97.5], axis=0)
        table = table.assign(random=f.mean(axis=0), random_low=low, random_high=high)
        by_order = [measured(one) for one in f]
        for name in ("cpr", "cmd"):
            found[f"{name}_random"] = float(np.mean([one[name] for one in by_order]))
    return table, found


def _smallest(runs: Runs, ranked: Sequence[Any], rows: Any, target: float) -> list[Any]:
    """The first nodes of the ranking that reach the target on `rows`, then without those that it
    can do without, weakest first."""
    low, high = 0, len(ranked)
    sizes = list(range(1, len(ranked) + 1))
    if len(ranked) <= 64:
        f = runs.faithfulness(runs.keeping([ranked[:k] for k in sizes]), rows)
        reached = np.flatnonzero(f >= target)
        high = int(reached[0]) + 1 if len(reached) else len(ranked)
    else:
        while high - low > 1:  # f rises with size, but for noise
            middle = (low + high) // 2
            f = runs.faithfulness(runs.keeping([ranked[:middle]]), rows)
            low, high = (low, middle) if f[0] >= target else (middle, high)
    kept = list(ranked[:high])
    if high > runs.thinned:
        return kept
    for one in reversed(ranked[:high]):
        fewer = [x for x in kept if x != one]
        if fewer and runs.faithfulness(runs.keeping([fewer]), rows)[0] >= target:
            kept = fewer
    return kept


def _scores(
    runs: Runs, kept: Sequence[Any], every: Sequence[Any], rows: Any, seed: int
) -> dict[str, float]:
    """Faithfulness, completeness, minimality, and random circuits of the same size."""
    rng = np.random.default_rng([seed, 4])
    random = [[every[i] for i in rng.permutation(len(every))[: len(kept)]] for _ in range(_RANDOM)]
    fewer = [[x for x in kept if x != one] for one in kept] if len(kept) <= runs.thinned else []
    values = runs.keeping([kept, runs.outside(kept), *random, *fewer])
    f = runs.faithfulness(values, rows)
    without = f[2 + _RANDOM :]
    return {
        "faithfulness": float(f[0]),
        "without_circuit": float(f[1]),
        "random": float(f[2 : 2 + _RANDOM].mean()),
        "random_low": float(np.percentile(f[2 : 2 + _RANDOM], 2.5)),
        "random_high": float(np.percentile(f[2 : 2 + _RANDOM], 97.5)),
        "smallest_loss": float((f[0] - without).min()) if len(without) else float("nan"),
    }


def _stability(
    effects: Floats, size: int, seed: int, rank: Callable[[Floats], Floats]
) -> dict[str, float]:
    """Mean Jaccard similarity of the nodes with the largest effects between bootstrap resamples of
    the prompts, and between random sets of the same size."""
    rng = np.random.default_rng([seed, 5])
    n, nodes = effects.shape
    tops, sets = [], []
    for _ in range(_RESAMPLES):
        drawn = rank(mean_of(effects[rng.integers(0, n, n)]))
        tops.append(frozenset(_order(drawn)[:size].tolist()))
        sets.append(frozenset(rng.permutation(nodes)[:size].tolist()))
    return {"jaccard": jaccard(tops), "jaccard_random": jaccard(sets)}


def score_circuit(model: Model, saved: Circuit, asked: Asked, **options: Any) -> CircuitScore:
    """Score a saved circuit on this model: another task, format, seed or checkpoint.

    `options` are those of `interp.heads.circuit`. Raises InputError for a circuit of a model with
    other sizes, where its nodes would be other nodes.
    """
    saved.check_fits(model.name, model.shape.n_layers, model.shape.n_heads)
    return circuit(model, asked, nodes=list(saved.nodes), kinds=list(saved.kinds), **options)
