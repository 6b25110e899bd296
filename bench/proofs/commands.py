"""Run every command in its own process, including PNG and SVG figures.

    python -m bench.proofs.commands

Needs a browser. One process of a command starts at about six seconds; the test suite runs one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("attribute", "--model", "mod113", "--n", "8", "--format", "modular"),
    ("behaviour", "--model", "mod113", "--n", "8", "--analysis", "accuracy"),
    (
        *("probe", "--model", "mod113", "--n", "60", "--layers", "0", "--targets", "c[0]:real"),
        *("--roles", "last", "--split", "problem"),
    ),
    ("ablate", "abp", "--model", "mod113", "--n", "8", "--transfer", "0"),
    ("doctor", "--model", "mod113", "--n", "8", "--formats", "modular"),
    ("suggest", "--model", "mod113", "--n", "8", "--task", "mod:113"),
    ("agree", "mod113", "mod113-s1", "--analysis", "behaviour.accuracy", "--n", "8"),
    ("series", "mod113", "--n", "2", "--analysis", "behaviour.accuracy"),
    ("heads", "--model", "mod113", "--n", "8"),
    ("heads", "knockout", "--model", "mod113", "--n", "8", "--random-orders", "3"),
    ("paths", "--model", "mod113", "--n", "8"),
    ("circuit", "--model", "mod113", "--n", "8"),
    ("attention", "--model", "mod113", "--n", "8"),
    ("attention", "digits", "--model", "add5", "--n", "8", "--layer", "0", "--head", "0"),
    ("carry", "--model", "add5-reversed", "--n", "64"),
    ("tree", "--model", "mul3x3-sft", "--n", "8", "--resamples", "20"),
    ("geometry", "fourier", "--model", "mod113"),
    ("geometry", "modular", "--model", "mod113"),
)


def pictures(*arguments: str, cwd: Path | None = None) -> None:
    """Run a command. Raises AssertionError if it fails or writes no PNG and SVG."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        # No folder of the caller's comes before the installed packages.
        command = [sys.executable, "-P", "-m", "app.cli", *arguments, "--out", str(out)]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (out / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", arguments
        assert (out / "figure.svg").stat().st_size > 1000, arguments


def main() -> None:
    """Run them all, one after the other."""
    for command in COMMANDS:
        pictures(*command)
        print(f"{' '.join(command)}: figure.png and figure.svg", flush=True)


if __name__ == "__main__":
    main()
