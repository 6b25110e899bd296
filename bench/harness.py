"""Shared by all benchmarks: timing, and result files with their provenance."""

from __future__ import annotations

import json
import math
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from interp.results.atomic import write_atomic
from interp.results.versions import installed_versions

RESULTS = Path(__file__).parent / "results"


def seconds(function: Callable[[], Any], *, repeat: int = 3, warm_up: int = 1) -> float:
    """Median wall time of `function`, after `warm_up` untimed calls."""
    for _ in range(warm_up):
        function()
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def in_turns(calls: Mapping[str, Callable[[], Any]], *, repeat: int) -> dict[str, float]:
    """Median processor seconds of each call; the calls take turns, so that none has the better part
    of the run."""
    spent: dict[str, list[float]] = {way: [] for way in calls}
    for _ in range(repeat):
        for way, call in calls.items():
            began = time.process_time()
            call()
            spent[way].append(time.process_time() - began)
    return {way: statistics.median(times) for way, times in spent.items()}


def children() -> float:
    """Processor seconds of the processes that this one started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def machine() -> dict[str, Any]:
    """Description of the machine; absolute times mean little without it."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not a Linux machine
    return platform.processor() or platform.machine()


def record(name: str, seed: int, body: dict[str, Any], *, show: bool = True) -> None:
    """Write `body` to bench/results/NAME.json with command, seed, versions and machine, and, with
    `show`, print it.
    """
    module = sys.modules["__main__"].__spec__
    called = module.name if module else Path(sys.argv[0]).stem
    result = {
        "command": " ".join(["python", "-m", called, *sys.argv[1:]]),
        "seed": seed,
        "machine": machine(),
        "versions": dict(installed_versions()),
        **body,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(_plain(result), indent=1, allow_nan=False) + "\n"
    write_atomic(RESULTS / f"{name}.json", text.encode())
    if show:
        print(text)


def recorded(name: str) -> dict[str, Any]:
    """Contents of bench/results/NAME.json; empty if the file does not exist."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _plain(value: Any) -> Any:
    """Convert to built-in Python types; NaN becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
