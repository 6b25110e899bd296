"""Patterns, weighted patterns and digit circuits equal the Hugging Face module's, head by head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import interp
from interp.errors import InputError, RoleError, SiteError
from interp.results.result import Result
from tests import tiny
from tests.golden.subjects import wrapped
from tests.heads import slow

TASK = interp.task("add:2")


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def case(request, tmp_path_factory):
    folder = tiny.save(request.param, tmp_path_factory.mktemp("tiny") / request.param)
    model = interp.load(str(folder), dtype="float64")
    batch = model.prompts(TASK.sample(60, seed=3), format="padded")
    return request.param, folder, model, batch, slow.attention(folder, request.param, batch.tokens)


def test_patterns_are_those_of_the_module(case) -> None:
    _, _, model, batch, (patterns, sizes) = case
    found = interp.heads.attention(model, batch, queries=["eq", "predicts(c1)"])
    keys = found.plain.axis("key").labels
    at = [batch.positions[key] for key in keys]
    for i, query in enumerate(("eq", "predicts(c1)")):
        q = int(batch.position_array(query)[0])
        for layer, (pattern, size) in enumerate(zip(patterns, sizes, strict=True)):
            plain = pattern[:, :, q][..., at]
            weighted = plain * size[..., at]
            weighted = weighted / weighted.sum(dim=-1, keepdim=True)
            for name, want in (("plain", plain), ("weighted", weighted)):
                got = getattr(found, name).values[layer, :, i]
                assert np.abs(got - want.mean(dim=0).numpy()).max() < 1e-6
            assert np.abs(found.spread.values[layer, :, i] - plain.numpy().std(axis=0)).max() < 1e-6
            assert np.abs(found.example.values[layer, :, i] - plain[0].numpy()).max() < 1e-6
    difference = found.plain.values - found.weighted.values
    assert np.nanmax(np.abs(difference)) > 0.01  # values differ in size
    assert np.allclose(found.weighted.values.sum(axis=-1), 1)
    score = found.scores.query("attends_to == 'operand' and query == 'eq'")
    assert np.allclose(score["uniform"], 4 / 6)
    operator = found.scores.query("attends_to == 'operator' and query == 'eq'")
    assert np.allclose(operator["uniform"], 1 / 6)


def test_prompts_that_lack_a_role_are_left_out_of_its_means(case) -> None:
    """Sums of one or two digits, unpadded: c1 is in few of them."""
    _, _, model, _, _ = case
    problems = TASK.problems([3, 12, 4, 5], [4, 7, 1, 2])
    found = interp.heads.attention(model, problems, format="plain", queries=["predicts(c1)"])
    alone = interp.heads.attention(
        model, TASK.problems([12, 12], [7, 7]), format="plain", queries=["predicts(c1)"]
    )
    assert found.plain.axis("key").labels[:3] == ("a1", "a0", "op")
    np.testing.assert_allclose(found.plain.at(key="a1").values, alone.plain.at(key="a1").values)
    for name in ("score", "uniform"):
        np.testing.assert_allclose(found.scores[name], alone.scores[name])


def test_digit_circuits_are_those_of_the_module(case) -> None:
    family, folder, model, batch, (patterns, _) = case
    layer, head, query, key = 2, 3, "predicts(c1)", "b1"
    found = interp.heads.digit_circuits(model, batch, layer=layer, head=head, query=query, key=key)
    assert found.other == "c2"  # printed most significant first, c2 is what predicts(c1) reads
    q, k = int(batch.position_array(query)[0]), batch.positions[key]
    a = patterns[layer][:, head, q, k].numpy()
    b1, c2 = batch.problems.operands[1][:, 1], batch.problems.answer[:, 2]
    odds = np.log(a / (1 - a))
    for x in range(2):
        for y in range(10):
            rows = (c2 == x) & (b1 == y)
            got = found.qk.values[x, y]
            assert np.isnan(got) if not rows.any() else abs(got - odds[rows].mean()) < 1e-6
    want = _written(folder, family, batch, a, layer, head, q, k)
    for y in range(10):
        if (b1 == y).any():
            assert np.abs(found.ov.values[y] - want[b1 == y].mean(axis=0)).max() < 1e-6
    assert np.nanmax(np.abs(found.ov.values)) > 1e-3
    share = sum((b1 == y).sum() * (odds[b1 == y].mean() - odds.mean()) ** 2 for y in set(b1))
    assert abs(found.explained["share"][0] - share / ((odds - odds.mean()) ** 2).sum()) < 1e-9


def _written(folder, family, batch, a, layer, head, q, k):
    """Logits of the digits with the head's write from one key, minus those without it."""
    module, norm, stream = slow.final_stream(folder, batch.tokens)
    values = []
    part = tiny.parts(module, family, layer)
    where = part["attn"].c_attn if family == "gpt2" else part["attn"].v_proj
    where.register_forward_hook(lambda m, i, out: values.append(out))
    with torch.no_grad():
        module(batch.tokens)
        v = values[0][:, k]
        d = module.config.hidden_size // module.config.num_attention_heads
        if family == "gpt2":
            v, group, weight = v[:, -module.config.hidden_size :], head, part["o"].weight
        else:
            group, weight = head // 2, part["o"].weight.T
        v = v[:, group * d : (group + 1) * d]
        write = torch.from_numpy(a)[:, None] * (v @ weight[head * d : (head + 1) * d])
        both = [module.lm_head(norm(x)) for x in (stream[:, q], stream[:, q] - write)]
    tokens = [_token_of(batch, d) for d in range(10)]
    change = (both[0] - both[1])[:, tokens].numpy()
    change = change - change.mean(axis=1, keepdims=True)
    return change - change.mean(axis=0)


