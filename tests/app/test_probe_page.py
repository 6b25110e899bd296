"""The Probes page: what it plots is what the library returns, and every state says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import probes
from app import jobs, results
from app.calls import problems
from app.sidebar import format_key
from probes.results.sweep import ProbeSweep
from tests.app.test_explorer import (
    SEED,
    TASK,
    explorer,
    folder,
    loaded,
    numbers,
    open_page,
    traces,
    words,
)

__all__ = ["explorer", "folder", "loaded"]  # fixtures

N, MORE = 60, 160  # some roles are in half of the prompts only, where lengths differ
FORMAT = "padded"
TARGET = "carry[1]"  # what the page looks for first
KEY = "target-of-probe"


@pytest.fixture
def page(explorer: AppTest, loaded: Any) -> AppTest:
    explorer.query_params["n"] = str(N)
    explorer.run()
    explorer.selectbox(key=format_key(loaded, TASK)).set_value(FORMAT).run()
    explorer.switch_page("views/probes.py").run()
    assert not explorer.exception
    return explorer


@pytest.fixture(scope="module")
def want(loaded: Any) -> ProbeSweep:
    sample = problems(TASK, N, seed=SEED)
    return probes.probe(loaded, sample, targets=[TARGET], seed=SEED, format=FORMAT)


def press(at: AppTest, label: str) -> AppTest:
    next(button for button in at.button if button.label == label).click().run()
    assert not at.exception
    return at


def test_the_heat_map_plots_the_librarys_gains(page: AppTest, want: ProbeSweep) -> None:
    (heat,) = traces(page, "heatmap")
    grid = want.grid(TARGET, "gain")
    assert [row.removeprefix("L") for row in heat["y"]] == list(grid.axis("layer").labels)
    assert list(heat["x"]) == list(grid.axis("role").labels)
    np.testing.assert_allclose(numbers(heat["z"]), grid.values)
    if want.verdict:
        assert want.verdict in words(page)
    assert f"targets=('{TARGET}',)" in page.code[0].value


def test_every_cell_can_be_clicked(page: AppTest) -> None:
    (heat,) = traces(page, "heatmap")
    squares = next(t for t in traces(page, "scatter") if t["marker"]["symbol"] == "square-open")
    assert [tuple(pair) for pair in squares["customdata"]] == [
        (row, role) for row in heat["y"] for role in heat["x"]
    ]


def test_a_cell_shows_its_scatter_and_its_controls(page: AppTest, want: ProbeSweep) -> None:
    at = page
    best = want.best(TARGET)
    counts = numbers(traces(at, "heatmap", 1)[0]["z"])
    points = want.scatter(int(best.name))
    assert counts.sum() == len(points)
    assert np.trace(counts) == (points["true"] == points["predicted"]).sum()
    scatters = {trace["name"]: trace for trace in traces(at, "scatter", 1)}
    assert numbers(scatters["the probe"]["x"]) == best["score"]
    shown = dict(zip(scatters["controls"]["y"], numbers(scatters["controls"]["x"]), strict=True))
    assert shown["one-hot operand digits"] == pytest.approx(best["one_hot"])
    assert shown["random weights"] == pytest.approx(best["untrained"])
    assert f"{TARGET}** at resid_post of layer {best['layer']}" in words(at)


def test_layer_by_layer_is_the_librarys(page: AppTest, want: ProbeSweep) -> None:
    page.segmented_control(key="probe-closer").set_value("Layer by layer").run()
    assert not page.exception
    lines = [t for t in traces(page, "scatter", 1) if t.get("name") == "the probe"]
    frame = want.frame
    for line, role in zip(lines, dict.fromkeys(frame["role"]), strict=True):
        part = frame[frame["role"] == role].sort_values("layer")
        np.testing.assert_allclose(numbers(line["y"]), part["score"])


@pytest.mark.parametrize("mode", ["move", "remove"])
def test_the_causal_test_plots_the_librarys_shares(
    page: AppTest, want: ProbeSweep, loaded: Any, mode: Any
) -> None:
    page.session_state["place"], page.session_state["role"] = "L1", "last"
    page.session_state["probe-closer"] = "Does the model use it?"
    page.run()
    page.segmented_control(key="probe mode").set_value(mode).run()
    assert "A readable direction may be inert" in words(page)
    press(page, "Edit it, and see the answer")
    sample = problems(TASK, N, seed=SEED)
    fitted = probes.fit(
        loaded, sample, TARGET, site="resid_post", layer=1, role="last", seed=SEED, format=FORMAT
    )
    use = probes.intervene(loaded, fitted, mode=mode, seed=SEED)
    arms = {"step along the probe": "probe", "random step as long": "random", "no step": "clean"}
    columns = ("predicted", "original") if mode == "move" else ("original", "right")
    for name, arm in arms.items():
        panels = [trace for trace in traces(page, "scatter", 1) if trace.get("name") == name]
        for panel, column in zip(panels, columns, strict=True):
            outcomes = use.outcomes[use.outcomes["arm"] == arm].set_index("answer_digit")
            shares = outcomes.loc[list(panel["x"]), column].to_numpy(dtype=float)
            np.testing.assert_allclose(numbers(panel["y"]), shares)


def test_what_has_no_predicted_answer_is_only_taken_out(page: AppTest) -> None:
    page.session_state["place"], page.session_state["role"] = "L1", "last"
    page.session_state["probe-closer"] = "Does the model use it?"
    page.selectbox(key=KEY).set_value("parity(a)").run()
    assert not page.exception
    assert page.segmented_control(key="probe mode alone").options == ["Take it out"]
    assert "No answer follows from another parity(a)" in words(page)
    press(page, "Edit it, and see the answer")
    assert "mode='remove'" in "".join(block.value for block in page.code)


def test_another_target_and_site_make_another_call(page: AppTest) -> None:
    page.selectbox(key=KEY).set_value("parity(a)").run()
    page.multiselect[0].set_value(["attn_out", "resid_post"]).run()
    assert not page.exception
    (heat,) = traces(page, "heatmap")[:1]
    assert list(heat["y"])[:2] == ["L0 attn_out", "L0 resid_post"]
    assert "targets=('parity(a)',), sites=('attn_out', 'resid_post')" in page.code[0].value


def test_each_value_can_be_held_out_once(page: AppTest, loaded: Any) -> None:
    page.selectbox(key="held-out").set_value("Each operand value once").run()
    assert not page.exception
    sample = problems(TASK, N, seed=SEED)
    want = probes.probe(loaded, sample, targets=[TARGET], seed=SEED, format=FORMAT, turns=4)
    (heat,) = traces(page, "heatmap")
    np.testing.assert_allclose(numbers(heat["z"]), want.grid(TARGET, "gain").values)
    assert "turns=4" in page.code[0].value
    assert set(want.frame["n_test"]) == {N}
    page.segmented_control(key="probe-closer").set_value("Does the model use it?").run()
    assert any("that of the first turn" in caption.value for caption in page.caption)


def test_too_few_prompts_are_told_with_the_remedy(explorer: AppTest) -> None:
    explorer.query_params["n"] = "5"
    at = open_page(explorer, "probes")
    at.selectbox(key=KEY).set_value("magnitude(a)").run()
    assert not at.exception
    assert "5 different values of a are too few" in words(at)
    assert "draw more problems" in words(at)


def test_without_a_site_the_page_says_what_to_do(page: AppTest) -> None:
    page.multiselect[0].set_value([]).run()
    assert not page.exception
    assert "Choose at least one site" in words(page)
    assert not page.get("plotly_chart")


def test_a_target_that_never_varies_is_told_with_the_remedy(page: AppTest) -> None:
    page.selectbox(key=KEY).set_value("carry[2]").run()
    assert not page.exception
    assert "nothing to find: leave it out, or draw problems in which it varies" in words(page)


def test_prompts_of_several_lengths_leave_out_where_the_digit_tells_the_carry(
    explorer: AppTest,
) -> None:
    explorer.query_params["n"] = str(MORE)
    at = open_page(explorer, "probes")
    assert at.session_state["study"].format == "plain@2:0"
    (heat,) = traces(at, "heatmap")
    assert heat["x"] == ["last", "c1", "c0"]  # c2 is printed where carry[1] is 1
    assert f"targets=('{TARGET}',)" in at.code[0].value


def test_a_stopped_page_offers_to_run_it(explorer: AppTest) -> None:
    explorer.query_params["n"] = str(MORE)
    at = open_page(explorer, "model")
    options = {"sites": ("resid_post",), "layers": None, "split": "operand", "turns": 1}
    key = results.key(at.session_state["study"], "probes.probe", targets=(TARGET,), **options)
    at.session_state[jobs.STOPPED] = key
    at.switch_page("views/probes.py").run()
    assert f"Stopped: Computing probe sweep of {MORE} problems" in words(at)
    assert not at.get("plotly_chart")
    press(at, "Run it")
    assert at.get("plotly_chart")


def test_a_deep_model_is_first_probed_at_some_of_its_layers() -> None:
    from app.probe_parts import default_layers

    assert default_layers(2) is None
    assert default_layers(12) is None
    some = default_layers(30)
    assert some is not None
    assert len(some) <= 12
    assert (some[0], some[-1]) == (0, 29)
