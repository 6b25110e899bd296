"""The heads that SmolLM2 adds with: how few, what is lost without them, and whether two methods
find the same ones.

On all 100 pairs of one-digit numbers, for `smollm2` and for `smollm2-arith`:

    rule        share of heads whose direct effect changes the raw logit of the right token by more
                than 1 % on average (the rule of Zhang et al., arXiv 2409.01659)
    ninety      share of heads that carry 90 % of all heads' |mean effect| on the logit difference,
                for direct effects (path patching, everything else held) and for whole effects
                (activation patching, noising, at the position that predicts the digit)
    knockout    accuracy on the prompts that the model gets right, as heads are removed

The two shares are statistics of all prompts together, so that whole statistic is computed anew in
each bootstrap resample of the operands' values. Beside `ninety` stands the same for heads in random
order. Beside `rule` stand the heads over it on both halves of the prompts and the number that two
independent sets of those sizes would share.

    moved       Pearson's r of the heads' mean effects in both models, on the same pairs of prompts,
                and the overlap of their top tenths: what fine-tuning moved
    searched    where the all-for-one search keeps a few heads (bench/results/af1_*.json): their
                ranks among all heads by activation patching on that task, in that wording

Activation patching keeps finished cells in `--keep`, so a run that was killed goes on from there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import interp
from bench.harness import RESULTS, record
from interp.heads.effects import halves, mean_of
from interp.results.resampling import resampling

Floats = npt.NDArray[np.float64]
RULE, MOST = 0.01, 0.9
RESAMPLES, RANDOM = 1000, 1000
FORMAT = (
    "calculate@1:0"  # of 32 prompts the one that plain SmolLM2 answers best (smollm2_sums.json)
)
SEARCHES = {"smollm2": "af1_smollm2_add1", "smollm2-arith": "af1_smollm2-arith_add2"}


def main() -> None:
    """Run what is missing of each model, and write every part on completion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=[*SEARCHES], default=[*SEARCHES])
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", default="runs/smollm2_heads", help="folder of finished cells")
    options = parser.parse_args()
    for name in options.models:
        model = None
        body = finished(name, options.seed)
        for part in options.parts:
            if part in body:
                continue
            model = model or interp.load(name)
            body |= {"model": dict(model.id._asdict()), "format": FORMAT}
            body[part] = PARTS[part](model, options)
            record(f"smollm2_heads_{name}", options.seed, body, show=False)
        print(json.dumps(summary(body), indent=1))


def finished(name: str, seed: int) -> dict[str, Any]:
    """The parts that an earlier run with this seed wrote."""
    path = RESULTS / f"smollm2_heads_{name}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {part: before[part] for part in PARTS if part in before and before["seed"] == seed}


def summary(body: dict[str, Any]) -> dict[str, Any]:
    """The parts without their long tables."""
    return {
        part: {key: value for key, value in found.items() if not isinstance(value, list)}
        for part, found in body.items()
        if isinstance(found, dict)
    }


def direct_effects(model: Any, metric: str, seed: int) -> tuple[Any, Any, Floats]:
    """Path patching to the logits, names of the heads, and effects [n, heads, answers]."""
    found = interp.heads.paths(
        model, interp.task("add:1").grid(), metrics=metric, swap="all", format=FORMAT, seed=seed
    )
    names = np.array(found.main.axis("sender").labels)[found.heads]
    return found, names, np.asarray(found.by_prompt[:, found.heads, 0], dtype=float)


def whole_effects(
    model: Any, problems: Any, format: str, answers: list[str], options: Any
) -> tuple[Any, Any, Floats]:
    """Activation patching, names of the heads, and effects [n, heads, answers] on each answer digit
    of a head at the position that predicts it."""
    found = interp.heads.patch(
        model, problems, direction="noise", metrics="logit_difference", swap="all",
        answers=answers, roles=[f"predicts({role})" for role in answers], same_answer=False,
        format=format, seed=options.seed, keep=options.keep,
    )  # fmt: skip
    every = np.asarray(found.by_prompt, dtype=float)  # [n, layers, heads, roles, answers]
    layers, heads = every.shape[1:3]
    names = np.array([f"L{la}H{head}" for la in range(layers) for head in range(heads)])
    effects = np.diagonal(every, axis1=3, axis2=4)
    return found, names, effects.reshape(len(effects), layers * heads, -1)


