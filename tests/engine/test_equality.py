"""The engine against one slow, obvious reference: plain hooks on the Hugging Face module,
float64.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

import interp
from interp import engine
from interp.engine import (
    Add,
    Constant,
    Freeze,
    MaskAttention,
    Mean,
    Project,
    Read,
    Replace,
    Rows,
    Savings,
    Scale,
    Variant,
    Zero,
)
from tests import tiny

TOLERANCE = 1e-9
STEP = 1e-4  # of the finite differences


def batch_of(model: Any, n: int = 7, format: str = "padded", seed: int = 0) -> Any:
    return model.prompts(interp.Addition(3).sample(n, seed=seed), format=format)


def assert_equal(got: torch.Tensor, want: torch.Tensor) -> None:
    assert got.shape == want.shape
    assert torch.equal(got.isnan(), want.isnan())
    largest = want.nan_to_num().abs().max()
    assert (got - want).nan_to_num().abs().max() <= TOLERANCE * largest


def at_answer(batch: Any, logits: torch.Tensor) -> torch.Tensor:
    where = torch.stack(
        [torch.from_numpy(batch.predicting_positions(r)) for r in batch.answer_roles], 1
    )
    picked = logits[torch.arange(len(batch))[:, None], where.clamp(min=0)]
    picked[where < 0] = torch.nan
    return picked


def test_plain_run(models: Any, plain: Any, family: str) -> None:
    batch = batch_of(models[family], format="plain")
    want = at_answer(batch, tiny.hooked_logits(plain[family], batch.tokens, []))
    run = engine.run(models[family], batch)
    assert_equal(run.logits, want)
    assert run.logit_roles == batch.answer_roles
    assert run.changed is None


@pytest.mark.parametrize(
    "site", ["resid_pre", "resid_post", "attn_out", "mlp_out", "z", "mlp_post"]
)
def test_replacement_at_roles(models: Any, plain: Any, family: str, site: str) -> None:
    model, layer = models[family], 2
    batch = batch_of(model)
    width = {"z": model.shape.d_head, "mlp_post": model.shape.d_mlp}.get(site, model.shape.d_model)
    value = torch.randn(width, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    where = [batch.positions["a1"], batch.positions["eq"]]

    def edit(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        if site == "z":
            heads = x.view(*x.shape[:2], model.shape.n_heads, -1)
            for p in where:
                heads[:, p, 1] = value
        else:
            for p in where:
                x[:, p] = value
        return x

    parts = tiny.parts(plain[family], family, layer)
    part, side = {
        "resid_pre": (parts["block"], "in"),
        "resid_post": (parts["block"], "out"),
        "attn_out": (parts["attn"], "out"),
        "mlp_out": (parts["mlp"], "out"),
        "z": (parts["o"], "in"),
        "mlp_post": (parts["out"], "in"),
    }[site]
    want = at_answer(batch, tiny.hooked_logits(plain[family], batch.tokens, [(part, side, edit)]))
    what = Replace(
        site, Constant(value), layers=layer, roles=("a1", "eq"), heads=1 if site == "z" else None
    )
    run = engine.run(model, batch, [what])
    assert_equal(run.logits, want)
    assert run.fired == (2 * len(batch),)
    assert run.changed is True


def test_resid_mid_edits_the_stream(models: Any, plain: Any, family: str) -> None:
    model, batch = models[family], batch_of(models[family])
    added = torch.randn(model.shape.d_model, dtype=torch.float64)
    what = Add("resid_mid", Constant(added), layers=1, roles="b0")
    if family == "gpt_neox":
        with pytest.raises(interp.errors.SiteError, match="parallel"):
            engine.run(model, batch, [what])
        return
    position = batch.positions["b0"]

    def edit(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[:, position] += added
        return x

    attn = tiny.parts(plain[family], family, 1)["attn"]
    want = at_answer(batch, tiny.hooked_logits(plain[family], batch.tokens, [(attn, "out", edit)]))
    assert_equal(engine.run(model, batch, [what]).logits, want)


def test_cut_attention_equals_minus_infinity(models: Any, plain: Any, family: str) -> None:
    """Zero and renormalise, against a mask of −inf given to the plain module's own attention."""
    model, batch = models[family], batch_of(models[family])
    layer, query = 1, batch.positions["eq"]
    keys = [batch.positions[r] for r in ("a0", "a1", "b2")]
    n = batch.tokens.shape[1]
    causal = torch.full((n, n), float("-inf"), dtype=torch.float64).triu(1)
    cut = causal.clone()
    cut[query, keys] = float("-inf")

    def masked(module: Any, args: Any, kwargs: Any) -> Any:
        return args, {**kwargs, "attention_mask": cut[None, None]}

    attn = tiny.parts(plain[family], family, layer)["attn"]
    handle = attn.register_forward_pre_hook(masked, with_kwargs=True)
    try:
        with torch.no_grad():
            want = at_answer(batch, plain[family](batch.tokens).logits)
    finally:
        handle.remove()
    what = MaskAttention(layers=layer, roles="eq", keys=("a0", "a1", "b2"))
    run = engine.run(model, batch, [what])
    # Llama and Qwen2 take the softmax in float32 whatever the dtype, so equality is that of
    # float32.
    assert (run.logits - want).abs().max() <= 1e-6 * want.abs().max()
    assert run.changed is True and run.fired[0] > 0


