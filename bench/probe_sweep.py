"""A whole sweep of probes on SmolLM2: what fitting adds to the forward passes, and peak memory.

`probes.probe` is called as a user calls it, with room for the activations and with a third of it
(they go to files then), each time in a process of its own. Forward time is that of the steps in
which the model runs, the untrained control's included; the rest (fits with their folds and
penalties, controls, intervals) is the fitting's.

Memory is what the process holds itself (resident, anonymous), looked at every 5 ms, above what it
held after a small sweep, which loads all code; a model that the sweep makes for its control is told
by itself. Pages of mapped files are told beside it: they can be dropped at any time.
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
PERIOD = 0.005  # seconds between two looks at the memory


def held() -> dict[str, int]:
    """Bytes resident in this process by kind (Linux)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {kind: 1024 * int(lines[f"Rss{kind}"].split()[0]) for kind in ("Anon", "File")}


class Watch:
    """The most that the process held while the block ran, above what it held before."""

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
    """Seconds of the minibatches of a sweep, and of all its steps, from its own progress."""

    def __init__(self, hooks: int, passes: int) -> None:
        self.at = [time.perf_counter()]
        self.hooks, self.passes, self.total = hooks, passes, 0

    def __call__(self, done: int, total: int) -> None:
        self.at.append(time.perf_counter())
        self.total = total

    def forward(self) -> float:
        """Every pass is its minibatches, then its hooks; both passes have as many of each."""
        a_pass = self.total // self.passes
        batches = a_pass - self.hooks
        starts = [first * a_pass for first in range(self.passes)]
        return sum(self.at[first + batches] - self.at[first] for first in starts)


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
    passes = 1 + ("untrained" in options.controls)
    with threadpool_limits(options.threads):
        probes.probe(model, task.sample(200, seed=1), targets=targets[:1], layers=[0], **asked)
        steps = Steps(hooks, passes)
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
        "untrained_model_bytes": (passes - 1) * weights(model),
    }  # fmt: skip


def weights(model: Any) -> int:
    """Bytes of a model's parameters."""
    return sum(p.numel() * p.element_size() for p in model.adapter.module.parameters())


def apart(options: argparse.Namespace, share: float) -> dict[str, Any]:
    """`sweep` in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(sweep, (options, share))


def main() -> None:
    """Both budgets, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--task", default="add:3")
    parser.add_argument("--format", default="calculate@1:0")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--every", type=int, default=1, help="every so many layers")
    parser.add_argument("--roles", nargs="+", default=["last"])
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--controls", nargs="*", default=["embedding", "shuffled", "control_task"])
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
