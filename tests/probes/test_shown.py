"""What the input shows by itself: digits, printed answers, and the tokens of a chain of thought."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
import probes
from interp.arithmetic.formats import format
from interp.models.model import Model
from probes.needs import column_needs, told_by
from probes.references import one_hot, one_hot_question
from tests import tiny

TASKS = ("add:2", "sub:2", "addsub:2", "mul:2x2", "mul:2x3", "mod:13", "expr:A+B+C:2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tiny.save("gpt2", tmp_path_factory.mktemp("tiny"))
    tiny.tokenizer(tiny.CHARACTERS.replace("?", "|")).save_pretrained(folder)
    return interp.load(str(folder))


@pytest.fixture(scope="module")
def problems() -> Any:
    return interp.Multiplication(2, 2).sample(1500, seed=0)


def _function_of(token: Any, values: Any) -> bool:
    return all(np.ptp(values[token == x]) == 0 for x in np.unique(token))


@pytest.mark.parametrize("name", TASKS)
def test_what_a_digit_tells_is_what_the_truth_table_says(name: str) -> None:
    """Each target, each digit: told where 20,000 problems with the same digit agree in it."""
    task = interp.task(name)
    problems = task.sample(20_000, seed=0)
    tokens = {f"c{k}": digits for k, digits in enumerate(problems.answer.T)}
    for operand, digits in zip(task.operand_names, problems.operands, strict=True):
        tokens |= {f"{operand}{k}": column for k, column in enumerate(digits.T)}
    for each in probes.target_names(task):
        values = probes.target(task, each).values(problems)
        if np.ptp(values) == 0:
            continue
        for role, token in tokens.items():
            whole = _function_of(token, values)
            more = len(np.unique(values % 10)) < len(np.unique(values))  # than its last digit
            last = more and not each.startswith("magnitude") and np.ptp(values % 10) > 0
            want = "whole" if whole else "mod 10" if last and _function_of(token, values % 10) \
                else ""  # fmt: skip
            assert told_by(task, each, {role}) == want, (each, role)


def test_facts_of_an_operand_need_no_operator() -> None:
    assert column_needs(interp.task("addsub:2"), "parity(a)") == {"a0"}
    assert "op" in column_needs(interp.task("addsub:2"), "parity(c)")


def test_a_chain_of_thought_is_shown_as_far_as_it_is_printed(model: Model, problems: Any) -> None:
    """The same features from the text itself: the characters between `||` and `####`."""
    batch = model.prompts(problems, format="icot")
    written = [w.text for w in format("icot").render(problems, answer="true")]
    chains = [text.split("||")[1].split("####")[0].replace(" ", "") for text in written]
    codes = np.array([[ord(character) for character in chain] for chain in chains])
    digits = np.concatenate(problems.operands, axis=1).astype(int)
    for place, thoughts in (("eq", codes.shape[1]), ("t3", 4), ("b1", 0)):
        got = one_hot_question(batch, place, "shown")
        want = one_hot(np.concatenate([digits, codes[:, :thoughts]], axis=1))
        assert np.array_equal(np.unique(got, axis=1), np.unique(want, axis=1)), place
        without = one_hot_question(batch, place, "one_hot")
        assert (got.shape == without.shape) == (thoughts == 0)


def test_what_the_chain_tells_is_no_gain(model: Model, problems: Any) -> None:
    sweep = probes.probe(
        model, problems, targets=["running_sum[2]", "product[1,0]"], roles=["eq", "t2"],
        layers=[0], format="icot", split="problem", controls=(),
    )  # fmt: skip
    frame = sweep.frame.set_index(["target", "role"])
    for target in ("running_sum[2]", "product[1,0]"):
        row = frame.loc[(target, "eq")]
        assert row["one_hot"] < 0.88 and row["shown"] > 0.98
        assert row["gain"] == pytest.approx(row["score"] - row["shown"])
        assert row["visible"] == "" and frame.loc[(target, "t2"), "visible"] == "chain"


@pytest.mark.parametrize("controls", [(), ("embedding",)])
def test_what_one_token_codes_of_a_number_is_no_gain(tmp_path: Path, controls: Any) -> None:
    """Random embeddings of whole numbers tell 7·a's remainder better than digits do; nothing was
    computed, whether or not the control was asked for."""
    model = interp.load(str(tiny.save("gpt2", tmp_path, pattern="[0-9]{1,3}|.")))
    asked = interp.Addition(2).sample(1500, seed=0)
    sweep = probes.probe(
        model, asked, targets=["residue(a,7)", "a[0]"], sites=["resid_pre"], layers=[0],
        roles=["a[0:2]", "last"], split="problem", controls=controls,
    )  # fmt: skip
    frame = sweep.frame.set_index(["target", "role"])
    row = frame.loc[("residue(a,7)", "a[0:2]")]
    assert row["score"] > row["shown"] + 0.1
    assert row["reference"] == "embedding" and row["gain"] == 0 and not row["represented"]
    assert frame.loc[("residue(a,7)", "last"), "reference"] == "shown"
    assert frame["copied"].to_dict() == {key: key[0] == "a[0]" for key in frame.index}
    assert "None of 2 cells" in str(sweep.conclusion())
    assert "in the question itself or in the token's embedding" in str(sweep.conclusion())


def test_without_a_chain_nothing_more_is_shown(model: Model, problems: Any) -> None:
    for name in ("icot-no-cot", "plain"):
        batch = model.prompts(problems, format=name)
        one, shown = (one_hot_question(batch, "last", what) for what in ("one_hot", "shown"))
        assert np.array_equal(one, shown), name
