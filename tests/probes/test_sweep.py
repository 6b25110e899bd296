"""A sweep: its numbers against slow references, and whatever way it is run the same."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

import interp
import probes
from interp import engine
from interp.engine import Cancel, Read
from interp.errors import Cancelled, InputError, RoleError, SiteError
from interp.results.result import Result
from probes import study
from probes.activations import Hook, extracted, hooks
from probes.design import Scheme, designs, designs_of
from probes.fitting import constants, fit_design
from probes.references import References
from probes.results.sweep import ProbeSweep
from probes.splits import Split, split
from tests import tiny

TARGETS = ["running_sum[2]", "carry[1]", "a[2]:real"]
OPTIONS: dict[str, Any] = {
    "targets": TARGETS, "roles": ["last", "predicts(c2)", "c2"], "split": "problem", "n": 240,
    "layers": [0], "seed": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def sweep(add5: Any) -> ProbeSweep:
    return probes.probe(add5, "add:5", **OPTIONS)


def test_scores_are_those_of_scikit_learn(add5: Any, sweep: ProbeSweep) -> None:
    """One cell by hand: activations from the engine, scikit-learn's ridge and R²."""
    frame = sweep.frame
    cell = frame[(frame["target"] == "running_sum[2]") & (frame["role"] == "c2")].iloc[0]
    problems = add5.held_out(240, seed=3)
    batch = add5.prompts(problems)
    read = engine.run(add5, batch, reads=[Read("resid_post", 0, "c2")], logits=None)
    X = read.activations["resid_post", 0][:, 0].numpy().astype(float)
    y = problems.column("running_sum[2]")
    rows = split(problems, "problem", seed=3)
    said = Ridge(alpha=cell["alpha"]).fit(X[rows.train], y[rows.train]).predict(X[rows.test])
    assert cell["score"] == pytest.approx(r2_score(y[rows.test], said), abs=1e-4)
    assert cell["mae"] == pytest.approx(np.abs(y[rows.test] - said).mean(), abs=1e-3)
    median = np.median(y[rows.train])
    assert cell["constant_mae"] == pytest.approx(np.abs(y[rows.test] - median).mean())


def test_turns_are_a_sweep_each_whose_held_out_rows_are_scored_together(add5: Any) -> None:
    options = {**OPTIONS, "roles": ["last"]}
    turned = probes.probe(add5, "add:5", **options, turns=4)
    problems = add5.held_out(240, seed=3)
    rows, said = [], []
    for turn in range(4):
        mine = probes.split(problems, "problem", seed=3, turn=turn)
        one = probes.probe(add5, problems, **{**options, "split": mine, "controls": ()})
        rows.append(one.rows)
        said.append(one.predicted)
    order = np.argsort(np.concatenate(rows, axis=1)[0])
    pooled = np.concatenate(said, axis=1)[:, order]
    np.testing.assert_array_equal(turned.rows, np.tile(np.arange(240), (3, 1)))
    np.testing.assert_allclose(turned.predicted, pooled, atol=1e-4)
    frame = turned.frame.set_index("target")
    for i, name in enumerate(turned.names):
        true = problems.column("a[2]" if name == "a[2]" else name)
        score = np.mean(true == pooled[i]) if name == "carry[1]" else r2_score(true, pooled[i])
        assert frame.loc[name, "score"] == pytest.approx(score, abs=1e-4)
    once = probes.probe(add5, "add:5", **options).frame.set_index("target")
    assert (frame["n_test"] == 240).all() and (frame["n_train"] == 180).all()
    assert (frame["shuffled"] < 0.75).all() and frame["control_task"].notna().all()
    width, before = (x["gain_high"] - x["gain_low"] for x in (frame, once))
    assert (width < before)["running_sum[2]"]
    assert turned.code.splitlines()[-1].endswith("turns=4, seed=3)")
    assert "held out in 4 turns" in str(turned.figure().to_dict())
    with pytest.raises(InputError, match="at least once"):
        probes.probe(add5, "add:5", **options, turns=0)


