"""The report of two models, timed; `verify` on it, and on one with a number changed by hand.

    python -m bench.proofs.report                                   (mul4x4-icot, smollm2-arith)
    python -m bench.proofs.report --model mul4x4-icot --budget 270 --keep runs/report/kept

The installed commands run, each in a process of its own. Reports go to runs/report/MODEL.html,
times to bench/results/report_MODEL.json. Seconds are wall-clock and of the processor; beside other
work (`load_average` above the number of cores) only the latter count. With `--keep` a report goes
on from the analyses that an earlier call finished; their own seconds are those of that call.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.harness import children, record
from interp.figures.report_page import contents_of, page, shown_sections

MODELS = ("mul4x4-icot", "smollm2-arith")
OUT = Path("runs/report")
PROGRAM = (sys.executable, "-m", "app.cli")


def run(*words: str, code: int = 0) -> dict[str, Any]:
    """One command. Raises AssertionError unless it ends with this exit code."""
    began, spent = time.perf_counter(), children()
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False)
    seconds, processor = time.perf_counter() - began, children() - spent
    print(f"$ arithmoscope {' '.join(words)}\n{done.stdout}{done.stderr}", flush=True)
    assert done.returncode == code, f"exit code {done.returncode}"
    return {
        "command": f"arithmoscope {' '.join(words)}",
        "seconds": seconds,
        "processor": processor,
        "load_average": os.getloadavg()[0],
        "said": done.stdout.strip().splitlines()[-1],
    }


def by_hand(text: str) -> tuple[str, int]:
    """The page with another digit in one cell of a table, and the section that has it."""
    cell = "<td>0</td>"
    found = next(x for x in shown_sections(text).items() if cell in x[1])
    return text.replace(found[1], found[1].replace(cell, "<td>7</td>", 1)), int(found[0][1:])


def by_program(text: str) -> tuple[str, int]:
    """The page of the same contents with one headline larger by a thousandth, shown and held."""
    contents = contents_of(text)
    values = ((i, x["metrics"][0]) for i, x in enumerate(contents["sections"]) if x.get("metrics"))
    i, metric = next((i, metric) for i, metric in values if metric[1])
    metric[1] *= 1.001
    return page(contents).decode(), i


def changed(path: Path, change: Callable[[str], tuple[str, int]]) -> dict[str, Any]:
    """`verify` of the changed page, which must find it."""
    text = path.read_text(encoding="utf-8")
    other = path.with_name(f"{path.stem}-{change.__name__}.html")
    page_now, i = change(text)
    other.write_text(page_now, encoding="utf-8")
    name = contents_of(text)["sections"][i]["call"]["analysis"]
    return run("verify", str(other), "--only", name, code=1)


def prove(model: str, budget: float | None, keep: Path | None) -> None:
    """Report, verify, and verify of two changed pages."""
    out = OUT / f"{model}.html"
    given = [] if budget is None else ["--budget", str(budget)]
    given += [] if keep is None else ["--keep", str(keep)]
    rows = {"report": run("report", "--model", model, *given, "--out", str(out))}
    contents = contents_of(out.read_text(encoding="utf-8"))
    about = {
        "megabytes": out.stat().st_size / 1e6,
        "left_out": contents["left_out"],
        "analyses": {
            section["call"]["analysis"]: {
                "seconds": section["seconds"],
                "options": section["call"]["options"],
            }
            for section in contents["sections"]
        },
    }
    record(f"report_{model}", 0, {"commands": rows, **about}, show=False)
    rows["verify"] = run("verify", str(out))
    for change in (by_hand, by_program):
        rows[f"verify, changed {change.__name__.replace('_', ' ')}"] = changed(out, change)
    record(f"report_{model}", 0, {"commands": rows, **about}, show=False)


def main() -> None:
    """Both models, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default=None)
    parser.add_argument("--budget", type=float, default=None, help="left out: the command's own")
    parser.add_argument("--keep", type=Path, default=None)
    options = parser.parse_args()
    for model in [options.model] if options.model else MODELS:
        prove(model, options.budget, options.keep)


if __name__ == "__main__":
    main()
