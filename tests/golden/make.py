"""Write the golden set: `python -m tests.golden.make [OUT]`; `--only NAME …` writes some anew.

OUT/results/NAME/   a saved Result, and beside it
    code.txt        the call that makes it again
    golden.json     its type, the keys of result.json, its metrics' names, its table's columns
OUT/commands.json   every command with its flags
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from interp.results.result import Result
from tests.golden.commands import commands
from tests.golden.entries import ENTRIES, KINDS
from tests.golden.subjects import models_opened_once

DATA = Path(__file__).parent / "data"
_ROOT = Path(__file__).resolve().parents[2]
_ANALYSIS = re.compile(r'^    analysis: ClassVar\[str\] = "(\w+)"', re.M)


def declared_kinds() -> set[str]:
    """The `analysis` of every Result type that the source of the library declares."""
    files = [path for room in ("interp", "probes") for path in (_ROOT / room).rglob("*.py")]
    return {name for path in files for name in _ANALYSIS.findall(path.read_text(encoding="utf-8"))}


def make(out: Path, entries: Mapping[str, Callable[[], Result]] = ENTRIES) -> Path:
    """Write the results of `entries` and the commands to `out`, in place of those it holds.

    Raises ValueError where the entries leave out a kind of Result.
    """
    shutil.rmtree(out / "results", ignore_errors=True)
    made = set()
    with models_opened_once():
        for name, call in entries.items():
            result = call()
            made.add(result.analysis)
            _write(result, out / "results" / name)
    missing = (declared_kinds() | set(KINDS)) - made
    if missing:
        raise ValueError(f"no golden Result of {', '.join(sorted(missing))}: add an entry")
    _json(out / "commands.json", commands())
    return out


def remake(out: Path, names: Sequence[str]) -> Path:
    """Write the results of these entries anew, and leave the others as they are."""
    with models_opened_once():
        for name in names:
            result = ENTRIES[name]()
            shutil.rmtree(out / "results" / name, ignore_errors=True)
            _write(result, out / "results" / name)
    return out


def about(result: Result, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What golden.json says of a Result whose result.json is `summary`."""
    return {
        "type": type(result).__name__,
        "keys": list(summary),
        "metrics": list(result.metrics),
        "columns": [str(column) for column in result.frame.columns],
    }


def _write(result: Result, folder: Path) -> None:
    result.save(folder)
    (folder / "code.txt").write_text(result.code + "\n", encoding="utf-8")
    summary = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    _json(folder / "golden.json", about(result, summary))


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=DATA)
    parser.add_argument("--only", nargs="+", choices=list(ENTRIES), metavar="NAME")
    given = parser.parse_args()
    print(remake(given.out, given.only) if given.only else make(given.out))
