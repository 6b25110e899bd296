"""A stack equals plain hooks, does what the planted mechanism says, and leaves no hook behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp.errors import InputError, RoleError, SiteError
from interp.geometry.regular import wave_span
from interp.results.result import Result
from interp.stack import prepared as making
from interp.stack._intervene import intervened
from interp.stack.edits import Frequency, Head, Mlp, Probe, Wait, parse_stack
from interp.stack.prepared import Prepared, Stack
from tests.engine.test_safety import hooks_left
from tests.planted.subjects import FIRST_SEED, subject
from tests.stack import slow

N, SEED, PROBLEM = 120, 3, "99999+1"
ALONE = (
    "head L0H1 zero", "head L1H2 mean", "head L0H1 zero at predicts(c3)", "mlp L1 mean",
    "mlp L0 zero at a4", "wait 1 layer", "frequency 2 at layer 0 role predicts(c2)",
    "probe running_sum[1] to 3 at layer 0 role predicts(c1)",
)  # fmt: skip
STACKS = (*([one] for one in ALONE), [ALONE[7], ALONE[1], ALONE[5], ALONE[6]])


@cache
def prepared() -> Prepared:
    return Prepared.of(
        interp.load("add5"), "add:5", n=N, seed=SEED, format=None, held_out=True, memory=2**30
    )


@cache
def waiting() -> tuple[torch.Tensor, torch.Tensor]:
    """The prompts behind a table of a wait, and their stream after layer 0."""
    asked = interp.task("add:5").sample(1024, seed=SEED, full_width=False)
    tokens = prepared().model.prompts(asked).tokens
    return tokens, slow.run(tokens)[0]


def changes(stack: Sequence[str], one: Any, tokens: torch.Tensor) -> list[slow.Change]:
    """The stack as functions for plain hooks, each from its formula."""
    sample, found = prepared().batch, []
    states = slow.run(sample.tokens)
    for edit in sorted(parse_stack(stack), key=lambda e: isinstance(e, Probe)):
        if isinstance(edit, Head | Mlp):
            found.append(off(edit, one, sample))
        elif isinstance(edit, Wait):
            last = int(one.predicting_positions(one.answer_roles[-1])[0])
            means = slow.conditional_means(*waiting(), tokens, last)
            found.append(("block", edit.layers - 1, lambda x, m=means: put(x, m)))
        elif isinstance(edit, Frequency):
            at = sample.predicting_positions("c2")
            h = states[edit.layer][torch.arange(len(sample)), torch.from_numpy(at)].numpy()
            digit = sample.truth["c[2]"].to_numpy()
            means = np.stack([h[digit == v].astype(float).mean(0) for v in range(10)])
            span, where = torch.from_numpy(wave_span(means, [2])).float(), int(at[0])
            centre = torch.from_numpy(means.mean(0)).float()

            def without(x: torch.Tensor, p=span, m=centre, t=where) -> torch.Tensor:
                return put(x, {t: x[0, t] - (x[0, t] - m) @ p.T @ p})

            found.append(("block", edit.layer, without))
        else:
            fitted = prepared().probe(edit)
            where = int(one.predicting_positions("c1")[0])

            def moved(x: torch.Tensor, f=fitted, t=where, v=edit.value) -> torch.Tensor:
                step = (v - f.reading(x[:, t].double().numpy())) @ f.pattern
                return put(x, {t: x[0, t] + torch.from_numpy(step[0]).float()})

            found.append(("block", edit.layer, moved))
    return found


def off(edit: Head | Mlp, one: Any, sample: Any) -> slow.Change:
    """Zeros, or the sample's mean at each position, in a head's slice or the MLP's output."""
    kept: list[torch.Tensor] = []
    site, part = "mlp", slice(None)
    if isinstance(edit, Head):
        site, part = "head input", slice(edit.head * 32, edit.head * 32 + 32)
    slow.run(sample.tokens, [(site, edit.layer, lambda x: kept.append(x) or x)])
    mean = kept[0].double().mean(0).float() * (edit.by == "mean")
    role = edit.role
    places = slice(None) if role is None else int(one.position_array(role)[0])

    def function(x: torch.Tensor) -> torch.Tensor:
        out = x.clone()
        out[:, places, part] = mean[: x.shape[1]][places, part]
        return out

    return site, edit.layer, function