def test_the_table_is_consistent(sweep: ProbeSweep) -> None:
    frame = sweep.frame
    assert len(frame) == 3 * 3
    gain = frame["score"] - [row[row["reference"]] for _, row in frame.iterrows()]
    assert frame["gain"].to_numpy() == pytest.approx(gain.to_numpy())
    assert ((frame["gain_low"] <= frame["gain"]) & (frame["gain"] <= frame["gain_high"])).all()
    assert ((frame["score_low"] <= frame["score"]) & (frame["score"] <= frame["score_high"])).all()
    uncertain = frame["score"] < 0.99
    assert (frame["score_high"] - frame["score_low"])[uncertain].between(0.001, 0.6).all()
    assert frame["copied"].tolist() == (frame["target"] == "a[2]").tolist()
    beside = frame[["shown", "embedding", "constant"]]
    beside = beside.assign(shown=beside["shown"].where(~frame["copied"]))  # it says those outright
    assert frame["reference"].tolist() == beside.idxmax(axis=1).tolist()
    known = frame[frame["target"] == "running_sum[2]"].set_index("role")
    assert known["emitted"].to_dict() == {
        "last": "before", "predicts(c2)": "before", "c2": "after",
    }  # fmt: skip
    assert known.loc["c2", "visible"] == "mod 10"
    assert (known.loc["c2", "shown"] >= known.loc["last", "shown"] - 0.02).all()
    assert (frame["shuffled"] < 0.75).all()  # of carry, whose majority is near one half


def test_points_give_the_score(sweep: ProbeSweep) -> None:
    frame = sweep.frame
    for cell in np.flatnonzero(frame["metric"] == "r2"):
        points = sweep.scatter(int(cell))
        want = r2_score(points["true"], points["predicted"])
        assert frame["score"].iloc[cell] == pytest.approx(want, abs=1e-4)
    grid = sweep.grid("carry[1]", "gain")
    assert grid.axis("role").labels == ("last", "predicts(c2)", "c2") and grid.low is not None
    best = sweep.best("running_sum[2]")
    assert best["cv"] == frame[frame["target"] == "running_sum[2]"]["cv"].max()


def test_it_is_kept_and_made_again(add5: Any, sweep: ProbeSweep, tmp_path: Path) -> None:
    assert Result.load(sweep.save(tmp_path / "sweep")) == sweep
    names: dict[str, Any] = {}
    exec(sweep.code, names)
    again = names["result"]
    pd.testing.assert_frame_equal(again.frame, sweep.frame)


def test_files_workers_shards_and_stops_change_nothing(
    add5: Any, sweep: ProbeSweep, tmp_path: Path
) -> None:
    more = OPTIONS | {"sites": ["resid_mid", "z"], "heads": [0, 2], "controls": ["shuffled"]}
    more |= {"n": 300}  # whose activations take more than two thirds of the budget below
    whole = probes.probe(add5, "add:5", **more)
    store, parts = tmp_path / "store", tmp_path / "parts"
    options = more | {"resume": parts, "memory": 1_300_000, "store": store}
    store, parts = tmp_path / "store", tmp_path / "parts"
    cancel, seen = Cancel(), []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        assert list(store.glob("*.npy")), "activations are in files"
        if done == total - 1:
            cancel.set()

    with pytest.raises(Cancelled):
        probes.probe(add5, "add:5", **options, progress=stop, cancel=cancel)
    assert len({total for _, total in seen}) == 1
    assert not list(store.glob("*"))
    before = len(list(parts.rglob("*.npz")))
    assert before > 0
    steps: list[int] = []
    shards = [
        probes.probe(
            add5, "add:5", **options, shard=(i, 2), progress=lambda done, _: steps.append(done)
        )
        for i in range(2)
    ]
    merged = probes.merge(shards)
    order = ["site", "layer", "head", "role", "target"]
    left, right = (x.frame.sort_values(order, ignore_index=True) for x in (merged, whole))
    # float32 sums of other minibatches differ in their last bits
    pd.testing.assert_frame_equal(left, right, atol=2e-3, rtol=0)
    with pytest.raises(InputError, match="same cell"):
        probes.merge([shards[0], shards[0]])
    with pytest.raises(InputError, match="no shards of one sweep"):
        probes.merge([shards[0], sweep])


