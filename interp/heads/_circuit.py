"""Circuits of nodes: the smallest set that keeps the answer, and what it is worth.

A circuit C is a set of heads and MLPs. m(C) is the mean metric when every other node has its
activation of the corrupted prompt, at all positions; m(N) is the plain clean run, m(∅) the run with
every node replaced. Faithfulness is (arXiv 2504.13151)

    f(C) = (m(C) − m(∅)) / (m(N) − m(∅))

Nodes are ordered by their noising effect on one half of the prompts, and circuits of growing size
are chosen there; everything said of a circuit is measured on the other half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources, Savings
from interp.errors import InputError
from interp.heads.cells import Donor, read_cells, read_plain, reader, reads_of
from interp.heads.circuits import SIZES, Circuit, areas, jaccard
from interp.heads.effects import halves, mean_of, over_answers, told
from interp.heads.metrics import Floats, Readout, check_varies, metric
from interp.heads.nodes import Node, check_nodes, node, nodes_of
from interp.heads.pairs import Pairs, pairs
from interp.heads.results.circuit import CircuitScore
from interp.models.asking import Asked
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix
from interp.results.intervals import ratio_interval
from interp.results.resampling import resampling

_RANDOM = 20  # random circuits of the same size
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
        target: faithfulness that the chosen circuit must reach on the half it is chosen on.
        metrics: a metric with a value (`logit_difference`, `logit`, `probability`, `kl`).
        memory, savings, cancel, progress: as in `engine.run_variants`.

    Does not show: that the circuit is the only one, or what its nodes compute.

    Raises InputError for an unknown kind, node or metric, prompts that do not align, and where
    replacing every node changes nothing.
    """
    if metric(metrics).value is None:
        raise InputError(f"{metrics!r} compares two runs: a circuit needs a metric of one run")
    if not 0 < target <= 1:
        raise InputError(f"target={target}: a share of the effect above 0, at most 1")
    chosen_kinds = selection("roles", kinds) or ()
    if unknown := set(chosen_kinds) - {"head", "mlp"}:
        raise InputError(f"circuits are made of 'head' and 'mlp', not of {sorted(unknown)}")
    every = tuple(
        one for kind in ("head", "mlp") if kind in chosen_kinds
        for one in nodes_of(model.shape, kind)
    )  # fmt: skip
    found = pairs(
        model, asked, swap=swap, corrupted=corrupted, answers=selection("roles", answers),
        prefix=prefix, n=n, seed=seed, format=format, held_out=held_out,
    )  # fmt: skip
    resources = Resources(memory, cancel, progress, savings)
    runs = _Runs(model, found, every, metrics, resources)
    first, second = halves(found.clean.problems, seed)
    if not len(first) or not len(second):
        raise InputError("a circuit is chosen on one half and scored on the other: give more n")
    single = runs.values([[one] for one in every])  # all of them kept but one
    effects = over_answers((runs.full[None] - single).transpose(1, 0, 2))  # [n, nodes]
    order = np.argsort(-np.nan_to_num(mean_of(effects[first])), kind="stable")
    ranked = [every[i] for i in order]
    own = None if nodes is None else _given(model, nodes, every)
    table, curve = _curve(runs, ranked, first, second)
    kept = own if own is not None else _smallest(runs, ranked, first, target)
    scores = _scores(runs, kept, every, second, seed)
    stability = _stability(effects, len(kept), seed)
    groups, over = resampling(found.clean.problems[second])
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
        },
        nodes=tuple(one.name for one in sorted(kept)),
        ranking=pd.DataFrame(
            {"node": [x.name for x in ranked], "effect": mean_of(effects[second])[order]}
        ),
        curve=table,
        areas=told(areas(curve, len(every))),
        faithfulness_low=float(low),
        faithfulness_high=float(high),
        scores=told(scores),
        stability=told(stability),
        resampled=over,
    )  # fmt: skip


