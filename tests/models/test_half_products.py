"""16-bit products by way of float32: equal to torch's own, in backward passes and under hooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import interp
from interp.engine import Mean, Replace
from interp.models import half_products
from interp.models.half_products import InFloat32
from interp.training import Recipe, train
from interp.training.logs import LOG
from interp.training.run_state import TrainingRun
from interp.training.schedule import products_in

ATEN = torch.ops.aten
PRODUCTS = {ATEN.mm.default, ATEN.addmm.default, ATEN.bmm.default, ATEN.baddbmm.default}
HALF = (torch.bfloat16, torch.float16)
SMALL = Recipe(
    name="small", task="add:2", d_model=32, batch=32, steps=4, warmup=1, log_every=1,
    evaluate_every=4, evaluate_n=8, card_n=8,
)  # fmt: skip


class Watched(TorchDispatchMode):
    """Records the type and the numbers of multiplications of each product below it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.dtype, int]] = []

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in PRODUCTS:
            self.seen.append((args[-1].dtype, args[-2].numel() * args[-1].shape[-1]))
        return func(*args, **(kwargs or {}))

    def largest(self, dtype: torch.dtype) -> int:
        return max((count for kind, count in self.seen if kind == dtype), default=0)


@pytest.fixture(params=[False, True], ids=["has the instructions", "lacks them"])
def lacks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """The code as on a processor with and without instructions for 16-bit products."""
    slow = frozenset(HALF if request.param else ())
    monkeypatch.setattr(half_products, "slow_types", lambda: slow)
    return bool(request.param)


@pytest.mark.parametrize("dtype", HALF)
def test_products_of_whole_numbers_are_exact(dtype: torch.dtype) -> None:
    """Sums of at most 64 products of numbers up to 2 are exact in both types."""
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randint(-2, 3, shape, generator=g) for shape in [(3, 48, 64), (3, 64, 40)])
    c = torch.randint(-9, 10, (3, 48, 40), generator=g)
    x, y, z = (each.to(dtype) for each in (a, b, c))
    ab = a @ b
    with Watched() as below, InFloat32(dtype):
        found = [
            (x[0] @ y[0], ab[0]),
            (x @ y, ab),
            (torch.addmm(z[0], x[0], y[0]), c[0] + ab[0]),
            (torch.addmm(z[0], x[0], y[0], beta=2, alpha=-1), 2 * c[0] - ab[0]),
            (torch.baddbmm(z, x, y, beta=3), 3 * c + ab),
        ]
    assert {kind for kind, _ in below.seen} == {torch.float32} and len(below.seen) == 5
    for got, want in found:
        assert got.dtype == dtype
        assert torch.equal(got, want.to(dtype))


def test_other_types_and_few_rows_are_left_alone() -> None:
    wide = torch.ones(64, 64)
    row, matrix = torch.ones(1, 64).bfloat16(), torch.ones(64, 64).bfloat16()
    with Watched() as below, InFloat32(torch.bfloat16):
        assert (wide @ wide).dtype == torch.float32
        assert (wide.double() @ wide.double()).dtype == torch.float64
        assert (row @ matrix).dtype == torch.bfloat16
        assert (matrix.half() @ matrix.half()).dtype == torch.float16
    kinds = [kind for kind, _ in below.seen]
    assert kinds == [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def test_gradients_are_those_of_torchs_own_products() -> None:
    g = torch.Generator().manual_seed(1)
    x, weight = torch.randn(96, 64, generator=g), torch.randn(80, 64, generator=g)

    def gradients(mode: InFloat32 | None) -> list[torch.Tensor]:
        leaves = [each.bfloat16().requires_grad_() for each in (x, weight)]
        if mode is None:
            torch.nn.functional.linear(*leaves).float().square().sum().backward()
        else:
            with mode:
                torch.nn.functional.linear(*leaves).float().square().sum().backward()
        return [each.grad.float() for each in leaves if each.grad is not None]

    for ours, torchs in zip(gradients(InFloat32(torch.bfloat16)), gradients(None), strict=True):
        assert float((ours - torchs).abs().max()) <= 2**-7 * float(torchs.abs().max())


def test_where_it_is_entered(lacks: bool) -> None:
    for dtype in (*HALF, torch.float32):
        entered = isinstance(half_products.half_products(dtype), InFloat32)
        assert entered == (lacks and dtype in HALF)


@pytest.mark.parametrize(
    ("precision", "muon", "want"),
    [
        ("bfloat16", None, torch.bfloat16),
        ("float32", None, torch.float32),
        ("float32", 2.0, torch.bfloat16),
    ],
)
def test_the_type_of_a_recipes_products(
    precision: str, muon: float | None, want: torch.dtype
) -> None:
    assert products_in(replace(SMALL, precision=precision, muon_rate=muon)) == want


def test_training_multiplies_in_float32_where_the_instructions_are_missing(
    lacks: bool, tmp_path: Any
) -> None:
    """Blocks, backward pass and Muon; the losses are those of torch's own products."""
    recipe = replace(SMALL, muon_rate=2.0)
    with Watched() as below:
        train(recipe, tmp_path / "run")
    assert (below.largest(torch.bfloat16) < below.largest(torch.float32)) == lacks
    plain = TrainingRun.start(recipe)
    for _ in range(recipe.steps):
        plain.take_step()
    want = [row["loss"] for row in plain.log if row["group"] == "total"]
    log = pd.read_parquet(tmp_path / "run" / LOG)
    rows = log[(log["split"] == "train") & (log["group"] == "total")]
    assert rows["loss"].to_list() == pytest.approx(want, rel=2e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_engine_multiplies_in_float32_there(lacks: bool, dtype: str) -> None:
    """A run with an intervention, and gradients; logits within the model's noise floor."""
    model = interp.load("add5", dtype=dtype)
    batch = model.prompts(interp.Addition(5).sample(64, seed=0))
    edit = Replace("z", Mean(), layers=(1,), heads=(3,))
    with Watched() as below:
        logits = interp.engine.run(model, batch, [edit]).logits
    kind = getattr(torch, dtype)
    assert (below.largest(kind) < below.largest(torch.float32)) == lacks
    wide = interp.engine.run(interp.load("add5"), batch, [edit]).logits
    assert logits is not None and wide is not None
    assert float((logits - wide).abs().max()) < 0.02 * float(wide.abs().max())
