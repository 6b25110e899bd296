"""Tables of conditional means: what is in them, what is left out, what is kept on disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp import ablation, engine
from interp.ablation import Replacement
from interp.ablation.complete import StagedResources
from interp.ablation.setting import Setting
from interp.ablation.tables import build_table
from interp.engine import Read
from interp.engine import block_steps as lanes
from interp.errors import StorageError

TASK = interp.Addition(1)


def streams(model: Any, batch: Any) -> torch.Tensor:
    """[n, T, layers, d_model] by a complete run."""
    found = engine.run(model, batch, reads=[Read("resid_post")], logits=None).activations
    return torch.stack([found["resid_post", layer] for layer in range(4)], dim=2)


@pytest.mark.parametrize("given", ["token", "value", "nothing"])
def test_a_mean_is_the_mean_over_the_other_prompts_that_share_the_key(
    given: str, tiny_model: Callable[..., Any]
) -> None:
    model, _ = tiny_model("gpt2")
    numbers = np.array([(a, b) for a in (12, 17, 34) for b in (20, 44, 45, 46, 70, 71)]).T
    problems = interp.Addition(2).problems(*numbers)
    table = model.prompts(problems, format="padded")
    batch = table[np.array([2, 11])]
    what = streams(model, table)
    here = Setting.of(model, batch, Replacement("cama", given), "first", 0, StagedResources())
    held = build_table(model, table, given, memory=2**20)
    got = here.replacement_states(table=held).rows(3)
    tokens = table.tokens.numpy()
    roles = table.layouts[0]
    checked = 0
    for row, prompt in enumerate(batch.tokens.numpy()):
        for position in range(1, here.places.end):
            first, number = position, roles[position][0]
            while given == "value" and number in "abc" and roles[first - 1][0] == number:
                first -= 1
            same = (tokens[:, first : position + 1] == prompt[first : position + 1]).all(axis=1)
            same |= given == "nothing"
            same &= (tokens != prompt).any(axis=1)
            if not same.any():
                continue
            want = what[torch.from_numpy(same), position, 2].mean(dim=0)
            assert float((got[row, position - 1] - want).abs().max()) < 1e-9
            checked += 1
    assert checked > 10


def test_a_table_costs_each_distinct_prefix_once(
    tiny_model: Callable[..., Any], monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path))
    model, _ = tiny_model("llama")
    batch = model.prompts(interp.Addition(1).grid(), format="padded")
    seen: list[int] = []
    step = lanes.step
    monkeypatch.setattr(
        lanes, "step", lambda m, la, x, *rest: (seen.append(len(x)), step(m, la, x, *rest))[1]
    )
    built = build_table(model, batch, "token", memory=2**30)
    prefixes = sum(len({row[: p + 1].tobytes() for row in batch.tokens.numpy()}) for p in range(6))
    assert sum(seen) == 4 * prefixes  # bos a op b = c1, in each of four layers
    again = build_table(model, batch, "token", memory=2**30)
    assert sum(seen) == 4 * prefixes  # from disk
    assert torch.equal(built.sums, again.sums)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_a_damaged_table_is_refused(
    tiny_model: Callable[..., Any], monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARITHMOSCOPE_CACHE", str(tmp_path))
    model, _ = tiny_model("gpt2")
    ablation.cama(model, TASK, format="padded")
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StorageError, match="Delete the file"):
        ablation.cama(model, TASK, format="padded")


def test_what_the_own_token_explains(tiny_model: Callable[..., Any], tmp_path: Path) -> None:
    model, _ = tiny_model("gpt2")
    found = ablation.cama(model, "add:1", format="padded")
    assert found.exact
    assert not found.error.values.any()
    share = {role: found.own_share.at(role=role, depth="4") for role in ("bos", "a0", "b0", "eq")}
    assert np.isnan(share["bos"])  # never varies
    assert share["a0"] == pytest.approx(1.0)  # has seen nothing else
    assert 0 < share["b0"] < 1
    assert share["eq"] == 0  # one token, so all that varies is of others
    told = re.search(r"at (\w+) after (\w+) layers: .* \(exact, over", found.conclusion() or "")
    assert told is not None
    assert told[1] in ("b0", "c1")  # "op", "eq" explain nothing whatever the model does
    varied = [
        i for i, role in enumerate(found.own_share.axes[0].labels) if role not in ("op", "eq")
    ]
    lowest = np.nanmin(found.own_share.values[varied])
    assert found.own_share.at(role=told[1], depth=told[2]) == lowest
    assert found.metrics["lowest_own_share"] == lowest > 0
    sampled = ablation.cama(model, interp.Addition(2), format="padded", n=200)
    assert not sampled.exact
    assert np.nanmax(sampled.error.values) > 0
    assert interp.results.Result.load(found.save(tmp_path / "table")) == found
    assert "interp.ablation.cama(model, 'add:1', n=100, " in found.code


def test_keys_say_nothing_by_their_number_alone(tiny_model: Callable[..., Any]) -> None:
    """b0 after layer 1 of sampled sums, by hand: a share corrected for degrees of freedom, and the
    errors of means; keys that are seen once have neither."""
    model, _ = tiny_model("gpt2")
    problems = interp.Addition(2).sample(60, seed=0, full_width=True)
    found = ablation.cama(model, problems, format="padded")
    table = model.prompts(problems, format="padded")
    table = table[np.unique(table.tokens.numpy(), axis=0, return_index=True)[1]]
    at = int(table.positions["b0"])
    states = streams(model, table)[:, at, 0].numpy()
    key = np.unique(table.tokens.numpy()[:, at], return_inverse=True)[1]
    means = np.array([states[key == k].mean(axis=0) for k in range(key.max() + 1)])
    within = ((states - means[key]) ** 2).sum() / (len(states) - len(means))
    total = ((states - states.mean(axis=0)) ** 2).sum() / (len(states) - 1)
    assert found.own_share.at(role="b0", depth="1") == pytest.approx(1 - within / total)
    spread = [
        np.sqrt(((states[key == k] - m) ** 2).sum() / ((n := (key == k).sum()) - 1) / n)
        for k, m in enumerate(means)
    ]
    between = np.sqrt(((means[key] - states.mean(axis=0)) ** 2).sum() / len(states))
    assert found.error.at(role="b0", depth="1") == pytest.approx(max(spread) / between)
    assert np.isnan(found.error.at(role="eq", depth="1"))  # one key, nothing to compare with
    assert "(standard errors of the means: up to " in str(found.verdict)
    assert "% of the spread between keys' means)" in str(found.verdict)

    alone = ablation.cama(model, problems[:8], format="padded", given="value")
    assert np.isnan(alone.own_share.at(role="b0", depth="1"))  # 8 values, each seen once
    assert np.isnan(alone.error.at(role="b0", depth="1"))
    assert np.isnan(alone.metrics["largest_error"])


def test_how_well_the_means_are_known_stands_in_the_settings(
    tiny_model: Callable[..., Any],
) -> None:
    model, _ = tiny_model("gpt2")
    batch = model.prompts(interp.Addition(2).sample(6, seed=1, full_width=True), format="padded")
    known = ablation.Replacement("cama", "token", 300)
    scored = ablation.evaluate(model, batch, ablation.Schedule(1), replacement=known)
    told = scored.settings
    assert scored.metrics["table_error"] == told["table_error"]
    moved = ablation.transfer(model, ablation.Schedule(1), {"a": batch}, replacement=known)
    assert moved.table["table_error"].item() == told["table_error"]
    table = ablation.cama(
        model, interp.Addition(2).sample(300, seed=0, full_width=True), format="padded"
    )
    assert told["table_error"] == pytest.approx(table.metrics["largest_error"]) != 0
    assert told["table_fewest"] == table.metrics["fewest"]
    assert "table_error" not in ablation.evaluate(model, batch, ablation.Schedule()).settings
    zero = ablation.evaluate(model, batch, ablation.Schedule(1), replacement="zero")
    assert "table_error" not in zero.settings
    assert np.isnan(zero.metrics["table_error"])
    small = model.prompts(TASK.grid()[:20], format="padded")
    assert ablation.grid(model, small, waits=[1], widths=[1]).settings["table_error"] == 0
