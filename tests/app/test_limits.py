"""A shared explorer loads what its file allows, and says what it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import behaviour_parts, sidebar
from app.limits import MOST, Limits
from app.study import Study
from interp.errors import InputError
from tests import tiny


def limits(tmp_path: Path, text: str) -> Limits:
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    return Limits.read(path)


def test_without_a_file_everything_may_be_loaded(tmp_path: Path) -> None:
    none = limits(tmp_path, "")
    assert none == Limits() and none.problems == MOST
    none.check(str(tmp_path), shipped=False)
    none.check("owner/name", shipped=False)


def test_only_the_folders_named_are_read_and_no_link_leads_out_of_them(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir(), outside.mkdir()
    tight = limits(tmp_path, f"folders = ['{inside}']\nhub = false")
    tight.check(str(inside), shipped=False)
    (inside / "link").symlink_to(outside)
    for name in (outside, inside / "link", inside / ".." / "out"):
        with pytest.raises(InputError, match="outside the folders"):
            tight.check(str(name), shipped=False)
    with pytest.raises(InputError, match="nothing from the Hub"):
        tight.check("owner/name", shipped=False)
    tight.check("add5", shipped=True)


def test_a_model_too_large_is_refused_unread(tmp_path: Path) -> None:
    folder = tiny.save("llama", tmp_path / "tiny", seed=1)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e9
    limits(tmp_path, f"gigabytes = {1.1 * size!r}").check(str(folder), shipped=False)
    with pytest.raises(InputError, match="of weights; this explorer loads at most"):
        limits(tmp_path, f"gigabytes = {0.9 * size!r}").check(str(folder), shipped=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("folder = ['/srv']", "no limit 'folder'; the nearest is folders"),
        ("problems = -1", "problems = -1 is none of its values"),
        ("problems = true", "problems = True is none of its values"),
        ("hub = 1", "hub = 1 is none of its values"),
        ("folders = [1]", "is none of its values"),
        ("problems = ", "cannot read the limits"),
    ],
)
def test_a_limit_that_is_none_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        limits(tmp_path, text)


def test_a_published_file_is_read_within_the_folders_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("x,y\n1,2\n", encoding="utf-8")
    monkeypatch.setattr(sidebar, "limits", lambda: Limits(folders=(tmp_path / "models",)))
    with pytest.raises(InputError, match="outside the folders"):
        behaviour_parts.published_result(str(secret), "errors", Study("", "", "", "", 0, 0))
