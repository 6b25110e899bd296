"""A sweep over two processes, one of them killed midway, gives the table of a single process.

Activation patching of every head at every role of `add5`, split in two shards that share a folder.
One process is killed as soon as its first chunk of cells is there. Claims: what it finished is
kept; the surviving process ends; a last call measures what is missing and nothing else; the table
is that of one process, and that of `n_jobs=2`, within the house's tolerance of 1e-4.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import interp
from bench.harness import record

_CALL = """
import interp
interp.heads.patch(interp.load("add5"), "add:5", n={n}, seed={seed}, roles="each",
                   same_answer=False, keep={keep!r}, shard={shard!r})
"""
TOLERANCE = 1e-4
_PATIENCE = 600  # seconds


def main() -> None:
    """Start both processes, kill one, merge, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = interp.load("add5")
    asked = {"n": options.n, "seed": options.seed, "roles": "each", "same_answer": False}
    whole = interp.heads.patch(model, "add:5", **asked)
    with tempfile.TemporaryDirectory() as keep:
        first, second = (start(options, keep, shard) for shard in ("1/2", "2/2"))
        while not (left := finished(keep)) or "00000.npy" not in left:
            assert first.poll() is None, "the process ended before it was killed"
            time.sleep(0.01)
        first.kill()
        assert first.wait(_PATIENCE) != 0 and second.wait(_PATIENCE) == 0
        kept = finished(keep)
        stamps = {path: path.stat().st_mtime_ns for path in Path(keep).rglob("*.npy")}
        merged = interp.heads.patch(model, "add:5", keep=keep, **asked)
        again = {path: path.stat().st_mtime_ns for path in stamps}
        total = finished(keep)
    jobs = interp.heads.patch(model, "add:5", n_jobs=2, **asked)
    scale = float(np.nanmax(np.abs(whole.main.values)))
    off = [float(np.nanmax(np.abs(x.main.values - whole.main.values))) / scale
           for x in (merged, jobs)]  # fmt: skip
    body = {
        "cells": int(whole.main.values[..., 0].size),
        "chunks": len(total),
        "kept_after_the_kill": len(kept),
        "merged_off": off[0],
        "n_jobs_off": off[1],
        "tolerance": TOLERANCE,
    }
    record("heads_workers", options.seed, body)
    assert len(kept) < len(total) and stamps == again
    assert max(off) <= TOLERANCE
    assert not np.isnan(merged.main.values[np.isfinite(whole.main.values)]).any()


def start(options: argparse.Namespace, keep: str, shard: str) -> subprocess.Popen[bytes]:
    """A process that measures one shard."""
    call = _CALL.format(n=options.n, seed=options.seed, keep=keep, shard=shard)
    return subprocess.Popen([sys.executable, "-c", call])


def finished(keep: str) -> list[str]:
    """Chunks in the folder."""
    return sorted(path.name for path in Path(keep).rglob("*.npy"))


if __name__ == "__main__":
    main()