def test_every_saving_changes_no_number(models: Any, family: str) -> None:
    model = models[family]
    problems = interp.Addition(2).sample(5, seed=4)
    batch = model.prompts(problems, format="plain@2:5")
    other = model.prompts(interp.Addition(2).sample(5, seed=6), format="plain@2:5")
    direction = Constant(torch.randn(model.shape.d_model, dtype=torch.float64))
    clean = engine.run(model, batch, reads=[Read("z", roles=("a0", "b0"))], logits=None)
    variants = [
        Variant("clean"),
        Variant("other prompts", batch=other),
        Variant("late", (Replace("z", Zero(), layers=3, roles="last", heads=(0, 2)),)),
        Variant("early", (Scale("resid_pre", 0.5, layers=0, roles="a0"),)),
        Variant("mean", (Replace("mlp_out", Mean(), layers=1, roles=("a0", "b0")),)),
        Variant("project", (Project("resid_post", direction, 2.0, layers=2, roles="last"),)),
        Variant("rows", (Replace("z", Rows.of(clean, "z"), layers=2, roles=("a0", "b0")),)),
        Variant("mask", (MaskAttention(layers=(1, 2), roles="last", keys="a0", heads=1),)),
        Variant("norm", (Scale("ln_final", -1.0, roles="last"),)),
        Variant(
            "frozen",
            (
                Replace("z", Zero(), layers=0, roles="a1"),
                Freeze("mlp_out", layers=(1, 2), roles=("last", "a0")),
            ),
        ),
        Variant("both", (Replace("z", Zero(), layers=2, roles="last"),), batch=other),
    ]
    reads = [Read("resid_post", layers=(0, 3), roles=("a0", "last")), Read("pattern", 2, "last")]
    reads += [Read("q", (1,), ("b0",)), Read("ln_final", None, ("last",))]
    options: dict[str, Any] = {"reads": reads, "logits": ("last", *batch.answer_roles)}
    slow = engine.run_variants(model, batch, variants, savings=Savings.none(), **options)
    # How savings act together is the engine's; a family has each of them with others on and off.
    for number in range(16) if family == "gpt2" else (0, 5, 10, 15):
        saving = Savings(*(bool(number >> bit & 1) for bit in range(4)))
        fast = engine.run_variants(
            model,
            batch,
            variants,
            savings=saving,
            memory=200_000 if number % 2 else 2**30,
            **options,
        )
        for a, b in zip(fast, slow, strict=True):
            assert_equal(a.logits, b.logits)
            assert a.fired == b.fired and a.changed == b.changed
            for key, value in b.activations.items():
                assert_equal(a.activations[key], value)
    # Only "rows" puts back what was there.
    assert [run.changed for run in slow] == [None, *[True] * 5, False, *[True] * 4]
    assert sum(run.cost.flops for run in fast) < 0.55 * sum(run.cost.flops for run in slow)


def test_activations(models: Any, plain: Any, family: str) -> None:
    model, batch = models[family], batch_of(models[family])
    seen: dict[str, torch.Tensor] = {}

    def note(name: str) -> Any:
        return lambda x: seen.__setitem__(name, x) or x

    parts = tiny.parts(plain[family], family, 1)
    hooks = [
        (parts["block"], "in", note("resid_pre")),
        (parts["block"], "out", note("resid_post")),
        (parts["attn"], "out", note("attn_out")),
        (parts["mlp"], "out", note("mlp_out")),
        (parts["o"], "in", note("z")),
        (parts["out"], "in", note("mlp_post")),
    ]
    tiny.hooked_logits(plain[family], batch.tokens, hooks)
    run = engine.run(model, batch, reads=[Read(site, 1, None) for site in seen], logits=None)
    assert run.logits is None
    for site, want in seen.items():
        got = run.activations[site, 1]
        assert_equal(got.reshape(want.shape), want)


def test_gradients_equal_finite_differences(models: Any, family: str) -> None:
    model, batch = models[family], batch_of(models[family], n=3)
    roles = ("a1", "last")
    sites = [s for s in ("resid_pre", "resid_mid", "z", "mlp_post", "v") if s in model.usable_sites]
    run = engine.gradients(model, batch, [Read(site, 1, roles) for site in sites])
    generator = torch.Generator().manual_seed(0)
    for site in sites:
        slope = run.gradients[site, 1]
        nudge = torch.randn(slope.shape, dtype=torch.float64, generator=generator)

        def metric(sign: float, site: str = site, nudge: torch.Tensor = nudge) -> torch.Tensor:
            what = Add(site, Rows({1: nudge}), sign * STEP, layers=1, roles=roles)
            logits = engine.run(model, batch, [what]).logits
            labels = torch.stack([batch.labels(r) for r in batch.answer_roles], 1)
            return logits.gather(2, labels[:, :, None]).sum((1, 2))

        want = (metric(1.0) - metric(-1.0)) / (2 * STEP)
        got = (slope * nudge).flatten(1).sum(1)
        # float32 inside the Llama family's softmax and norms bounds the finite difference.
        assert torch.allclose(got, want, rtol=2e-2, atol=2e-2 * float(want.abs().max()))
