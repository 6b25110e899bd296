"""The explorer's pages: what they plot is what the library returns, for any folder typed in."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import interp
from app import jobs, results
from app.calls import problems
from app.sidebar import OTHER
from tests import tiny

ENTRY = Path(__file__).resolve().parents[2] / "app" / "Explorer.py"
TASK, N, SEED, FORMAT = "add:2", 24, 3, "plain@2:0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("llama", tmp_path_factory.mktemp("tiny-llama"), seed=5)


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Any:
    return interp.load(str(folder))


@pytest.fixture
def explorer(folder: Path) -> AppTest:
    """The explorer with the folder typed in, and a small sample of two-digit sums."""
    at = AppTest.from_file(str(ENTRY), default_timeout=180)
    for key, value in {"path": str(folder), "task": TASK, "n": N, "seed": SEED}.items():
        at.query_params[key] = str(value)
    at.query_params["model"] = OTHER
    return at


def open_page(at: AppTest, page: str) -> AppTest:
    """Run the entry, then the page; fails where either shows an exception."""
    at.run()
    assert not at.exception
    at.switch_page(f"views/{page}.py").run()
    assert not at.exception
    return at


def traces(at: AppTest, kind: str, figure: int = 0) -> list[dict[str, Any]]:
    """The traces of one type in a figure of the page."""
    spec = json.loads(at.get("plotly_chart")[figure].proto.spec)
    return [trace for trace in spec["data"] if trace.get("type") == kind]


def numbers(array: Any) -> npt.NDArray[np.float64]:
    """A plotted array, which may be base64 as Plotly writes it."""
    if isinstance(array, dict):
        flat = np.frombuffer(base64.b64decode(array["bdata"]), dtype=array["dtype"])
        shape = [int(part) for part in str(array.get("shape", len(flat))).split(",")]
        return flat.reshape(shape).astype(np.float64)
    return np.array(array, dtype=np.float64)


def words(at: AppTest) -> str:
    """Every word that the page shows as text."""
    shown = [*at.markdown, *at.caption, *at.title, *at.warning, *at.info]
    return "\n".join(str(element.value) for element in shown)


def test_the_model_page_names_the_tokens_roles_and_sites(explorer: AppTest, loaded: Any) -> None:
    at = open_page(explorer, "model")
    sites = next(t.value for t in at.dataframe if "site" in t.value.columns)
    assert set(sites["site"]) == set(interp.engine.selfcheck(loaded).sites["site"])
    assert loaded.hash[:12] in words(at)
    assert "No card came with these weights" in words(at)


def test_the_attribution_page_plots_the_librarys_numbers(explorer: AppTest, loaded: Any) -> None:
    at = open_page(explorer, "attribution")
    batch = loaded.prompts(problems(TASK, N, seed=SEED), format=FORMAT)
    want = interp.attribution.counterfactual(loaded, batch, seed=SEED)
    for trace, grid in zip(traces(at, "heatmap"), (want.effect, want.oracle), strict=True):
        rows = [grid.axis("operand_digit").index(label) for label in trace["y"]]
        columns = [grid.axis("answer_digit").index(label) for label in trace["x"]]
        np.testing.assert_allclose(numbers(trace["z"]), grid.values[np.ix_(rows, columns)])


def test_every_cell_can_be_clicked_and_says_which_it_is(explorer: AppTest) -> None:
    at = open_page(explorer, "attribution")
    for heat, squares in zip(traces(at, "heatmap"), traces(at, "scatter")[-2:], strict=True):
        cells = [[y, x] for y in heat["y"] for x in heat["x"]]
        assert squares["customdata"] == cells
        assert [[y, x] for x, y in zip(squares["x"], squares["y"], strict=True)] == cells


def test_an_example_is_shown_at_once_and_its_digit_changes(explorer: AppTest, loaded: Any) -> None:
    at = open_page(explorer, "attribution")
    assert "By arithmetic" in words(at)
    operand, answer = (at.selectbox(key=which).value for which in ("operand", "digit"))
    batch = loaded.prompts(problems(TASK, N, seed=SEED), format=FORMAT)
    want = interp.attribution.swap_example(loaded, batch, operand, answer_digit=answer)
    plotted = np.concatenate(
        [numbers(t["x"]) for t in traces(at, "scatter", 1) if t.get("name") == "after the swap"]
    )
    nearest = np.abs(plotted[:, None] - want.logits["logit_after"].to_numpy()).min(axis=1)
    assert nearest.max() < 1e-9
    truth = want.logits[want.logits["answer_digit"] == answer]
    assert (truth["true_before"] != truth["true_after"]).any()


def test_the_chosen_cell_is_in_the_address_and_a_link_opens_it(explorer: AppTest) -> None:
    at = open_page(explorer, "attribution")
    at.selectbox(key="operand").set_value("b1").run()
    assert "When **b1** is replaced" in words(at)
    linked = AppTest.from_file(str(ENTRY), default_timeout=180)
    for key in ("path", "task", "n", "seed", "model"):
        linked.query_params[key] = explorer.query_params[key]
    linked.query_params["operand"] = "b1"
    linked.query_params["digit"] = "c9"
    open_page(linked, "attribution")
    assert "When **b1** is replaced" in words(linked)
    assert "'c9', which the link asks for" in words(linked)


def test_changing_the_policy_changes_the_call(explorer: AppTest) -> None:
    at = open_page(explorer, "attribution")
    assert any("prefix='keep'" in code.value for code in at.code)
    at.segmented_control(key="prefix").set_value("New problem's answer digits").run()
    assert any("prefix='recompute'" in code.value for code in at.code)
    assert not any("prefix='keep'" in code.value for code in at.code)


def test_the_logit_lens_plots_the_librarys_numbers(explorer: AppTest, loaded: Any) -> None:
    at = open_page(explorer, "attribution")
    at.segmented_control(key="closer").set_value("Logit lens by layer").run()
    batch = loaded.prompts(problems(TASK, N, seed=SEED), format=FORMAT)
    want = interp.attribution.logit_lens(loaded, batch, seed=SEED)
    lines = [t for t in traces(at, "scatter", 1) if t["mode"] == "lines+markers"]
    assert [line["name"] for line in lines] == ["c2", "c1", "c0"]
    for line in lines:
        np.testing.assert_allclose(
            numbers(line["y"]), want.first.at(answer_digit=line["name"]).values
        )


def test_the_behaviour_page_plots_the_librarys_numbers(explorer: AppTest, loaded: Any) -> None:
    at = open_page(explorer, "behaviour")
    sample = problems(TASK, N, seed=SEED)
    want = interp.behaviour.accuracy(loaded, sample, format=FORMAT, strict=False)
    (heat,) = [t for t in traces(at, "heatmap") if set(t["x"]) == {"c0", "c1", "c2"}]
    shown = pd.DataFrame(numbers(heat["z"]), index=heat["y"], columns=heat["x"])
    cells = want.breakdown("carry class")
    assert len(cells) == shown.notna().to_numpy().sum()
    for cell in cells.itertuples():
        assert shown.loc[cell.group, cell.answer_digit] == pytest.approx(cell.accuracy)


def test_the_behaviour_page_lists_the_wrong_answers(explorer: AppTest, loaded: Any) -> None:
    at = open_page(explorer, "behaviour")
    sample = problems(TASK, N, seed=SEED)
    wrong = interp.behaviour.accuracy(loaded, sample, format=FORMAT, strict=False).wrong
    assert f"**{len(wrong)} wrong answers**" in words(at)
    assert list(at.dataframe[0].value["problem"]) == list(wrong["problem"])


def test_a_trained_model_is_asked_what_its_training_never_saw() -> None:
    """And the wrong answers listed are those of the accuracy above them."""
    name = "mul3x3-sft-s2"  # wrong in half of what it is asked
    at = AppTest.from_file(str(ENTRY), default_timeout=180)
    for key, value in {"model": name, "n": 60, "seed": 1}.items():
        at.query_params[key] = str(value)
    open_page(at, "behaviour")
    want = interp.behaviour.accuracy(interp.load(name), "mul:3x3", n=60, seed=1)
    assert "held out from training" in want.caption
    assert want.caption in words(at)
    assert f"**{len(want.wrong)} wrong answers**" in words(at)
    shown = at.dataframe[0].value
    assert list(shown["problem"]) == list(want.wrong["problem"])
    assert list(shown["wrote"]) == list(want.wrong["given"])


def test_the_prompt_search_hands_its_best_prompt_to_the_study(explorer: AppTest) -> None:
    at = open_page(explorer, "behaviour")
    at.session_state["shots"] = (0,)  # examples would not fit the tiny context
    at.segmented_control(key="asked").set_value("Search for a better prompt").run()
    assert not at.exception
    (button,) = [b for b in at.button if b.label.startswith("Study it with ")]
    button.click().run()
    assert not at.exception
    assert at.session_state["study"].format == button.label.removeprefix("Study it with ")


def test_a_model_that_does_not_exist_is_told_with_the_remedy(explorer: AppTest) -> None:
    explorer.query_params["path"] = "/no/such/folder"
    explorer.run()
    assert not explorer.exception
    assert "there is no file or folder '/no/such/folder'" in explorer.warning[0].value


def test_a_task_that_does_not_exist_is_told_with_the_remedy(explorer: AppTest) -> None:
    explorer.query_params["task"] = "add:none"
    explorer.run()
    assert not explorer.exception
    assert "write it as add:5" in explorer.warning[0].value


def test_before_a_name_is_typed_the_page_says_what_to_type() -> None:
    at = AppTest.from_file(str(ENTRY), default_timeout=60)
    at.query_params["model"] = OTHER
    at.run()
    assert not at.exception
    assert "Type a folder, a .gguf file or a Hub id" in words(at)


def test_a_stopped_page_offers_to_run_it(explorer: AppTest) -> None:
    at = open_page(explorer, "model")
    name, options = "attribution.counterfactual", {"prefix": "keep", "target": "argmax"}
    key = results.key(at.session_state["study"], name, **options)
    at.session_state[jobs.STOPPED] = key
    at.switch_page("views/attribution.py").run()
    assert "Stopped: Computing counterfactual attribution of 24 problems" in words(at)
    assert not at.get("plotly_chart")
    next(button for button in at.button if button.label == "Run it").click().run()
    assert at.get("plotly_chart")