def put(x: torch.Tensor, values: dict[int, torch.Tensor]) -> torch.Tensor:
    out = x.clone()
    for at, value in values.items():
        out[0, at] = value
    return out


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: " + ".join(stack)[:60])
def test_a_stack_is_that_of_plain_hooks(stack: list[str]) -> None:
    model = prepared().model
    prepared().make(parse_stack(stack))
    result = intervened(prepared(), stack, problem=PROBLEM)
    one = model.prompts(interp.task("add:5").problems(99999, 1))
    where = [int(one.predicting_positions(role)[0]) for role in one.answer_roles]
    before = slow.run(one.tokens)["logits"][0, where, :10]
    after = slow.run(one.tokens, changes(stack, one, one.tokens))["logits"][0, where, :10]
    scale = 1e-4 * float(before.abs().max())
    np.testing.assert_allclose(result.before.values, before, atol=scale)
    np.testing.assert_allclose(result.after.values, after, atol=scale)
    assert result.changed and result.largest > 100 * result.noise
    said, shares = slow.generated(one, lambda tokens: changes(stack, one, tokens))
    assert list(result.answer["after"]) == model.pieces(said)
    np.testing.assert_allclose(result.answer["probability_after"], shares, atol=1e-3)
    assert "".join(result.answer["before"]) == "100000" and hooks_left(model) == 0


def test_the_call_and_the_prepared_sample_give_one_result(tmp_path: Any) -> None:
    stack = [ALONE[5], ALONE[0], ALONE[6]]
    want = intervened(prepared(), stack, problem=PROBLEM)
    space: dict[str, Any] = {}
    exec(want.code, space)
    assert space["result"] == want
    assert Result.load(want.save(tmp_path / "result")) == want
    other = intervened(prepared(), ", ".join(reversed(stack)), problem=PROBLEM)
    np.testing.assert_array_equal(other.after.values, want.after.values)  # order does not matter
    metrics = want.metrics
    assert metrics["largest_change"] == pytest.approx(want.change.values.__abs__().max())
    assert metrics["right_token_change"] == pytest.approx(want.right_change["change"].mean())


def test_the_figure_plots_the_result() -> None:
    result = intervened(prepared(), ["mlp L1 mean"], problem=PROBLEM)
    heat, own, control = result.figure().data
    np.testing.assert_array_equal(heat.z, result.change.values.T)
    np.testing.assert_array_equal(own.y, result.right_change["change"])
    np.testing.assert_array_equal(control.y, result.right_change["control"])


def test_an_empty_stack_and_one_without_effect_say_so() -> None:
    empty = intervened(prepared(), "", problem="12+34")
    assert not empty.changed and empty.conclusion() == "The stack is empty: nothing is changed."
    assert math.isnan(empty.metrics["right_token_change_control"])
    # The last MLP at a token that nobody reads afterwards.
    idle = intervened(prepared(), "mlp L1 zero at a4", problem="12+34")
    assert not idle.changed and 0 < idle.noise < 0.01
    assert idle.conclusion().startswith("No logit moved by more than the no-op noise floor, 0.00")


def test_controls_are_other_parts_and_steps_of_equal_length() -> None:
    stack = parse_stack([ALONE[0], ALONE[2], ALONE[7], ALONE[6]])
    prepared().make(stack)
    one = prepared().batch[0]
    own = Stack(prepared(), stack).compile(one)
    for drawn in Stack(prepared(), stack).controls(3):
        heads = [x for x in drawn.drawn if isinstance(x, Head)]
        assert all((x.layer, x.head) != (0, 1) for x in heads) and len(set(heads)) == 2
        other = drawn.compile(one)
        assert [type(x) for x in other] == [type(x) for x in own]
        steps = [x for x in other if isinstance(x, interp.engine.Project)]
        gram = torch.stack([x.direction.value for x in steps])
        torch.testing.assert_close(gram @ gram.T, torch.eye(len(steps)), atol=1e-4, rtol=0)
    # A probe alone: what it reads is the same, so its step and the control's have one length.
    stack = parse_stack([ALONE[7]])
    lengths = [
        float(x.compile(one)[0].source.values[0].norm())  # type: ignore[union-attr]
        for x in (Stack(prepared(), stack), *Stack(prepared(), stack).controls(2))
    ]
    assert np.ptp(lengths) < 1e-4 * lengths[0]
    assert Stack(prepared(), parse_stack("wait 1 layer")).controls(3) == []


