from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import plotly.graph_objects as go
import pytest

from interp.errors import InputError, StorageError
from interp.figures import export
from interp.figures.export import page, write_figure

FIGURE = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]), layout={"width": 640, "height": 300})


def test_figures_of_a_folder_share_one_script_and_need_no_network(tmp_path: Path) -> None:
    for name in ("figure", "other"):
        written = write_figure(FIGURE, tmp_path, ["html"], name=name)
        assert [path.name for path in written.files] == [f"{name}.html"]
        text = written.files[0].read_text(encoding="utf-8")
        assert text.count("src='plotly.min.js'") == 1 and "https://" not in text
        assert len(text) < 20_000
    assert {path.name for path in tmp_path.iterdir()} == {
        "figure.html", "other.html", "plotly.min.js",
    }  # fmt: skip
    script = tmp_path / "plotly.min.js"
    assert script.stat().st_size > 1_000_000
    stamp = script.stat().st_mtime_ns
    write_figure(FIGURE, tmp_path, ["html"])
    assert script.stat().st_mtime_ns == stamp, "it is there already"
    script.write_text("cut short")
    write_figure(FIGURE, tmp_path / "deeper", ["html"], shared=tmp_path)
    assert script.stat().st_size > 1_000_000
    assert [path.name for path in (tmp_path / "deeper").iterdir()] == ["figure.html"]
    assert "src='../plotly.min.js'" in (tmp_path / "deeper" / "figure.html").read_text()


def test_a_downloaded_page_is_whole() -> None:
    text = page(FIGURE).decode()
    assert 'src="https://' not in text and "plotly.min.js" not in text.split("<script", 1)[0]
    assert len(text) > 1_000_000  # plotly's script is inside


def test_pictures_at_twice_the_size(tmp_path: Any, chromium: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("BROWSER_PATH", chromium)
    written = write_figure(FIGURE, tmp_path, ["png", "svg"], name="small")
    assert written.missing == ()
    png, svg = (path.read_bytes() for path in written.files)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    assert (width, height) == (1280, 600)
    assert svg.lstrip().startswith(b"<svg")


def test_without_a_browser_the_rest_is_written(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(export, "browser", lambda: None)
    written = write_figure(FIGURE, tmp_path)
    assert [path.name for path in written.files] == ["figure.html"]
    assert len(written.missing) == 1
    assert "apt install chromium" in written.missing[0]


def test_a_browser_that_fails_does_not_fail_the_run(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/bin/false")
    written = write_figure(FIGURE, tmp_path, ["html", "svg"])
    assert [path.name for path in written.files] == ["figure.html"]
    assert "/bin/false could not draw the figure" in written.missing[0]


def test_a_browser_that_never_answers_is_given_up(tmp_path: Any, monkeypatch: Any) -> None:
    ended, asked = Event(), list[int]()

    def write(*figures: Any, **options: Any) -> None:
        asked.append(1)
        ended.wait()

    monkeypatch.setattr("plotly.io.write_images", write)
    monkeypatch.setattr(export, "_PATIENCE", 0.05)
    monkeypatch.setenv("BROWSER_PATH", "chromium")  # and not left behind
    written = write_figure(FIGURE, tmp_path)
    ended.set()
    assert len(asked) == 2  # a second browser is tried
    assert [path.name for path in written.files] == ["figure.html"]
    assert "no answer within" in written.missing[0]
    assert "try again" in written.missing[0]


def test_a_second_browser_draws_what_the_first_did_not(tmp_path: Any, monkeypatch: Any) -> None:
    asked: list[int] = []

    def write(figures: Any, files: Any, **options: Any) -> None:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("gone")
        for file in files:
            file.write_bytes(b"drawn")

    monkeypatch.setattr("plotly.io.write_images", write)
    monkeypatch.setenv("BROWSER_PATH", "chromium")  # and not left behind
    assert export.pictures(FIGURE, ["png"]) == {"png": b"drawn"}


def test_unknown_format(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="unknown format 'pdf': choose among html, png, svg"):
        write_figure(FIGURE, tmp_path, ["pdf"])  # type: ignore[list-item]


def test_a_file_in_the_way(tmp_path: Any) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot save"):
        write_figure(FIGURE, tmp_path / "file", ["html"])