def test_one_thread_finds_what_several_do(add5: Any) -> None:
    options = OPTIONS | {"layers": None, "targets": TARGETS[:1], "roles": ["last"]}
    one, four = (probes.probe(add5, "add:5", **options, jobs=jobs) for jobs in (1, 4))
    assert one.frame.layer.nunique() == 2
    assert one == four


def test_a_turn_that_holds_out_none_of_a_place_is_left_out(tmp_path: Path) -> None:
    """Only sums from 100 on have a third digit: four values of b, of which some turn has none."""
    model = interp.load(str(tiny.save("gpt2", tmp_path / "tiny")))
    long = [(a, b) for a in range(90, 100) for b in (10, 11, 12, 15)]
    short = [(a, b) for a in range(10) for b in range(10, 30)]
    a, b = zip(*long, *short, strict=True)
    batch = model.prompts(interp.Addition(2).problems(list(a), list(b)), format="plain")
    target = probes.target(batch.problems.task, "a[0]:real")
    (design,) = designs(batch, "c2", [target], Scheme("operand", turns=4, wrong=()))
    assert 1 < len(design.turns) < 4
    assert sorted(design.test) == list(range(len(long)))
    (found,) = fit_design(np.ones((len(batch), 2)), design)
    assert found.predicted.shape == (len(long), 1)


def test_a_guess_at_nothing_gains_nothing_in_turns() -> None:
    """Held-out values are missing from what a turn is fitted on, so its majority is wrong too
    often; the constant that stands beside the scores must not be, nor the reference."""
    task = interp.Addition(2)
    problems = task.sample(400, seed=2)
    target = probes.target(task, "parity(a)")
    (design,) = designs_of(problems, [target], Scheme("operand:a", wrong=(), turns=4))
    (nothing,) = fit_design(np.ones((400, 3)), design)
    known = design.test_values[:, 0]
    majority = max(known.mean(), 1 - known.mean())
    assert (nothing.predicted[:, 0] == known).mean() < 0.5
    best, _ = constants(design, 0)
    assert (best[:, 0] == known).mean() == majority
    against = References([nothing], [nothing], [nothing])
    name, said = against.of(design, 0)
    assert name == "constant" and (said == best).all()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The memory that each fit was given, as it is asked for."""
    seen: list[int] = []

    def fit(arrays: Any, design: Any, memory: int) -> Any:
        seen.append(memory)
        return fit_design(arrays, design, memory=memory)

    monkeypatch.setattr(study, "fit_design", fit)
    return seen


def test_jobs_share_the_memory(add5: Any, given: list[int]) -> None:
    """No more of them than fit, each with its part; and one at least, which then says what it
    needs."""
    options = {**OPTIONS, "roles": ["last"], "targets": TARGETS[:1], "controls": ()}
    options |= {"layers": None}
    each = 8 * (8 * 128**2 + 2 * 240 * 128)
    for memory, jobs, share in (
        (4 * each, 2, 2 * each),
        (4 * each - 1, 4, (4 * each - 1) // 3),
        (64 * each, 1, 64 * each),
    ):
        given.clear()
        probes.probe(add5, "add:5", **options, jobs=jobs, memory=memory)
        assert set(given) == {share}
    with pytest.raises(InputError, match="memory= allows"):
        probes.probe(add5, "add:5", **options, jobs=4, memory=each // 8)


def test_threads_fit_where_processes_may_not_start(
    add5: Any, given: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """joblib starts no processes in a daemonic one, such as a worker of a pool, and then gives one
    job, unless it is asked for threads."""
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # type: ignore[attr-defined]
    options = {**OPTIONS, "roles": ["last"], "targets": TARGETS[:1], "controls": ()}
    probes.probe(add5, "add:5", **options, jobs=2, memory=2**30)
    assert set(given) == {2**29}


def test_what_is_read_where_rows_differ(tmp_path: Path) -> None:
    """A place may be another role in each row: the token before the answer's lowest digit."""
    model = interp.load(str(tiny.save("gpt2", tmp_path / "tiny")))
    problems = interp.Addition(2).problems([5, 15, 33], [3, 20, 99])
    batch = model.prompts(problems, format="plain")
    with extracted(model, batch, hooks(model, ["resid_mid"], [0]), ["predicts(c0)"],
                   memory=2**30) as found:  # fmt: skip
        got = found.at(Hook("resid_mid", 0), "predicts(c0)")
    run = engine.run(model, batch, reads=[Read("resid_mid", 0)], logits=None)
    whole = run.activations["resid_mid", 0].float().numpy()
    want = whole[np.arange(3), batch.predicting_positions("c0")]
    assert np.abs(got - want).max() < 1e-3 * np.abs(want).max()


