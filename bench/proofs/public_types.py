"""mypy sees public names through the lazy faces: it finds deliberate type errors.

    python -m bench.proofs.public_types

A face without types would make every name Any, and no call would ever be wrong.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
CALLS = {
    "interp.load(3)": "arg-type",
    "interp.load('add5', device=3)": "arg-type",
    "interp.over_seeds(3, interp.attribution.counterfactual)": "arg-type",
    "interp.behaviour.accuracy(3, 'add:5')": "arg-type",
    "interp.attribution.logit_lens()": "call-arg",
    "probes.probe(3, 'add:5')": "arg-type",
    "interp.lode('add5')": "attr-defined",
    "interp.load('add5').name + ''": "",
    "interp.Addition(5).sample(3)": "",
}
"""An expression → the code of mypy's error, "" where it must find none."""


def errors_of(expressions: list[str]) -> list[str]:
    """The code of mypy's first error in each expression, "" where there is none."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "deliberate.py"
        file.write_text("\n".join(["import interp", "import probes", *expressions, ""]))
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--no-error-summary", str(file)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    found = [""] * (len(expressions) + 2)
    for line, code in re.findall(r"deliberate\.py:(\d+): error: .*\[([\w-]+)\]", done.stdout):
        found[int(line) - 1] = found[int(line) - 1] or code
    if done.returncode not in (0, 1):
        raise RuntimeError(f"mypy did not run: {done.stdout}{done.stderr}")
    return found[2:]


def main() -> None:
    """Print each expression with mypy's error; exit with 1 if an error is not the expected one."""
    found = errors_of(list(CALLS))
    wrong = 0
    for (expression, expected), code in zip(CALLS.items(), found, strict=True):
        wrong += code != expected
        print(f"{'ok ' if code == expected else 'BAD'} {expression}: {code or 'no error'}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
