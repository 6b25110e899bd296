"""The pages Heads and Attention tree: the library's numbers, the call that makes them, links."""

from __future__ import annotations

from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from tests.app.test_explorer import ENTRY, numbers, open_page, traces, words

N, SEED = 16, 3


def opened(page: str, **link: object) -> AppTest:
    at = AppTest.from_file(str(ENTRY), default_timeout=180)
    for key, value in ({"model": "add5", "n": N, "seed": SEED} | link).items():
        at.query_params[key] = str(value)
    return open_page(at, page)


def made(code: str) -> Any:
    """What a call from the drawer makes: the library's Result for the sample in the link."""
    space: dict[str, Any] = {}
    exec(compile(code, "drawer", "exec"), space)
    assert f"n={N}" in code and f"seed={SEED}" in code
    return space["result"]


def test_heads_by_layer_are_the_librarys_and_a_head_is_followed() -> None:
    at = opened("heads")
    pattern, want = made(at.code[0].value), made(at.code[1].value)
    assert (want.analysis, pattern.analysis) == ("activation_patching", "attention_patterns")
    shown = traces(at, "heatmap")
    for trace, digit in zip(shown, ("c5", "c4", "c3", "c2", "c1", "c0"), strict=True):
        np.testing.assert_allclose(numbers(trace["z"]), want.main.at(answer_digit=digit).values)
    assert "**L0H3" in words(at)  # the strongest, until another is chosen
    for trace, grid in zip(
        traces(at, "heatmap", 1), (pattern.plain, pattern.weighted), strict=True
    ):
        np.testing.assert_allclose(numbers(trace["z"]), grid.at(layer="0", head="3").values)
    at.selectbox(key="head").select("1").run()
    assert not at.exception
    (trace, _) = traces(at, "heatmap", 1)
    np.testing.assert_allclose(numbers(trace["z"]), pattern.plain.at(layer="0", head="1").values)


def test_a_link_leads_to_a_head_and_its_digits() -> None:
    link = {"measure": "Direct attribution", "layer": 1, "head": "MLP"}
    at = opened("heads", **link, **{"closer-look": "Effect by answer digit"})
    want = made(at.code[0].value)
    first, last = traces(at, "heatmap")[0], traces(at, "heatmap")[-1]
    names = [f"L{layer}H{head}" for layer in (0, 1) for head in range(4)]
    rows = [want.effect.axis("component").index(name) for name in names]
    for trace, digit in ((first, "c5"), (last, "c0")):
        column = want.effect.axis("answer_digit").index(digit)
        np.testing.assert_allclose(
            numbers(trace["z"])[:, :4].ravel(), want.beyond[rows, column], atol=1e-12
        )
    lines = {trace["name"]: numbers(trace["y"]) for trace in traces(at, "scatter", 1)}
    mine = want.effect.at(component="L1.mlp").values[::-1]
    np.testing.assert_allclose(lines["right token"], mine)


def test_knock_out_begins_with_the_head_chosen() -> None:
    link = {"measure": "Path to the logits", "head": 1, "closer-look": "Knock-out from here"}
    at = opened("heads", model="mul5x1-reversed", **link)
    curve, effect = made(at.code[0].value), made(at.code[1].value)
    assert curve.ranking["head"].iloc[0] == "L0H1" and len(curve.ranking) == 3
    lines = {trace.get("name"): trace for trace in traces(at, "scatter", 1)}
    np.testing.assert_allclose(numbers(lines["in the order given"]["y"]), curve.curve["accuracy"])
    shown = numbers(traces(at, "heatmap")[-1]["z"])
    assert effect.main.axis("answer_digit").labels[0] == "c0"
    np.testing.assert_allclose(shown[0], effect.main.values[:, 0, 0])


def test_a_product_has_a_tree_with_its_score() -> None:
    at = opened("tree", model="mul5x1-reversed")
    want = made(at.code[0].value)
    table = at.dataframe[0].value
    np.testing.assert_allclose(table["coverage"], want.scores["coverage"].round(3))
    assert want.verdict is None or want.verdict in words(at)
    assert len(at.get("plotly_chart")) == 2


def test_a_sum_has_a_carry_and_other_tasks_are_told() -> None:
    at = opened("tree", model="add5-reversed")
    want = made(at.code[0].value)
    np.testing.assert_allclose(at.dataframe[0].value["share"], want.by_length["share"].round(3))
    at = opened("tree", model="mod113")
    assert "mod113 is asked mod:113" in words(at) and not at.get("plotly_chart")
