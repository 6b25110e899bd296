"""bfloat16 products by way of float32: equal to torch's own, in backward passes and Muon too."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from interp.training import Recipe, half_products, train
from interp.training.half_products import InFloat32
from interp.training.logs import LOG
from interp.training.run_state import TrainingRun
from interp.training.schedule import multiplies_in_bfloat16

ATEN = torch.ops.aten
PRODUCTS = {ATEN.mm.default, ATEN.addmm.default, ATEN.bmm.default, ATEN.baddbmm.default}
SMALL = Recipe(
    name="small", task="add:2", d_model=32, batch=32, steps=4, warmup=1, log_every=1,
    evaluate_every=4, evaluate_n=8, card_n=8,
)  # fmt: skip


class Watched(TorchDispatchMode):
    """Records the type of each product below it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.dtype] = []

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in PRODUCTS:
            self.seen.append(args[-1].dtype)
        return func(*args, **(kwargs or {}))


@pytest.fixture(params=[False, True], ids=["has the instructions", "lacks them"])
def lacks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """The code as on a processor with and without instructions for bfloat16 products."""
    monkeypatch.setattr(half_products, "torchs_own_are_slow", lambda: request.param)
    return bool(request.param)


def test_products_of_whole_numbers_are_exact() -> None:
    """Sums of at most 64 products of numbers up to 2 are exact in bfloat16."""
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randint(-2, 3, shape, generator=g) for shape in [(3, 48, 64), (3, 64, 40)])
    c = torch.randint(-9, 10, (3, 48, 40), generator=g)
    x, y, z = (each.bfloat16() for each in (a, b, c))
    ab = a @ b
    with Watched() as below, InFloat32():
        found = [
            (x[0] @ y[0], ab[0]),
            (x @ y, ab),
            (torch.addmm(z[0], x[0], y[0]), c[0] + ab[0]),
            (torch.addmm(z[0], x[0], y[0], beta=2, alpha=-1), 2 * c[0] - ab[0]),
            (torch.baddbmm(z, x, y, beta=3), 3 * c + ab),
        ]
    assert below.seen == 5 * [torch.float32]
    for got, want in found:
        assert got.dtype == torch.bfloat16
        assert torch.equal(got, want.bfloat16())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int64])
def test_other_types_are_left_alone(dtype: torch.dtype) -> None:
    a, half = torch.ones(8, 8, dtype=dtype), torch.ones(8, 8).bfloat16()
    with Watched() as below, InFloat32():
        assert (a @ a).dtype == dtype
        for mixed in [(a, half), (half, a)]:
            with pytest.raises(RuntimeError, match="same dtype"):
                torch.mm(*mixed)
    assert set(below.seen) == {dtype, torch.bfloat16}  # the last operands, as they came


def test_gradients_are_those_of_torchs_own_products() -> None:
    g = torch.Generator().manual_seed(1)
    x, weight = torch.randn(96, 64, generator=g), torch.randn(80, 64, generator=g)

    def gradients() -> list[torch.Tensor]:
        leaves = [each.bfloat16().requires_grad_() for each in (x, weight)]
        torch.nn.functional.linear(*leaves).float().square().sum().backward()
        return [each.grad.float() for each in leaves if each.grad is not None]

    torchs = gradients()
    with Watched() as below, InFloat32():
        ours = gradients()
    assert below.seen == 3 * [torch.float32]  # forward, and one for each leaf
    for one, other in zip(ours, torchs, strict=True):
        assert float((one - other).abs().max()) <= 2**-7 * float(other.abs().max())


def test_where_it_is_entered(lacks: bool) -> None:
    assert isinstance(half_products.half_products(), InFloat32) == lacks


@pytest.mark.parametrize(
    ("machine", "ops", "slow"),
    [
        ("x86_64", {"_is_mkldnn_bf16_supported": lambda: True}, False),
        ("AMD64", {"_is_mkldnn_bf16_supported": lambda: False}, True),
        ("x86_64", {}, True),  # a build without oneDNN
        ("arm64", {"_is_mkldnn_bf16_supported": lambda: False}, False),
    ],
)
def test_torch_is_asked_what_the_processor_has(
    machine: str, ops: dict[str, Any], slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    fake = SimpleNamespace(mkldnn=SimpleNamespace(**ops), aten=ATEN)
    monkeypatch.setattr(half_products, "torch", SimpleNamespace(ops=fake))
    assert half_products.torchs_own_are_slow() == slow


@pytest.mark.parametrize(
    ("precision", "muon", "want"),
    [("bfloat16", None, True), ("float32", None, False), ("float32", 2.0, True)],
)
def test_muon_multiplies_in_bfloat16_whatever_the_precision(
    precision: str, muon: float | None, want: bool
) -> None:
    recipe = replace(SMALL, precision=precision, muon_rate=muon)
    assert multiplies_in_bfloat16(recipe) == want
    run = TrainingRun.start(recipe)
    with Watched() as below:
        run.take_step()
    assert (torch.bfloat16 in below.seen) == want


def test_training_multiplies_in_float32_where_the_instructions_are_missing(
    lacks: bool, tmp_path: Any
) -> None:
    """Blocks, backward pass and Muon; the losses are those of torch's own products."""
    recipe = replace(SMALL, muon_rate=2.0)
    with Watched() as below:
        train(recipe, tmp_path / "run")
    assert (torch.bfloat16 not in below.seen) == lacks
    plain = TrainingRun.start(recipe)
    for _ in range(recipe.steps):
        plain.take_step()
    want = [row["loss"] for row in plain.log if row["group"] == "total"]
    log = pd.read_parquet(tmp_path / "run" / LOG)
    rows = log[(log["split"] == "train") & (log["group"] == "total")]
    assert rows["loss"].to_list() == pytest.approx(want, rel=2e-3)
