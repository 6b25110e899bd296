import errno
import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.engine.results.selfcheck import SelfCheck
from interp.errors import InputError, StorageError
from interp.models.results.tokenisation import TokenisationReport
from interp.results.grid import Axis, Grid
from interp.results.identity import ModelId
from interp.results.result import Result
from interp.results.settings import Settings

CONTRACT = ["analysis", "model", "task", "n", "n_distinct", "seed", "settings", "metrics"]
CONTRACT += ["versions"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Example(Result):
    analysis: ClassVar[str] = "example-of-the-tests"
    notes: ClassVar[tuple[str, ...]] = ("anything at all",)

    effect: Grid
    ids: np.ndarray
    table: pd.DataFrame
    note: str | None = None
    floor: float = 0.0

    @property
    def frame(self):
        return self.effect.frame("effect")

    @property
    def metrics(self):
        return {"largest": float(np.nanmax(self.effect.values)), "undefined": float("nan")}

    @property
    def code(self):
        return "interp.example()"

    def conclusion(self):
        return "It works."


def example(**changes) -> Example:
    values = np.array([[0.1, np.nan], [1e-300, -2.5]])
    axes = (Axis("layer", ("0", "1")), Axis("answer_digit", ("c0", "c1")))
    fields = {
        "model": ModelId("add5", "0f3a"),
        "task": "add:5",
        "n": 100,
        "n_distinct": 64,
        "seed": 3,
        "settings": {"prefix": "keep", "rates": [1, 0.1, None], "deep": {"a": True}},
        "effect": Grid(values, axes, values - 0.25, values + 0.25),
        "ids": np.array([3, 1, 2], dtype=np.uint8),
        "table": pd.DataFrame({"text": ["1+1=2", "é"], "ok": [True, False], "p": [0.1, np.nan]}),
        "floor": float("inf"),
    }
    return Example(**(fields | changes))


def test_round_trip_is_exact(tmp_path):
    saved = example()
    again = Result.load(saved.save(tmp_path / "out"))
    assert again == saved
    assert type(again) is Example
    assert again.ids.dtype == np.uint8
    assert again.settings["rates"] == (1, 0.1, None)
    assert again.table.dtypes.equals(saved.table.dtypes)
    assert Example.load(tmp_path / "out") == saved


@settings(deadline=None, max_examples=20)
@given(
    st.floats(),
    st.lists(st.floats(width=32), max_size=5),
    st.dictionaries(
        st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=3
    ),
)
def test_any_value_survives(tmp_path_factory, floor, ids, options):
    folder = tmp_path_factory.mktemp("result")
    saved = example(floor=floor, ids=np.array(ids, np.float32), settings=options)
    assert Result.load(saved.save(folder)) == saved


def test_equality_sees_every_field():
    assert example() == example()
    assert hash(example()) == hash(example())
    for change in (
        {"seed": 4},
        {"ids": np.array([3, 1, 2], dtype=np.int64)},
        {"note": "x"},
        {"floor": float("nan")},
        {"model": None},
        {"table": pd.DataFrame({"text": ["1"]})},
    ):
        assert example(**change) != example()


def test_result_json_has_the_contracts_keys_and_is_json(tmp_path):
    example().save(tmp_path)
    text = (tmp_path / "result.json").read_text(encoding="utf-8")
    summary = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert list(summary) == CONTRACT
    assert summary["model"] == {"name": "add5", "hash": "0f3a"}
    assert summary["metrics"] == {"largest": 0.1, "undefined": None}
    assert summary["settings"]["rates"] == [1, 0.1, None]
    assert {"python", "numpy"} <= set(summary["versions"])
    assert pd.read_parquet(tmp_path / "table.parquet").equals(example().frame)


def test_save_keeps_the_users_files_and_replaces_its_own(tmp_path):
    (tmp_path / "figure.html").write_text("mine")
    example(seed=1).save(tmp_path)
    example(seed=2).save(tmp_path)
    assert Result.load(tmp_path).seed == 2
    assert (tmp_path / "figure.html").read_text() == "mine"


def test_nothing_is_pickled(tmp_path):
    example().save(tmp_path)
    for path in tmp_path.rglob("*"):
        assert path.suffix in {"", ".json", ".npz", ".parquet"}
    with np.load(tmp_path / "data" / "arrays.npz", allow_pickle=False) as arrays:
        assert all(not arrays[name].dtype.hasobject for name in arrays.files)
    with pytest.raises(InputError, match="Python objects"):
        example(ids=np.array([10**30], dtype=object)).save(tmp_path)


def test_full_disk_while_saving_leaves_the_old_result(tmp_path, monkeypatch):
    old = example(seed=1)
    old.save(tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))

    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageError, match="disk is full: free some space"):
            example(seed=2).save(tmp_path / "out")
        with pytest.raises(StorageError, match="disk is full: free some space"):
            example(seed=2).save(tmp_path / "other")
    assert sorted(tmp_path.rglob("*")) == before
    assert Result.load(tmp_path / "out") == old


