"""Prove every analysis on planted models of twenty fresh seeds, where the tests take one.

    python -m bench.proofs.planted [--seeds 20] [--first SEED]

Prints the first seed; a failure names its own (`PLANTED_SEED=…` in the test's name).
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run `tests/planted` on that many seeds. Exits with pytest's status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=secrets.randbelow(2**31))
    asked = parser.parse_args()
    seeds = {"PLANTED_SEED": str(asked.first), "PLANTED_SEEDS": str(asked.seeds)}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "tests/planted"]
    limits = {"OMP_NUM_THREADS": "1"}
    sys.exit(subprocess.run(command, cwd=ROOT, env={**os.environ, **limits, **seeds}).returncode)


if __name__ == "__main__":
    main()
