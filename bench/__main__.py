"""Run every benchmark, one after the other: `python -m bench`, or `make bench`."""

import subprocess
import sys
from pathlib import Path

SKIP = {"__init__", "__main__", "code_lines", "families", "harness", "models"}

for path in sorted(Path(__file__).parent.glob("*.py")):
    if path.stem not in SKIP:
        print(f"bench.{path.stem}", flush=True)
        subprocess.run([sys.executable, "-m", f"bench.{path.stem}"], check=True)
