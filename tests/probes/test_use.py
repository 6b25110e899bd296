"""A fitted probe is bound to what it was fitted on; edits do what they say; baselines."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import interp
import probes
from interp.arithmetic.formats import format
from interp.arithmetic.problems import Problems
from interp.errors import InputError, ModelError
from interp.figures import export
from interp.models.untrained import untrained
from interp.planted.planted import build
from interp.results.result import Result
from probes.causal_test import edit, random_edit, wanted_reading
from probes.plan import baseline_arguments, fit_arguments, use_arguments
from tests import tiny


@pytest.fixture(scope="module")
def planted() -> Any:
    return build("addition", seed=5, digits=2)


@pytest.fixture(scope="module")
def model(planted: Any) -> Any:
    return planted.model()


@pytest.fixture(scope="module")
def fitted(planted: Any, model: Any) -> probes.FittedProbe:
    layer = planted.key.layers["lookup"] - 1
    return probes.fit(
        model, "add:2", "carry[0]", site="resid_post", layer=layer, role="predicts(c1)", n=600
    )


def test_it_reads_what_it_was_fitted_for(model: Any, fitted: probes.FittedProbe) -> None:
    assert fitted.score == 1.0
    fresh = interp.Addition(2).sample(50, seed=9)
    assert (fitted.predict(model, fresh) == fresh.column("carry[0]")).all()


@pytest.mark.parametrize("target", ["carry[0]", "column_sum[0]", "a[0]"])
def test_its_score_stands_beside_what_needs_no_model(model: Any, target: str) -> None:
    where: dict[str, Any] = {"n": 300, "split": "problem", "seed": 2}
    fitted = probes.fit(
        model, "add:2", target, site="resid_post", layer=0, role="predicts(c1)", **where
    )
    sweep = probes.probe(
        model, "add:2", targets=[target], layers=[0], roles=["predicts(c1)"], controls=(), **where
    )
    row = sweep.frame.iloc[0]
    for name in ("score", "constant", "one_hot", "shown"):
        assert getattr(fitted, name) == pytest.approx(row[name], abs=1e-4), name


def test_it_refuses_anything_else(model: Any, fitted: probes.FittedProbe) -> None:
    other = untrained(model, seed=1)
    problems = interp.Addition(2).sample(8, seed=9)
    with pytest.raises(InputError, match=f"fitted on {model.name}"):
        fitted.predict(other, problems)
    with pytest.raises(InputError, match="fitted on"):
        probes.intervene(other, fitted)
    with pytest.raises(InputError, match="not made for"):
        fitted.activations(model, other.prompts(problems))
    elsewhere = model.prompts(problems, format="plain")
    with pytest.raises(InputError, match="in 'reversed', not 'plain'"):
        fitted.activations(model, elsewhere)


@pytest.mark.parametrize("along", ["probe", "pattern"])
@pytest.mark.parametrize("kind", ["carry[0]", "carry[0]:real", "a[0]:angle", "a[0]"])
def test_an_edit_gives_the_reading_that_was_wanted(model: Any, kind: str, along: Any) -> None:
    probe = probes.fit(model, "add:2", kind, site="resid_post", layer=0, role="a0", n=500) \
        if kind.startswith("a") else probes.fit(
            model, "add:2", kind, site="resid_post", layer=2, role="predicts(c1)", n=500
        )  # fmt: skip
    problems = probe.held_out
    X = probe.activations(model, model.prompts(problems)).astype(float)
    values = probe.target.values(problems)
    new = np.roll(values, 1)
    reading = probe.reading(X)
    wanted = wanted_reading(probe, reading, new)
    step = edit(probe, reading, wanted, along)
    scale = np.abs(wanted).max()
    assert np.abs(probe.reading(X + step) - wanted).max() < 1e-5 * scale
    turned = random_edit(step, np.random.default_rng(0))
    assert np.linalg.norm(turned, axis=1) == pytest.approx(np.linalg.norm(step, axis=1), rel=1e-6)
    least = edit(probe, reading, wanted, "probe")
    assert (np.linalg.norm(least, axis=1) <= np.linalg.norm(step, axis=1) + 1e-9).all()


def test_use_is_kept_and_told(model: Any, fitted: probes.FittedProbe, tmp_path: Path) -> None:
    found = probes.intervene(model, fitted, n=64, randoms=2)
    assert Result.load(found.save(tmp_path / "use")) == found
    assert found.named == "c1" and set(found.outcomes["arm"]) == {"clean", "probe", "random"}
    assert found.outcome("clean")["original"] == 1
    assert found.outcome("probe")["original"] < 0.1
    assert "probes.fit(" in found.code
    conclusion = found.conclusion()
    assert conclusion is not None and "the predicted digit" in conclusion
    # The data's step takes the carry's own digits along: every answer moves, as chance has it.
    assert found.outcome("probe")["predicted"] > found.outcome("random")["predicted"]
    assert not found.followed and "not seen to use" in conclusion
    direct = probes.intervene(model, fitted, n=64, randoms=2, along="probe")
    assert direct.followed and str(direct.conclusion()).startswith("The answer uses")
    with pytest.raises(InputError, match="nothing was measured"):
        found.outcome("clean", "c9")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "twist"}, "unknown mode"),
        ({"randoms": 0}, "at least 1"),
        ({"along": "sideways"}, "unknown along"),
        ({"to": [1.0, 0.0]}, "one, or one each"),
        ({"to": 7.0}, "no prompt that the probe was fitted on has"),
    ],
)
def test_edits_that_are_refused(
    model: Any, fitted: probes.FittedProbe, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        probes.intervene(model, fitted, n=40, **options)


@pytest.mark.parametrize(
    ("to", "message"),
    [
        (float("nan"), "NaN or infinity"),
        (float("-inf"), "NaN or infinity"),
        (-5, r"never -5 in add:2: give whole numbers from 0 to 18"),
        (1000, "never 1000"),
        (3.7, r"never 3\.7"),
    ],
)
def test_values_that_no_problem_has_are_refused(model: Any, to: Any, message: str) -> None:
    probe = probes.fit(
        model, "add:2", "column_sum[0]", site="resid_post", layer=0, role="last", n=200
    )
    with pytest.raises(InputError, match=message):
        probes.intervene(model, probe, n=40, to=to)


def test_a_difference_is_moved_only_where_its_sign_stays(tmp_path: Path) -> None:
    small = interp.load(str(tiny.save("gpt2", tmp_path / "tiny")))
    probe = probes.fit(
        small, "sub:2", "borrow[0]", site="resid_post", layer=1, role="last", n=300,
        format="padded", split="problem",
    )  # fmt: skip
    found = probes.intervene(small, probe, n=60, randoms=1)
    asked = probe.held_out[:60]
    larger = np.maximum(asked.values(0), asked.values(1)).astype(int)
    smaller = np.minimum(asked.values(0), asked.values(1)).astype(int)
    other = 1 - (larger % 10 < smaller % 10)  # every borrow the other way
    left = larger // 10 - smaller // 10 - other
    units = (larger - smaller) % 10
    possible = (left >= 0) & ((left > 0) | (units > 0) | (asked.answers() >= 0))
    assert found.named == "c1" and found.mode == "move"
    assert found.n == possible.sum() < 60


def test_places_that_are_refused(model: Any) -> None:
    with pytest.raises(InputError, match="say which, head=0"):
        probes.fit(model, "add:2", "carry[0]", site="z", layer=0, role="last", n=100)
    late = probes.fit(model, "add:2", "carry[0]", site="resid_post", layer=2, role="c2", n=400)
    with pytest.raises(InputError, match="no answer digit is written after c2"):
        probes.intervene(model, late)


def test_the_same_architecture_with_random_weights(model: Any) -> None:
    first, again, other = (untrained(model, seed=seed) for seed in (1, 1, 2))
    assert first.hash == again.hash != other.hash and first.shape == model.shape
    assert first.formats == model.formats


def test_the_one_hot_baseline_of_the_published_file() -> None:
    """R² 0.83 for a_i·b_j and 0.83 to 0.89 for ĉ_2 … ĉ_6 of 4×4 products, from digits alone."""
    path = Path(__file__).parents[2] / "fixtures" / "data" / "icot_4x4_valid.txt"
    task = interp.Multiplication(4, 4)
    published = format("icot").parse_many(path.read_text().splitlines(), task)
    sums = [f"running_sum[{k}]" for k in range(2, 7)]
    fresh = task.sample(9000, seed=0)
    seen = set(map(bytes, published.rows))
    fresh = fresh[[bytes(row) not in seen for row in fresh.rows]]
    problems = Problems.concat([published, fresh])
    rows = np.arange(len(problems))
    split = probes.Split("the file", rows[1000:], rows[:1000], rows[1000:] % 5)
    found = probes.one_hot_baseline(problems, sums, split=split).frame
    assert found["mae"].to_numpy() == pytest.approx([11.5, 12.7, 10.9, 8.7, 5.4], abs=0.25)
    assert found["score"].between(0.82, 0.90).all()
    own = [float(np.abs(c - np.median(c)).mean()) for c in map(published.column, sums)]
    assert own == pytest.approx([28.97, 33.43, 29.99, 24.71, 17.26], abs=0.005)
    products = probes.one_hot_baseline("mul:4x4", ["product[0,0]", "product[3,1]"], n=9000).frame
    assert products["score"].to_numpy() == pytest.approx([0.8307, 0.8307], abs=0.02)


def test_running_sums(add5: Any, tmp_path: Path) -> None:
    found = probes.running_sums({"seed 0": add5, "sft": add5}, digits=[1, 2], n=300)
    assert Result.load(found.save(tmp_path / "sums")) == found
    frame = found.frame
    assert len(frame) == 2 * 2 * 2 and frame["published_mae"].isna().all()
    points = found.scatter("sft", 2, "after")
    row = frame[(frame["model"] == "sft") & (frame["digit"] == 2) & (frame["when"] == "after")]
    wrong = (points["true"] - points["predicted"]).abs().mean()
    assert row["mae"].iloc[0] == pytest.approx(wrong, rel=1e-4)
    assert (frame["mae_low"] <= frame["mae"]).all() and (frame["mae"] <= frame["mae_high"]).all()
    controls = ("embedding_r2", "untrained_r2", "shuffled_r2", "control_task_r2")
    assert np.isfinite(frame[list(controls)]).all(axis=None)
    assert found.code.count("interp.load('add5')") == 2
    scope: dict[str, Any] = {}
    exec(found.code, scope)
    pd.testing.assert_frame_equal(scope["result"].frame, frame)
    with pytest.raises(InputError, match="no model"):
        probes.running_sums({})
    with pytest.raises(InputError, match="no running sum 9"):
        probes.running_sums({"a": add5}, digits=[9], n=50)


def test_plans(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    cases = {
        "task: add:5": "names no model",
        "model: x\ncolour: red": "knows no 'colour'",
        "model: x\nprobe: {sight: 3}": "knows no 'sight'",
        "model: x\nuse: [{target: a}]": "needs layer, role, site",
        "model: [": "is no YAML",
        "model: x\nprobe: {memory: 4e9}": "whole number of bytes",
        "model: x\nprobe: {resume: here}": "knows no 'resume'",
    }
    for text, message in cases.items():
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            probes.Plan.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        probes.Plan.read(tmp_path / "none.yaml")


def test_a_plan_says_how_much_may_be_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    class Enough(Exception):
        """The sweep was called, and that is all that is looked at."""

    def probe(model: Any, task: Any, **options: Any) -> Any:
        given.update(options)
        raise Enough

    monkeypatch.setattr("probes.run.probe", probe)
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "model: add5\nprobe: {memory: 5000000, store: big, backend: threading}\n"
        "use: [{target: a, site: z, layer: 0, role: last, memory: 7}]\n"
    )
    with pytest.raises(Enough):
        probes.run_file(plan, tmp_path / "out", load=lambda name: interp.load(name))
    assert {"memory": 5_000_000, "store": "big", "backend": "threading"}.items() <= given.items()
    told = probes.Plan.read(plan)
    assert fit_arguments(told, told.use[0])["memory"] == 7


def test_a_scripted_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "browser", lambda: None)  # no pictures: slow
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "model: add5\nn: 200\nprobe:\n  targets: ['carry[1]:real']\n  layers: [0]\n"
        "  roles: [predicts(c2)]\n  split: problem\n  folds: 4\n  test: 0.3\n"
        "  format: reversed\n  controls: [shuffled]\n"
        "use:\n  - {target: 'carry[1]:real', site: resid_post, layer: 0, role: predicts(c2),"
        " n: 200, randoms: 1}\n"
    )
    report = probes.run_file(plan, tmp_path / "out")
    text = report.read_text(encoding="utf-8")
    assert "carry[1]" in text and "<script src=" not in text
    sweep, use, alone = (
        Result.load(tmp_path / "out" / name) for name in ("sweep", "use-0", "baseline")
    )
    fitted = use.settings["fitted"]
    assert {name: fitted[name] for name in ("split", "folds", "test", "format")} == {
        "split": "problem", "folds": 4, "test": 0.3, "format": "reversed",
    }  # fmt: skip
    assert alone.n == sweep.n and alone.settings["split"] == "problem"
    both = [found.frame.iloc[0] for found in (sweep, alone)]
    assert both[0]["one_hot"] == pytest.approx(both[1]["score"], abs=1e-6)
    assert both[0]["n_test"] == both[1]["n_test"]
    for name in ("sweep", "use-0", "baseline"):
        assert (tmp_path / "out" / name / "result.json").is_file()
        page = (tmp_path / "out" / name / "figure.html").read_text(encoding="utf-8")
        assert "src='../plotly.min.js'" in page and len(page) < 300_000
    scripts = list((tmp_path / "out").rglob("plotly.min.js"))
    assert scripts == [tmp_path / "out" / "plotly.min.js"], "one for the whole run"
    plan.write_text("model: no-such-model")
    with pytest.raises(ModelError):
        probes.run_file(plan, tmp_path / "other")


def test_a_use_may_be_fitted_otherwise_than_the_sweep(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "model: add5\nn: 90\nprobe: {split: problem, folds: 3, layers: [0]}\n"
        "use:\n  - {target: a, site: z, layer: 0, role: last, split: combination, n: 50}\n"
        "  - {target: a, site: z, layer: 0, role: last}\n"
    )
    told = probes.Plan.read(plan)
    first, second = (fit_arguments(told, wanted) for wanted in told.use)
    assert (first["split"], first["folds"], first["n"]) == ("combination", 3, 90)
    assert use_arguments(told.use[0])["n"] == 50  # of the edited prompts
    assert (second["split"], second["folds"], second["n"]) == ("problem", 3, 90)
    assert "layers" not in first and "format" not in first
    plan.write_text("model: add5")
    usual = baseline_arguments(probes.Plan.read(plan))
    assert (usual["split"], usual["test"], usual["folds"]) == ("operand", 0.25, 5)
