"""Figures and report of the probe bench show what its Results hold."""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from interp.errors import InputError
from interp.figures import export
from interp.figures.export import file_name, write_closer
from interp.figures.registry import gallery
from interp.figures.report import Section, report, write_report
from interp.results.result import Result
from probes.figures.cell import CONTROLS, measured, probe_cell
from probes.figures.layers import score_by_layer
from probes.figures.running import running_sums
from probes.figures.sweep import cells_of, gain_maps
from tests.figures import probe_results as made

EVERY = (made.sweep, made.use, made.baseline, made.sums)


def heatmaps(figure: go.Figure) -> list[Any]:
    return [trace for trace in figure.data if trace.type == "heatmap"]


def caption(figure: go.Figure) -> str:
    return str(figure.layout.annotations[-1].text).replace("<br>", " ")


@pytest.mark.parametrize("make", EVERY)
def test_captions_carry_sample_seed_split_and_interval(make: Any) -> None:
    for figure in gallery(make()).values():
        text = caption(figure)
        assert re.search(r"n = 240 \(240 distinct\) · seed 7 · 95 % bootstrap intervals", text)
        assert "split by" in text or make is made.use
        assert "index 0 least" in figure.to_json()


def test_a_gain_map_plots_every_gain_and_frames_what_is_represented() -> None:
    sweep = made.sweep()
    figure = sweep.figure()
    assert len(heatmaps(figure)) == 4
    for heat, target in zip(heatmaps(figure), sweep.names, strict=True):
        grid = sweep.grid(target, "gain")
        for (i, row), (j, role) in ((r, c) for r in enumerate(heat.y) for c in enumerate(heat.x)):
            if role in grid.axis("role").labels:
                want = grid.at(layer=row.removeprefix("L"), role=role)
                assert heat.z[i][j] == want
                assert f"gain over shown {want:.3g}" in heat.customdata[i][j]
            else:
                assert np.isnan(heat.z[i][j])
                assert "not probed" in heat.customdata[i][j]
        assert heat.zmin == -heat.zmax
    frame = sweep.frame
    here = frame[frame["site"] == "resid_post"]
    assert {heat.zmax for heat in heatmaps(figure)} == {max(0.1, here["gain"].max())}
    framed = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert len(framed) == here["represented"].sum() > 0
    assert "at resid_post" in caption(figure)


def test_what_the_token_shows_and_what_was_trained_in_is_said() -> None:
    figure = made.sweep().figure()
    angle = heatmaps(figure)[3]
    assert all(text.endswith("*") for text in angle.text[:, 2])
    assert not any(text.endswith("*") for text in angle.text[:, 0])
    assert "*: the token there shows it" in caption(figure)
    titles = [note.text for note in figure.layout.annotations]
    assert [("trained in" in t) for t in titles[:4]] == [False, True, False, False]


def test_one_target_shows_all_its_sites_in_order_of_computation() -> None:
    places = (("resid_post", -1), ("z", 1), ("z", 0), ("resid_pre", -1))
    sweep = made.sweep({"carry[1]": "class"}, layers=(1, 0), places=places)
    (heat,) = heatmaps(sweep.figure())
    want = ["resid_pre", "H0 z", "H1 z", "resid_post"]
    assert list(heat.y) == [f"L{i}{'' if w[0] == 'H' else ' '}{w}" for i in (0, 1) for w in want]
    cells = cells_of(sweep, "carry[1]")
    chosen = cells[(cells["row"] == "L1H0 z") & (cells["role"] == "c2")]
    (number,) = chosen.index
    row = sweep.frame.iloc[number]
    assert (row["site"], row["layer"], row["head"], row["role"]) == ("z", 1, 0, "c2")
    assert heat.z[list(heat.y).index("L1H0 z")][list(heat.x).index("c2")] == row["gain"]


def test_numbers_are_left_out_where_they_would_not_be_legible() -> None:
    few, many = made.sweep(), made.sweep(layers=tuple(range(60)))
    assert heatmaps(few.figure())[0].text is not None
    figure = many.figure()
    assert heatmaps(figure)[0].text is None
    assert "L59" in heatmaps(figure)[0].y
    dots = [trace for trace in figure.data if trace.type == "scatter"]
    here = many.frame[many.frame["site"] == "resid_post"]
    assert sum(len(trace.x) for trace in dots) == here["represented"].sum()
    assert "dot: represented" in caption(figure)
    assert not figure.layout.shapes


def test_many_targets_are_cut_and_that_is_said() -> None:
    sweep = made.sweep({f"carry[{i}]": "class" for i in range(30)}, layers=(0,), roles=("last",))
    assert len(heatmaps(sweep.figure())) == 24
    assert "the first 24 of 30 targets" in caption(sweep.figure())


