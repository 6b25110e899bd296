"""The public grokking layouts, wrapped and converted.

114 words in, 113 out and three places; and 59 words, two places, no mask and attention rows that do
not sum to 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import interp
import probes
from interp import engine
from interp.engine import Constant, MaskAttention, Read, Replace, embedding, unembedding
from interp.engine.writes import value_reads
from interp.errors import InputError, ModelError, RoleError
from interp.models.untrained import untrained
from tests import grokking

LAYOUTS = {  # module, task, settings that no tensor tells, roles of a and of the answer
    "grokked": (grokking.grokked, "mod:113", {"causal": True}, "a[0:3]", "c[0:3]"),
    "pizza": (
        grokking.pizza, "mod:59", {"causal": False, "attention_rate": 0.25}, "a[0:2]", "c[0:2]",
    ),
}  # fmt: skip


def convert(module: Any, out: Path, layout: str, **changed: Any) -> Any:
    _, task, settings, _, _ = LAYOUTS[layout]
    torch.save(module.state_dict(), out.with_suffix(".pt"))
    options = {"activation": "relu", "task": task, **settings, **changed}
    return interp.convert(out.with_suffix(".pt"), out, kind="transformerlens", **options)


def opened(module: Any, layout: str, way: str, tmp_path: Path, dtype: str = "float64") -> Any:
    if way == "wrapped":
        kept = module.double() if dtype == "float64" else module
        return interp.wrap(kept, task=LAYOUTS[layout][1], name=layout)
    convert(module, tmp_path / "out", layout)
    return interp.load(str(tmp_path / "out"), dtype=dtype)


@pytest.fixture(params=list(LAYOUTS))
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["wrapped", "converted"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_sizes_tokens_and_places(layout: str, way: str, tmp_path: Path) -> None:
    model = opened(LAYOUTS[layout][0](), layout, way, tmp_path)
    task, s = interp.task(LAYOUTS[layout][1]), model.shape
    batch = model.prompts(task.problems([57, 3], [40, 7]))
    if layout == "grokked":
        assert (s.d_vocab, s.d_vocab_out, s.n_ctx) == (114, 113, 3)
        assert batch.tokens.tolist() == [[57, 40, 113, 97], [3, 7, 113, 10]]
    else:
        assert (s.d_vocab, s.d_vocab_out, s.n_ctx) == (59, 59, 2)
        assert batch.tokens.tolist() == [[57, 40, 38], [3, 7, 10]]
        assert "no causal mask, attention rows do not sum to 1" in repr(model)
    assert batch.n_input == s.n_ctx and not model.unusable
    assert {"q", "k", "v", "pattern", "z", "mlp_post"} <= set(model.usable_sites)


@pytest.mark.parametrize("mode", ["greedy", "forced"])
def test_accuracy_is_the_share_of_right_sums(
    layout: str, way: str, mode: str, tmp_path: Path
) -> None:
    make, name, _, _, _ = LAYOUTS[layout]
    model = opened(make(wrong=30), layout, way, tmp_path, "float32")
    problems = interp.task(name).sample(200, seed=1).distinct()
    right = problems.values(0).astype(int) + problems.values(1).astype(int) >= 30
    assert 0.5 < right.mean() < 1
    found = interp.behaviour.accuracy(model, problems, mode=mode)
    assert found.metrics["exact_accuracy"] == pytest.approx(right.mean())


@pytest.mark.parametrize("site", ["z", "attn_out", "resid_mid", "mlp_post", "mlp_out", "resid_pre",
                                  "resid_post", "q", "v", "pattern"])  # fmt: skip
def test_edits_equal_plain_hooks(layout: str, way: str, site: str, tmp_path: Path) -> None:
    """The module's own hook points, edited by plain PyTorch hooks, in float64."""
    make, name, _, _, _ = LAYOUTS[layout]
    module = make().double()
    model = opened(module, layout, way, tmp_path)
    batch = model.prompts(interp.task(name).sample(9, seed=2))
    generator = torch.Generator().manual_seed(0)
    n_ctx, by_head = model.shape.n_ctx, site in ("z", "q", "v")
    width = {"mlp_post": 128, "pattern": n_ctx}.get(site, 8 if by_head else 32)
    value = torch.rand(width, dtype=torch.float64, generator=generator)
    head = 2 if by_head or site == "pattern" else None

    def edit(_: Any, __: Any, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        if by_head or site == "pattern":
            x[:, 2, -1] = value
        else:
            x[:, -1] = value
        return x

    hook = {"z": "attn.hook_z", "q": "attn.hook_q", "v": "attn.hook_v", "mlp_post": "mlp.hook_post",
            "pattern": "attn.hook_attn"}.get(site, f"hook_{site}")  # fmt: skip
    handle = module.blocks[0].get_submodule(hook).register_forward_hook(edit)
    if site == "resid_pre":  # the grokking code's own hook point there is off the stream
        handle.remove()
        handle = module.pos_embed.register_forward_hook(edit)
    with torch.no_grad():
        want = module(batch.inputs)[:, -1]
    handle.remove()
    what = Replace(site, Constant(value), layers=0, roles="last", heads=head)
    found = engine.run(model, batch, [what]).logits[:, 0]
    assert (found - want).abs().max() <= 1e-9 * want.abs().max()
    with torch.no_grad():
        clean = module(batch.inputs)[:, -1]
    assert torch.equal(engine.run(model, batch).logits[:, 0].argmax(-1), clean.argmax(-1))


def test_a_mask_keeps_the_sum_of_each_row(layout: str, way: str, tmp_path: Path) -> None:
    """Head 0 looks everywhere alike, so without a it puts the row's sum on the rest."""
    make, name, _, a, _ = LAYOUTS[layout]
    model = opened(make(), layout, way, tmp_path)
    batch = model.prompts(interp.task(name).sample(5, seed=2))
    read = Read("pattern", 0, "last")
    before = engine.run(model, batch, reads=[read]).activations["pattern", 0][:, 0]
    masked = engine.run(
        model, batch, [MaskAttention(roles="last", keys=a)], reads=[read]
    ).activations["pattern", 0][:, 0]
    total = 1.0 if layout == "grokked" else 0.25 + 2 * 0.75
    assert torch.allclose(before.sum(-1), torch.full_like(before[..., 0], total))
    assert torch.allclose(masked.sum(-1), before.sum(-1))
    assert not masked[..., 0].any()
    kept = before[..., 1:] / before[..., 1:].sum(-1, keepdim=True) * total
    assert torch.allclose(masked[..., 1:], kept)


def test_matrices_at_both_ends(layout: str, way: str, tmp_path: Path) -> None:
    module = LAYOUTS[layout][0]().double()
    model = opened(module, layout, way, tmp_path)
    assert torch.equal(embedding(model), module.embed.W_E.T)
    matrix, bias = unembedding(model)
    assert torch.equal(matrix, module.unembed.W_U) and not bias.any()
    values = value_reads(model, 0)
    if way == "wrapped":
        assert values is None
    else:
        assert torch.allclose(values, module.blocks[0].attn.W_V.transpose(1, 2))
    neurons = interp.cache(model, LAYOUTS[layout][1], "mlp_post", roles="last", n=4)
    seen = {}
    handle = module.blocks[0].mlp.hook_post.register_forward_hook(
        lambda m, a, out: seen.update(x=out[:, -1])
    )
    with torch.no_grad():
        module(neurons.batch.inputs)
    handle.remove()
    assert torch.allclose(neurons.values[:, 0, 0], seen["x"])


def test_analyses_run_or_refuse_by_name(layout: str, way: str, tmp_path: Path) -> None:
    make, name, _, _, answer = LAYOUTS[layout]
    model = opened(make(), layout, way, tmp_path, "float32")
    attribution = interp.attribution.counterfactual(model, name, n=16)
    assert attribution.metrics["share_correct"] == 1
    lens = interp.attribution.logit_lens(model, name, n=30)
    assert lens.metrics["final_first"] == 1
    problems = interp.task(name).sample(160, seed=0)
    found = probes.probe(model, problems, targets=("wrap",), roles=("last",), controls=())
    assert found.metrics["score[wrap]"] > 0.9
    if layout == "grokked" and way == "converted":
        assert interp.ablation.removal(model, name, n=64).metrics["base_accuracy"] == 1
    else:
        told = "no causal mask" if layout == "pizza" else "cannot be masked token by token"
        with pytest.raises(ModelError, match=told):
            interp.ablation.removal(model, name, n=64)
    with pytest.raises(RoleError, match=r"predicts and does not read .* Use 'predicts\("):
        interp.cache(model, name, roles=answer, n=4)
    with pytest.raises(RoleError, match=r"predicts and does not read"):
        probes.probe(model, problems, roles=(answer,))


def test_only_the_last_position_of_the_pizza_is_read(way: str, tmp_path: Path) -> None:
    model = opened(grokking.pizza(), "pizza", way, tmp_path)
    batch = model.prompts(interp.task("mod:59").sample(4, seed=0))
    with pytest.raises(RoleError, match=r"Ask for 'c\[0:2\]' or 'last'"):
        engine.run(model, batch, logits="b[0:2]")
    with pytest.raises(RoleError, match=r"read at its last position alone"):
        engine.gradients(model, batch, ["mlp_post"], logits="all")
    for logits in ("c[0:2]", "last"):
        assert engine.run(model, batch, logits=logits).logits.shape == (4, 1, 59)
    with pytest.raises(InputError, match="answers with one token"):
        engine.generate(model, batch, max_new_tokens=2)


def test_the_untrained_toy_is_another_of_its_shape(tmp_path: Path) -> None:
    model = opened(grokking.pizza(), "pizza", "converted", tmp_path, "float32")
    one, two = untrained(model, seed=1), untrained(model, seed=1)
    assert one.shape == model.shape and one.hash == two.hash != model.hash
    assert not one.adapter.causal


def test_what_no_tensor_of_the_grokking_code_tells(tmp_path: Path) -> None:
    pizza = grokking.pizza()
    with pytest.raises(InputError, match=r"does not say what its neurons compute"):
        convert(pizza, tmp_path / "out", "pizza", activation=None)
    with pytest.raises(InputError, match=r"causal=True \(--causal\) for .* Nanda"):
        convert(pizza, tmp_path / "out", "pizza", causal=None)
    with pytest.raises(InputError, match=r"attention rate α .* attention_rate=…"):
        convert(pizza, tmp_path / "out", "pizza", attention_rate=None)
    with pytest.raises(InputError, match=r"names 113 tokens, and the model reads 59"):
        convert(pizza, tmp_path / "out", "pizza", task="mod:113")
    with pytest.raises(InputError, match=r"leave causal and attention_rate out"):
        interp.convert(tmp_path / "out.pt", tmp_path / "out", kind="nanogpt", characters="01",
                       causal=True)  # fmt: skip
    assert not (tmp_path / "out").exists()
    wider = grokking.Transformer(118, 59, 2, mask=False)  # a and b have tokens of their own
    with pytest.raises(InputError, match=r"59 tokens, and the model reads 118: its tokens mean"):
        interp.wrap(wider, task="mod:59")


def test_a_damaged_toy_folder(tmp_path: Path) -> None:
    convert(grokking.pizza(), tmp_path / "out", "pizza")
    config = tmp_path / "out" / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"causal": false', '"causal": false, "gate": 1'))
    with pytest.raises(ModelError, match=r"no config of an arithmoscope-toy .*unknown gate"):
        interp.load(str(tmp_path / "out"))
    config.write_text(text.replace('"n_ctx": 2', '"n_ctx": 3'))
    with pytest.raises(ModelError, match=r"not those of its config.json \(size mismatch for pos_e"):
        interp.load(str(tmp_path / "out"))
