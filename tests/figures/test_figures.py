"""What figures show is what Results hold; nothing is computed, everything is named."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from interp.attribution.results.counterfactual import CounterfactualAttribution, SwapExample
from interp.attribution.results.logit_lens import LogitLens
from interp.behaviour.results.accuracy import Behaviour, PromptSearch
from interp.engine.results.selfcheck import SelfCheck
from interp.errors import InputError
from interp.figures import theme
from interp.figures.registry import draw, has_renderer, renders
from interp.figures.theme import CATEGORIES, DIGITS, MAGNITUDE, SIGNED
from interp.models.results.tokenisation import TokenisationReport
from interp.results.grid import Axis, Grid
from interp.results.identity import ModelId
from interp.results.result import Result

ABOUT: dict[str, Any] = {
    "model": ModelId("tiny", "0f"),
    "task": "add:2",
    "n": 40,
    "n_distinct": 40,
    "seed": 7,
    "settings": {"prefix": "keep", "target": "argmax", "format": "padded", "problems": "p"},
}


def attribution(**changes: Any) -> CounterfactualAttribution:
    axes = (
        Axis("operand_digit", ("a0", "a1", "b0", "b1")),
        Axis("answer_digit", ("c0", "c1", "c2")),
    )
    effect = np.arange(12.0).reshape(4, 3) - 3
    effect[1, 0] = np.nan
    oracle = np.array([[1, 0.4, 0.02], [0, 1, 0.4]] * 2)
    fields: dict[str, Any] = {
        "effect": Grid(effect, axes, effect - 0.5, effect + 0.5),
        "magnitude": Grid(np.abs(effect), axes, np.abs(effect), np.abs(effect)),
        "oracle": Grid(oracle, axes),
        "used": Grid(np.full((4, 3), 40.0), axes),
        "noise": Grid(np.full((4, 3), 1e-6), axes),
        "by_prompt": np.abs(np.broadcast_to(effect, (40, 4, 3))).astype(np.float32),
        "changed": np.full((40, 4, 3), 5, np.float32),
        "stayed": np.full((40, 4, 3), 2, np.float32),
        "group": np.arange(40)[:, None],
        "resampled": "distinct problems",
        "correct": np.ones(40, bool),
        "pairs": 160,
    }
    return CounterfactualAttribution(**(ABOUT | fields | changes))


def lens(roles: tuple[str, ...] = ("c0", "c1", "c2", "sign")) -> LogitLens:
    axes = (Axis("layer", ("embed", "0", "1")), Axis("answer_digit", roles))
    values = np.linspace(0, 1, 3 * len(roles)).reshape(3, -1)
    grid = Grid(values, axes, values - 0.1, values + 0.1)
    names = ("first", "probability", "rank", "logit")
    grids = {prefix + name: grid for prefix in ("", "shuffled_") for name in names}
    return LogitLens(
        **ABOUT, **grids, used=Grid(np.full(len(roles), 40.0), axes[1:]), resampled="operand values"
    )


def behaviour(classes: bool = True) -> Behaviour:
    rows = [("all", "", "", 40, 30), ("digit", "c0", "", 40, 40), ("digit", "c1", "", 40, 30)]
    rows += [("carry class", "c0", "BA", 10, 10), ("carry class", "c1", "UMC", 10, 0)]
    rows += [("carry class", "c1", "BA", 30, 30)] if classes else []
    rows += [("cascade", "", "0", 30, 30), ("cascade", "", "1", 10, 0)]
    rows += [("operand size", "", f"{a} and {b}", 4, a) for a in (1, 2, 3) for b in (1, 2, 10)]
    cells = pd.DataFrame(rows, columns=["breakdown", "answer_digit", "group", "n", "correct"])
    cells["accuracy"] = cells["correct"] / cells["n"]
    cells = cells.assign(accuracy_low=0.9 * cells["accuracy"], accuracy_high=cells["accuracy"])
    answers = pd.DataFrame(
        {"problem": ["1+1"], "answer": ["2"], "given": ["3"], "exact": [False], "readable": [True]}
    )
    return Behaviour(**ABOUT, format="plain", mode="greedy", cells=cells, answers=answers, drawn=40)


def search() -> PromptSearch:
    table = pd.DataFrame(
        {
            "format": ["plain", "af1-qa@2:0"],
            "style": ["plain", "af1-qa"],
            "shots": [0, 2],
            "best": [False, True],
            "baseline": [True, False],
            "n_chosen_on": [20.0, 20.0],
            "accuracy_chosen_on": [0.1, 0.5],
            "readable_chosen_on": [1.0, 1.0],
            "accuracy_chosen_on_low": [0.0, 0.3],
            "accuracy_chosen_on_high": [0.3, 0.7],
            "n_reported": [20.0, 20.0],
            "accuracy_reported": [0.15, 0.4],
            "readable_reported": [1.0, 1.0],
            "accuracy_reported_low": [0.05, 0.2],
            "accuracy_reported_high": [0.3, 0.6],
            "also": ["", "af1-qa-twin@2:0"],
        }
    )
    return PromptSearch(**ABOUT, candidates=table, best="af1-qa@2:0", baseline="plain")


def swap() -> SwapExample:
    table = pd.DataFrame(
        {
            "answer_digit": ["c0", "c0", "c1"],
            "token": ["1", "<", "\n"],
            "logit_before": [9.0, 1.0, 2.0],
            "logit_after": [1.0, 8.0, 2.0],
            "probability_before": [0.9, 0.1, 1.0],
            "probability_after": [0.1, 0.9, 1.0],
            "true_before": [True, False, True],
            "true_after": [False, True, True],
        }
    )
    return SwapExample(
        **(ABOUT | {"n": 1, "n_distinct": 1}),
        before="0+1=1",
        after="1+1=1",
        operand_digit="a0",
        logits=table,
    )


def tokenisation() -> TokenisationReport:
    example = pd.DataFrame(
        {
            "position": [0, 1, 2, 3],
            "token": ["12", "+", "<", "\n"],
            "id": [1, 2, 3, 4],
            "role": ["a[0:2]", "op", "b0", "c0"],
        }
    )
    packing = pd.DataFrame({"number": ["a"], "digits": [2], "pattern": ["2"], "n": [40]})
    return TokenisationReport(
        **ABOUT,
        format="plain",
        example=example,
        packing=packing,
        moving_roles=("eq",),
        tokens_min=4,
        tokens_max=5,
        bos=None,
    )


def selfcheck() -> SelfCheck:
    sites = pd.DataFrame(
        {"site": ["z", "q"], "usable": [True, False], "change": [0.3, 0.0], "reason": ["", "none"]}
    )
    return SelfCheck(**ABOUT, sites=sites, difference=1e-7, tolerance=1e-4)


def fields_of(result: Result) -> dict[str, Any]:
    return {item.name: getattr(result, item.name) for item in dataclasses.fields(result)}


EVERY = [attribution, lens, behaviour, search, swap, tokenisation, selfcheck]


@pytest.mark.parametrize("make", EVERY)
def test_every_figure_says_what_it_is_about(make: Any) -> None:
    result = make()
    figure = result.figure()
    below = [n for n in figure.layout.annotations if n.yref == "paper" and n.yanchor == "bottom"]
    text = " ".join(note.text for note in below).replace("<br>", " ")
    assert "tiny" in text
    assert f"n = {result.n} ({result.n_distinct} distinct)" in text
    assert "Does not show" in text
    assert figure.layout.title.text
    assert figure.layout.height > 200
    json.loads(figure.to_json())


@pytest.mark.parametrize("make", EVERY)
def test_notebooks_get_the_figure(make: Any) -> None:
    bundle = make()._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.plotly.v1+json"} <= set(bundle)
    assert bundle["application/vnd.plotly.v1+json"]["data"] is not None


def test_every_result_type_has_a_figure() -> None:
    for kind in Result._types.values():
        if kind.__module__.startswith("interp."):
            assert has_renderer(kind), kind


def test_attribution_plots_its_own_numbers_most_significant_first() -> None:
    result = attribution()
    effect, oracle = (t for t in result.figure().data if t.type == "heatmap")
    assert list(effect.x) == ["c2", "c1", "c0"]
    assert list(effect.y) == ["a1", "a0", "b1", "b0"]
    assert effect.z[1][2] == result.effect.at(operand_digit="a0", answer_digit="c0")
    assert oracle.z[0][1] == result.oracle.at(operand_digit="a1", answer_digit="c1")
    assert (effect.zmin, effect.zmax) == (-8.0, 8.0)  # zero in the middle
    assert (oracle.zmin, oracle.zmax) == (0.0, 1.0)
    assert "±0.50" in effect.text[1][2]
    assert "[-3.5, -2.5]" in effect.customdata[1][2]
    assert effect.text[0][2] == ""  # not measured


def test_attribution_frames_what_arithmetic_allows() -> None:
    result = attribution()
    shapes = [s for s in result.figure().layout.shapes if s.xref == "x"]
    centres = {((s.x0 + s.x1) / 2, (s.y0 + s.y1) / 2) for s in shapes}
    columns, rows = ["c2", "c1", "c0"], ["a1", "a0", "b1", "b0"]
    want = {
        (columns.index(c), rows.index(r))
        for r in rows
        for c in columns
        if result.oracle.at(operand_digit=r, answer_digit=c) >= 0.1
    }
    assert centres == want


def test_few_prompts_show_numbers_and_no_verdict() -> None:
    note = attribution().figure().layout.annotations[-1].text
    assert "<b style" in note
    few = attribution(n_distinct=20)
    assert few.verdict is None
    note = few.figure().layout.annotations[-1].text
    assert "<b style" not in note
    assert "too few distinct prompts for a verdict" in note


def test_a_matrix_too_large_for_numbers_still_has_its_hover() -> None:
    names = tuple(f"a{i}" for i in range(20))
    axes = (Axis("operand_digit", names), Axis("answer_digit", tuple(f"c{i}" for i in range(20))))
    grid = Grid(np.eye(20), axes, np.eye(20), np.eye(20))
    result = attribution(
        effect=grid,
        magnitude=grid,
        oracle=grid,
        used=grid,
        noise=grid,
        by_prompt=np.ones((40, 20, 20), np.float32),
        changed=np.ones((40, 20, 20), np.float32),
        stayed=np.ones((40, 20, 20), np.float32),
    )
    effect = result.figure().data[0]
    assert effect.text is None
    assert "a0 → c0" in effect.customdata[-1][-1]


def test_logit_lens_lines_bands_and_control() -> None:
    result = lens()
    figure = result.figure()
    solid = [t for t in figure.data if t.mode == "lines+markers"]
    dashed = [t for t in figure.data if t.line.dash == "dash"]
    bands = [t for t in figure.data if t.fill == "toself"]
    assert [t.name for t in solid] == ["sign", "c2", "c1", "c0"]
    assert len(solid) == len(dashed) == len(bands) == 4
    first = result.first.at(answer_digit="c2")
    assert np.allclose(solid[1].y, first.values)
    assert np.allclose(bands[1].y, [*first.high, *first.low[::-1]])
    many = lens(tuple(f"c{k}" for k in range(12))).figure()
    assert [t.type for t in many.data] == ["heatmap", "heatmap"]
    assert many.data[0].y[0] == "c11"


def test_behaviour_cells_points_and_pairs() -> None:
    figure = behaviour().figure()
    classes, sizes = (t for t in figure.data if t.type == "heatmap")
    (points,) = (t for t in figure.data if t.type == "scatter")
    assert list(classes.y) == ["BA", "UMC"]
    assert list(classes.x) == ["c1", "c0"]
    assert classes.z[1][0] == 0
    assert np.isnan(classes.z[1][1])
    assert "n 30" in classes.text[0][0]
    assert list(points.x) == ["0", "1"]
    assert np.allclose(points.error_y.arrayminus, [0.1, 0])
    assert list(sizes.y) == ["1", "2", "10"]  # as numbers, not as text
    assert sizes.z[2][0] == 0.25


def test_percentages_are_never_rounded_to_all_or_nothing() -> None:
    from interp.behaviour.figures.accuracy import _percent

    assert [_percent(x) for x in (1.0, 0.99999, 0.5, 0.00001, 0.0)] == [
        "100%", "99.9%", "50.0%", "0.1%", "0%"
    ]  # fmt: skip


def test_tokens_are_escaped_and_named() -> None:
    figure = tokenisation().figure()
    text = " ".join(note.text for note in figure.layout.annotations)
    assert "&lt;" in text
    assert "⏎" in text
    assert "a[0:2]" in text
    assert {t.name for t in figure.data} == {"first operand", "second operand", "answer"}


def test_unusable_sites_stand_out() -> None:
    (bar,) = selfcheck().figure().data
    assert bar.y[1] == "<s>q</s> ✗"
    assert bar.marker.color[0] != bar.marker.color[1]


def test_unknown_types_say_what_to_do() -> None:
    class Plain(SelfCheck):
        analysis = "a-plain-one-of-the-tests"

    plain = Plain(**fields_of(selfcheck()))
    assert draw(plain).data  # a subclass is drawn like its parent
    assert not has_renderer(Result)
    with pytest.raises(InputError, match="no figure is known for a int"):
        draw(3)  # type: ignore[arg-type]


def test_a_user_may_register_a_figure() -> None:
    class Mine(SelfCheck):
        analysis = "one-with-a-figure-of-its-own"

    @renders(Mine)
    def mine(result: Mine) -> go.Figure:
        return go.Figure(layout={"title": "mine"})

    made = Mine(**fields_of(selfcheck()))
    assert made.figure().layout.title.text == "mine"


def test_one_theme() -> None:
    fonts = {make().figure().layout.template.layout.font.family for make in EVERY}
    assert len(fonts) == 1
    assert (MAGNITUDE, SIGNED) == ("cividis", "RdBu")
    assert len(set(CATEGORIES)) == 8
    assert len(set(DIGITS)) == 10


def test_results_are_drawn_without_importing_figures_first() -> None:
    code = (
        "import sys, interp.results as r; assert 'plotly' not in sys.modules; "
        "import interp.figures; assert not {'probes', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("label", ["a", "a row with a long name", "padded@4:0, " * 3, "x" * 200])
def test_caption_and_verdict_end_inside_the_figure(label: str) -> None:
    """Row labels take room from the lines below the plot, and at most half of the figure."""
    figure = go.Figure(go.Bar(x=[1.0], y=[label], orientation="h"))
    words = "faithfulness kept by the schedule on held-out prompts " * 12
    theme.frame(figure, title="Q?", caption=words, verdict=words, notes=(words,))
    margin = figure.layout.margin
    assert margin.l <= theme.WIDTH / 2
    lines = figure.layout.annotations[-1].text.split("<br>")
    assert len(lines) > 6
    for line in lines:
        bold = line.startswith("<b")
        plain = re.sub("<[^>]+>", "", line)
        end = margin.l + len(plain) * 5.75 * (1 + bold / 8)
        assert end <= figure.layout.width - margin.r, plain
    assert figure.layout.height >= 420 + margin.t + len(lines) * 15
    if len(label) < 40:  # its label has room
        assert margin.l >= len(label) * 7
