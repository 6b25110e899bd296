"""Bad inputs, each with its message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import interp
from interp import ablation
from interp.ablation import Replacement, Schedule
from interp.ablation.complete import StagedResources
from interp.ablation.conditions import conditions, wider
from interp.ablation.keys import Key
from interp.ablation.setting import Setting
from interp.ablation.tables import build_table
from interp.errors import InputError, ModelError, RoleError
from interp.planted.planted import build
from tests import nanogpt


@pytest.fixture(scope="module")
def planted() -> Any:
    found = build("waiting", seed=3, digits=1, layers=3)
    return found.model(dtype="float64"), found.key


@pytest.fixture(scope="module")
def batch(planted: Any) -> Any:
    model, key = planted
    return model.prompts(key.problems(100))


def test_a_wait_past_the_last_layer(planted: Any, batch: Any) -> None:
    with pytest.raises(InputError, match=r"wait=4 is past the last layer: .* at most 3 can wait"):
        ablation.evaluate(planted[0], batch, Schedule(wait=4))
    with pytest.raises(InputError, match=r"layer 3 does not exist: .* layers 0 to 2"):
        ablation.evaluate(planted[0], batch, Schedule(wait=1, transfer=(3,)))
    with pytest.raises(InputError, match="counts of layers, 0 to 3"):
        ablation.grid(planted[0], batch, waits=[4])


def written(result: Any) -> str:
    """The text below a Result's figure, on one line."""
    texts = [note.text for note in result.figure().layout.annotations]
    return max(texts, key=len).replace("<br>", " ")


def held(model: Any, given: str, *problems: Any) -> tuple[Any, Any]:
    """A table of four sums, 1+1 to 4+4, and the conditions of other prompts in it."""
    task = interp.Addition(1)
    small = model.prompts(task.problems([1, 2, 3, 4], [1, 2, 3, 4]), format="padded")
    table = build_table(model, small, given, memory=2**30)  # type: ignore[arg-type]
    batch = model.prompts(task.problems(*problems), format="padded")
    return table, Setting.of(model, batch, Replacement(), "first", 0, StagedResources())


def test_a_token_whose_key_no_other_prompt_has_is_given_less(
    tiny_model: Callable[..., Any],
) -> None:
    model, _ = tiny_model("gpt2")
    # 7 is in no prompt of the table: the mean of all four at a0, and of the three others for 2+2,
    # whose 2 no other prompt has.
    table, here = held(model, "token", [7, 2], [1, 2])
    found = conditions(here.places, table)
    assert found.relaxed == {"position": 3}  # 7; the two 2s of 2+2
    column = here.places.roles[0].tolist().index("a0")
    at = {key.given: number for key, number in table.index.items() if key.role == "a0"}
    states = here.replacement_states(table=table).rows(2)[:, column].double()
    of_a0 = [table.sums[1, number] for number in at.values()]  # each of one prompt
    torch.testing.assert_close(states[0], sum(of_a0) / 4)
    torch.testing.assert_close(states[1], (sum(of_a0) - of_a0[1]) / 3)


def test_the_last_step_of_less_is_the_part_of_a_prompt() -> None:
    """One solved example may be longer than all others: any of its tokens. A digit has no part."""
    assert list(wider(Key("shot0.10", 3, (4, 5)))) == [
        ("token", Key("shot0.10", 3, (5,))),
        ("position", Key("shot0.10", 3, ())),
        ("role", Key("shot0.10", -1, ())),
        ("part", Key("shot0", -1, ())),
    ]
    assert [step for step, _ in wider(Key("a1", 3, ()))] == ["role"]


def test_a_role_that_no_other_prompt_has(tiny_model: Callable[..., Any]) -> None:
    model, _ = tiny_model("gpt2")
    table, _ = held(model, "token", [1, 2], [1, 2])
    longer = model.prompts(interp.Addition(2).problems([12], [34]), format="padded")
    longer = longer[np.array([0, 0])]
    here = Setting.of(model, longer, Replacement(), "first", 0, StagedResources())
    with pytest.raises(InputError, match=r"of the table has a token 'a1', .*='zero' or 'own'"):
        here.replacement_states(table=table)
    for name in ("zero", "own"):  # the remedy
        found = ablation.evaluate(model, longer, Schedule(1), replacement=name)
        assert np.isfinite(found.metrics["kl"])


def test_a_prompt_without_the_role(planted: Any, batch: Any) -> None:
    model, key = planted
    with pytest.raises(RoleError, match="no few-shot examples"):
        ablation.evaluate(model, batch, Schedule(1), sink="shots")
    with pytest.raises(RoleError, match="role 'd0' is in none of these prompts"):
        ablation.knock_out(batch, [("eq", "d0")], [0])
    bare = model.prompts(key.problems(9), answer="none")
    with pytest.raises(InputError, match="hold no answer"):
        ablation.evaluate(model, bare, Schedule(1))


