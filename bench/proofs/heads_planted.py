"""The methods of `interp.heads` on planted models of many seeds: precision and recall of the nodes
that they find, and AUROC of the screens beside random scores.

Each method is asked on a fresh model for every seed, and what it finds is compared with the answer
key. Precision and recall are over all nodes of all seeds; `perfect` is the share of seeds in which
the set found is the planted one, with Wilson's interval. A screen's AUROC is the probability that a
planted head scores above a distractor, per seed (effects below 1e-4 of the logit scale, which the
norms leak, count as 0); beside the mean stand 2.5 and 97.5 % of a bootstrap over seeds. `exact` is
patching itself, `random` are uniform scores.

Claims: every method has precision and recall 1; screens beat random wherever a gradient exists.
They need not where neurons saturate (`addition`): that row shows what a screen misses there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy.stats import rankdata

import interp
from bench.harness import RESULTS, record
from interp import heads
from interp.results.intervals import mean_interval, wilson
from tests.planted import heads_proofs
from tests.planted.heads_proofs import NEGLIGIBLE, names, over
from tests.planted.neuron_proofs import planted_neurons
from tests.planted.subjects import Subject, subject

Found = tuple[set[str], set[str]]  # what a method finds, and what is planted
NAME = "heads_planted"


def main() -> None:
    """Run what an earlier run has not finished, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    options = parser.parse_args()
    path = RESULTS / f"{NAME}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = before.get("by_seed", [])
    done = {row["seed"]: row for row in rows}
    for seed in range(options.seed, options.seed + options.seeds):
        if seed not in done:
            rows.append({"seed": seed, "sets": {}, "auroc": auroc_of(seed)})
        row = done.get(seed, rows[-1])
        if missing := [name for name in METHODS if name not in row["sets"]]:
            row["sets"] |= sets_of(seed, missing)
            if len(missing) == len(METHODS):
                record(NAME, options.seed, tables(rows), show=False)
    body = tables(rows)
    record(NAME, options.seed, body, show=False)
    print(json.dumps({name: body[name] for name in ("seeds", "sets", "auroc")}, indent=1))
    assert all(row["precision"] == row["recall"] == 1 for row in body["sets"])