def test_a_layer_figure_has_the_probe_and_every_control_as_a_line() -> None:
    sweep = made.sweep()
    figure = score_by_layer(sweep, "running_sum[2]", "resid_post")
    frame = sweep.frame
    mine = frame[(frame["target"] == "running_sum[2]") & (frame["site"] == "resid_post")]
    for name, text in {"score": "the probe", **CONTROLS}.items():
        lines = [trace for trace in figure.data if trace.name == text]
        assert len(lines) == mine["role"].nunique()
        for line, role in zip(lines, dict.fromkeys(mine["role"]), strict=True):
            part = mine[mine["role"] == role].sort_values("layer")
            np.testing.assert_array_equal(line.y, part[name])
    first = next(trace for trace in figure.data if trace.fill == "toself")
    part = mine[mine["role"] == "c2"]
    np.testing.assert_allclose(first.y[:3], part["shown"] + part["gain_high"])
    assert "a loss of its training asked for it, or for what decides it" in caption(figure)


def test_a_control_that_was_not_made_is_no_line() -> None:
    sweep = made.sweep()
    bare = made.sweep(cells=sweep.cells.assign(untrained=np.nan))
    names = {trace.name for trace in score_by_layer(bare, "carry[1]").data}
    assert "random weights" not in names
    assert "shuffled labels" in names
    cell = {y for trace in probe_cell(bare, 0).data if trace.name == "controls" for y in trace.y}
    assert "random weights" not in cell


def test_scores_off_the_page_are_said_to_be() -> None:
    sweep = made.sweep()
    worse = made.sweep(cells=sweep.cells.assign(shuffled=-3.0))
    assert "below −0.5 not drawn" in caption(score_by_layer(worse, "running_sum[2]"))
    assert "not drawn" not in caption(score_by_layer(sweep, "running_sum[2]"))


def test_a_real_cell_is_a_scatter_with_its_diagonal_and_errors_never_alone() -> None:
    sweep = made.sweep()
    number = int(sweep.best("running_sum[2]").name)
    figure = probe_cell(sweep, number)
    points = next(trace for trace in figure.data if trace.name == "prompts")
    want = sweep.scatter(number)
    np.testing.assert_array_equal(points.x, want["true"])
    np.testing.assert_array_equal(points.y, want["predicted"])
    diagonal = next(trace for trace in figure.data if trace.name == "y = x")
    assert list(diagonal.x) == list(diagonal.y) == [want["true"].min(), want["true"].max()]
    assert "R² 0.89 (one-hot digits 0.59), MAE 7 (constant 15, one-hot digits 10)" in caption(
        figure
    )


@pytest.mark.parametrize("target", ["class[1]", "c[1]"])
def test_classes_and_residues_are_counted(target: str) -> None:
    sweep = made.sweep()
    number = int(sweep.best(target).name)
    (heat,) = heatmaps(probe_cell(sweep, number))
    points = sweep.scatter(number)
    assert np.sum(heat.z) == len(points)
    assert np.trace(heat.z) == (points["true"] == points["predicted"]).sum()
    names = sweep.labels.get(target)
    first = points.iloc[0]
    x, y = (str(names[int(v)]) if names else f"{v:g}" for v in first[["true", "predicted"]])
    assert heat.z[list(heat.y).index(y)][list(heat.x).index(x)] > 0


def test_the_controls_stand_beside_the_score() -> None:
    sweep = made.sweep()
    figure, row = probe_cell(sweep, 3), sweep.frame.iloc[3]
    controls = next(trace for trace in figure.data if trace.name == "controls")
    assert dict(zip(controls.y, controls.x, strict=True)) == {
        text: row[name] for name, text in CONTROLS.items()
    }
    probe = next(trace for trace in figure.data if trace.name == "the probe")
    assert list(probe.x) == [row["score"]]
    ends = probe.x[0] + probe.error_x.array[0], probe.x[0] - probe.error_x.arrayminus[0]
    reference = row[row["reference"]]
    np.testing.assert_allclose(ends, (reference + row["gain_high"], reference + row["gain_low"]))


def test_errors_are_told_with_r2_and_the_constant() -> None:
    rows = made.sweep().frame.set_index("target")
    assert measured(rows.loc["carry[1]"].iloc[0].to_dict()) == "accuracy 0.4 (majority 0.4)"
    assert "MAE" not in measured(rows.loc["c[1]"].iloc[0].to_dict())
    real = measured(rows.loc["running_sum[2]"].iloc[0].to_dict())
    assert all(word in real for word in ("R²", "MAE", "constant 15"))


