"""Run the tests that `make test` leaves out for their length (`PROOFS` in tests/conftest.py).

python -m bench.proofs.long_tests
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run them by name. Exits with pytest's status."""
    sys.path.insert(0, str(ROOT))
    from tests.conftest import PROOFS

    command = [sys.executable, "-m", "pytest", "-q", "-k", " or ".join(PROOFS), "tests"]
    limits = {"OMP_NUM_THREADS": "1", "PROOF": "1"}
    sys.exit(subprocess.run(command, cwd=ROOT, env={**os.environ, **limits}).returncode)


if __name__ == "__main__":
    main()
