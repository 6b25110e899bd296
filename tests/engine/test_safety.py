"""Hooks never outlive a call, threads do not meet, wrong requests are refused with the remedy."""

from __future__ import annotations

import itertools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

import interp
from interp import engine
from interp.engine import (
    Add,
    Cancel,
    Constant,
    Freeze,
    MaskAttention,
    Read,
    Replace,
    Rows,
    Scale,
    UserHook,
    Variant,
    Zero,
)
from interp.errors import Cancelled, InputError, RoleError, SiteError


@pytest.fixture(scope="module")
def model(models: dict[str, Any]) -> Any:
    return models["llama"]


@pytest.fixture(scope="module")
def batch(model: Any) -> Any:
    return model.prompts(interp.Addition(3).sample(12, seed=0), format="padded")


def hooks_left(model: Any) -> int:
    return sum(
        len(point.fwd_hooks) + len(point._forward_hooks)
        for point in model.adapter.bridge.hook_dict.values()
    )


def test_eight_threads_give_the_serial_answers(model: Any, batch: Any) -> None:
    jobs = [
        [Replace("z", Zero(), layers=i % 4, roles="last", heads=i % 4)]
        if i % 2
        else [Scale("resid_post", 0.1 * (i + 1), layers=i % 3, roles=("a0", "eq"))]
        for i in range(8)
    ]
    serial = [engine.run(model, batch, job).logits for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = pool.map(lambda job: engine.run(model, batch, job, memory=50_000), jobs)
            for run, want in zip(found, serial, strict=True):
                assert torch.allclose(run.logits, want, rtol=0, atol=1e-9 * want.abs().max())
    assert hooks_left(model) == 0


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), SystemExit(1)])
def test_no_exception_leaves_a_hook(model: Any, batch: Any, error: BaseException) -> None:
    before = engine.run(model, batch).logits

    def raise_it(x: torch.Tensor) -> torch.Tensor:
        raise error

    with pytest.raises(type(error)):
        engine.run(model, batch, [UserHook("mlp_out", raise_it, layers=2)])
    assert hooks_left(model) == 0
    assert model.lock.acquire(blocking=False)
    model.lock.release()
    assert torch.equal(engine.run(model, batch).logits, before)


def test_no_interrupt_leaves_a_hook_wherever_it_falls(model: Any, batch: Any) -> None:
    """Also between the registration of a hook and its being noted, or while hooks are taken off."""
    edits = [Replace("z", Zero(), roles="a0"), Scale("resid_post", 0.5, roles="a0")]
    before = engine.run(model, batch, edits).logits
    for after in range(1, 900, 7):
        calls = itertools.count()

        def interrupt(frame: Any, event: str, arg: Any, calls: Any = calls, at: int = after) -> Any:
            if threading.current_thread() is threading.main_thread() and next(calls) == at:
                raise KeyboardInterrupt
            return interrupt

        sys.settrace(interrupt)
        try:
            engine.passes.forward(model.adapter, _job(model, batch, edits))
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
            torch.set_grad_enabled(True)  # torch's own guard may have been the one interrupted
        assert hooks_left(model) == 0, after
    assert torch.equal(engine.run(model, batch, edits).logits, before)


def _job(model: Any, batch: Any, edits: list[Any]) -> Any:
    compiled = [engine.edits.compile_edit(model, batch, what) for what in edits]
    return engine.passes.Job(batch.tokens, slice(0, len(batch)), edits=compiled)


def test_cancel_stops_between_batches(model: Any, batch: Any) -> None:
    cancel, seen = Cancel(), []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            cancel.set()

    with pytest.raises(Cancelled, match="stopped on request"):
        engine.run(model, batch, memory=1, cancel=cancel, progress=progress)
    assert seen == [(1, 24), (2, 24)]
    assert hooks_left(model) == 0


