"""Figures of ablation show the numbers of their Results, beside the constant answer's."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from interp.ablation.figures.masks import (
    ALONE,
    FREE,
    LOOKS,
    WAITS,
    masks,
    n_layers,
    spans,
    state_of,
)
from interp.errors import InputError
from interp.figures.registry import gallery
from interp.results.result import Result
from tests.figures import ablation_results as made

EVERY = [
    made.score,
    made.grid,
    made.removal,
    made.found,
    made.refused,
    made.comparison,
    made.transferred,
    made.table,
]


def below(result: Result) -> str:
    """The caption under a saved figure, in one line."""
    notes = result.figure().layout.annotations
    (note,) = [n for n in notes if n.yref == "paper" and n.y == 0 and n.yanchor == "bottom"]
    return str(note.text.replace("<br>", " "))


def traces(result: Result, kind: str) -> list[Any]:
    return [trace for trace in result.figure().data if trace.type == kind]


@pytest.mark.parametrize("make", EVERY)
def test_a_figure_says_what_it_is_about(make: Any) -> None:
    result = make()
    text = below(result)
    assert "n = 80 (80 distinct) · seed 7" in text
    assert "Does not show" in text
    assert result.figure().layout.title.text.endswith("?")
    json.loads(result.figure().to_json())


@pytest.mark.parametrize("make", [m for m in EVERY if m is not made.table])
def test_a_figure_says_how_well_the_means_are_known(make: Any) -> None:
    result = make()
    known = {"table_error": 0.25}
    told = dataclasses.replace(result, settings=dict(result.settings) | known)
    assert "standard errors of the means: up to 25 % of the spread between keys' means" in below(
        told
    )
    if "table_error" not in result.frame:
        assert told.metrics["table_error"] == 0.25
        unknown = dataclasses.replace(result, settings=dict(told.settings) | {"table_error": None})
        assert "the error of some means is unknown" in below(unknown)
        assert np.isnan(unknown.metrics["table_error"])
        assert "standard errors" not in below(result)


@pytest.mark.parametrize(
    "make", [made.score, made.grid, made.removal, made.found, made.refused, made.comparison]
)
def test_faithfulness_never_stands_without_its_controls(make: Any) -> None:
    text = below(make())
    assert "best constant answer" in text and "12.0%" in text
    assert "base accuracy 80.0%" in text
    assert "64 right (6" in text
    assert "95 % intervals" in text


def test_the_score_shows_each_role_with_its_interval_and_its_controls() -> None:
    result = made.score()
    table = result.by_role.set_index("role")
    base, constant, kept = [t for t in traces(result, "scatter") if len(t.x) == len(table)]
    order = list(kept.y)
    assert order == ["all", "c2", "c1", "c0"]
    np.testing.assert_allclose(kept.x, table.loc[order, "faithfulness"])
    np.testing.assert_allclose(kept.x - kept.error_x.arrayminus, table.loc[order, "low"])
    np.testing.assert_allclose(kept.x + kept.error_x.array, table.loc[order, "high"])
    np.testing.assert_allclose(constant.x, table.loc[order, "guessed"])
    np.testing.assert_allclose(base.x, table.loc[order, "base_accuracy"])


def test_the_strip_has_a_cell_for_each_layer_and_kind_of_token() -> None:
    cells = {
        (where, layer): bars.name
        for bars in traces(made.score(), "bar")
        for where, layer in zip(bars.y, bars.customdata, strict=True)
    }
    assert len(cells) == 2 * 30
    assert {cells["last tokens", layer] for layer in (14, 15, 17)} == {LOOKS + "all before it"}
    assert {cells["other tokens", layer] for layer in range(14, 30)} == {ALONE}
    assert {cells[where, 13] for where in ("last tokens", "other tokens")} == {WAITS}
    assert cells["last tokens", 16] == cells["last tokens", 29] == ALONE


def test_the_strip_counts_the_heads_that_look() -> None:
    (looks,) = [bars for bars in traces(made.score(), "bar") if bars.name.startswith(LOOKS)]
    assert dict(zip(looks.customdata, looks.text, strict=True)) == {14: "2", 15: "1", 17: "1"}


@pytest.mark.parametrize(
    ("layer", "last", "name"),
    [
        (0, True, WAITS),
        (1, True, LOOKS + "the 2 positions that end with it"),
        (1, False, ALONE),
        (2, True, LOOKS + "operand digits"),
        (3, True, FREE),
        (3, False, FREE),
    ],
)
def test_each_mask_is_named(layer: int, last: bool, name: str) -> None:
    spec = {"wait": 1, "transfer": [1], "compute": [2], "heads": None}
    spec |= {"transfer_mask": "window:2", "compute_mask": "operands"}
    assert state_of(spec, layer, last=last).name == name


def test_an_open_mask_lets_every_token_look() -> None:
    spec = {"wait": 0, "transfer": [0], "compute": [], "heads": None, "transfer_mask": "open"}
    assert state_of(spec, 0, last=False) == state_of(spec, 0, last=True)


def test_masks_are_those_of_the_picture() -> None:
    transfer, compute = masks(made.PICTURE)
    assert (transfer.kind, transfer.layers) == ("transfer", (14, 15, 17))
    assert (compute.kind, compute.layers) == ("compute", (16, *range(18, 30)))
    assert transfer.roles == ("bos", "a0", "op", "b0", "eq")
    assert list(transfer.seen[4]) == [1, 1, 1, 1, 1]
    assert list(compute.seen[4]) == [1, 0, 0, 0, 1]
    np.testing.assert_array_equal(np.isnan(compute.seen), np.triu(np.ones((5, 5)), 1) == 1)
    assert n_layers(made.PICTURE) == 30


def test_masks_are_drawn_as_they_are() -> None:
    drawn = traces(made.score(), "heatmap")
    for trace, mask in zip(drawn, masks(made.PICTURE), strict=True):
        np.testing.assert_array_equal(trace.z, mask.seen)


@pytest.mark.parametrize(
    ("layers", "text"),
    [((3,), "layer 3"), ((0, 1, 2), "layers 0–2"), ((14, 15, 17), "layers 14–15, 17")],
)
def test_layers_are_told_by_index(layers: tuple[int, ...], text: str) -> None:
    assert spans(layers) == text


@pytest.mark.parametrize("size", [4, 30])
def test_the_grid_lies_with_waits_across_and_widths_up(size: int) -> None:
    result = made.grid(size)
    for trace, grid in zip(
        traces(result, "heatmap"), (result.faithfulness, result.logit_difference), strict=True
    ):
        for i, wait in enumerate(trace.x):
            for j, width in enumerate(trace.y):
                want = grid.at(wait=wait, width=width)
                np.testing.assert_equal(trace.z[j, i], want)


@pytest.mark.parametrize("size", [4, 30])
def test_cells_that_do_not_beat_the_constant_answer_are_crossed(size: int) -> None:
    result = made.grid(size)
    low = result.faithfulness.low
    assert low is not None
    want = {
        (wait, width)
        for i, wait in enumerate(result.faithfulness.axis("wait").labels)
        for j, width in enumerate(result.faithfulness.axis("width").labels)
        if low[i, j] <= result.constant
    }
    assert 0 < len(want) < np.isfinite(low).sum()
    first, *_ = traces(result, "heatmap")
    if size == 4:
        shown = {(x, y) for i, x in enumerate(first.x) for j, y in enumerate(first.y)
                 if "×" in first.text[j, i]}  # fmt: skip
    else:
        (crosses,) = traces(result, "scatter")
        shown = set(zip(crosses.x, crosses.y, strict=True))
    assert shown == want


def test_the_colour_bar_of_the_grid_names_the_constant_answer() -> None:
    bar = traces(made.grid(), "heatmap")[0].colorbar
    named = dict(zip(bar.tickvals, bar.ticktext, strict=True))
    assert "12%" in named[0.12]
    assert len(named) == 6


def test_each_answer_token_has_a_grid_of_its_own() -> None:
    result = made.grid(4)
    figure = gallery(result)["by-role"]
    grids = result.by_role
    assert grids is not None
    for trace, role in zip(figure.data, grids.axis("role").labels, strict=True):
        grid = grids.at(role=role)
        assert not isinstance(grid, float)
        np.testing.assert_array_equal(trace.z, grid.values.T)
        np.testing.assert_array_equal(trace.customdata[..., 0], grid.low.T)
    titles = {note.text for note in figure.layout.annotations}
    assert {"c2 (guessed: 60.0%)", "c1 (guessed: 20.0%)", "c0 (guessed: 10.0%)"} <= titles
    assert figure.layout.title.text == "Which answer digits can wait?"


def test_further_figures_are_drawn_by_name() -> None:
    result = made.grid(4)
    assert result.figure("by-role") == gallery(result)["by-role"]
    assert result.figure("figure") == result.figure() == gallery(result)["figure"]
    with pytest.raises(InputError, match="has no figure 'by-head': choose figure, by-role"):
        result.figure("by-head")


def test_an_answer_of_one_token_has_no_second_grid() -> None:
    assert list(gallery(dataclasses.replace(made.grid(4), by_role=None))) == ["figure"]


def test_removal_shows_both_curves_and_all_layers_at_once() -> None:
    result = made.removal()
    curves = {(t.name, len(t.x)): t for t in traces(result, "scatter")}
    np.testing.assert_allclose(curves["full model", 30].y, result.full.values)
    assert list(curves["schedule", 3].x) == ["14", "15", "17"]
    np.testing.assert_allclose(curves["schedule", 3].y, [0.1, 0.4, 0.7])
    assert (list(curves["full model", 1].x), list(curves["full model", 1].y)) == (["all"], [0.2])
    (line,) = result.figure().layout.shapes
    assert line.y0 == line.y1 == result.constant


def test_the_search_shows_every_step() -> None:
    result = made.found()
    lines = traces(result, "scatter")
    np.testing.assert_allclose(lines[0].y, result.waits.values)
    assert (list(lines[1].x), list(lines[1].y)) == (["14"], [result.waits.values[14]])
    (windows,) = traces(result, "heatmap")
    assert (windows.x[0], windows.x[-1], windows.y[0]) == ("14", "30", "0")
    for i, start in enumerate(windows.x):
        for j, width in enumerate(windows.y):
            np.testing.assert_equal(windows.z[j, i], result.windows.at(start=start, width=width))
    np.testing.assert_allclose(lines[2].y, result.pruning["faithfulness"])
    assert lines[2].marker.symbol[-1] == "x"
    removed = np.concatenate([line.y for line in lines[3:]])
    assert set(removed) == set(result.removal["faithfulness"])
    rectangles = [shape for shape in result.figure().layout.shapes if shape.type == "rect"]
    narrowest = {(windows.x[int(r.x0 + 0.5)], windows.y[int(r.y0 + 0.5)]) for r in rectangles}
    assert narrowest == {("14", "4"), ("15", "4"), ("16", "4")}  # the starts that keep 90 %


def test_a_search_without_a_find_says_so_and_shows_how_far_it_came() -> None:
    result = made.refused()
    text = " ".join(note.text for note in result.figure().layout.annotations)
    assert "No such subgraph: waiting through one layer already keeps only 10 %" in text
    assert "the search did not get here" in text
    assert not traces(result, "bar")
    assert len(traces(result, "scatter")[0].y) == 31


def test_the_comparison_shows_every_alternative_and_what_it_found() -> None:
    result = made.comparison()
    kept, difference = traces(result, "scatter")
    assert list(kept.y) == [f"{r.replacement} · {r.mask}" for r in result.table.itertuples()]
    np.testing.assert_allclose(kept.x, result.table["faithfulness"])
    np.testing.assert_allclose(difference.x, result.table["logit_difference"])
    told = [note.text for note in result.figure().layout.annotations if note.xref == "paper"]
    assert told.count("wait 0 to 13 · transfer 14 to 17 (3 of them)") == 9
    assert told.count("no such subgraph") == 1
    (refused,) = [text for text in told if text.startswith("refused: these prompts hold no")]
    assert refused.endswith(" …") and refused.count("<br>") == 1
    assert told.count("uninformative") == 1


def test_transfer_shows_each_set_of_prompts_with_its_own_constant_and_accuracy() -> None:
    result = made.transferred()
    base, constant, kept = traces(result, "scatter")
    for trace, column in ((base, "base_accuracy"), (constant, "constant"), (kept, "faithfulness")):
        assert list(trace.y) == list(result.table["name"])
        np.testing.assert_allclose(trace.x, result.table[column])
    told = [note.text for note in result.figure().layout.annotations]
    assert "78 distinct right prompts" in told
    assert "no prompt is answered rightly" in told


@pytest.mark.parametrize(("exact", "panels"), [(False, 2), (True, 1)])
def test_the_table_shows_own_shares_and_errors_where_there_are_any(
    exact: bool, panels: int
) -> None:
    result = made.table(exact)
    drawn = traces(result, "heatmap")
    assert len(drawn) == panels
    np.testing.assert_array_equal(drawn[0].z, result.own_share.values)
    assert ("exact, over all problems" in below(result)) == exact
