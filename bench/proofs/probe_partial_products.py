"""Are pairwise products a_i·b_j linearly represented beyond the digits, where, and are they used?

Every product is probed at every layer, site and answer position, twice: on held-out values of b,
and on held-out pairs (a_i, b_j), which no probe has seen multiplied. What the one-hot digits give
is subtracted. The cell with the best cross-validated score is then edited: the product is moved to
another prompt's value, and the answer compared with the one that follows, beside those predicted
for other prompts and beside random edits. To correct for the number of products, they count
as used at a false-discovery rate q of at most 0.05 over all of them.

    python -m bench.proofs.probe_partial_products mul3x3-aux
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd

import interp
import probes
from bench.harness import record
from bench.proofs.probe_running_sums import all_shipped
from interp.errors import InputError
from interp.models.model import Model
from interp.results.intervals import benjamini_hochberg
from probes.results.sweep import FALSE_DISCOVERIES, ProbeSweep


def main() -> None:
    """Sweep, edit the best cell of each product, and write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="those that ship unless given")
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sites", nargs="+", default=["resid_mid", "resid_post", "z"])
    parser.add_argument("--splits", nargs="+", default=["operand", "combination"])
    options = parser.parse_args()
    for name in options.models or all_shipped():
        record(f"probe_partial_products_{name}", options.seed, _products(name, options))


def _products(source: str, options: argparse.Namespace) -> dict[str, object]:
    model = interp.load(source)
    task = model.task
    assert task is not None
    products = [f"product[{i},{j}]" for i in range(task.operand_digits[0])
                for j in range(task.operand_digits[1])]  # fmt: skip
    body: dict[str, object] = {"model": dict(model.id._asdict()), "task": task.name}
    for split in options.splits:
        sweep = probes.probe(
            model, task, targets=products, sites=options.sites, n=options.n, seed=options.seed,
            split=split, controls=probes.CONTROLS,
        )  # fmt: skip
        frame = sweep.frame
        best = pd.DataFrame([sweep.best(name) for name in products])
        body[split] = {
            "n": sweep.n,
            "n_distinct": sweep.n_distinct,
            "cells": len(frame),
            "represented": int(frame["represented"].sum()),
            "by_product": frame.groupby("target")["represented"].sum().to_dict(),
            "best": best.to_dict("records"),
            "conclusion": sweep.conclusion(),
            **together([_use(model, sweep, name, options.n) for name in products]),
        }
    return body


def together(found: list[dict[str, object]]) -> dict[str, object]:
    """The causal tests of one model with q (Benjamini and Hochberg over those that were measured)
    and `used`, where q ≤ 0.05 and the test alone says so; their count, and how many tests alone
    would say so by chance if nothing were used: at most 0.025 of them, whose interval has 95 %."""
    measured = [one for one in found if "p" in one]
    q = benjamini_hochberg(np.array([one["p"] for one in measured], dtype=np.float64))
    for one, rate in zip(measured, q.tolist(), strict=True):
        one |= {"q": rate, "used": bool(one["followed"]) and rate <= FALSE_DISCOVERIES}
    return {
        "use": found,
        "tests": len(measured),
        "used": sum(bool(one["used"]) for one in measured),
        "used_by_tests_alone": sum(bool(one["followed"]) for one in measured),
        "expected_by_chance": 0.025 * len(measured),
    }


def _use(model: Model, sweep: ProbeSweep, target: str, n: int) -> dict[str, object]:
    """Edit the best cell that lies before the digit of the product's column is written."""
    frame = sweep.frame
    mine = frame[(frame["target"] == target) & (frame["emitted"] == "before")]
    row = mine.loc[mine["cv"].fillna(-1).idxmax()]
    place: dict[str, Any] = {
        "site": str(row["site"]), "layer": int(row["layer"]), "role": str(row["role"]),
        "head": None if row["head"] < 0 else int(row["head"]),
    }  # fmt: skip
    told: dict[str, object] = {
        "target": target, **place, "gain": float(row["gain"]),
        "trained_in": bool(row["trained_in"]), "reference": str(row["reference"]),
    }  # fmt: skip
    try:
        fitted = probes.fit(
            model, sweep.task, target, n=n, seed=sweep.seed or 0,
            split=str(sweep.settings["split"]), **place,
        )  # fmt: skip
        found = probes.intervene(model, fitted, seed=sweep.seed or 0)
    except InputError as error:  # a head whose output does not vary, say: that is an answer too
        return told | {"not_measured": str(error)}
    return told | {"named": found.named, "n": found.n, "followed": found.followed,
                   "conclusion": found.conclusion(), **found.metrics}  # fmt: skip


if __name__ == "__main__":
    main()