def test_the_lock_is_held_for_a_batch_not_for_a_sweep(model: Any, batch: Any) -> None:
    """Another thread gets its answer while a long sweep is still running."""
    started, other_done = threading.Event(), threading.Event()

    def progress(done: int, total: int) -> None:
        if done == 1:
            started.set()
            assert other_done.wait(30), "the sweep kept the model to itself"

    with ThreadPoolExecutor(1) as pool:
        sweep = pool.submit(engine.run, model, batch, memory=1, progress=progress)
        assert started.wait(30)
        engine.run(model, batch)
        other_done.set()
        sweep.result()


@pytest.mark.parametrize("returned", [None, torch.zeros(1, 2)])
def test_a_reduction_must_keep_its_rows(model: Any, batch: Any, returned: Any) -> None:
    with pytest.raises(InputError, match="one entry for each of the 12 rows"):
        engine.run(model, batch, reduce=lambda logits, rows: returned)


def test_random_state_is_left_alone(model: Any, batch: Any) -> None:
    state = torch.get_rng_state()
    engine.run(model, batch, [Replace("z", Zero(), layers=0, roles="a0")])
    assert torch.equal(state, torch.get_rng_state())


def test_wrong_names_are_refused(model: Any, models: dict[str, Any], batch: Any) -> None:
    run = engine.run
    with pytest.raises(RoleError, match=r"role 'd3' is in none of these prompts. They have: a2"):
        run(model, batch, [Scale("z", 0.0, roles="d3")])
    nearest = r"no site 'hook_z'\. The nearest: resid_pre, .*; model\.usable_sites lists all"
    with pytest.raises(SiteError, match=nearest):
        run(model, batch, [Scale("hook_z", 0.0, roles="a0")])
    with pytest.raises(InputError, match=r"layer 9 does not exist: .* layers 0 to 3"):
        run(model, batch, reads=[Read("z", 9, "a0")])
    with pytest.raises(InputError, match="head 4 does not exist: 'z' has heads 0 to 3"):
        run(model, batch, [Scale("z", 0.0, heads=4)])
    with pytest.raises(InputError, match=r"head 2 does not exist: 'k' has heads 0 to 1"):
        run(model, batch, [Scale("k", 0.0, heads=2)])
    with pytest.raises(InputError, match="'resid_post' has no heads"):
        run(model, batch, [Scale("resid_post", 0.0, heads=0)])
    with pytest.raises(InputError, match="roles is empty"):
        Scale("z", 0.0, roles=())
    with pytest.raises(InputError, match=r"were made for .*, not for"):
        run(models["gpt2"], batch)
    with pytest.raises(InputError, match="nothing to run"):
        engine.run_variants(model, batch, [])
    with pytest.raises(InputError, match="must have the 12 rows"):
        engine.run_variants(model, batch, [Variant("short", batch=batch[:3])])


def test_an_intervention_that_fires_on_nothing_raises(model: Any, batch: Any) -> None:
    # The query comes before the key, so causality leaves no edge to cut.
    with pytest.raises(InputError, match="fired on nothing"):
        engine.run(model, batch, [MaskAttention(layers=0, roles="a1", keys="b0")])


def test_a_mask_that_leaves_no_key_raises(model: Any, batch: Any) -> None:
    with pytest.raises(InputError, match=r"leaves a query without any key. Keep a sink"):
        engine.run(model, batch, [MaskAttention(layers=0, roles="eq")])


def test_wrong_sources_are_refused(model: Any, batch: Any) -> None:
    with pytest.raises(InputError, match="must be finite"):
        Constant(torch.tensor([float("nan")]))
    rows = Rows({0: torch.zeros(3, 1, 4, 8, dtype=torch.float64)})
    with pytest.raises(InputError, match=r"must be \[n, roles, …\] = \(12, 1, 4, 8\), not \(3, 1"):
        engine.run(model, batch, [Replace("z", rows, layers=0, roles="a0")])
    with pytest.raises(InputError, match=r"no values for layer 1; it has \[0\]"):
        engine.run(model, batch, [Replace("z", rows, layers=1, roles="a0")])
    with pytest.raises(InputError, match="did not read 'q'"):
        Rows.of(engine.run(model, batch), "q")
    with pytest.raises(InputError, match="must return a tensor of shape"):
        engine.run(model, batch, [UserHook("z", lambda x: x[0], layers=0)])
    with pytest.raises(InputError, match="take no Freeze or Mean"):
        engine.gradients(model, batch, [Read("z", 0, "a0")],
                         interventions=[Freeze("z", layers=0, roles="a0")])  # fmt: skip