def direct(model: Any, options: Any) -> dict[str, Any]:
    """Direct effects: the rule's share and the share for 90 %."""
    problems, seed = interp.task("add:1").grid(), options.seed
    by_rule, names, over = direct_effects(model, "relative_logit", seed)
    by_difference, _, effects = direct_effects(model, "logit_difference", seed)
    return {
        "code": [by_rule.code, by_difference.code],
        "n": by_rule.n,
        "answers": list(by_rule.main.axes[-1].labels),
        "heads": len(names),
        "small_logits": by_rule.small_logits,
        "largest_relative_change": float(np.abs(mean_of(over)).max()),
        **with_interval("over_rule", over_rule, problems, seed, over),
        **on_both_halves(over, problems, seed),
        **with_interval("for_90", for_most, problems, seed, effects),
        **in_random_order(effects, seed),
        "largest": largest(names, effects),
    }


def whole(model: Any, options: Any) -> dict[str, Any]:
    """Whole effects by activation patching, noising: the share for 90 %."""
    problems, seed = interp.task("add:1").grid(), options.seed
    found, names, effects = whole_effects(model, problems, FORMAT, ["c0"], options)
    return {
        "code": found.code,
        "n": found.n,
        "findings": found.metrics["findings"],
        **with_interval("for_90", for_most, problems, seed, effects),
        **in_random_order(effects, seed),
        "largest": largest(names, effects),
    }


def knockout(model: Any, options: Any) -> dict[str, Any]:
    """The accuracy curve on the prompts that the model gets right."""
    found = interp.heads.knockout(
        model, interp.task("add:1").grid(), format=FORMAT, by="counterfactual",
        random_orders=10, seed=options.seed, keep=options.keep,
    )  # fmt: skip
    return {
        "code": found.code,
        "asked_for": found.settings["asked_for"],
        "ranked_on": found.settings["ranked_on"],
        "n": found.n,
        "ranking": found.ranking.head(20).to_dict("records"),
        "curve": found.curve.to_dict("records"),
    }


def searched(model: Any, options: Any) -> dict[str, Any]:
    """Ranks of the heads that the all-for-one search keeps, by patching in its wording and task.

    `chance` is the probability that as many heads drawn at random all rank as high as the worst.
    """
    path = RESULTS / f"{SEARCHES[model.name]}.json"
    before = json.loads(path.read_text(encoding="utf-8"))
    kept = [f"L{layer}H{head}" for layer, head in before["search"]["schedule"]["heads"]]
    task = interp.task(before["task"])
    few = task.n_problems <= 100
    problems = task.grid() if few else task.sample(64, seed=options.seed, full_width=True)
    digits = ["c0"] if few else ["c0", "c1"]
    found, names, effects = whole_effects(model, problems, before["format"], digits, options)
    size = np.abs(np.nan_to_num(mean_of(effects))).sum(axis=-1)
    order = np.argsort(-size, kind="stable")
    rank = {str(names[i]): place + 1 for place, i in enumerate(order.tolist())}
    worst = max(rank[name] for name in kept)
    chance = np.prod([(worst - i) / (len(size) - i) for i in range(len(kept))])
    return {
        "kept": kept,
        "task": before["task"],
        "format": before["format"],
        "code": found.code,
        "n": found.n,
        "heads": len(size),
        "ranks": {name: rank[name] for name in kept},
        "chance": float(chance),
        "share_of_all_effects": float(size[np.isin(names, kept)].sum() / size.sum()),
        "largest": largest(names, effects),
    }


def moved(model: Any, options: Any) -> dict[str, Any]:
    """How alike the heads' effects are in this model and in plain SmolLM2."""
    if model.name == "smollm2":
        return {}
    plain, seed = interp.load("smollm2"), options.seed
    problems = interp.task("add:1").grid()
    out: dict[str, Any] = {}
    for name, both in (
        ("direct", [direct_effects(m, "logit_difference", seed) for m in (plain, model)]),
        ("whole", [whole_effects(m, problems, FORMAT, ["c0"], options) for m in (plain, model)]),
    ):
        effects = [found[2] for found in both]
        out[name] = {
            **with_interval("pearson", pearson, problems, seed, *effects),
            **with_interval("overlap", top_overlap, problems, seed, *effects),
            "overlap_by_chance": top_size(effects[0].shape[1]) / effects[0].shape[1],
        }
    return out