def test_use_plots_each_arm_most_significant_digit_first_and_shades_the_named() -> None:
    use = made.use()
    figure = use.figure()
    arms = {"step along the probe": "probe", "random step as long": "random", "no step": "clean"}
    for name, arm in arms.items():
        left, right = (trace for trace in figure.data if trace.name == name)
        assert list(left.x) == ["c3", "c2", "c1", "c0"]
        for trace, column in ((left, "predicted"), (right, "original")):
            for digit, y, minus in zip(trace.x, trace.y, trace.error_y.arrayminus, strict=True):
                row = use.outcome(arm, digit)
                assert y == row[column]
                assert y - minus == pytest.approx(row[f"{column}_low"])
    shade = figure.layout.shapes[0]
    assert (shade.x0, shade.x1) == (1.5, 2.5)
    assert not made.use(named="").figure().layout.shapes
    same = use.outcomes["answer_digit"] == "c0"
    fewer = made.use(outcomes=use.outcomes.assign(n=np.where(same, 0, 200))).figure()
    assert list(fewer.data[0].x) == ["c3", "c2", "c1"]
    none = made.use(outcomes=use.outcomes.assign(n=0)).figure()
    assert "no prompt has another digit predicted here" in none.to_json()


def test_removal_has_no_predicted_digit() -> None:
    figure = made.use("remove").figure()
    titles = [note.text for note in figure.layout.annotations]
    assert "Becomes the predicted digit" not in titles
    assert not any(np.isnan(np.array(trace.y, dtype=float)).any() for trace in figure.data)


def test_the_baseline_names_its_metric_and_puts_the_constant_beside_it() -> None:
    baseline = made.baseline()
    figure = baseline.figure()
    score, error = (t for t in figure.data if t.name == "one-hot operand digits")
    assert score.y[0] == "product[0,0] (R²)"
    assert score.y[-1] == "carry[1] (accuracy)"
    np.testing.assert_array_equal(score.x, baseline.cells["score"])
    constant = next(t for t in figure.data if t.name == "constant" and len(t.x) == len(error.x))
    assert list(constant.y) == list(error.y)
    only_classes = made.baseline(cells=baseline.cells[baseline.cells["metric"] == "accuracy"])
    assert len(only_classes.figure().data) == 2


def test_running_sums_have_a_panel_a_model_and_digit_and_every_error() -> None:
    sums = made.sums()
    for when in ("after", "before"):
        figure = running_sums(sums, when)
        panels = [trace for trace in figure.data if trace.name == "prompts"]
        pairs = [(model, digit) for model in ("aux", "sft") for digit in (2, 3, 4)]
        for panel, (model, digit) in zip(panels, pairs, strict=True):
            np.testing.assert_array_equal(panel.x, sums.scatter(model, digit, when)["true"])
        cells = sums.cells[sums.cells["when"] == when]
        errors = {trace.name: trace for trace in figure.data if trace.name in ("aux", "sft")}
        for model, trace in errors.items():
            np.testing.assert_array_equal(trace.y, cells[cells["model"] == model]["mae"])
        names = {trace.name for trace in figure.data}
        assert {"constant", "one-hot operand digits"} <= names
        assert ("aux, published" in names) == (when == "after")
    assert set(gallery(sums)) == {"figure", "before"}
    assert "trained to hold ĉ: aux" in caption(sums.figure())


def test_the_verdict_on_running_sums_names_what_it_stands_beside() -> None:
    sums = made.sums()
    verdict = str(sums.verdict)
    assert "aux (trained in) holds ĉ beyond the digits shown at 3 of 3 digits" in verdict
    assert "sft holds ĉ beyond the digits shown at 0 of 3" in verdict
    assert "q ≤ 0.05): R² 0.982; the one-hot digits 0.85, random weights 0.4" in verdict
    assert "0.05 to 0.373 times those of a constant, none above a constant's" in verdict
    assert "1.6 to 3.4 times a constant's (arXiv 2510.00184" in verdict


def test_a_gain_of_one_digit_in_many_is_no_finding() -> None:
    """An interval above 0 alone does not count: p is corrected over all rows."""
    cells = made.sums().cells
    many = cells.assign(p=np.where(np.arange(len(cells)) == 0, 0.02, 0.9), gain_low=0.01)
    sums = made.sums(cells=many)
    assert (sums.frame["q"] > 0.05).all() and not sums.frame["represented"].any()
    assert "at 0 of 3 digits" in str(sums.verdict)
    worse = cells.assign(mae=90.0, mae_low=80.0, mae_high=99.0, trained_in=cells["digit"] == 2)
    told = str(made.sums(cells=worse).verdict)
    assert "above a constant's: aux in 6 of 6, sft in 6 of 6;" in told
    assert "aux (trained in at 2) holds" in told