def _token_of(batch, digit):
    rows = np.flatnonzero(batch.problems.operands[0][:, 0] == digit)
    return int(batch.labels("a0")[rows[0]])


def test_a_staircase_by_hand() -> None:
    model = interp.load("mul5x1-reversed")
    found = interp.heads.attention(model, "mul:5x1", n=80)
    stairs = found.staircase.set_index("head")
    assert set(stairs["operand"]) == {"a"}  # one digit of b is no staircase
    row = stairs.loc["0"]
    steps = [
        found.plain.at(layer=0, head=0, query=f"predicts(c{k})", key=f"a{k + row.offset}")
        for k in range(6) if 0 <= k + row.offset < 5
    ]  # fmt: skip
    assert abs(row.attention - np.mean(steps)) < 0.08  # another half of the prompts
    assert row.attention > row.shuffled_95


def test_results_are_saved_and_made_again(tmp_path) -> None:
    model = interp.load("add5")
    patterns = interp.heads.attention(model, "add:5", n=16, seed=2, queries=["eq"])
    circuits = interp.heads.digit_circuits(model, "add:5", n=200, key="a2")
    for name, found in (("patterns", patterns), ("circuits", circuits)):
        assert Result.load(found.save(tmp_path / name)) == found
        names: dict[str, object] = {}
        exec(found.code, names)
        assert names["result"] == found
        assert found.figure().layout.title.text
    assert patterns.figure("weighted").layout.title.text and patterns.conclusion()
    assert circuits.n == 100  # the other half chose the head
    look = model.prompts(model.held_out(200, seed=0))
    chosen = interp.heads.attention(model, look).plain.axis("query").labels
    assert circuits.query in chosen and circuits.key == "a2" and 0 <= circuits.attention <= 1


def test_bad_input() -> None:
    model = interp.load("add5")
    with pytest.raises(InputError, match=r"layers=\[7\]: add5 has 0 to 1"):
        interp.heads.attention(model, "add:5", n=4, layers=[7])
    with pytest.raises(RoleError, match="'d9' is in none of these prompts"):
        interp.heads.attention(model, "add:5", n=4, queries=["d9"])
    with pytest.raises(InputError, match="at least two prompts"):
        interp.heads.attention(model, "add:5", n=1)
    with pytest.raises(SiteError, match="pattern"):
        interp.heads.attention(wrapped(), "add:2", n=4)
    with pytest.raises(InputError, match="no head 9 of layer 0"):
        interp.heads.digit_circuits(model, "add:5", layer=0, head=9, query="eq", key="a0")
    with pytest.raises(InputError, match="'op' holds no single digit"):
        interp.heads.digit_circuits(model, "add:5", layer=0, head=0, query="eq", key="op")
    with pytest.raises(InputError, match="a0 comes before b0 and cannot look at it"):
        interp.heads.digit_circuits(model, "add:5", layer=0, head=0, query="a0", key="b0")
