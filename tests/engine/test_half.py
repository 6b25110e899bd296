"""16-bit models: they open, effects are computed in float32, and the noise of a no-op is known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import interp
from interp import engine
from interp.engine import noise
from interp.engine.requests import tolerance
from interp.engine.verdict import noise_floor
from interp.models import load_model
from tests import tiny

BITS = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@pytest.mark.parametrize(("family", "dtype"), [("gpt2", "float16"), ("qwen2", "bfloat16")])
def test_a_16_bit_model_opens(
    family: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "cache"))
    folder = str(tiny.save(family, tmp_path / family))
    model, exact = interp.load(folder, dtype=dtype), load_model(folder)
    assert model.dtype == BITS[dtype] and not model.unusable
    largest = float(model.adapter.probe_logits.abs().max())
    assert 0 <= model.noise_floor <= tolerance(model.dtype) * largest
    assert noise_floor(exact) is None
    problems = interp.task("add:2").problems([12, 34, 56], [45, 23, 11])
    runs = [engine.run(m, m.prompts(problems, format="plain")) for m in (model, exact)]
    half, whole = (run.logits for run in runs)
    assert half.dtype == torch.float32
    assert (half - whole).abs().max() <= tolerance(model.dtype) * whole.abs().max()


def test_results_say_the_noise_of_a_16_bit_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "cache"))
    folder = str(tiny.save("gpt2", tmp_path / "gpt2"))
    model = load_model(folder, dtype="float16")
    model.noise_floor = 0.25
    problems = interp.task("add:2").problems([12, 34], [45, 23])
    made = interp.attribution.counterfactual(model, problems, format="plain", n=2)
    assert "float16: a patch that changes nothing moves a logit by 0.25" in made.caption
    assert f"interp.load({folder!r}, dtype='float16')" in made.code
    assert (made.settings["dtype"], made.settings["noise_floor"]) == ("float16", 0.25)


def test_the_noise_floor_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "cache"))
    model = load_model(str(tiny.save("gpt2", tmp_path / "gpt2")), dtype="bfloat16")
    monkeypatch.setattr(noise, "measured_floor", lambda model: 0.5)
    assert noise_floor(model) == 0.5
    monkeypatch.setattr(noise, "measured_floor", None)
    assert noise_floor(model) == 0.5


def test_a_patch_that_is_no_no_op_shows_in_the_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measurement can fail: own values off by a tenth move the logits."""
    model = load_model(str(tiny.save("gpt2", tmp_path / "gpt2")))
    assert noise.measured_floor(model) <= 1e-5
    monkeypatch.setattr(noise, "_always", lambda value: lambda x: value * 1.1)
    assert noise.measured_floor(model) > 1e-3


def test_tolerances_follow_the_dtype() -> None:
    assert tolerance(torch.float32) < tolerance(torch.float16) < tolerance(torch.bfloat16)
    for dtype in BITS.values():
        assert tolerance(dtype) > 2 * torch.finfo(dtype).eps
