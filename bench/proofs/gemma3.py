"""Gemma 3 270M, a second language model of another family: every main command with its defaults.

    make proof GEMMA=1          (or GEMMA=1 python -m bench.proofs.gemma3)

Needs `make env GEMMA=1`; without GEMMA=1 it does nothing. It writes the figures to runs/gemma3 and
the metrics to bench/results/gemma3.json. `--n` lowers the number of prompts of each command.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import interp
from bench.harness import record

MODEL = "gemma3-270m"
OUT = Path("runs/gemma3")
SAYS = ("12+34=", "180")  # greedy, the bare prompt: it is no adder
COMMANDS = {
    "doctor": (),
    "behaviour": ("--task", "add:1"),
    "attribute": ("--task", "add:1"),
    "ablate": ("af1", "--task", "add:1"),
    "probe": ("--task", "add:1"),
}


def answer() -> str:
    """The model's greedy continuation of the bare prompt, up to the line's end."""
    model = interp.load(MODEL)
    sums = interp.Addition(2).problems([12], [34])
    batch = model.prompts(sums, format="plain", answer="none")
    assert batch.texts == (SAYS[0],)
    made = interp.engine.generate(model, batch, max_new_tokens=4)[0]
    return model.tokens.decode(made.tolist()).split("\n")[0]


def run(command: str, arguments: tuple[str, ...], n: int | None) -> dict[str, Any]:
    """One command in a process of its own, with its time and metrics, which are printed."""
    out = OUT / command
    first = [a for a in arguments[:1] if not a.startswith("--")]
    rest = arguments[len(first) :]
    few = [] if n is None else ["--n", str(n)]
    asked = [command, *first, "--model", MODEL, *rest, *few, "--out", str(out)]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *asked], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (out / "figure.html").is_file(), f"{command} drew no figure"
    metrics = json.loads((out / "result.json").read_text(encoding="utf-8"))["metrics"]
    seconds = time.perf_counter() - began
    print(f"arithmoscope {' '.join(asked)}: {seconds:.0f} s")
    print(f"  {json.dumps(metrics)[:600]}", flush=True)
    return {"seconds": seconds, "metrics": metrics}


def main() -> None:
    """The answer, then every command, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=None)
    parser.add_argument("--only", choices=COMMANDS, default=None)
    options = parser.parse_args()
    if os.environ.get("GEMMA", "0") in ("", "0"):
        print("left out: it needs make env GEMMA=1 and make proof GEMMA=1")
        return
    said = answer()
    print(f"{SAYS[0]}{said}", flush=True)
    assert said.startswith(SAYS[1]), said
    found = {
        command: run(command, arguments, options.n)
        for command, arguments in COMMANDS.items()
        if options.only in (None, command)
    }
    if options.only is None:
        body = {"answer": f"{SAYS[0]}{said}", "commands": found}
        record("gemma3", 0, {**body, "load_average": os.getloadavg()[0]})


if __name__ == "__main__":
    main()