REFUSED = {
    "head L2H0 zero": (InputError, "layer 2 does not exist: add5 has layers 0 to 1"),
    "head L0H4 mean": (InputError, "head 4 does not exist: add5 has heads 0 to 3"),
    "mlp L7 zero": (InputError, "layer 7 does not exist"),
    "wait 3 layers": (InputError, "add5 has 2 layers, so at most 2 can wait"),
    "frequency 1 at layer 2 role a0": (InputError, "layer 2 does not exist"),
    "frequency 6 at layer 1 role a0": (InputError, "6"),
    "frequency 1 at layer 1 role op": (InputError, "op"),
    "head L0H1 zero at c9": (RoleError, "role 'c9' is in none of these prompts"),
    "probe running_sum[1] to 99 at layer 0 role predicts(c1)": (InputError, "is never 99 in add:5"),
    "probe curry[0] to 1 at layer 1 role predicts(c1)": (InputError, "curry"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_model_cannot_take_is_refused_by_name(text: str) -> None:
    error, words = REFUSED[text]
    with pytest.raises(error, match=words.replace("(", r"\(")):
        interp.intervene(prepared().model, prepared().batch, stack=[text], problem=PROBLEM)
    assert hooks_left(prepared().model) == 0


def test_a_site_that_the_selfcheck_refused_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = prepared().model
    monkeypatch.setitem(model.unusable, "z", "an edit there moved no logit.")
    with pytest.raises(SiteError, match="'z' of add5 is unusable: an edit there moved no logit"):
        interp.intervene(model, prepared().batch, stack="head L0H1 zero")
    assert interp.intervene(model, prepared().batch, stack="mlp L0 zero").changed


def prove_heads(seed: int) -> None:
    """A mover off flips an answer wherever the key says so; a distractor nothing.

    Few problems need a carry's mover, so rows are taken by what the key says of many.
    """
    about = subject("addition", seed, digits=2, layers=3, family="gpt2")
    key, model = about.key, about.model
    problems = key.problems(64, seed=seed)
    ready = Prepared.of(model, problems, n=64, seed=seed, format=None, held_out=True, memory=2**30)
    pieces = model.pieces(range(model.shape.d_vocab))
    right = key.tokens(problems)[:, [key.position(role) for role in key.answers], None]
    small = 1e-3 * key.logit_scale
    for fact in (*key.movers, *key.distractors[:2]):
        stack = [f"head L{fact.layer}H{fact.head} zero"]

        def zero(site: str, layer: int, x: Any, f: Any = fact) -> Any:
            if (site, layer) == ("heads", f.layer):
                x = x.copy()
                x[f.head] = 0.0
            return x

        want = key.logits(problems, edit=zero)
        others = want.copy()
        np.put_along_axis(others, right, -np.inf, axis=-1)
        lead = (np.take_along_axis(want, right, axis=-1)[..., 0] - others.max(axis=-1)).min(axis=1)
        flips, stays = np.flatnonzero(lead < -small), np.flatnonzero(lead > small)
        assert len(flips) > 0 if fact in key.movers else len(flips) == 0, fact
        for row in (*flips[:3], *stays[:2]):
            result = intervened(ready, stack, row=int(row), controls=0)
            roles, tokens = (axis.labels for axis in result.after.axes)
            order = [key.answers.index(role) for role in roles]
            own = want[row][np.ix_(order, [pieces.index(token) for token in tokens])]
            about.assert_close(result.after.values, own, f"{stack} on {result.prompt}")
            assert result.answer["right_after"].all() == (row in stays)
            if fact.role == "distractor":
                # Its weights are small, not nothing: it may rise above rounding, no more.
                assert result.largest <= 1e-6 * key.logit_scale


def test_a_planted_mover_flips_its_digit_and_a_distractor_changes_nothing() -> None:
    prove_heads(FIRST_SEED)


def test_the_proof_fails_where_another_head_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = making.Stack._off

    def wrong(self: Stack, one: Any, edit: Any) -> Any:
        heads = self.prepared.model.shape.n_heads
        return plain(self, one, Head(edit.layer, (edit.head + 1) % heads, edit.by, edit.role))

    monkeypatch.setattr(making.Stack, "_off", wrong)
    with pytest.raises(AssertionError):
        prove_heads(FIRST_SEED)
