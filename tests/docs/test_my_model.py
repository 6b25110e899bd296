"""The guide's example runs as it is printed, and comes to what the guide says it comes to."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from interp.figures import export
from interp.results.result import Result
from tests.app.test_cli import run
from tests.models.test_convert_mapping import gpt2_mapping

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "my-model.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The names that the guide's Python leaves behind, and the folder in which everything ran."""
    folder = tmp_path_factory.mktemp("guide")
    names: dict[str, Any] = {"__name__": "guide"}
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.chdir(folder)
        patch.setattr(export, "browser", lambda: None)
        for language, text in BLOCKS:
            if language == "python":
                exec(compile(text, str(GUIDE), "exec"), names)
            elif language == "bash":
                for line in text.strip().splitlines():
                    assert run(patch, *shlex.split(line)[1:]) == 0
    return names, folder


def test_the_doctor_says_what_the_guide_prints(played: Any) -> None:
    names, _ = played
    (printed,) = re.findall(r"^> (The best of .*)$", GUIDE.read_text(encoding="utf-8"), re.M)
    assert names["diagnosis"].verdict == printed


def test_the_example_is_studied(played: Any) -> None:
    names, _ = played
    assert names["model"].name == "my-gpt" and not names["model"].unusable
    assert names["attribution"].n == 100
    assert names["run"].changed is True


def test_the_converted_folder_is_the_wrapped_module(played: Any) -> None:
    names, folder = played
    batch = names["batch"]
    want = interp.engine.run(names["model"], batch).logits
    for name in ("my-gpt", "my-gpt-proved"):
        model = interp.load(str(folder / name))
        again = model.prompts(names["sums"], format="reversed")
        found = interp.engine.run(model, again).logits
        assert (found - want).abs().max() <= 1e-5 * want.abs().max()
    assert interp.load(str(folder / "my-gpt")).formats == ("reversed",)
    assert Result.load(folder / "results").task == "add:1"


def test_the_mapping_is_the_one_that_the_tests_convert_with() -> None:
    (text,) = [text for language, text in BLOCKS if language == "json"]
    assert json.loads(text) == gpt2_mapping()
