"""Direct effects sum to the logits, equal those worked out by hand, and find the planted heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import interp
from interp.errors import InputError
from interp.planted import build
from interp.results.result import Result
from tests import tiny

PROBLEMS = interp.Addition(2).problems([12, 70, 58, 31], [34, 95, 58, 6])


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_components_sum_to_the_logits(family: str, tmp_path: Path) -> None:
    """float64: the sum over components is the plain module's logit minus b_U, by hand."""
    folder = tiny.save(family, tmp_path, seed=5)
    model = interp.load(str(folder), dtype="float64")
    found = interp.attribution.direct(model, PROBLEMS, format="padded", neurons=3)
    batch = model.prompts(PROBLEMS, format="padded")
    module = tiny.plain(folder)
    with torch.no_grad():
        logits = module(batch.tokens).logits
    bias = getattr(module.get_output_embeddings(), "bias", None)
    for role in found.logit.axes[0].labels:
        where = batch.position_array(role) - 1
        token = batch.labels(role)
        want = logits[torch.arange(len(batch)), torch.from_numpy(where), token]
        if bias is not None:
            want = want - bias[token]
        total = float(found.effect.at(answer_digit=role).values.sum())
        # Llama and its kin take norms in float32, whatever the dtype.
        share = 1e-9 if family in ("gpt2", "gpt_neox") else 1e-5
        assert abs(total - float(want.mean())) <= share * float(want.abs().max())
    assert found.difference <= 1e-5 * float(logits.abs().max())
    assert len(found.neurons) == 3


def test_a_head_by_hand(tmp_path: Path) -> None:
    """GPT-2, one head: z · W_O · γ / σ · W_U, from the module's own weights."""
    folder = tiny.save("gpt2", tmp_path, seed=6)
    model = interp.load(str(folder), dtype="float64")
    found = interp.attribution.direct(model, PROBLEMS, format="padded", roles="c1")
    module, batch = tiny.plain(folder), model.prompts(PROBLEMS, format="padded")
    layer, head, width = 1, 2, tiny.D_MODEL // tiny.N_HEADS
    seen: dict[str, torch.Tensor] = {}
    block = module.transformer.h[layer]
    block.attn.c_proj.register_forward_pre_hook(lambda m, a: seen.update(z=a[0]))
    module.transformer.ln_f.register_forward_pre_hook(lambda m, a: seen.update(x=a[0]))
    with torch.no_grad():
        module(batch.tokens)
    at = int(batch.position_array("c1")[0]) - 1
    columns = slice(head * width, (head + 1) * width)
    write = seen["z"][:, at, columns] @ block.attn.c_proj.weight[columns]
    x, norm = seen["x"][:, at], module.transformer.ln_f
    sigma = (x.var(dim=-1, unbiased=False) + norm.eps).sqrt()
    u = module.lm_head.weight[batch.labels("c1")] * norm.weight
    want = ((write - write.mean(-1, keepdim=True)) * u).sum(-1) / sigma
    got = float(found.effect.at(component=f"L{layer}H{head}", answer_digit="c1"))
    assert got == pytest.approx(float(want.mean()), rel=1e-6)


def test_the_planted_heads_write_directly(tmp_path: Path) -> None:
    hidden = build("relay", seed=3, layers=3)
    model, key = hidden.model(dtype="float64"), hidden.key
    found = interp.attribution.direct(model, key.problems(100), roles=key.answers, neurons=0)
    want = key.direct_effects(key.problems(100))
    for row in want.to_dict("records"):
        names = {"embed": "embed", "head": f"L{row['layer']}H{row['head']}",
                 "mlp": f"L{row['layer']}.mlp"}  # fmt: skip
        got = float(found.effect.at(component=names[row["part"]], answer_digit=row["role"]))
        assert abs(got - row["mean"]) <= 1e-4 * key.logit_scale
    heads = {f"L{h.layer}H{h.head}" for h in key.direct_heads}
    names = found.effect.axes[0].labels
    size = np.abs(found.beyond).max(axis=1)
    over = {name for name, x in zip(names, size, strict=True) if x > 0.01 * key.logit_scale}
    assert {name for name in over if "H" in name} == heads
    assert Result.load(found.save(tmp_path / "direct")) == found


def test_one_prompt_has_no_control() -> None:
    model = interp.load("add5")
    with pytest.raises(InputError, match="at least two problems"):
        interp.attribution.direct(model, interp.Addition(5).problems([1], [2]))