def test_bad_names_are_told_with_what_there_is() -> None:
    sweep = made.sweep()
    with pytest.raises(InputError, match="'poem' was not probed; there are carry"):
        gain_maps(sweep, targets=["poem"])
    with pytest.raises(InputError, match="was not probed at 'mlp_out'"):
        gain_maps(sweep, site="mlp_out")
    with pytest.raises(InputError, match="was not probed at 'resid_post', head 3"):
        score_by_layer(sweep, "carry[1]", "resid_post", 3)
    with pytest.raises(InputError, match="there is no cell 99"):
        probe_cell(sweep, 99)
    with pytest.raises(InputError, match="nothing was read 'never'"):
        running_sums(made.sums(), "never")
    with pytest.raises(InputError, match="the report is empty"):
        report([], title="Nothing")


def test_galleries_name_their_files() -> None:
    names = set(gallery(made.sweep({"product[0,1]": "real"})))
    assert names == {"figure", "gain-product-0-1", "layers-product-0-1", "scatter-product-0-1"}
    assert file_name("layers", "near(b,5)") == "layers-near-b-5"
    assert set(gallery(made.baseline())) == {"figure"}


def test_further_figures_are_drawn_by_name() -> None:
    sweep = made.sweep({"product[0,1]": "real"})
    drawn = gallery(sweep)
    for name in ("gain-product-0-1", "layers-product-0-1", "scatter-product-0-1"):
        assert sweep.figure(name) == drawn[name]
    with pytest.raises(InputError, match="has no figure 'gain': choose figure, gain-product-0-1"):
        sweep.figure("gain")


def test_closer_figures_are_pictures(tmp_path: Path, chromium: str) -> None:
    sweep = made.sweep({"carry[1]": "class"})
    names = set(gallery(sweep)) - {"figure"}
    written = write_closer(sweep, tmp_path)
    assert written.missing == ()
    assert {path.name for path in written.files} == {
        f"{name}.{kind}" for name in names for kind in ("png", "svg")
    }
    assert (tmp_path / "layers-carry-1.png").read_bytes().startswith(b"\x89PNG")
    assert b"the probe" in (tmp_path / "layers-carry-1.svg").read_bytes()
    assert write_closer(made.baseline(), tmp_path) == ((), ())


def test_without_a_browser_closer_figures_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "browser", lambda: None)
    written = write_closer(made.sweep({"carry[1]": "class"}), tmp_path)
    assert written.files == ()
    assert "apt install chromium" in written.missing[0]
    assert not list(tmp_path.iterdir())


@cache
def sections() -> list[Section]:
    """One of each; a single target, so that its figures are few."""
    return [Section("About sweep", made.sweep({"carry[1]": "class"}), "Why <this>?")] + [
        Section(f"About {make.__name__}", make(), "Why <this>?") for make in EVERY[1:]
    ]


def test_the_report_holds_everything_and_escapes_it(tmp_path: Path) -> None:
    file = write_report(
        sections(), tmp_path / "report.html", title="Probes & more", script="model: <tiny>\n"
    )
    text = file.read_text()
    assert text.count("<title>Probes &amp; more</title>") == 1
    assert "Why &lt;this&gt;?" in text
    assert "model: &lt;tiny&gt;" in text
    for section in sections():
        result: Result = section.result
        assert result.verdict is not None
        assert html.escape(result.verdict) in text
        assert all(note.replace("'", "&#x27;") in text for note in result.notes)
        assert result.code.splitlines()[-1].replace("'", "&#x27;") in text
        assert f"Table ({len(result.frame):,} rows)" in text
    assert text.count('class="plotly-graph-div"') == sum(len(gallery(s.result)) for s in sections())
    assert len(text) < 9_000_000  # the script of Plotly is inside once, not once a figure


def test_too_few_prompts_get_numbers_and_no_verdict() -> None:
    text = report([Section("Few", made.sweep(n=20, n_distinct=20))], title="Few").decode()
    assert "too few distinct prompts for a verdict" in text
    assert "cells hold more of their target" not in text


def test_the_report_opens_without_a_network(tmp_path: Path, chromium: str) -> None:
    from playwright.sync_api import sync_playwright

    file = write_report(sections(), tmp_path / "report.html", title="Probes")
    asked: list[str] = []
    with sync_playwright() as playwright:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_context(offline=True).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_function(
            "[...document.querySelectorAll('.plotly-graph-div')].every(d => d._fullLayout)"
        )
        drawn = page.locator(".js-plotly-plot").count()
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        column = "#s0 details:nth-of-type(2) td:last-child"  # of the table
        page.locator("#s0 details:nth-of-type(2) th").last.press("Enter")
        cells = page.locator(column).all_inner_texts()
        page.emulate_media(color_scheme="dark")
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        browser.close()
    assert asked == [file.as_uri()]
    assert drawn == sum(len(gallery(section.result)) for section in sections())
    last = sections()[0].result.frame.iloc[:, -1]
    numbers = [float(cell.replace("−", "-")) for cell in cells if cell != "–"]
    assert numbers == sorted(numbers) and len(cells) == len(last)
    assert paper == "rgb(23, 25, 28)"
