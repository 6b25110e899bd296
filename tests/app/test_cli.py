"""The command line: fast help, one clear line for an error, the right files for a success."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from app import cli
from app.commands.options import assignments
from app.commands.watch import Watch
from interp.errors import Cancelled, InputError

COMMANDS = ("explore", "models", "convert", "doctor", "train", "behaviour", "attribute")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `arithmoscope ARGUMENTS`, run in this process."""
    monkeypatch.setattr(sys, "argv", ["arithmoscope", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['arithmoscope', '--help']\n"
        "from app import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print('HEAVY', *({'torch', 'pandas', 'plotly', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in COMMANDS)
    assert done.stdout.strip().splitlines()[-1].strip() == "HEAVY"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, command, "--help") == 0
    assert "Usage" in capsys.readouterr().out


def test_an_unknown_model_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "attribute", "--model", "no-such-model") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("arithmoscope: unknown model 'no-such-model'.")
    assert "smollm2" in line


def test_an_unknown_recipe_names_those_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "train", "nosuch", "--out", str(tmp_path / "model")) == 2
    error = capsys.readouterr().err
    assert "nosuch" in error
    assert "add5" in error


def test_what_is_set_is_read_as_json_or_as_a_word() -> None:
    texts = ["steps=2000", "learning_rate=1e-3", "family=llama", "heads=[[0, 1]]"]
    want = {"steps": 2000, "learning_rate": 1e-3, "family": "llama", "heads": [[0, 1]]}
    assert assignments(texts) == want
    assert assignments(None) == {}
    with pytest.raises(InputError, match="--set takes NAME=VALUE"):
        assignments(["steps"])


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)


def test_the_first_interrupt_cancels_and_the_second_does_not_wait() -> None:
    with Watch("computing") as watch:
        cancel = watch.cancel
        interrupt()
        with pytest.raises(Cancelled):
            cancel.check()
        with pytest.raises(KeyboardInterrupt):
            interrupt()


def test_the_interrupt_handler_is_given_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Watch("computing"):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_models_are_named_in_full_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(monkeypatch, "models") == 0
    said = capsys.readouterr().out
    assert "mul5x1-reversed" in said
    assert "…" not in said and "400,896" in said
    assert "smollm2-arith" in said


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_of_rerun_cuts_no_number(width: int) -> None:
    """On a terminal of 80 columns and in a file, for every row of the recorded run."""
    import json

    from rich.console import Console

    from app.commands.rerun import _short, _table
    from interp.published._rerun import COLUMNS, RECORDED

    rows = [row for row in json.loads(RECORDED.read_text())["rows"] if row["verdict"] != "not run"]
    console = Console(width=width, record=True, file=StringIO())
    console.print(_table(pd.DataFrame(rows).reindex(columns=list(COLUMNS)), wide=width >= 120))
    text = console.export_text()
    assert "…" not in text
    for row in rows:
        (line,) = [line for line in text.splitlines() if line.split()[:1] == [row["key"]]]
        assert f" {_short(row['ours'])} " in line and row["verdict"] in line


def test_a_file_is_wide_enough_for_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.commands.screen import WIDE, screen

    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.stdout", StringIO())
    assert screen().width >= WIDE
    monkeypatch.setenv("COLUMNS", "80")
    assert screen().width == 80
