"""Commands in processes of their own, as they are installed, beside other people's code.

Packages below ours read the command line when they are imported, which no test that runs in
pytest's own process can see.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from app.cli import app
from bench.proofs.commands import COMMANDS, pictures

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT / "fixtures" / "models" / "mod113" / "training_log.parquet"
OWN = {  # files of a user's own, with the names of our packages
    "app.py": "raise SystemExit('the app of the user')",
    "probes.py": "mine = True",
    "interp/__init__.py": "mine = True",
}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder that holds a user's `app.py`, `probes.py` and `interp/`."""
    for name, text in OWN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.browser
def test_a_command_ends_with_its_pictures_beside_other_peoples_files(
    own: Path, chromium: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--log` and `--task` are what a parser with abbreviations is most likely to take for its own;
    the other commands run in `bench.proofs.commands`."""
    monkeypatch.setenv("BROWSER_PATH", chromium)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pictures("dynamics", "--log", str(LOG), "--task", "mod:113", cwd=own)


def test_the_installed_command_works_beside_other_peoples_files(own: Path) -> None:
    script = "from app.cli import main; main()"
    command = own / "bin" / "arithmoscope"  # a console script: its own folder comes first, not ours
    command.parent.mkdir()
    command.write_text(script)
    done = subprocess.run(
        [sys.executable, str(command), "models"],
        cwd=own,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "add5" in done.stdout


def test_a_port_in_use_ends_the_installed_command_with_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [Path(sys.executable).with_name("arithmoscope"), "explore", "--no-browser",
             "--port", str(port)],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    said = " ".join(done.stderr.split())
    assert done.returncode == 2, done.stderr
    assert f"port {port}" in said and "is free" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("kept", "code"),
    [
        ("interp/__init__.py", "import probes"),
        ("probes.py", "import interp; interp.catalogue.entry('probes.probe').load()"),
        ("probes.py", "from interp.results import kinds; kinds.import_result('probe_sweep')"),
    ],
)
def test_a_shadowed_package_names_the_file_that_shadows_it(own: Path, kept: str, code: str) -> None:
    """In a notebook its own folder comes first."""
    for name in set(OWN) - {kept}:
        (own / name).unlink()
    if kept != "interp/__init__.py":
        (own / "interp").rmdir()
    paths = f"import sys; sys.path[:0] = [{str(own)!r}, {str(ROOT)!r}]"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{paths}\n{code}"], capture_output=True, text=True
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {own / kept} shadows the package {kept[:6].strip('.')!r}")


def test_every_command_that_writes_figures_is_tried() -> None:
    group: Any = typer.main.get_command(app)
    names = [name for name in group.list_commands() if " " not in name]
    outs = [
        name for name in names if "out" in {p.name for p in group.get_command(None, name).params}
    ]
    tried = {command for command, *_ in COMMANDS} - {"geometry"}
    assert set(outs) - {"models", "convert", "train", "report", "rerun"} == {
        "dynamics",
        "intervene",
        *tried,
    }


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
    "lazy-loader": "lazy_loader",
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