def sets_of(seed: int, methods: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """What some methods find, and what they should."""
    out = {}
    for name in methods:
        kind, options, find = METHODS[name]
        found, want = find(subject(kind, seed, **options))
        out[name] = {"found": sorted(found), "want": sorted(want)}
    return out


def patching(about: Subject) -> Found:
    """Heads with an effect by noising, over both operands."""
    found: set[str] = set()
    for swap in "ab":
        result = heads.patch(
            about.model, heads_proofs.problems(about), direction="noise", same_answer=False,
            **heads_proofs.options(about, swap) | {"metrics": "probability"},
        )  # fmt: skip
        table = result.frame
        large = table["probability"].abs() > NEGLIGIBLE
        found |= set(table.loc[large & table["finding"], "node"])
    return found, names(about.key.movers)


def paths_all(about: Subject) -> Found:
    """Heads that write to the logits, every other node held."""
    return heads_proofs.direct_heads(about, "all"), names(about.key.direct_heads)


def paths_heads(about: Subject) -> Found:
    """The same with MLPs recomputed."""
    return heads_proofs.direct_heads(about, "heads"), names(about.key.direct_heads)


def paths_into_heads(about: Subject) -> Found:
    """Edges into the values of the receiving heads' groups."""
    key, found, want = about.key, set(), set()
    for _, receiver in key.head_paths:
        into = f"L{receiver.layer}G{heads_proofs.group_of(about, receiver.head)}.v"
        result = heads.paths(
            about.model, heads_proofs.problems(about), receivers=into,
            **heads_proofs.options(about, "a"),
        )  # fmt: skip
        found |= {f"{one}->{into}" for one in over(result, into, key.logit_scale)}
        senders = names(a for a, b in key.head_paths if b.layer == receiver.layer)
        want |= {f"{one}->{into}" for one in senders}
    return found, want


def knockout(about: Subject) -> Found:
    """Heads whose removal loses an answer."""
    result = heads.knockout(
        about.model, heads_proofs.problems(about), random_orders=2, seed=about.key.program.seed
    )
    lost = result.digits.values.max(axis=1)
    labels = result.digits.axes[0].labels
    found = {one for one, loss in zip(labels, lost, strict=True) if loss > 0}
    return found, names(about.key.movers)


def circuit(about: Subject) -> Found:
    """The smallest circuit of heads with faithfulness 0.99."""
    result = heads.circuit(
        about.model, heads_proofs.problems(about), kinds="head", target=0.99,
        **heads_proofs.options(about, "all"),
    )  # fmt: skip
    return {*result.nodes}, names(about.key.movers)


def edge_circuit(about: Subject) -> Found:
    """The smallest circuit of edges with faithfulness 0.99."""
    key = about.key
    result = heads.circuit(
        about.model, key.problems(16, seed=key.program.seed), kinds="edge", target=0.99,
        **heads_proofs.options(about, "all"),
    )  # fmt: skip
    want = heads_proofs.planted_edges(about, "a") | heads_proofs.planted_edges(about, "b")
    return {*result.nodes}, want


def tree(about: Subject) -> Found:
    """Products with the site that caches them, `product@site`."""
    import re

    key = about.key
    problems = key.task.sample(60, seed=key.program.seed)
    table = interp.heads.tree(about.model, problems, resamples=4).products
    mine = table.query("answer_digit == 'c1' and route == 'effect'")
    want = set()
    for name in key.tree["c1"]:
        (i,), (j,) = (re.findall(r"\d", digit) for digit in key.tree[name])
        want.add(f"a{i}*b{j}@b{j}")
    return {f"a{row.i}*b{row.j}@{row.site}" for row in mine.itertuples()}, want


def carry(about: Subject) -> Found:
    """Where the carry comes from."""
    found = heads.carry(about.model, about.key.task, n=90, seed=about.key.program.seed)
    want = {"print": "autoregressive", "operands": "look-ahead"}[str(about.key.carry_from)]
    return {found.kind}, {want}


def neurons(about: Subject) -> Found:
    """The neurons that gradients rank highest, as many as are planted."""
    want = planted_neurons(about.key.program)
    problems = about.key.task.sample(32, seed=about.key.program.seed)
    other = problems[np.roll(np.arange(32), 1)]
    table = heads.neurons(about.model, problems, corrupted=other, top=len(want)).effects
    return set(table.loc[table["chosen"], "neuron"]), want


def edges(about: Subject) -> Found:
    """Edges with a score, over both operands."""
    both = [(heads_proofs.edges_found(about, swap)[0], swap) for swap in "ab"]
    found = {f"{swap}: {one}" for names_of, swap in both for one in names_of}
    want = {f"{s}: {one}" for s in "ab" for one in heads_proofs.planted_edges(about, s)}
    return found, want


def interchange(about: Subject) -> Found:
    """The heads that hold the first operand: with another one's output the other sum comes out."""
    result = heads.interchange(
        about.model, heads_proofs.problems(about), variable="a[0]", kind="head",
        roles=["op", "eq"], seed=about.key.program.seed,
    )  # fmt: skip
    table = result.cells
    first, second = (one for one in about.key.movers if one.brings == "a[0]")
    want = {f"L{first.layer}H{first.head}@op", f"L{second.layer}H{second.head}@eq"}
    return set(table.loc[table["share"] == 1, "cell"]), want


_RELAY, _COLUMN = {"layers": 3}, {"layers": 3}
_ADDER = {"digits": 2, "layers": 3}
METHODS: dict[str, tuple[str, dict[str, int], Callable[[Subject], Found]]] = {
    "patching (relay)": ("relay", _RELAY, patching),
    "patching (addition)": ("addition", _ADDER, patching),
    "paths, frozen=all": ("relay", _RELAY, paths_all),
    "paths, frozen=heads": ("relay", _RELAY, paths_heads),
    "paths into heads": ("relay", _RELAY, paths_into_heads),
    "knock-out": ("relay", _RELAY, knockout),
    "circuit": ("relay", _RELAY, circuit),
    "circuit of edges": ("relay", _RELAY, edge_circuit),
    "tree": ("column", _COLUMN, tree),
    "carry (print)": ("addition", {"digits": 3}, carry),
    "carry (operands)": ("lookahead", {"digits": 3}, carry),
    "neurons": ("modular", {"layers": 3}, neurons),
    "edges": ("relay", _RELAY, edges),
    "interchange": ("relay", _RELAY, interchange),
}
SCREENED = {
    "relay": _RELAY, "modular": {"layers": 3}, "addition": _ADDER,
}  # fmt: skip


def auroc_of(seed: int) -> dict[str, dict[str, float]]:
    """AUROC of each screen on each kind of model."""
    return {kind: screens(subject(kind, seed, **options)) for kind, options in SCREENED.items()}


def screens(about: Subject) -> dict[str, float]:
    """Planted heads against distractors, by the sum over operands of |mean effect|."""
    key, model = about.key, about.model
    problems, seed = key.problems(64, seed=key.program.seed), key.program.seed
    every = [f"L{fact.layer}H{fact.head}" for fact in key.heads]
    planted = np.isin(every, list(names(key.movers)))
    swaps = list(key.task.operand_names)
    asked = {"answers": key.answers, "seed": seed}
    sizes: dict[str, Any] = {}
    for label, steps in (("attribution patching", 1), ("integrated gradients", 8)):
        grids = [heads.screen(model, problems, swap=s, steps=steps, check=2, **asked).effect
                 for s in swaps]  # fmt: skip
        sizes[label] = sum(np.abs(np.nan_to_num(x.values)).sum(axis=-1) for x in grids)
    grids = [
        heads.patch(model, problems, swap=s, direction="noise", metrics="logit_difference",
                    same_answer=False, **asked).main
        for s in swaps
    ]  # fmt: skip
    sizes["exact"] = sum(np.abs(np.nan_to_num(x.values)).sum(axis=-1) for x in grids)
    floor = NEGLIGIBLE * key.logit_scale  # what the norms leak
    out = {
        label: auroc(np.where(size > floor, size, 0.0).ravel(), planted)
        for label, size in sizes.items()
    }
    rng = np.random.default_rng([seed, 31])
    out["random"] = auroc(rng.random(len(every)), planted)
    return out


def auroc(scores: Any, planted: Any) -> float:
    """P(a planted node scores above another) + ½ P(equal)."""
    ranks, count = rankdata(scores), int(planted.sum())
    above = ranks[planted].sum() - count * (count + 1) / 2
    return float(above / (count * (len(scores) - count)))


def tables(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Summaries over seeds, and the seeds themselves."""
    return {
        "seeds": len(rows),
        "sets": [of_sets(name, [row["sets"][name] for row in rows]) for name in METHODS],
        "auroc": list(of_screens(rows)),
        "by_seed": rows,
    }


def of_sets(name: str, rows: list[dict[str, list[str]]]) -> dict[str, Any]:
    """Precision, recall and the share of perfect seeds of one method."""
    pairs = [({*row["found"]}, {*row["want"]}) for row in rows]
    hits = sum(len(found & want) for found, want in pairs)
    perfect = sum(found == want for found, want in pairs)
    low, high = wilson(perfect, len(rows))
    return {
        "method": name,
        "planted": sum(len(want) for _, want in pairs),
        "precision": hits / max(1, sum(len(found) for found, _ in pairs)),
        "recall": hits / sum(len(want) for _, want in pairs),
        "perfect": perfect / len(rows),
        "perfect_low": float(low),
        "perfect_high": float(high),
    }


def of_screens(rows: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Mean AUROC over seeds with its interval, by kind and score."""
    for kind in SCREENED:
        for score in rows[0]["auroc"][kind]:
            values = np.array([row["auroc"][kind][score] for row in rows])
            low, high = (float("nan"),) * 2
            if len(values) > 1:
                low, high = map(float, mean_interval(values, seed=0))
            yield {
                "kind": kind, "score": score, "auroc": float(values.mean()),
                "auroc_low": low, "auroc_high": high,
            }  # fmt: skip


if __name__ == "__main__":
    main()
