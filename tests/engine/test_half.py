"""16-bit models: they open, effects are computed in float32, and the noise of a no-op is known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import interp
from interp import engine
from interp.engine.requests import tolerance
from tests import tiny

BITS = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("family", ["gpt2", "qwen2"])
def test_a_16_bit_model_opens(
    family: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path / "cache"))
    folder = str(tiny.save(family, tmp_path / family))
    model, exact = interp.load(folder, dtype=dtype), interp.load(folder)
    assert model.dtype == BITS[dtype] and not model.unusable
    assert exact.noise_floor is None
    largest = float(model.adapter.probe_logits.abs().max())
    assert 0 <= model.noise_floor <= tolerance(model.dtype) * largest
    assert interp.load(folder, dtype=dtype).noise_floor == model.noise_floor  # kept
    problems = interp.task("add:2").sample(8, seed=0)
    half, whole = (
        engine.run(m, m.prompts(problems, format="plain")).logits for m in (model, exact)
    )
    assert half.dtype == torch.float32
    assert (half - whole).abs().max() <= tolerance(model.dtype) * whole.abs().max()
    made = interp.attribution.counterfactual(model, problems, format="plain", n=8)
    assert f"{dtype}: a patch that changes nothing moves a logit by" in made.caption
    assert f"interp.load({folder!r}, dtype={dtype!r})" in made.code
    assert "changes nothing" not in interp.attribution.counterfactual(
        exact, problems, format="plain", n=8
    ).caption  # fmt: skip


def test_tolerances_follow_the_dtype() -> None:
    assert tolerance(torch.float32) < tolerance(torch.float16) < tolerance(torch.bfloat16)
    for dtype in BITS.values():
        assert tolerance(dtype) > 2 * torch.finfo(dtype).eps