class _Runs:
    """Values [sets, n, answers] of the clean prompts with some nodes replaced."""

    def __init__(
        self,
        model: Model,
        found: Pairs,
        every: Sequence[Node],
        name: str,
        resources: Resources,
    ) -> None:
        self.model, self.found, self.every, self.resources = model, found, every, resources
        self._metric = metric(name)
        self._read = reader(model, found, [name], resources)
        wanted = reads_of({one.kind for one in every}, found.roles)
        clean, _ = read_plain(model, found.clean, found, self._read, resources)
        other, run = read_plain(model, found.corrupted, found, self._read, resources, wanted)
        self._donor = Donor(run, found.roles)
        self.full = self._value(clean)
        check_varies(name, self.full - self._value(other))
        self.empty = self.values([every])[0]
        if not np.nanmax(np.abs(self.full - self.empty)) > 0:
            raise InputError("replacing every node changes nothing: choose other kinds or swaps")

    def _value(self, readout: Readout) -> Floats:
        assert self._metric.value is not None
        return self._metric.value(readout)

    def values(self, replaced: Sequence[Sequence[Node]]) -> Floats:
        """The metric with each set of nodes replaced."""
        cells = {str(i): self._donor.patches(nodes) for i, nodes in enumerate(replaced)}
        quiet = self.resources if len(replaced) > 1 else replace(self.resources, progress=None)
        return self._value(
            read_cells(self.model, self.found.clean, cells, self.found, self._read, quiet)
        )

    def outside(self, kept: Sequence[Node]) -> list[Node]:
        """Every node that is not kept."""
        inside = set(kept)
        return [one for one in self.every if one not in inside]

    def keeping(self, sets: Sequence[Sequence[Node]]) -> Floats:
        """The metric with only each set of nodes kept."""
        return self.values([self.outside(kept) for kept in sets])

    def parts(self, kept: Sequence[Node], rows: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Numerator and denominator [rows] of a circuit's faithfulness, mean over answers."""
        value = self.keeping([kept])[0]
        return (
            over_answers((value - self.empty)[rows]),
            over_answers((self.full - self.empty)[rows]),
        )

    def faithfulness(self, values: Floats, rows: npt.NDArray[np.intp]) -> Floats:
        """f [sets] on some prompts, of values [sets, n, answers]."""
        gained = np.nanmean((values - self.empty[None])[:, rows], axis=(1, 2))
        return np.asarray(gained / np.nanmean((self.full - self.empty)[rows]))


def _given(model: Model, nodes: Sequence[str] | str, every: Sequence[Node]) -> list[Node]:
    named = [node(name) for name in selection("roles", nodes) or ()]
    check_nodes(model.shape, named, model.name)
    if lost := [one.name for one in named if one not in set(every)]:
        raise InputError(f"{lost[0]} is not among the nodes that are replaced: name its kind")
    return named


def _curve(
    runs: _Runs, ranked: Sequence[Node], first: Any, second: Any
) -> tuple[pd.DataFrame, dict[float, float]]:
    """f by number of kept nodes on both halves, and at the published sizes that hold a node."""
    total = len(ranked)
    at = {size: int(size * total) for size in SIZES}
    counts = sorted({*range(0, total + 1, max(1, total // 20)), *at.values(), total})
    values = runs.keeping([ranked[:k] for k in counts])
    chosen, scored = (runs.faithfulness(values, rows) for rows in (first, second))
    table = pd.DataFrame({"nodes": counts, "chosen_on": chosen, "faithfulness": scored})
    by_count = dict(zip(counts, scored.tolist(), strict=True))
    return table, {size: by_count[k] for size, k in at.items() if k >= 1}


def _smallest(runs: _Runs, ranked: Sequence[Node], rows: Any, target: float) -> list[Node]:
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
    for one in reversed(ranked[:high]):
        fewer = [x for x in kept if x != one]
        if fewer and runs.faithfulness(runs.keeping([fewer]), rows)[0] >= target:
            kept = fewer
    return kept


def _scores(
    runs: _Runs, kept: Sequence[Node], every: Sequence[Node], rows: Any, seed: int
) -> dict[str, float]:
    """Faithfulness, completeness, minimality, and random circuits of the same size."""
    rng = np.random.default_rng([seed, 4])
    random = [[every[i] for i in rng.permutation(len(every))[: len(kept)]] for _ in range(_RANDOM)]
    fewer = [[x for x in kept if x != one] for one in kept]
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


def _stability(effects: Floats, size: int, seed: int) -> dict[str, float]:
    """Mean Jaccard similarity of the nodes with the largest effects between bootstrap resamples of
    the prompts, and between random sets of the same size."""
    rng = np.random.default_rng([seed, 5])
    n, nodes = effects.shape
    tops, sets = [], []
    for _ in range(_RESAMPLES):
        drawn = mean_of(effects[rng.integers(0, n, n)])
        tops.append(frozenset(np.argsort(-np.nan_to_num(drawn), kind="stable")[:size].tolist()))
        sets.append(frozenset(rng.permutation(nodes)[:size].tolist()))
    return {"jaccard": jaccard(tops), "jaccard_random": jaccard(sets)}


def score_circuit(model: Model, saved: Circuit, asked: Asked, **options: Any) -> CircuitScore:
    """Score a saved circuit on this model: another task, format, seed or checkpoint.

    `options` are those of `interp.heads.circuit`. Raises InputError for a circuit of a model with
    other sizes, where its nodes would be other nodes.
    """
    saved.check_fits(model.name, model.shape.n_layers, model.shape.n_heads)
    return circuit(model, asked, nodes=list(saved.nodes), kinds=list(saved.kinds), **options)
