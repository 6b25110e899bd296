"""Every main command on a language model, as a user runs it: each ends with a result and a figure.

    python -m bench.proofs.llm_commands                                     (SmolLM2)
    GEMMA=1 python -m bench.proofs.llm_commands --model gemma3-270m --n 20 --only doctor

Each command is the installed one, in a process of its own, with its defaults but for `--n`; `make
proof` runs SmolLM2 so, and with GEMMA=1 Gemma 3 270M (`make env GEMMA=1`) as well. Figures go to
runs/llm_commands/MODEL, metrics and times to bench/results/llm_commands_MODEL.json. Seconds are
wall-clock and of the processor, imports and figures included; beside other work (`load_average`
above the number of cores) only the latter count.
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
from bench.harness import children, record, recorded

MODELS = {"smollm2": "12+3", "gemma3-270m": "180"}
"""Model → its greedy continuation of "12+34=", without examples: neither adds it."""
ASKED = "12+34="
OUT = Path("runs/llm_commands")
COMMANDS = {
    "doctor": ("doctor",),
    "behaviour": ("behaviour",),
    "attribute": ("attribute",),
    "ablate": ("ablate", "af1"),
    "probe": ("probe",),
}
PROGRAM = Path(sys.executable).with_name("arithmoscope")


def answer(name: str) -> str:
    """The model's greedy continuation of the bare prompt, up to the line's end."""
    model = interp.load(name)
    sums = interp.Addition(2).problems([12], [34])
    batch = model.prompts(sums, format="plain", answer="none")
    assert batch.texts == (ASKED,)
    made = interp.engine.generate(model, batch, max_new_tokens=4)[0]
    return model.tokens.decode(made.tolist()).split("\n")[0]


def run(model: str, command: str, n: int | None) -> dict[str, Any]:
    """One command in a process of its own. Raises AssertionError if it fails or draws no figure."""
    out = OUT / model / command
    few = [] if n is None else ["--n", str(n)]
    asked = [*COMMANDS[command], "--model", model, *few, "--out", str(out)]
    began, spent = time.perf_counter(), children()
    done = subprocess.run([PROGRAM, *asked], capture_output=True, text=True, check=False)
    seconds, processor = time.perf_counter() - began, children() - spent
    assert done.returncode == 0, done.stderr
    assert (out / "figure.html").is_file(), f"{command} drew no figure"
    found = json.loads((out / "result.json").read_text(encoding="utf-8"))
    print(f"$ arithmoscope {' '.join(asked)}\n{done.stdout}", flush=True)
    return {
        "command": f"arithmoscope {' '.join(asked)}",
        "seconds": seconds,
        "processor": processor,
        **{name: found[name] for name in ("task", "n", "n_distinct", "metrics")},
    }


def main() -> None:
    """Both models, or one; every command, or one, whose row then replaces the one before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default=None)
    parser.add_argument("--n", type=int, default=None, help="left out: each command's default")
    parser.add_argument("--only", choices=COMMANDS, default=None)
    options = parser.parse_args()
    for model in [options.model] if options.model else MODELS:
        if model.startswith("gemma3") and os.environ.get("GEMMA", "0") in ("", "0"):
            print(f"{model} left out: it needs make env GEMMA=1 and make proof GEMMA=1")
            continue
        prove(model, options.n, options.only)


def prove(model: str, n: int | None, only: str | None) -> None:
    """The model's answer, then the commands; rows are written after each command."""
    said = answer(model)
    assert said.startswith(MODELS[model]), said
    name = f"llm_commands_{model}"
    rows = recorded(name).get("commands", {}) if only else {}
    for command in [only] if only else COMMANDS:
        rows[command] = run(model, command, n) | {"load_average": os.getloadavg()[0]}
        record(name, 0, {"answer": f"{ASKED}{said}", "commands": rows}, show=False)


if __name__ == "__main__":
    main()
