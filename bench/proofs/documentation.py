"""Build the documentation with every example executed, and read what was built.

    python -m bench.proofs.documentation

Needs the extra `docs`. The test suite builds the pages without the examples.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import record
from interp.catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
MADE = ("_build", "methods", "reference")  # what a build writes among the sources
FETCHED = re.compile(r"""<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=["'](?:https?:)?//""")
FEWEST_PITFALLS = 12


def copied(folder: Path) -> Path:
    """The sources of the documentation in `folder`, beside the packages that they document."""
    for path in ROOT.iterdir():
        if path.name != "docs":
            (folder / path.name).symlink_to(path)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns(*MADE))
    return folder / "docs"


def build(docs: Path, *options: str, pages: Sequence[str] = ()) -> Path:
    """Build in `docs`; with `pages`, write these alone. Warnings are errors.

    Raises:
        AssertionError: with what the failing build printed.
    """
    out = docs / "_build" / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", *options]
    environment = os.environ | {"PYTHONPATH": str(docs.parent)}
    files = [str(docs / page) for page in pages]
    done = subprocess.run(
        [*command, str(docs), str(out), *files], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def fetched(out: Path) -> list[str]:
    """Pages that would load a script, a style, a font or a picture from elsewhere."""
    pages = sorted(out.rglob("*.html"))
    styles = [path for path in out.rglob("*.css") if re.search(r"url\([\"']?https?:", _text(path))]
    return [str(page) for page in [*(p for p in pages if FETCHED.search(_text(p))), *styles]]


def pitfalls(out: Path) -> int:
    """Sections of the pitfalls page. Raises AssertionError for one without a wrong and a right."""
    numbered = re.split(r"<h2>(?=\d+\. )", _text(out / "methods" / "pitfalls.html"))[1:]
    for section in numbered:
        heading = section[: section.index("<")]
        printed = " ".join(re.findall(r"sphx-glr-script-out.*?</pre>", section, re.S))
        assert re.search(r"wrong: ", printed) and re.search(r"right: ", printed), heading
    return len(numbered)


def main() -> None:
    """Build, check and record."""
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        out = build(copied(Path(folder)))
        seconds = time.perf_counter() - began
        assert not fetched(out), fetched(out)
        assert (out / "_static" / "plotly.min.js").stat().st_size > 1e6
        found = pitfalls(out)
        assert found >= FEWEST_PITFALLS, found
        reference = "".join(_text(page) for page in (out / "reference").glob("*.html"))
        missing = [one.public for one in CATALOGUE if f'id="{one.public}"' not in reference]
        assert not missing, missing
        scripts = sorted(path.stem for path in (ROOT / "docs" / "examples").glob("*.py"))
        for script in scripts:
            assert list((out / "_downloads").rglob(f"{script}.ipynb")), script
        pages = len(list(out.rglob("*.html")))
        drawn = sum('class="figure"' in _text(out / "methods" / f"{one}.html") for one in scripts)
    body = {"pages": pages, "examples": scripts, "pitfalls": found, "pages_with_figures": drawn}
    record("documentation", 0, body | {"seconds": seconds})


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