LIMITED = """
import resource, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_result import example
from interp.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    example(ids=np.arange(100_000)).save(sys.argv[2])
except StorageError as error:
    print(error)
"""


def test_a_real_limit_while_saving(tmp_path):
    command = [sys.executable, "-c", LIMITED, str(Path(__file__).parent), str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert "nothing was left half-written" in run.stdout, run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "data/fields.json").unlink(), "no saved Result"),
        (lambda folder: (folder / "data/fields.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "data/arrays.npz").unlink(), "arrays.npz is missing"),
        (lambda folder: (folder / "data/arrays.npz").write_bytes(b"PK"), "not the file that was"),
        (lambda folder: (folder / "result.json").write_text("{}"), "not the file that was"),
    ],
)
def test_damaged_folders(tmp_path, damage, message):
    example().save(tmp_path)
    damage(tmp_path)
    with pytest.raises(StorageError, match=message):
        Result.load(tmp_path)


def test_unknown_and_other_types(tmp_path):
    example().save(tmp_path)
    with pytest.raises(InputError, match=r"holds a Example: load it by Result\.load"):
        SelfCheck.load(tmp_path)
    index = tmp_path / "data" / "fields.json"
    index.write_text(index.read_text().replace("example-of-the-tests", "from-the-future"))
    with pytest.raises(StorageError, match="unknown analysis 'from-the-future'"):
        Result.load(tmp_path)


def test_a_name_belongs_to_one_analysis():
    with pytest.raises(TypeError, match="belongs to Example"):

        class Other(Result):
            analysis: ClassVar[str] = "example-of-the-tests"


def test_caption_and_verdict():
    assert example().caption == "add5 · add:5 · n = 100 (64 distinct) · seed 3"
    assert example().verdict == "It works."
    few = example(n_distinct=29)
    assert few.verdict is None
    assert few.metrics["largest"] == 0.1
    assert few.caption.endswith("too few distinct prompts for a verdict")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0, "n_distinct": 0}, "sample is empty"),
        ({"n": 5, "n_distinct": 6}, "n_distinct=6 must lie between 1 and n=5"),
        ({"settings": {"rate": float("nan")}}, "rate is nan"),
        ({"settings": {"f": {"g": [len]}}}, r"g\[0\] is a builtin_function"),
        ({"settings": {3: 1}}, "name is text"),
    ],
)
def test_bad_results(change, message):
    with pytest.raises(InputError, match=message):
        example(**change)


def test_fields_are_frozen():
    result = example()
    with pytest.raises(AttributeError):
        result.n = 3
    with pytest.raises(ValueError, match="read-only"):
        result.ids[0] = 1
    with pytest.raises(AttributeError, match="read-only"):
        result.settings.prefix = "recompute"
    with pytest.raises(TypeError):
        result.settings["prefix"] = "recompute"


def test_a_cache_may_pickle_it():
    assert pickle.loads(pickle.dumps(example())) == example()
    assert pickle.loads(pickle.dumps(Settings(a=[1, {"b": 2}]))) == Settings(a=(1, {"b": 2}))


def test_shows_itself(monkeypatch):
    card = example()._repr_html_()
    for part in ("n = 100 (64 distinct)", "It works.", "anything at all", "example()"):
        assert part in card
    assert re.fullmatch(r"Example\(model='add5', .*largest=0\.1, undefined=–\)", repr(example()))
    assert "<b>" not in example(n_distinct=5)._repr_html_()
    assert "&lt;img&gt;" in example(task="<img>")._repr_html_()


def test_importing_results_is_light():
    code = "import interp.results, sys; print([m for m in ('torch', 'plotly') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_tokenisation_report(tmp_path):
    report = TokenisationReport(
        model=ModelId("tiny", "00"),
        task="add:5",
        n=40,
        n_distinct=40,
        seed=None,
        settings={"problems": "interp.task('add:5').sample(40, seed=0)"},
        format="plain",
        example=pd.DataFrame({"position": [0], "token": ["12"], "id": [4], "role": ["a[0:2]"]}),
        packing=pd.DataFrame({"number": ["a"], "digits": [5], "pattern": ["2+3"], "n": [40]}),
        moving_roles=("eq",),
        tokens_min=5,
        tokens_max=7,
        bos=None,
    )
    assert report.metrics["max_digits_per_token"] == 3
    assert report.code.splitlines()[-1] == (
        "result = interp.models.tokenisation_report(model, "
        "interp.task('add:5').sample(40, seed=0), format='plain')"
    )
    assert Result.load(report.save(tmp_path)) == report


def test_selfcheck(tmp_path):
    sites = pd.DataFrame(
        {"site": ["z", "q"], "usable": [True, False], "change": [0.3, 0.0], "reason": ["", "none"]}
    )
    check = SelfCheck(
        model=ModelId("tiny", "00"),
        task="",
        n=4,
        n_distinct=4,
        seed=0,
        sites=sites,
        difference=2e-4,
        tolerance=1e-4,
    )
    assert check.metrics == {"difference": 2e-4, "equal": 0.0, "sites": 2.0, "usable_sites": 1.0}
    assert Result.load(check.save(tmp_path)) == check
