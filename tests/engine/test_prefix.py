"""Positions that minibatches begin with are run for one row, and no deeper than is read."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

import interp
from interp import engine
from interp.engine import (
    Add,
    Read,
    Replace,
    Savings,
    Scale,
    Variant,
    Zero,
    _generate,
    prefix,
    sweep,
)
from interp.engine.interventions import Rows
from interp.engine.prefix import SharedPrefix, common_prefix
from tests.engine.padding import check_padding


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int | None]]:
    """Of every pass its rows, its first position and the layer before which it stops."""
    seen: list[tuple[int, int, int | None]] = []
    run = sweep.forward

    def counted(adapter: Any, job: Any) -> Any:
        if job.start < job.tokens.shape[1]:  # else there is nothing to run
            seen.append((len(job.tokens), job.start, job.stop_layer))
        return run(adapter, job)

    monkeypatch.setattr(sweep, "forward", counted)
    monkeypatch.setattr(prefix, "forward", counted)
    return seen


@pytest.mark.parametrize(
    ("layers", "logits", "stop"), [((0, 1), None, 2), ((0,), "last", None), ((3,), None, 4)]
)
def test_minibatches_that_begin_alike_share_one_pass(
    models: dict[str, Any], passes: list[Any], layers: Any, logits: Any, stop: int | None
) -> None:
    model = models["llama"]
    batch = model.prompts(interp.Addition(2).sample(40, seed=0), format="plain@2:5")
    reads = [Read("resid_post", layers, ("last",))]
    fast = engine.run(model, batch, reads=reads, logits=logits, memory=1_500_000)
    heads = [job for job in passes if job[0] == 1 and job[1] == 0]
    tails = [job for job in passes if job[1] > 0]
    assert len(heads) == 1 and len(tails) > 3
    assert sum(rows for rows, *_ in tails) == 40
    assert {last for *_, last in passes} == {stop}
    slow = engine.run(model, batch, reads=reads, logits=logits, savings=Savings.none())
    for key, value in slow.activations.items():
        torch.testing.assert_close(fast.activations[key], value)
    assert fast.cost.flops < 0.5 * slow.cost.flops


def sweeps() -> set[int]:
    return {id(x) for x in gc.get_objects() if type(x) is sweep.Sweep}


def test_what_was_read_goes_with_the_call(models: dict[str, Any]) -> None:
    """Nothing that a call held waits for the garbage collector."""
    model = models["llama"]
    batch = model.prompts(interp.Addition(2).sample(40, seed=0), format="plain@2:5")
    gc.collect()
    gc.disable()
    before = sweeps()  # held by the traceback of another test's error
    try:
        run = engine.run(model, batch, reads=[Read("resid_post", 0, ("last",))], logits=None)
        held = weakref.ref(run.activations["resid_post", 0])
        del run
        assert held() is None
        assert sweeps() <= before
    finally:
        gc.enable()


def test_another_beginning_is_another_pass(models: dict[str, Any], passes: list[Any]) -> None:
    """By hand: a prefix is kept until another comes, and belongs to its own tokens."""
    shared = SharedPrefix(models["llama"], stop_layer=2)
    a, b = torch.tensor([[3, 4, 5]] * 2), torch.tensor([[3, 4, 6]] * 3)
    rows = slice(0, 3)
    first, job = shared(a, rows, 8)
    assert job is not None and list(first) == [0, 1] and first[1][0].shape[0] == 2
    assert shared(a[:1], slice(5, 6), 8)[1] is None
    other, _ = shared(b, rows, 8)
    assert not torch.equal(first[1][0][0], other[1][0][0])
    assert torch.equal(shared(a, rows, 8)[0][1][0], first[1][0])
    assert passes == [(1, 0, 2)] * 3


def test_the_common_prefix_is_counted_from_the_first_position_on() -> None:
    assert common_prefix(torch.tensor([[1, 2, 3], [1, 2, 4], [1, 5, 3]])) == 1
    assert common_prefix(torch.tensor([[1, 2], [3, 2]])) == 0
    assert common_prefix(torch.tensor([[1, 2, 3]])) == 3


def test_variants_go_on_from_what_minibatches_share(models: dict[str, Any]) -> None:
    """Some read little and some edit deep: the kept prefix serves them all, in every minibatch."""
    model = models["llama"]
    batch = model.prompts(interp.Addition(2).sample(40, seed=0), format="plain@2:5")
    variants = [
        Variant("clean"),
        Variant("deep", (Replace("z", Zero(), layers=2, roles=("last",)),)),
        Variant("early", (Replace("mlp_out", Zero(), layers=0, roles=("a0",)),)),
    ]
    options: dict[str, Any] = {"reads": [Read("resid_post", (0, 3), ("last",))], "logits": "last"}
    fast = engine.run_variants(model, batch, variants, memory=1_500_000, **options)
    slow = engine.run_variants(model, batch, variants, savings=Savings.none(), **options)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a.logits, b.logits)
        for key, value in b.activations.items():
            torch.testing.assert_close(a.activations[key], value)
    assert not torch.equal(fast[0].logits, fast[1].logits)


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch, passes: list[Any]) -> list[Any]:
    """`passes` of `generate` too."""
    monkeypatch.setattr(_generate, "forward", prefix.forward)
    return passes


def few_shot(model: Any, n: int) -> Any:
    """Questions of several lengths behind the same examples."""
    problems = interp.Addition(2).sample(n, seed=3)
    return model.prompts(problems, format="plain@2:5", answer="none")


def one_by_one(model: Any, batch: Any, edits: Any = None, **options: Any) -> torch.Tensor:
    """Each prompt alone, with the edits of its row: it shares nothing, and stops alone."""
    return torch.cat(
        [
            engine.generate(
                model, batch[[row]], interventions=[] if edits is None else edits([row]), **options
            )
            for row in range(len(batch))
        ]
    )


def test_decoding_runs_the_examples_once_and_leaves_out_rows_that_stopped(
    models: dict[str, Any], family: str, decoding: list[Any]
) -> None:
    model = models[family]
    batch = few_shot(model, 12)
    values = 10 * torch.randn(
        12, 1, model.shape.d_model, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )

    def edits(rows: Any) -> list[Any]:  # so that untrained models give each row other tokens
        return [Add("resid_post", Rows({3: values[rows]}), layers=3, roles="last")]

    free = one_by_one(model, batch, edits, max_new_tokens=6)
    stops = [int(free[0, 1]), int(free[4, 2])]
    slow = one_by_one(model, batch, edits, max_new_tokens=6, stop_tokens=stops)
    rows = slow.tolist()
    ends = [min([row.index(stop) for stop in stops if stop in row], default=5) for row in rows]
    assert len(set(ends)) > 2
    decoding.clear()
    whole = edits(list(range(12)))
    fast = engine.generate(model, batch, max_new_tokens=6, stop_tokens=stops, interventions=whole)
    assert torch.equal(fast, slow)
    lengths = batch.prompt_lengths
    beginnings = [ran for ran, start, _ in decoding if start == 0]
    # In float64 all but GPT-2 round a beginning as the plain forward does, by the prompt's length.
    assert beginnings == [1] * (1 if family == "gpt2" else len(set(lengths.tolist())))
    later = [ran for ran, start, _ in decoding if start >= lengths.min()]
    assert sum(later) == sum(ends)  # each token that is neither a stop nor the sixth is read


@pytest.mark.parametrize("at", ["shot1", None])
def test_decoding_shares_what_comes_before_an_edit(
    models: dict[str, Any], at: str | None, decoding: list[Any]
) -> None:
    """Nothing, where it acts at every position."""
    model = models["qwen2"]
    batch = few_shot(model, 12)

    def edits(rows: Any) -> list[Any]:
        return [Scale("resid_post", -20.0, layers=0, roles=at)]

    slow = one_by_one(model, batch, edits, max_new_tokens=5)
    assert not torch.equal(slow, engine.generate(model, batch, max_new_tokens=5))
    decoding.clear()
    fast = engine.generate(model, batch, max_new_tokens=5, interventions=edits([]))
    assert torch.equal(fast, slow)
    first = 0 if at is None else int(batch.position_array(at)[0])
    starts = {start for ran, start, _ in decoding if ran > 1 and start < batch.prompt_lengths.min()}
    assert starts == {first}


def test_rows_of_several_lengths_share_a_pass(
    models: dict[str, Any], plain: dict[str, Any], family: str
) -> None:
    model = models[family]
    batch = model.prompts(interp.Addition(3).sample(3, seed=0), format="padded")
    check_padding(model, batch.tokens, lambda tokens: plain[family](tokens).logits)


def test_decoding_in_float32_pads_prompts_of_similar_lengths(
    folders: dict[str, Any], family: str, decoding: list[Any]
) -> None:
    model = interp.load(str(folders[family]), dtype="float32")
    batch = few_shot(model, 12)
    assert len(set(batch.prompt_lengths.tolist())) > 1
    stops = [int(one_by_one(model, batch, max_new_tokens=6)[0, 2])]
    slow = one_by_one(model, batch, max_new_tokens=6, stop_tokens=stops)
    decoding.clear()
    fast = engine.generate(model, batch, max_new_tokens=6, stop_tokens=stops)
    assert torch.equal(fast, slow)
    assert [ran for ran, *_ in decoding[:2]] == [1, 12]  # the examples, then all prompts at once
    few = engine.generate(model, batch, max_new_tokens=6, stop_tokens=stops, memory=300_000)
    assert torch.equal(few, slow)