PARTS: dict[str, Callable[[Any, Any], dict[str, Any]]] = {
    "direct": direct, "searched": searched, "whole": whole, "moved": moved, "knockout": knockout,
}  # fmt: skip


def over_rule(effects: Floats) -> float:
    """Share of heads over the rule in some answer digit; changes are [n, heads, answers]."""
    return float((np.abs(mean_of(effects)) > RULE).any(axis=-1).mean())


def for_most(effects: Floats, order: Any = None) -> float:
    """Share of heads that carry 90 % of Σ |mean effect|, taken in decreasing or a given order."""
    size = np.abs(np.nan_to_num(mean_of(effects))).sum(axis=-1)
    taken = np.sort(size)[::-1] if order is None else size[order]
    reached = np.searchsorted(np.cumsum(taken), MOST * size.sum() * (1 - 1e-12))
    return float((reached + 1) / len(size))


def pearson(one: Floats, other: Floats) -> float:
    """Pearson's r over heads and answer digits of two sets of mean effects."""
    both = [np.nan_to_num(mean_of(x)).ravel() for x in (one, other)]
    return float(np.corrcoef(*both)[0, 1])


def top_size(heads: int) -> int:
    """A tenth of the heads."""
    return max(1, round(heads / 10))


def top_overlap(one: Floats, other: Floats) -> float:
    """Overlap of the tenths of the heads with the largest |mean effect|, 0 to 1."""
    tops = []
    for x in (one, other):
        size = np.abs(np.nan_to_num(mean_of(x))).sum(axis=-1)
        tops.append({*np.argsort(-size, kind="stable")[: top_size(len(size))].tolist()})
    return len(tops[0] & tops[1]) / len(tops[0])


def with_interval(
    name: str, statistic: Callable[..., float], problems: Any, seed: int, *effects: Floats
) -> dict[str, Any]:
    """The statistic, and percentiles of it over resamples of the operands' values."""
    groups, rows = resampling(problems).groups, np.arange(len(problems))
    rng = np.random.default_rng([seed, 11])
    drawn = []
    for _ in range(RESAMPLES):
        counts = np.ones(len(rows), dtype=int)
        for kind in groups.T:
            size = int(kind.max()) + 1
            counts *= np.bincount(rng.integers(0, size, size), minlength=size)[kind]
        drawn.append(statistic(*(x[np.repeat(rows, counts)] for x in effects)))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {name: statistic(*effects), f"{name}_low": float(low), f"{name}_high": float(high)}


def on_both_halves(over: Floats, problems: Any, seed: int) -> dict[str, float]:
    """Heads over the rule on both halves, and the number that independent sets would share."""
    sets = [(np.abs(mean_of(over[rows])) > RULE).any(axis=-1) for rows in halves(problems, seed)]
    return {
        "over_rule_first_half": int(sets[0].sum()),
        "over_rule_second_half": int(sets[1].sum()),
        "over_rule_on_both": int((sets[0] & sets[1]).sum()),
        "over_rule_on_both_by_chance": float(sets[0].sum() * sets[1].sum() / len(sets[0])),
    }


def in_random_order(effects: Floats, seed: int) -> dict[str, float]:
    """`for_most` with the heads in random order: mean and 95 % range."""
    rng = np.random.default_rng([seed, 12])
    drawn = [for_most(effects, rng.permutation(effects.shape[1])) for _ in range(RANDOM)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "for_90_random_order": float(np.mean(drawn)),
        "for_90_random_order_low": float(low),
        "for_90_random_order_high": float(high),
    }


def largest(names: Any, effects: Floats) -> list[dict[str, Any]]:
    """The ten heads with the largest mean effect, over all answer digits."""
    size = np.nan_to_num(mean_of(effects)).sum(axis=-1)
    order = np.argsort(-np.abs(size), kind="stable")[:10]
    return [{"head": str(names[i]), "effect": float(size[i])} for i in order]


if __name__ == "__main__":
    main()
