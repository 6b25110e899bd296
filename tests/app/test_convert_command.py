"""`arithmoscope convert` and `doctor`: from a checkpoint to the explorer, without any Python."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

import interp
from app.commands.convert import pieces
from app.sidebar import OTHER
from interp.behaviour.results.doctor import Diagnosis
from interp.errors import InputError
from interp.figures import export
from interp.results.result import Result
from tests import hooked_transformer as hooked
from tests import nanogpt
from tests.app.test_cli import run

ENTRY = Path(__file__).resolve().parents[2] / "app" / "Explorer.py"


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a browser for each test would take most of their time."""
    monkeypatch.setattr(export, "browser", lambda: None)


def save_nanogpt(folder: Path) -> tuple[Path, list[str]]:
    gpt = nanogpt.random_gpt(seed=2)
    characters = nanogpt.CHARACTERS.replace("\n", r"\n")
    options: list[str] = ["--kind", "nanogpt", "--characters", characters]
    return nanogpt.save_checkpoint(gpt, folder / "ckpt.pt"), options


def save_hooked(folder: Path) -> tuple[Path, list[str]]:
    torch.save(hooked.folded(hooked.random_state(seed=2)), folder / "model.pt")
    options: list[str] = ["--kind", "transformerlens", "--characters", hooked.CHARACTERS]
    return folder / "model.pt", [*options, "--activation", "relu"]


@pytest.mark.parametrize("save", [save_nanogpt, save_hooked])
def test_a_converted_checkpoint_appears_in_the_explorer(
    save: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, options = save(tmp_path)  # type: ignore[operator]
    folder = tmp_path / "converted"
    given = ["--task", "add:2", "--format", "padded"]
    assert run(monkeypatch, "convert", str(source), str(folder), *options, *given) == 0
    told = capsys.readouterr().out
    assert "parameters" in told and "of the largest" in told and "arithmoscope doctor" in told
    at = AppTest.from_file(str(ENTRY), default_timeout=180)
    at.query_params["model"], at.query_params["path"] = OTHER, str(folder)
    at.query_params["n"] = "16"
    at.run()
    at.switch_page("views/model.py").run()
    assert not at.exception
    assert at.selectbox(key="task").value == "add:2"
    side = " ".join(str(element.value) for element in at.sidebar.caption)
    assert interp.load(str(folder)).hash[:12] in side
    sites = next(t.value for t in at.dataframe if "site" in t.value.columns)
    assert sites["usable"].all() and "pattern" in set(sites["site"])


def test_doctor_writes_its_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, options = save_nanogpt(tmp_path)
    assert run(monkeypatch, "convert", str(source), str(tmp_path / "gpt"), *options) == 0
    capsys.readouterr()
    asked = ["--task", "add:2", "--n", "64", "--formats", "padded,reversed"]
    assert (
        run(monkeypatch, "doctor", "-m", str(tmp_path / "gpt"), *asked, "-o", str(tmp_path / "out"))
        == 0
    )
    assert "prompts tried fits" in capsys.readouterr().out.replace("\n", " ")
    result = Result.load(tmp_path / "out")
    assert isinstance(result, Diagnosis) and result.n_reported == 32
    assert (tmp_path / "out" / "figure.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "nanogpt"], "say how the model reads text, in one way"),
        (["--kind", "mapping", "--characters", "01"], "needs a mapping"),
        (["--kind", "nanogpt", "--characters", "0110"], "the characters name '0' twice"),
        (["--kind", "transformerlens", "--characters", "01"], "holds no embed.W_E"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, _ = save_nanogpt(tmp_path)
    assert run(monkeypatch, "convert", str(source), str(tmp_path / "out"), *arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("arithmoscope: ") and message in line
    assert [path.name for path in tmp_path.iterdir()] == ["ckpt.pt"]


def test_characters_may_be_a_list_of_pieces() -> None:
    assert pieces(r"01=\n") == "01=\n"
    assert pieces('["00", "01", "="]') == ["00", "01", "="]
    with pytest.raises(InputError, match="starts like a JSON list and is none"):
        pieces('["00", ')
    with pytest.raises(InputError, match="must list strings"):
        pieces('["00", 1]')


def test_doctor_needs_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, options = save_nanogpt(tmp_path)
    assert run(monkeypatch, "convert", str(source), str(tmp_path / "gpt"), *options) == 0
    assert run(monkeypatch, "doctor", "-m", str(tmp_path / "gpt")) == 2
    assert "say which, such as --task add:1" in capsys.readouterr().err
