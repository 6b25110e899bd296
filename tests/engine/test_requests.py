"""What may be asked: wrong sources, selections and metrics are refused before anything runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp import engine
from interp.engine import (
    Add,
    Constant,
    MaskAttention,
    Mean,
    Project,
    Read,
    Replace,
    Rows,
    Scale,
    Variant,
    Zero,
)
from interp.errors import InputError


@pytest.fixture(scope="module")
def model(models: dict[str, Any]) -> Any:
    return models["llama"]


@pytest.fixture(scope="module")
def batch(model: Any) -> Any:
    """Prompts of four lengths; only the third has an answer digit c2."""
    problems = interp.Addition(2).problems([50, 12, 99, 1], [49, 7, 1, 2])
    return model.prompts(problems, format="plain")


def test_selections_take_any_whole_numbers(model: Any, batch: Any) -> None:
    wanted = [("z", 1), ("z", 2)]
    for layers in (np.arange(1, 3), range(1, 3), [1, 2], torch.tensor([1, 2])):
        run = engine.run(model, batch, reads=[Read("z", layers, ["a0"])], logits=None)
        assert list(run.activations) == wanted
    assert Scale("z", 0.0, layers=np.int64(1)) == Scale("z", 0.0, layers=1)
    with pytest.raises(InputError, match=r"layers must be whole numbers, not \(1\.5,\)"):
        Read("z", 1.5)
    with pytest.raises(InputError, match="roles are named by text such as 'a0', not by 3"):
        Scale("z", 0.0, roles=3)
    with pytest.raises(InputError, match="layers is empty"):
        Read("z", ())
    with pytest.raises(InputError, match="keys is empty"):
        MaskAttention(keys=())


def test_a_site_read_twice_is_refused(model: Any, batch: Any) -> None:
    """A Run keeps one tensor for a site and layer: the second would replace the first."""
    with pytest.raises(InputError, match=r"'z' of layer 1 is read twice.*all its roles in one"):
        engine.run(model, batch, reads=[Read("z", (0, 1), "a0"), Read("z", 1, "b0")])


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_strengths_are_finite(number: float) -> None:
    ones = Constant(torch.ones(4))
    for make in (
        lambda: Scale("z", number),
        lambda: Add("z", ones, number),
        lambda: Project("z", ones, number),
    ):
        with pytest.raises(InputError, match="must be a finite number"):
            make()


def test_a_direction_points_somewhere(model: Any, batch: Any) -> None:
    for wrong in (torch.zeros(4), torch.ones(2, 4)):
        with pytest.raises(InputError, match=r"one vector .width. that is not zero"):
            Project("z", Constant(wrong))
    with pytest.raises(InputError, match=r"has 5 numbers; 'z' of .* has 8"):
        engine.run(model, batch, [Project("z", Constant(torch.ones(5)), roles="a0")])


def test_sources_fit_their_site(model: Any, batch: Any) -> None:
    with pytest.raises(InputError, match=r"Constant of shape \[5\] does not fit 'z' .* \[4, 8\]"):
        engine.run(model, batch, [Replace("z", Constant(torch.ones(5)), roles="a0")])
    with pytest.raises(InputError, match=r"shape \[4, 8\] does not fit 'v'"):
        engine.run(model, batch, [Replace("v", Constant(torch.ones(4, 8)), roles="a0")])
    short = Rows({1: torch.zeros(4, 1, 3)})
    with pytest.raises(InputError, match=r"= \(4, 1, 4, 8\), not \(4, 1, 3\)"):
        engine.run(model, batch, [Replace("z", short, layers=1, roles="a0")])


def test_rows_of_a_run_without_the_role_are_refused(model: Any, batch: Any) -> None:
    """Its NaN would become a NaN logit that no comparison notices."""
    run = engine.run(model, batch, reads=[Read("z", 1, "c2")])
    assert run.activations["z", 1].isnan().any()
    changed = model.prompts(interp.Addition(2).problems([99] * 4, [99] * 4), format="plain")
    what = Replace("z", Rows.of(run, "z"), layers=1, roles="c2")
    with pytest.raises(InputError, match=r"NaN for 'c2' of '99\+99=198'.*lacks that role in row 0"):
        engine.run(model, changed, [what])
    assert engine.run(model, batch, [what]).changed is False  # back where it was


def test_a_mean_leaves_out_rows_without_the_role(model: Any, batch: Any) -> None:
    run = engine.run(model, batch, [Replace("z", Mean(), layers=1, roles="c1")])
    assert run.fired == (3,)
    assert torch.equal(run.logits.isnan(), engine.run(model, batch).logits.isnan())


def test_a_variant_without_an_answer_has_no_answer_logits(model: Any, batch: Any) -> None:
    asked = model.prompts(batch.problems, format="plain", answer="none")
    for savings in (None, engine.Savings.none()):
        run = engine.run_variants(
            model,
            batch,
            [Variant("asked", batch=asked)],
            reads=[Read("resid_post", 0, ("c0",))],
            savings=savings,
        )[0]
        assert run.logits.isnan().all() and run.activations["resid_post", 0].isnan().all()


def test_a_shorter_variant_is_read_at_its_own_positions(model: Any, batch: Any) -> None:
    asked = model.prompts(batch.problems, format="plain", answer="none")
    run = engine.run_variants(
        model, batch, [Variant("", batch=asked)], reads=[Read("z", 0)], logits=None
    )[0]
    assert run.activations["z", 0].shape[:2] == asked.tokens.shape


@pytest.mark.parametrize("name", ["freeze", "mean", "rows"])
def test_patterns_of_passes_of_other_lengths(model: Any, batch: Any, name: str) -> None:
    """A pass ends at the last position anybody needs, so patterns differ in their keys."""
    seen = engine.run(model, batch, reads=[Read("pattern", 1, "a0")])
    source = {
        "freeze": engine.Clean(),
        "mean": Mean(),
        "rows": Rows.of(seen, "pattern"),
    }[name]
    held = Replace("pattern", source, layers=1, roles="a0")
    upstream = Replace("z", Zero(), layers=0, roles=("a1", "a0"))
    late = Variant("late", (Scale("z", 0.0, layers=0, roles="c0"),))
    for savings in (None, engine.Savings.none()):
        variants = [Variant("held", (upstream, held)), late]
        runs = engine.run_variants(
            model, batch, variants, reads=[Read("pattern", 1, "a0")], logits="last",
            savings=savings,
        )  # fmt: skip
        want = seen.activations["pattern", 1]
        if name == "mean":
            ahead = torch.arange(want.shape[-1]) > torch.from_numpy(batch.find("a0"))[:, None]
            want = want.nanmean(0, keepdim=True).expand_as(want)
            want = want.masked_fill(ahead[:, None, None], 0.0)
        have = ~want.isnan()
        got = runs[0].activations["pattern", 1]
        assert (got - want)[have].abs().max() <= 1e-9


def test_no_pattern_looks_ahead(model: Any, batch: Any) -> None:
    """A constant weight on all keys means on those that the query can see."""
    what = Replace("pattern", Constant(torch.tensor([0.25])), layers=(1, 2), roles=("a0", "eq"))
    reads = [Read("pattern", 1, "a0")]
    runs = [
        engine.run(model, batch, [what], reads=reads, logits="last", savings=savings)
        for savings in (None, engine.Savings.none())
    ]
    assert (runs[0].logits - runs[1].logits).abs().max() <= 1e-9
    where = torch.from_numpy(batch.position_array("a0"))
    ahead = torch.arange(batch.tokens.shape[1])[None] > where[:, None]
    pattern = runs[0].activations["pattern", 1][:, 0]
    assert (pattern.transpose(1, 2)[ahead] == 0).all()
    assert (pattern.transpose(1, 2)[~ahead] == 0.25).all()


@pytest.mark.parametrize("shots", ["plain@1+1,3+5", "plain@2:5"])
def test_a_short_prefix_rounds_as_the_plain_forward(models: Any, family: str, shots: str) -> None:
    """Most families sum attention in float32, which rounds otherwise over fewer keys."""
    model = models[family]
    batch = model.prompts(interp.Addition(2).sample(9, seed=4), format=shots)
    wider = model.prompts(interp.Addition(2).problems([99] * 9, [99] * 9), format=shots)
    variants = [Variant("clean"), Variant("wider", batch=wider)]
    fast, slow = (
        engine.run_variants(model, batch, variants, logits="last", savings=savings)
        for savings in (None, engine.Savings.none())
    )
    for a, b in zip(fast, slow, strict=True):
        assert (a.logits - b.logits).abs().max() <= 1e-9 * b.logits.abs().max()


def test_logits_that_become_nan_have_changed(model: Any, batch: Any) -> None:
    broken = engine.UserHook("resid_post", lambda x: x * float("nan"), layers=1)
    assert engine.run(model, batch, [broken]).changed is True


def test_generate_says_when_an_intervention_fires_on_nothing(model: Any, batch: Any) -> None:
    with pytest.raises(InputError, match=r"fired on nothing.*come before the answer"):
        engine.generate(model, batch, max_new_tokens=1, interventions=[Scale("z", 0, roles="c0")])


def test_minibatches_count_all_that_a_pass_holds(model: Any) -> None:
    """What is read, at its roles or over the window, and every logit where their saving is
    off."""
    batch = model.prompts(interp.Addition(2).sample(64, seed=0), format="padded")

    def passes(**options: Any) -> int:
        seen: list[int] = []
        progress = lambda done, total: seen.append(total)  # noqa: E731
        engine.run(model, batch, memory=300_000, progress=progress, **options)
        return seen[0]

    one = passes(logits="last")
    reads = [Read("resid_post", None, None)]
    every = passes(logits="last", reads=reads)
    assert every > passes(logits="last", reads=[Read("resid_post", None, "last")])
    assert passes(logits="last", savings=engine.Savings(logits=False)) > one


def test_a_mask_may_name_keys_after_its_queries(model: Any, batch: Any) -> None:
    both = MaskAttention(layers=0, roles="last", keys=("a0", "c0"))
    alone = MaskAttention(layers=0, roles="last", keys="a0")
    got = engine.run(model, batch, [both], logits="last")
    assert torch.equal(got.logits, engine.run(model, batch, [alone], logits="last").logits)
    assert got.fired == engine.run(model, batch, [alone], logits="last").fired


def test_a_mask_that_leaves_only_zeros_raises(model: Any, batch: Any) -> None:
    nothing = engine.UserHook("pattern", lambda p: p * 0.0, layers=0)
    with pytest.raises(InputError, match="only keys whose weights are 0 in float64"):
        engine.run(model, batch, [nothing, MaskAttention(layers=0, roles="last", keys="a0")])


def test_freeze_holds_a_role_not_a_place(model: Any, batch: Any) -> None:
    """Under a changed prompt whose answer moves, the clean value is that of the same role."""
    problems = interp.Addition(2).problems([51, 12, 9, 1], [49, 99, 1, 9])
    changed = model.prompts(problems, format="plain")
    assert (batch.position_array("c0") != changed.position_array("c0")).all()
    reads = [Read("mlp_out", 1, "c0")]
    clean = engine.run(model, batch, reads=reads)
    for savings in (None, engine.Savings.none()):
        for memory in (1, 2**30):
            run = engine.run_variants(
                model,
                batch,
                [Variant("held", (engine.Freeze("mlp_out", layers=1, roles="c0"),), changed)],
                reads=reads,
                logits="last",
                savings=savings,
                memory=memory,
            )[0]
            difference = run.activations["mlp_out", 1] - clean.activations["mlp_out", 1]
            assert difference.abs().max() <= 1e-9
    for what, told in (
        (
            engine.Freeze("mlp_out", layers=1, roles="c2"),
            r"'c2' of '51\+49=100' is not in the clean",
        ),
        (engine.Freeze("mlp_out", layers=1), r"other lengths than the clean.*name the roles"),
    ):
        with pytest.raises(InputError, match=told):
            engine.run_variants(model, batch, [Variant("held", (what,), changed)])


def test_gradient_metrics_are_one_number_a_row(model: Any, batch: Any) -> None:
    reads = [Read("z", 1, "a0")]
    with pytest.raises(InputError, match=r"one number a row, \[4\], not \[4, 3, "):
        engine.gradients(model, batch, reads, of=lambda logits, rows: logits)
    with pytest.raises(InputError, match="does not depend on the logits"):
        engine.gradients(model, batch, reads, of=lambda logits, rows: torch.zeros(len(rows)))
    with pytest.raises(InputError, match=r"of='argmax'.*'true' or a function"):
        engine.gradients(model, batch, reads, of="argmax")


def test_one_intervention_is_not_a_list_of_them() -> None:
    with pytest.raises(
        InputError, match=r"is a list of interventions, not one Scale: write \[Scale\(…\)\]"
    ):
        Variant("bare", Scale("z", 0.0))  # type: ignore[arg-type]
    assert Variant("list", [Scale("z", 0.0)]).interventions == (Scale("z", 0.0),)  # type: ignore[arg-type]