def test_small_activations_are_not_read_row_by_row(
    add5: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine may take as much as a language model needs, however little is read; of much that
    is read, a sixteenth."""
    batch, given = add5.prompts(add5.task.sample(40, seed=0)), []

    def run(*args: Any, **options: Any) -> Any:
        given.append(options["memory"])
        return engine.run(*args, **options)

    monkeypatch.setattr("probes.activations.run", run)
    for memory in (2**30, 2**20):
        with extracted(add5, batch, hooks(add5, ["resid_mid"], [0]), ["last"], memory=memory):
            assert given[-1] == 2**24
    monkeypatch.setattr("probes.activations.ENGINE_LEAST", 1)
    with extracted(add5, batch, hooks(add5, ["resid_mid"], [0]), ["last"], memory=2**30) as found:
        assert given[-1] == found.arrays["resid_mid", 0].nbytes // 16


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"targets": ["carry[4]"], "roles": ["b3"]}, RoleError, "is known from b0 on"),
        ({"targets": []}, InputError, "no target"),
        ({"targets": ["carry[1]", "carry[1]"]}, InputError, "twice"),
        ({"roles": ["zz"]}, RoleError, "none of these prompts"),
        ({"sites": ["pattern"]}, SiteError, "no probe reads .pattern.: choose"),
        ({"layers": [7]}, InputError, "layer 7 does not exist"),
        ({"heads": [0]}, InputError, "site 'z'"),
        ({"controls": ["magic"]}, InputError, "unknown control"),
        ({"backend": "magic"}, InputError, "unknown backend"),
        ({"shard": (5, 2)}, InputError, "shards go from 0"),
        ({"targets": ["carry[5]"]}, InputError, "always 0"),
        ({"memory": 1000}, InputError, "memory"),
    ],
)
def test_refusals(add5: Any, change: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        probes.probe(add5, "add:5", **OPTIONS | {"controls": []} | change)


def test_classes_of_too_few_prompts_are_refused(add5: Any) -> None:
    """The tens digit of 0 … 13 is 0, 1: each has to be in two folds, and no class may be rare."""
    options = OPTIONS | {"targets": ["c[1]"], "roles": ["c2"], "controls": []}
    problems = add5.task.problems(list(range(14)), [0] * 14)

    def probe(train: list[int], fold: list[int]) -> ProbeSweep:
        test = np.setdiff1d(np.arange(14), train)
        mine = Split("mine", np.array(train), test, np.array(fold))
        return probes.probe(add5, problems, **options | {"split": mine})

    with pytest.raises(InputError, match=r"c\[1\] is 1 in one fold of the training prompts only"):
        probe([0, 1, 2, 3, 10, 11], [0, 0, 1, 1, 1, 1])
    with pytest.raises(InputError, match=r"3 prompts are too few for the 2 classes of c\[1\]"):
        probe([0, 1, 10], [0, 1, 1])
    assert len(probe([0, 1, 2, 3, 10, 11], [0, 0, 1, 1, 0, 1]).frame) == 1


def test_activations_that_are_no_numbers(add5: Any) -> None:
    batch = add5.prompts(add5.task.sample(60, seed=0))
    target = probes.target(add5.task, "running_sum[1]")
    (design,) = designs(batch, "last", [target], Scheme("problem"))
    X = np.random.default_rng(0).normal(size=(60, 4))
    X[7, 1] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        fit_design(X, design)
    flat = fit_design(np.ones((60, 4)), design)[0]
    assert flat.map is None and np.ptp(flat.predicted) == 0