def test_zero_strength_changes_nothing(model: Any, batch: Any) -> None:
    direction = Constant(torch.ones(model.shape.d_model, dtype=torch.float64))
    run = engine.run(model, batch, [Add("resid_post", direction, 0.0, layers=1, roles="a0")])
    assert run.changed is False and run.fired == (12,)
    assert torch.equal(run.logits, engine.run(model, batch).logits)


def test_an_unusable_site_is_refused(model: Any, batch: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(model, "unusable", {"z": "an edit does not move the logits."})
    with pytest.raises(SiteError, match=r"site 'z' of .* is unusable: an edit does not move"):
        engine.run(model, batch, [Scale("z", 0.0, roles="a0")])


def test_selfcheck_finds_a_dead_site_and_a_false_engine(models: Any, monkeypatch: Any) -> None:
    model = models["gpt2"]
    point = model.adapter._hooks["blocks.2.attn.o.hook_in"]
    monkeypatch.setattr(point, "add_hook", model.adapter._hooks["blocks.2.hook_mlp_in"].add_hook)
    sites = engine.selfcheck(model).sites.set_index("site")
    assert not sites.loc["z", "usable"] and "does not move the logits" in sites.loc["z", "reason"]
    assert sites.drop("z")["usable"].all()
    monkeypatch.setattr(model.adapter, "probe_logits", model.adapter.probe_logits + 1e-3)
    with pytest.raises(interp.errors.ModelError, match="no number from it could be trusted"):
        engine.selfcheck(model)


def test_specs_are_json_and_comparable() -> None:
    import json

    ones = Constant(torch.ones(4))
    what = Add("z", ones, 2.0, layers=(0, 1), roles="a0", heads=3)
    again = Add("z", Constant(torch.ones(4)), 2.0, layers=(0, 1), roles=("a0",), heads=(3,))
    assert what == again and hash(what) == hash(again)
    spec = json.loads(json.dumps(what.spec()))
    assert spec["intervention"] == "Add" and spec["roles"] == ["a0"] and spec["heads"] == [3]
    assert spec["source"]["sha256"] == ones.digest
    assert what != Add("z", Constant(torch.zeros(4)), 2.0, layers=(0, 1), roles="a0", heads=3)


def test_generate_equals_repeated_argmax(models: Any, plain: Any, family: str) -> None:
    model = models[family]
    batch = model.prompts(interp.Addition(2).sample(6, seed=1), format="plain", answer="none")
    made = engine.generate(model, batch, max_new_tokens=4, memory=1)
    for row in range(len(batch)):
        tokens = batch.tokens[row : row + 1, : batch.prompt_lengths[row]]
        for step in range(4):
            with torch.no_grad():
                best = plain[family](tokens).logits[0, -1].argmax()
            assert made[row, step] == best
            tokens = torch.cat([tokens, best[None, None]], dim=1)


def test_generate_stops_and_checks(model: Any, batch: Any) -> None:
    free = engine.generate(model, batch, max_new_tokens=3)
    stop = int(free[0, 1])
    stopped = engine.generate(model, batch, max_new_tokens=3, stop_tokens=[stop])
    assert stopped[0].tolist() == [int(free[0, 0]), stop, stop]
    with pytest.raises(InputError, match="at least 1"):
        engine.generate(model, batch, max_new_tokens=0)
    with pytest.raises(InputError, match=r"do not fit the context"):
        engine.generate(model, batch, max_new_tokens=100)
    edited = engine.generate(
        model, batch, max_new_tokens=3, interventions=[Scale("resid_post", -1.0, layers=3)]
    )
    assert not torch.equal(edited, free)
