"""What counts as trained in: the running sums of the auxiliary loss, and all that they decide."""

from dataclasses import replace
from typing import Any

import pytest

import interp
import probes
from probes.targets import resolve, target_names, trained_in


def _card(columns: list[int] | None) -> dict[str, Any]:
    return {"recipe": {"objective": {"kind": "running-sum", "columns": columns}}}


def _found(name: str, columns: list[int] | None) -> set[str]:
    task = interp.task(name)
    return set(trained_in(_card(columns), resolve(task, target_names(task)), task))


def test_every_function_of_a_trained_running_sum_is_trained_in() -> None:
    """Of 3×3 products: by the definitions ĉ_k = s_k + r_{k-1}, r_k = floor(ĉ_k / 10)."""
    lowest = {"product[0,0]", "product_last[0,0]", "column_sum[0]"}
    lowest |= {"parity(c)", "near(c,5)", "near(c,10)", "residue(c,10)"}  # of ĉ_0 mod 10
    lowest |= {"cascade[1]"}  # whether the units carried
    own = {f"{family}[{k}]" for family in ("running_sum", "carry", "c") for k in range(6)}
    known = set(target_names(interp.task("mul:3x3")))
    assert _found("mul:3x3", None) == (lowest | own) & known - {"carry[5]"}  # which is always 0


def test_of_columns_that_were_not_asked_for_nothing_is() -> None:
    assert _found("mul:3x3", [2]) == {"running_sum[2]", "carry[2]", "c[2]"}
    assert "running_sum[1]" not in _found("add:2", [0, 2])
    assert _found("mod:13", None) == set()
    task = interp.task("mul:3x3")
    assert not trained_in(None, resolve(task, ["running_sum[2]"]), task)


@pytest.mark.parametrize("answer_only", [True, False])
def test_a_sweep_says_it(add5: Any, answer_only: bool) -> None:
    model = add5 if answer_only else _told(add5, _card([1]))
    sweep = probes.probe(
        model, "add:5", targets=["carry[1]", "running_sum[2]", "column_sum[1]"], n=200,
        roles=["last"], layers=[0], controls=(), split="problem",
    )  # fmt: skip
    asked = sweep.frame.set_index("target")["trained_in"]
    want = {"carry[1]": not answer_only, "running_sum[2]": False, "column_sum[1]": False}
    assert asked.to_dict() == want


def _told(model: Any, card: dict[str, Any]) -> Any:
    return replace(model, card=card)
