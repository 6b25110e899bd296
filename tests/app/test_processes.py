"""Each command in a process of its own, as it is installed, through to a figure that is a picture.

Packages below ours read the command line when they are imported, which no test that runs in
pytest's own process can see.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT / "fixtures" / "models" / "mod113" / "training_log.parquet"
# The options that a parser with abbreviations is most likely to take for its own.
COMMANDS = {
    "dynamics": ("--log", str(LOG), "--task", "mod:113"),
    "attribute": ("--model", "mod113", "--n", "8", "--format", "modular"),
    "behaviour": ("--model", "mod113", "--n", "8", "--analysis", "accuracy"),
    "probe": (
        *("--model", "mod113", "--n", "60", "--layers", "0", "--targets", "c[0]:real"),
        *("--roles", "last", "--split", "problem"),
    ),
    "ablate": ("abp", "--model", "mod113", "--n", "8", "--transfer", "0"),
    "doctor": ("--model", "mod113", "--n", "8", "--formats", "modular"),
    "agree": ("mod113", "mod113-s1", "--analysis", "behaviour.accuracy", "--n", "8"),
    "series": ("mod113", "--n", "2", "--analysis", "behaviour.accuracy"),
}


@pytest.mark.browser
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_with_its_pictures(command: str, tmp_path: Path, chromium: str) -> None:
    arguments = [command, *COMMANDS[command], "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "BROWSER_PATH": chromium},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (tmp_path / "out" / "figure.svg").stat().st_size > 1000


def test_every_command_that_writes_figures_is_tried() -> None:
    calls = [p.stem for p in (ROOT / "app" / "commands").glob("*.py") if "finish(" in p.read_text()]
    assert set(calls) - {"finish"} == set(COMMANDS)


HOSTILE = ("--log", "file.csv", "--l", "--h", "-h", "--help", "--version", "--logistro-level")
IMPORTS = """
import importlib, pkgutil, sys
hostile = ["prog", *sys.argv[2:]]  # after the "--"
sys.argv = list(hostile)
from interp.figures.export import browser, no_command_line
browser()
with no_command_line():
    import choreographer, kaleido, logistro
for name in {names!r}:
    importlib.import_module(name)
for package in ("interp", "probes", "app"):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if found.name not in ("app.Explorer",) and not found.name.startswith("app.views"):
            importlib.import_module(found.name)
assert sys.argv == hostile, sys.argv
assert logistro.parsed.log is None  # it read nothing of ours
print("all imported")
"""
MODULES = {  # where a package is imported under another name than it is installed by
    "huggingface-hub": "huggingface_hub",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "transformer-lens": "transformer_lens",
}


def test_no_dependency_reads_the_command_line() -> None:
    """Neither ends the process nor changes `sys.argv`."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["project"]["dependencies"]
    names = [MODULES.get(name, name) for name in (each.partition(">")[0] for each in listed)]
    assert "kaleido" in names
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(names=names), "--", *HOSTILE],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith("all imported"), done.stderr
