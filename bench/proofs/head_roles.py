"""Which heads carry the answer in the shipped models of arithmetic, and how surely.

For each model: patching of every head at all positions, knock-out in the order of effect beside
random orders, the smallest circuit beside random ones, the tree of a product, the carry verdict of
a sum; and for models trained with several seeds, how well their attention agrees, layer by layer
and role by role.

    python -m bench.proofs.head_roles [--models add5 mod113] [--agree add5]

Models that are not named keep the numbers that they have. Claims: the heads in the order of effect
lose half of the answers no later than in random orders, and a circuit keeps no less than the mean
of random ones of its size. That one head carries the answer is no claim: `mod113` has none.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import interp
from bench.harness import RESULTS, record
from interp.arithmetic.tasks import Addition, MixedAddition, Multiplication

NAME = "head_roles"
SEEDED = ("add5", "add5-reversed", "addsub5", "mod113", "mul5x1-reversed", "mul5x1-plain")
ONE = ("mul4x4-sft", "mul4x4-aux", "mul4x4-icot")
DIGITS = 6  # of each number written


def main() -> None:
    """Measure the models named, and write them beside those measured before."""
    every = [f"{name}{seed}" for name in SEEDED for seed in ("", "-s1", "-s2")] + [*ONE]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="*", default=every)
    parser.add_argument("--agree", nargs="*", default=list(SEEDED))
    parser.add_argument("--n", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for part, names, measure in (
        ("models", options.models, lambda name: measured(name, options.n, options.seed)),
        ("agreement", options.agree, lambda name: agreement(name, options.seed)),
    ):
        for name in names:
            found = measure(name)
            body = _before(options.n)
            known = body[part] | {name: found}
            body[part] = {one: known[one] for one in every if one in known}
            record(NAME, options.seed, body, show=False)
            print(name, json.dumps(found), flush=True)
    print(table(_before(options.n)["models"]), trees(_before(options.n)["models"]), sep="\n\n")


def _before(n: int) -> dict[str, Any]:
    path = RESULTS / f"{NAME}.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    same = found.get("n") == n
    return {"n": n} | {
        part: found.get(part, {}) if same else {} for part in ("models", "agreement")
    }


def measured(name: str, n: int, seed: int) -> dict[str, Any]:
    """Every number of one model."""
    model = interp.load(name)
    task = model.task
    assert task is not None
    body: dict[str, Any] = {"hash": model.hash, "task": task.name}
    body |= _patched(model, task.name, n // 2, seed) | _removed(model, task.name, n, seed)
    found = interp.heads.circuit(model, task.name, n=n, seed=seed)
    m = found.metrics
    body["circuit"] = list(found.nodes)
    keys = ("of_nodes", "faithfulness", "random", "random_high", "without_circuit", "jaccard")
    body |= {f"circuit_{key}": _short(m[key]) for key in keys}
    body |= {
        "circuit_faithfulness_low": _short(found.faithfulness_low),
        "circuit_faithfulness_high": _short(found.faithfulness_high),
    }
    assert m["faithfulness"] >= m["random"], name
    if isinstance(task, Multiplication):
        tree = interp.heads.tree(model, task.name, n=n, seed=seed).metrics
        keys = ("coverage", "coverage_chance", "coverage_attention", "coverage_attention_chance")
        keys += ("carry_coverage", "extra", "extra_attention", "stability", "stability_random")
        body |= {f"tree_{key}": _short(tree[key]) for key in keys}
    if isinstance(task, Addition | MixedAddition):
        verdict = interp.heads.carry(model, task.name, n=4 * n, seed=seed)
        keys = ("follows_print", "follows_print_low", "follows_print_high")
        keys += ("follows_operands", "agreeing_right", "control_right")
        body["carry"] = verdict.kind
        body |= {f"carry_{key}": _short(verdict.metrics[key]) for key in keys}
    return body


def _patched(model: Any, task: str, n: int, seed: int) -> dict[str, Any]:
    result = interp.heads.patch(model, task, n=n, seed=seed)
    best, m = result.chosen.iloc[0], result.metrics
    mean, whole = result.main.values.mean(axis=-1), float(result.total.values[0].mean())
    shares = {
        f"L{layer}H{head}": _short(mean[layer, head] / whole)
        for layer in range(mean.shape[0])
        for head in range(mean.shape[1])
    }
    return {
        "patch_head": best["node"],
        "patch_scored": _short(best["scored"]),
        "patch_scored_low": _short(best["scored_low"]),
        "patch_scored_high": _short(best["scored_high"]),
        "patch_whole_prompt": _short(whole),
        "patch_random": _short(m["random_scored"]),
        "patch_same_answer": _short(m["same_answer"]),
        "patch_findings": int(m["findings"]),
        "patch_cells": int(m["cells"]),
        "patch_share_of_whole_prompt": shares,
    }


def _removed(model: Any, task: str, n: int, seed: int) -> dict[str, Any]:
    result = interp.heads.knockout(model, task, n=n, seed=seed)
    m, curve = result.metrics, result.curve
    half, chance = m["removed_for_half"], m["removed_for_half_random"]
    assert chance != chance or half <= chance, model.name
    return {
        "knockout_order": list(result.ranking["head"]),
        "knockout_accuracy": [_short(x) for x in curve["accuracy"]],
        "knockout_random": [_short(x) for x in curve["random"]],
        "knockout_removed_for_half": half,
        "knockout_removed_for_half_random": chance,
        "knockout_n": result.n,
    }


def agreement(name: str, seed: int) -> dict[str, Any]:
    """Rank correlation between seeds of patching an attention layer at each role."""
    found = interp.over_seeds(
        [name, f"{name}-s1", f"{name}-s2"],
        interp.heads.patch,
        str(interp.load(name).task.name),
        n=32,
        kind="attn",
        roles="each",
        same_answer=False,
        seed=seed,
    )
    keys = ("effect_agreement", "effect_agreement_lowest", "effect_shuffled", "effect_same_sign")
    return {key: _short(found.metrics[key]) for key in keys}


def table(models: dict[str, Any]) -> str:
    """The Markdown table of docs/heads.md."""
    lines = [
        "| model | head chosen, logits (a random one) | of the whole prompt | half lost without "
        "(random orders) | circuit, its faithfulness (random) |",
        "|---|---|---|---|---|",
    ]
    for name, one in models.items():
        head = one["patch_head"]
        lines.append(
            f"| `{name}` | {head}: {one['patch_scored']:.1f} ({one['patch_scored_low']:.1f} to "
            f"{one['patch_scored_high']:.1f}; {one['patch_random']:.1f}) | "
            f"{one['patch_share_of_whole_prompt'][head]:.0%} | "
            f"{one['knockout_removed_for_half']:.0f} "
            f"({one['knockout_removed_for_half_random']:.0f}) of {len(one['knockout_order'])} | "
            f"{len(one['circuit'])} of {one['circuit_of_nodes']:.0f}, "
            f"{one['circuit_faithfulness']:.1%} ({one['circuit_faithfulness_low']:.1%} to "
            f"{one['circuit_faithfulness_high']:.1%}; {one['circuit_random']:.1%}) |"
        )
    return "\n".join(lines)


def trees(models: dict[str, Any]) -> str:
    """The Markdown table of docs/trees.md."""
    lines = [
        "| model | column's products, by effect (random) | extra a digit | by attention (random) | "
        "extra | stability (random) |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in models.items():
        if "tree_coverage" in one:
            t = {key.removeprefix("tree_"): value for key, value in one.items()}
            lines.append(
                f"| `{name}` | {t['coverage']:.0%} ({t['coverage_chance']:.0%}) | "
                f"{t['extra']:.1f} | {t['coverage_attention']:.0%} "
                f"({t['coverage_attention_chance']:.0%}) | {t['extra_attention']:.1f} | "
                f"{t['stability']:.2f} ({t['stability_random']:.2f}) |"
            )
    return "\n".join(lines)


def _short(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")


if __name__ == "__main__":
    main()
