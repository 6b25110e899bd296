"""Every method of ablation on every installed model, with its defaults: each draws a figure.

A language model without a task of its own is asked `--task` (add:1: all hundred sums). Each row has
the verdict, or, where fewer than 30 distinct prompts are answered rightly, the reason for none.

Rows are written after each model. The same n, seed and task again goes on from the models that are
not there yet or that failed.

    python -m bench.proofs.ablation_everywhere --n 128
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import interp
from app.calls import Sample
from app.commands.ablations import METHODS, Flags, ablated
from bench.harness import record, recorded
from interp.figures.export import write_figure
from interp.results.result import Result

NAME = "ablation_everywhere"
OUTSIDE = ("transfer",)  # needs other prompts to be named


def main() -> None:
    """Run all methods on all models, write a figure of each, and keep a row of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", help="left out: every installed one")
    parser.add_argument("--method", action="append", help="left out: all but transfer")
    parser.add_argument("--task", default="add:1", help="of a model without a task of its own")
    parser.add_argument("--n", type=int, help="left out: the default of each method")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figures", help="a folder for the figures; left out: drawn, not kept")
    options = parser.parse_args()
    methods = options.method or [name for name in METHODS if name not in OUTSIDE]
    asked = {"n_asked": options.n, "task": options.task}
    rows = kept(recorded(NAME), asked, options.seed)
    for name in options.model or installed():
        done = {row["method"] for row in rows if row["model"] == name}
        missing = [method for method in methods if method not in done]
        rows += measured(name, missing, options, interp.load) if missing else ()
        record(NAME, options.seed, {**asked, "rows": rows}, show=False)
    if failed := [f"{row['model']} {row['method']}" for row in rows if "error" in row]:
        raise SystemExit(f"without a figure: {', '.join(failed)}")


def kept(before: dict[str, Any], asked: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Rows of an earlier run with these arguments, without those that failed."""
    same = before.get("seed") == seed and asked.items() <= before.items()
    return [row for row in before["rows"] if "error" not in row] if same else []


def installed() -> list[str]:
    """Names of the installed models."""
    return list(interp.list_models().query("installed")["name"])


def measured(
    name: str, methods: list[str], options: argparse.Namespace, load: Callable[[str], Any]
) -> Iterator[dict[str, Any]]:
    """A row for each method of one model."""
    model = load(name)
    task = None if model.task else options.task
    for method in methods:
        began = time.perf_counter()
        row: dict[str, Any] = {"model": name, "method": method}
        try:
            sample = Sample(task, options.n, options.seed)
            result = ablated(method, model, sample, Flags(), load)
            row |= told(result)
            figure = result.figure()
            if options.figures:
                write_figure(figure, options.figures, ("png",), name=f"{name}-{method}")
        except interp.ArithmoscopeError as error:
            row["error"] = str(error)
        row["seconds"] = round(time.perf_counter() - began, 1)
        print(row, flush=True)
        yield row


def told(result: Result) -> dict[str, Any]:
    """What a Result says: its verdict, or the reason for none."""
    settings = result.settings
    return {
        "n": result.n,
        "n_distinct": result.n_distinct,
        "n_right": result.metrics.get("n_right_distinct"),
        "verdict": result.verdict,
        "no_verdict": None if result.enough else result.too_few,
        "given_less": settings.get("given_less"),
        "other_sinks": settings.get("other_sinks"),
    }


if __name__ == "__main__":
    main()
