"""A plain module under the engine: equal to plain hooks, and to the same weights behind the other
adapter, float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import interp
from interp import engine
from interp.engine import (
    Add,
    Constant,
    Freeze,
    Mean,
    Project,
    Read,
    Replace,
    Rows,
    Savings,
    Scale,
    UserHook,
    Variant,
    Zero,
)
from interp.errors import SiteError
from tests import nanogpt, tiny

TOLERANCE = 1e-9
LAYER = 1
HF_SITES = {
    "gpt2": interp.SiteMap(n_ctx="config.n_positions"),
    "gpt_neox": interp.SiteMap(
        blocks="gpt_neox.layers",
        attn="attention",
        attn_out_projection="attention.dense",
        mlp_out_projection="mlp.dense_4h_to_h",
        final_norm="gpt_neox.final_layer_norm",
        n_heads="config.num_attention_heads",
        n_ctx="config.max_position_embeddings",
    ),
    "llama": interp.SiteMap(
        blocks="model.layers",
        attn="self_attn",
        attn_out_projection="self_attn.o_proj",
        mlp_out_projection="mlp.down_proj",
        final_norm="model.norm",
        n_heads="config.num_attention_heads",
        n_ctx="config.max_position_embeddings",
    ),
}
HF_SITES["qwen2"] = HF_SITES["llama"]


@pytest.fixture(scope="module")
def gpt() -> nanogpt.GPT:
    return nanogpt.random_gpt(seed=3).double()


@pytest.fixture(scope="module")
def model(gpt: nanogpt.GPT) -> Any:
    return interp.wrap(gpt, nanogpt.CHARACTERS, name="mine")


@pytest.fixture(scope="module")
def batch(model: Any) -> Any:
    return model.prompts(interp.Addition(3).sample(7, seed=0), format="padded")


def assert_equal(got: torch.Tensor, want: torch.Tensor) -> None:
    assert got.shape == want.shape
    assert torch.equal(got.isnan(), want.isnan())
    largest = want.nan_to_num().abs().max()
    assert (got - want).nan_to_num().abs().max() <= TOLERANCE * largest


def at_answer(batch: Any, logits: torch.Tensor) -> torch.Tensor:
    where = torch.stack(
        [torch.from_numpy(batch.predicting_positions(r)) for r in batch.answer_roles], 1
    )
    return logits[torch.arange(len(batch))[:, None], where]


def hooked(gpt: nanogpt.GPT, batch: Any, part: Any, side: str, edit: Any) -> torch.Tensor:
    """Logits at the answer with one plain PyTorch hook on the class itself."""
    if side == "in":
        handle = part.register_forward_pre_hook(lambda m, args: (edit(args[0]), *args[1:]))
    else:
        handle = part.register_forward_hook(lambda m, args, out: edit(out))
    try:
        return at_answer(batch, nanogpt.all_logits(gpt, batch.tokens))
    finally:
        handle.remove()


def place(gpt: nanogpt.GPT, site: str) -> tuple[Any, str]:
    block = gpt.transformer.h[LAYER]
    return {
        "resid_pre": (block, "in"),
        "resid_mid": (block.ln_2, "in"),
        "resid_post": (block, "out"),
        "attn_out": (block.attn, "out"),
        "mlp_out": (block.mlp, "out"),
        "z": (block.attn.c_proj, "in"),
        "mlp_post": (block.mlp.c_proj, "in"),
        "ln_final": (gpt.transformer.ln_f, "out"),
    }[site]


def test_plain_run(model: Any, gpt: nanogpt.GPT, batch: Any) -> None:
    want = at_answer(batch, nanogpt.all_logits(gpt, batch.tokens))
    assert_equal(engine.run(model, batch).logits, want)


@pytest.mark.parametrize(
    "site", ["resid_pre", "resid_post", "attn_out", "mlp_out", "z", "mlp_post", "ln_final"]
)
def test_replacement_at_roles(model: Any, gpt: nanogpt.GPT, batch: Any, site: str) -> None:
    width = {"z": model.shape.d_head, "mlp_post": model.shape.d_mlp}.get(site, model.shape.d_model)
    value = torch.randn(width, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    where = [batch.positions["a1"], batch.positions["eq"]]

    def edit(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        if site == "z":
            x.view(*x.shape[:2], model.shape.n_heads, -1)[:, where, 1] = value
        else:
            x[:, where] = value
        return x

    want = hooked(gpt, batch, *place(gpt, site), edit)
    layers = None if site == "ln_final" else LAYER
    heads = 1 if site == "z" else None
    what = Replace(site, Constant(value), layers=layers, roles=("a1", "eq"), heads=heads)
    run = engine.run(model, batch, [what])
    assert_equal(run.logits, want)
    assert run.fired == (2 * len(batch),)
    assert run.changed is True


def test_resid_mid_edits_the_stream(model: Any, gpt: nanogpt.GPT, batch: Any) -> None:
    added = torch.randn(model.shape.d_model, dtype=torch.float64)
    position = batch.positions["b0"]

    def edit(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[:, position] += added
        return x

    want = hooked(gpt, batch, gpt.transformer.h[LAYER].attn, "out", edit)
    what = Add("resid_mid", Constant(added), layers=LAYER, roles="b0")
    assert_equal(engine.run(model, batch, [what]).logits, want)


def test_activations(model: Any, gpt: nanogpt.GPT, batch: Any) -> None:
    sites = [site for site in model.usable_sites if site != "ln_final"]
    run = engine.run(model, batch, reads=[Read(site, LAYER, None) for site in sites], logits=None)
    for site in sites:
        seen: list[torch.Tensor] = []
        hooked(gpt, batch, *place(gpt, site), lambda x, seen=seen: seen.append(x) or x)
        assert_equal(run.activations[site, LAYER].reshape(seen[0].shape), seen[0])


def test_gradients_equal_autograd(model: Any, gpt: nanogpt.GPT, batch: Any) -> None:
    sites = [site for site in model.usable_sites if site not in ("ln_final", "resid_mid")]
    run = engine.gradients(model, batch, [Read(site, LAYER, ("a1", "last")) for site in sites])
    labels = torch.stack([batch.labels(role) for role in batch.answer_roles], 1)
    where = [batch.positions["a1"], batch.positions["last"]]
    for site in sites:
        seen: list[torch.Tensor] = []

        def leaf(x: torch.Tensor, seen: list[torch.Tensor] = seen) -> torch.Tensor:
            seen.append(x.detach().requires_grad_(True))
            return seen[0]

        part, side = place(gpt, site)
        if side == "in":
            handle = part.register_forward_pre_hook(lambda m, args, leaf=leaf: leaf(args[0]))
        else:
            handle = part.register_forward_hook(lambda m, args, out, leaf=leaf: leaf(out))
        try:
            logits = gpt.lm_head(gpt.hidden(batch.tokens))
        finally:
            handle.remove()
        at_answer(batch, logits).gather(2, labels[:, :, None]).sum().backward()
        want = seen[0].grad[:, where]
        assert_equal(run.gradients[site, LAYER].reshape(want.shape), want)


def test_a_gradient_in_the_middle_of_the_stream(model: Any, batch: Any) -> None:
    run = engine.gradients(
        model, batch, [Read("resid_mid", LAYER, "a1"), Read("attn_out", LAYER, "a1")]
    )
    assert_equal(run.gradients["resid_mid", LAYER], run.gradients["attn_out", LAYER])


def variants_of(model: Any, batch: Any, other: Any) -> list[Variant]:
    direction = Constant(torch.ones(model.shape.d_model, dtype=torch.float64))
    clean = engine.run(model, batch, reads=[Read("z", roles=("a0", "b0"))], logits=None)
    return [
        Variant("clean"),
        Variant("other prompts", batch=other),
        Variant("late", (Replace("z", Zero(), layers=2, roles="last", heads=(0, 2)),)),
        Variant("early", (Scale("resid_pre", 0.5, layers=0, roles="a0"),)),
        Variant("mean", (Replace("mlp_out", Mean(), layers=1, roles=("a0", "b0")),)),
        Variant("project", (Project("resid_post", direction, 2.0, layers=2, roles="last"),)),
        Variant("rows", (Replace("z", Rows.of(clean, "z"), layers=2, roles=("a0", "b0")),)),
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


READS = [
    Read("resid_post", (0, 2), ("a0", "last")),
    Read("mlp_post", 1, "b0"),
    Read("ln_final", None, ("last",)),
]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_both_adapters_agree(family: str, models: Any, plain: Any) -> None:
    """The same weights, loaded as a folder and wrapped as a module."""
    loaded = models[family]
    wrapped = interp.wrap(plain[family], loaded.tokens.tokenizer, sites=HF_SITES[family])
    assert wrapped.shape.d_mlp == loaded.shape.d_mlp and wrapped.shape.n_ctx == loaded.shape.n_ctx
    assert ("resid_mid" in wrapped.usable_sites) == (family != "gpt_neox")
    found = []
    for model in (loaded, wrapped):
        first, second = (
            model.prompts(interp.Addition(2).sample(6, seed=seed), format="plain@2:5")
            for seed in (4, 6)
        )
        options: dict[str, Any] = {"reads": READS, "logits": ("last", *first.answer_roles)}
        found.append(
            engine.run_variants(model, first, variants_of(model, first, second), **options)
        )
    for one, other in zip(*found, strict=True):
        assert_equal(other.logits, one.logits)
        assert other.fired == one.fired and other.changed == one.changed
        for key, value in one.activations.items():
            assert_equal(other.activations[key], value)


def test_savings_change_no_number_and_are_not_claimed(model: Any) -> None:
    batch, other = (
        model.prompts(interp.Addition(2).sample(6, seed=seed), format="padded@2:5")
        for seed in (4, 6)
    )
    variants = variants_of(model, batch, other)
    options: dict[str, Any] = {"reads": READS, "logits": ("last",)}
    slow = engine.run_variants(model, batch, variants, savings=Savings.none(), **options)
    fast = engine.run_variants(model, batch, variants, memory=100_000, **options)
    for one, two in zip(fast, slow, strict=True):
        assert_equal(one.logits, two.logits)
    assert all(run.cost.share == pytest.approx(1.0) for run in slow[1:])
    late = next(run for run in fast if run.name == "late")
    end = batch.positions["last"] + 1
    blocks = engine.cost.pass_flops(
        model, rows=len(batch), start=0, end=end, layers=3, unembedded=1
    )
    assert late.cost.flops == pytest.approx(blocks)  # every block and position up to the last


def test_a_read_alone_stops_early(model: Any, batch: Any) -> None:
    ran: list[str] = []
    last = model.adapter.module.transformer.h[2]
    handle = last.register_forward_hook(lambda m, args, out: ran.append("last block"))
    try:
        engine.run(model, batch, reads=[Read("resid_post", 1, "a0")], logits=None)
        assert not ran
        engine.run(model, batch)
        assert ran == ["last block"]  # once: a run without edits is the clean run
    finally:
        handle.remove()


def test_generation_with_an_edit_of_the_prompt(model: Any, gpt: nanogpt.GPT) -> None:
    batch = model.prompts(interp.Addition(2).sample(5, seed=1), format="plain", answer="none")
    value = torch.full((model.shape.d_model,), 3.0, dtype=torch.float64)
    what = Replace("resid_post", Constant(value), layers=0, roles="a0")
    made = engine.generate(model, batch, max_new_tokens=4, interventions=[what], memory=1)
    where = batch.position_array("a0")
    for row in range(len(batch)):
        tokens = batch.tokens[row : row + 1, : batch.prompt_lengths[row]]

        def edit(m: Any, args: Any, out: torch.Tensor, row: int = row) -> torch.Tensor:
            out = out.clone()
            out[:, where[row]] = value
            return out

        handle = gpt.transformer.h[0].register_forward_hook(edit)
        try:
            for step in range(4):
                best = nanogpt.all_logits(gpt, tokens)[0, -1].argmax()
                assert made[row, step] == best
                tokens = torch.cat([tokens, best[None, None]], dim=1)
        finally:
            handle.remove()
    assert not torch.equal(made, engine.generate(model, batch, max_new_tokens=4))


def hooks_left(model: Any) -> int:
    return sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks)
        for part in model.adapter.module.modules()
    ) + sum(len(point.fwd_hooks) for point in model.adapter._points.values())


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt()])
def test_no_exception_leaves_a_hook(model: Any, batch: Any, error: BaseException) -> None:
    def raise_it(x: torch.Tensor) -> torch.Tensor:
        raise error

    with pytest.raises(type(error)):
        engine.run(model, batch, [UserHook("mlp_out", raise_it, layers=2)])
    assert hooks_left(model) == 0
    engine.run(model, batch, reads=[Read("z", 0, "a0")])
    assert hooks_left(model) == 0


@pytest.mark.parametrize("site", ["q", "k", "v", "pattern"])
def test_what_a_plain_module_does_not_show(model: Any, batch: Any, site: str) -> None:
    with pytest.raises(SiteError, match=rf"no site '{site}' \(a plain module shows inside its att"):
        engine.run(model, batch, reads=[Read(site, 0, "a0")])


def test_analyses_agree_on_both_adapters(models: Any, plain: Any, tmp_path: Path) -> None:
    loaded = models["gpt2"]
    wrapped = interp.wrap(plain["gpt2"], loaded.tokens.tokenizer, sites=HF_SITES["gpt2"])
    problems = interp.Addition(2).sample(40, seed=2)
    for analysis in (interp.attribution.counterfactual, interp.attribution.logit_lens):
        one, other = (
            analysis(model, model.prompts(problems, format="padded")) for model in (loaded, wrapped)
        )
        left, right = (result.frame.select_dtypes("number").to_numpy() for result in (one, other))
        assert_equal(torch.from_numpy(right), torch.from_numpy(left))
        assert "interp.wrap(module, tokenizer, name='GPT2LMHeadModel')" in other.code