def test_no_prompt_answered_rightly_gives_figures_without_a_verdict(
    tiny_model: Callable[..., Any],
) -> None:
    model, _ = tiny_model("gpt2")
    batch = model.prompts(interp.Addition(2).sample(8, seed=0), format="padded")
    for found in (
        ablation.compare(model, batch, Schedule(1)),
        ablation.compare(model, batch, masks=("full-peek",)),
        ablation.af1(model, batch),
        ablation.removal(model, batch),
        ablation.grid(model, batch),
        ablation.evaluate(model, batch, Schedule(1)),
    ):
        said = written(found)
        assert found.metrics["base_accuracy"] == 0
        assert found.verdict is None or "0 distinct prompts right, too few" in found.verdict
        assert "0 distinct" in said and "nan" not in said
    assert "answers 0 distinct prompts of one half rightly" in ablation.af1(model, batch).reason


def test_prompts_with_another_sink_are_left_out_and_counted(
    tiny_model: Callable[..., Any],
) -> None:
    bare = interp.load(str(tiny_model("gpt2")[1]), dtype="float64")
    problems = interp.Addition(2).problems([12, 34, 5, 56, 78, 90], [1, 22, 33, 44, 5, 60])
    found = ablation.evaluate(bare, problems, Schedule(1, (1,)), format="plain", replacement="zero")
    assert (found.n, found.settings["other_sinks"]) == (5, 1)
    assert "(1 more prompts, which begin with another role, left out)" in written(found)
    alone = ablation.evaluate(
        bare, problems[np.array([0, 1, 3, 4, 5])], Schedule(1, (1,)), format="plain",
        replacement="zero",
    )  # fmt: skip
    np.testing.assert_array_equal(found.kl, alone.kl)
    names = {"interp": interp, "model": bare}
    exec(found.code.splitlines()[-1], names)
    np.testing.assert_array_equal(names["result"].kl, found.kl)  # type: ignore[attr-defined]


def test_a_model_whose_attention_cannot_be_masked() -> None:
    model = interp.wrap(nanogpt.random_gpt(), nanogpt.CHARACTERS)
    batch = model.prompts(interp.Addition(2).sample(8, seed=0), format="padded")
    with pytest.raises(ModelError, match=r"cannot be masked.*interp\.convert"):
        ablation.evaluate(model, batch, Schedule(1), replacement="zero")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Schedule(2, (1,)), "layer 1 waits: wait=2 means layers 0 to 1"),
        (lambda: Schedule(0, (1,), (1,)), "cannot both transfer and compute"),
        (lambda: Schedule(-1), "counted from 0"),
        (lambda: Schedule(0, (1,), heads=((2, 0),)), "head 0 of layer 2 cannot look"),
        (lambda: Schedule(transfer_mask="peek"), "unknown mask 'peek'"),
        (lambda: Schedule(transfer_mask="window:0"), "unknown mask"),
        (lambda: Schedule(transfer=(1.5,)), "whole numbers"),  # type: ignore[arg-type]
        (lambda: Schedule.all_for_one(4, 2, 3), "do not fit 4 layers"),
        (lambda: Replacement.of("camo"), "unknown replacement 'camo'"),
        (lambda: Replacement.of("zero:token"), "has no key"),
        (lambda: Replacement.of("cama:word"), "unknown key 'word'"),
        (lambda: Replacement(n=1), "at least 2 prompts"),
    ],
)
def test_what_cannot_be(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_other_prompts_and_choices(planted: Any, batch: Any) -> None:
    model, _ = planted
    with pytest.raises(InputError, match="unknown sink"):
        ablation.evaluate(model, batch, Schedule(), sink="last")
    with pytest.raises(InputError, match="unknown answers"):
        ablation.evaluate(model, batch, Schedule(), answers="said")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"masks are MaskAttention, .* not Scale"):
        ablation.evaluate(model, batch, Schedule(), masks=[interp.engine.Scale("z", 0.0)])  # type: ignore[list-item]
    with pytest.raises(InputError, match="unknown route"):
        ablation.grid(model, batch, route="slow")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="target=0"):
        ablation.af1(model, batch, target=0)
    with pytest.raises(InputError, match="choose 'full-peek'"):
        ablation.af1(model, batch, transfer_mask="open")
    with pytest.raises(InputError, match="not 'open': choose 'full-peek'"):
        ablation.compare(model, batch, masks=["full-peek", "open"])
    with pytest.raises(InputError, match="nothing to transfer to"):
        ablation.transfer(model, Schedule(1), {})
    with pytest.raises(InputError, match="nothing to compare"):
        ablation.compare(model, batch, replacements=[])
