from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.attribution import logit_lens, swap_example
from interp.errors import InputError, RoleError
from interp.results.result import Result


def plain_lens(model: Any, batch: Any, layer: int | None) -> torch.Tensor:
    """Logits at every position, read off the Hugging Face module's own hidden states."""
    module = model.adapter.module
    with torch.no_grad():
        out = module(batch.tokens, output_hidden_states=True)
    if layer == model.shape.n_layers - 1:
        return out.logits  # the last hidden state of the library is normalised already
    state = out.hidden_states[0 if layer is None else layer + 1]
    return module.lm_head(module.model.norm(state))


@pytest.mark.parametrize("format", ["padded", "plain", "reversed"])
def test_equals_the_modules_own_states(llama: Any, format: str) -> None:
    batch = llama.prompts(interp.Addition(2).sample(15, seed=2), format=format)
    result = logit_lens(llama, batch, memory=40_000)
    layers = [None, *range(llama.shape.n_layers)]
    for place, layer in enumerate(layers):
        logits = plain_lens(llama, batch, layer)
        for role in result.rank.axis("answer_digit").labels:
            where = batch.predicting_positions(role)
            rows = np.flatnonzero(where >= 0)
            x = logits[rows, where[rows]]
            true = batch.labels(role)[rows]
            own = x[torch.arange(len(rows)), true]
            cell = {"layer": result.rank.axes[0].labels[place], "answer_digit": role}
            assert result.logit.at(**cell) == pytest.approx(float(own.mean()), abs=1e-9)
            rank = (x > own[:, None]).sum(1) + 1
            assert result.rank.at(**cell) == pytest.approx(float(rank.double().mean()))
            assert result.first.at(**cell) == pytest.approx(float((rank == 1).double().mean()))
            chance = x.softmax(-1)[torch.arange(len(rows)), true]
            assert result.probability.at(**cell) == pytest.approx(float(chance.mean()), abs=1e-9)
            assert result.used.at(answer_digit=role) == len(rows)


def test_the_control_has_the_same_tokens_on_other_prompts(llama: Any) -> None:
    """Averaged over many shuffles the control is the mean over all other prompts' tokens."""
    batch = llama.prompts(interp.Addition(1).grid()[:12], format="padded")
    logits = plain_lens(llama, batch, 1)[:, int(batch.predicts("c0"))]
    true = batch.labels("c0")
    table = logits[:, true]
    others = (table.sum() - table.diagonal().sum()) / (12 * 11)
    found = [
        logit_lens(llama, batch, roles=["c0"], seed=seed).shuffled_logit.at(
            layer="1", answer_digit="c0"
        )
        for seed in range(60)
    ]
    spread = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - float(others)) < 4 * spread


def test_roles_of_choice_and_errors(llama: Any) -> None:
    batch = llama.prompts(interp.Addition(2).sample(4), format="padded")
    assert logit_lens(llama, batch, roles=["op"]).rank.axes[1].labels == ("op",)
    with pytest.raises(RoleError, match="first token: nothing predicts it"):
        logit_lens(llama, batch, roles=["a1"])
    with pytest.raises(RoleError, match="role 'c9' is in none"):
        logit_lens(llama, batch, roles=["c9"])
    with pytest.raises(InputError, match="hold no answer"):
        logit_lens(llama, llama.prompts(batch.problems, format="padded", answer="none"))


def test_saved_and_made_again(llama: Any, tmp_path: Any, monkeypatch: Any) -> None:
    batch = llama.prompts(interp.Addition(2).sample(10, seed=0), format="plain")
    result = logit_lens(llama, batch, seed=3)
    assert Result.load(result.save(tmp_path)) == result
    monkeypatch.setattr(interp, "load", lambda name: llama, raising=False)
    names: dict[str, Any] = {}
    exec(result.code, names)
    assert names["result"] == result
    assert result.frame.groupby("layer").size().to_dict() == dict.fromkeys(
        result.rank.axes[0].labels, 3
    )


def test_swap_example(llama: Any, monkeypatch: Any) -> None:
    batch = llama.prompts(interp.Addition(2).problems([12, 55], [34, 5]), format="padded")
    result = swap_example(llama, batch, "a0", row=1, digit=9)
    assert (result.before, result.after) == ("55+05=060", "59+05=060")
    units = result.logits[result.logits["answer_digit"] == "c0"]
    assert units.loc[units["true_before"], "token"].tolist() == ["0"]
    assert units.loc[units["true_after"], "token"].tolist() == ["4"]
    module = llama.adapter.module
    texts = [batch[1].tokens, llama.prompts(
        interp.Addition(2).problems([59], [5]), format="padded", answer=batch[1].problems.answers()
    ).tokens]  # fmt: skip
    for name, tokens in zip(("before", "after"), texts, strict=True):
        with torch.no_grad():
            x = module(tokens).logits[0, int(batch.predicts("c0"))]
        zero = llama.tokens.tokenizer.convert_tokens_to_ids("0")
        row = units[units["token"] == "0"].iloc[0]
        assert row[f"logit_{name}"] == pytest.approx(float(x[zero]), abs=1e-9)
        assert row[f"probability_{name}"] == pytest.approx(float(x.softmax(-1)[zero]), abs=1e-9)
    monkeypatch.setattr(interp, "load", lambda name: llama, raising=False)
    names: dict[str, Any] = {}
    exec(result.code, names)
    assert names["result"] == result
    with pytest.raises(InputError, match="a0 is 5 already"):
        swap_example(llama, batch, "a0", row=1, digit=5)
    with pytest.raises(InputError, match="add:2 has no operand digit 'a4'"):
        swap_example(llama, batch, "a4")
    with pytest.raises(InputError, match="'eq' is no operand digit"):
        swap_example(llama, batch, "eq")
