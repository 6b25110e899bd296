"""Time and peak memory of a probe sweep on SmolLM2: fitting beside the forward passes.

`probes.probe` is called as a user calls it, with room for the activations and with a third of it
(they go to files then), each time in a process of its own. The model runs in as many equal parts
as the sweep's progress tells; the first part's time also holds what is prepared, so the forward
passes are charged with the mean of the others, times their number. All the rest (preparation, fits
with their folds and penalties, controls, intervals) is the fitting's. The control with random
weights is left out: it would be a second model's passes.

Memory is what the process holds itself (resident, anonymous), looked at every 5 ms, above what it
held after a small sweep, which loads all code. Pages of mapped files are reported separately: they
can be dropped at any time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

import interp
import probes
from bench.harness import record

SITES = ("resid_mid", "resid_post", "attn_out", "mlp_out")
SHARES = {"in memory": 2.0, "in files": 1 / 3}  # budgets, of the activations asked for
CONTROLS = ("embedding", "shuffled", "control_task")
PERIOD = 0.005  # seconds between two looks at the memory


def held() -> dict[str, int]:
    """Resident bytes of this process by kind (Linux)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {kind: 1024 * int(lines[f"Rss{kind}"].split()[0]) for kind in ("Anon", "File")}


class Watch:
    """Peak memory of the process during the block, minus its memory before."""

    def __enter__(self) -> Watch:
        self._before = self._most = held()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._done.wait(PERIOD):
            now = held()
            self._most = {kind: max(now[kind], self._most[kind]) for kind in now}

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def above(self, kind: str) -> int:
        return self._most[kind] - self._before[kind]


class Steps:
    """End time of each step of a sweep, from its progress callback."""

    def __init__(self, hooks: int) -> None:
        self.at = [time.perf_counter()]
        self.hooks, self.total = hooks, 0

    def __call__(self, done: int, total: int) -> None:
        self.at.append(time.perf_counter())
        self.total = total

    def forward(self) -> float:
        """Seconds of the forward passes, which come first."""
        parts = self.total - self.hooks
        return (self.at[parts] - self.at[1]) / (parts - 1) * parts


def numbers(problems: Any, count: int) -> list[probes.Target]:
    """The first `count` columns of the truth table with at least three values, as numbers."""
    table = problems.truth
    varying = [
        name for name in table if table[name].dtype.kind in "iu" and table[name].nunique() > 2
    ]
    return [probes.target(problems.task, name, kind="real") for name in varying[:count]]


def sweep(options: argparse.Namespace, share: float) -> dict[str, Any]:
    """One sweep with a budget of `share` times its activations."""
    torch.set_num_threads(options.threads)
    model = interp.load(options.model)
    task = interp.arithmetic.task(options.task)
    problems = task.sample(options.rows, seed=options.seed)
    targets = numbers(problems, options.targets)
    layers = list(range(model.shape.n_layers))[:: options.every]
    hooks = len(SITES) * len(layers)
    asked: dict[str, Any] = {
        "sites": SITES, "roles": options.roles, "format": options.format,
        "controls": options.controls, "jobs": options.jobs, "backend": "threading",
    }  # fmt: skip
    activations = 4 * hooks * len(options.roles) * options.rows * model.shape.d_model
    with threadpool_limits(options.threads):
        probes.probe(model, task.sample(200, seed=1), targets=targets[:1], layers=[0], **asked)
        steps = Steps(hooks)
        with Watch() as watch:
            found = probes.probe(
                model, problems, targets=targets, layers=layers, seed=options.seed,
                memory=int(share * activations), progress=steps, **asked,
            )  # fmt: skip
    whole, forward = time.perf_counter() - steps.at[0], steps.forward()
    return {
        "hooks": hooks, "roles": list(options.roles), "targets": len(targets), "rows": options.rows,
        "cells": len(found.frame),
        "seconds": whole, "forward_seconds": forward,
        "fitting_over_forward": (whole - forward) / forward,
        "activations_bytes": activations, "budget_bytes": int(share * activations),
        "peak_bytes": watch.above("Anon"),
        "peak_over_activations": watch.above("Anon") / activations,
        "peak_over_budget": watch.above("Anon") / (share * activations),
        "mapped_bytes": watch.above("File"),
    }  # fmt: skip


def apart(options: argparse.Namespace, share: float) -> dict[str, Any]:
    """`sweep` in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(sweep, (options, share))


def main() -> None:
    """Measure both budgets in sequence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--task", default="add:3")
    parser.add_argument("--format", default="calculate@1:0")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--every", type=int, default=1, help="every so many layers")
    parser.add_argument("--roles", nargs="+", default=["last"])
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--controls", nargs="*", choices=CONTROLS, default=list(CONTROLS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    body = {"model": options.model, "task": options.task, "format": options.format,
            "controls": options.controls, "jobs": options.jobs}  # fmt: skip
    record("probe_sweep", options.seed, body | {n: apart(options, s) for n, s in SHARES.items()})


if __name__ == "__main__":
    main()
