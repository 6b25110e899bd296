"""The guide's six files, written into a copy of the packages, are an analysis with every door."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "add-an-analysis.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^## \d\. [^\n]*`([^`\n]+)`\n.*?^(`{3,4})\w+\n(.*?)^\2$", re.M | re.S)
FILES = {path: text for path, _, text in SECTION.findall(GUIDE)}
AFTER = GUIDE.partition("## What the line gives you")[2]
QUESTION = "By how much is each right digit preferred?"
CATALOGUE, HEAD = "interp/catalogue.py", "CATALOGUE: tuple[Entry, ...] = (\n"

PROOF = """
import json, sys
from pathlib import Path
import pytest

import interp
report = {"torch at import": "torch" in sys.modules, "where": interp.__file__}
report["tests"] = int(pytest.main(["-p", "no:cacheprovider", "tests/attribution/test_margin.py"]))
report["public"] = interp.attribution.margin.__name__
report["listed"] = "margin" in dir(interp.attribution)
report["result"] = interp.results.Margin.__name__

models = [interp.load(name) for name in interp.seeds_of("add5")[:2]]
agreed = interp.over_seeds(models, interp.attribution.margin, "add:5", n=64)
report["over_seeds"] = [agreed.function, agreed.analysed, sorted(agreed.pairs["grid"])]
followed = interp.over_checkpoints(
    "mod113", interp.attribution.margin, "mod:113", n=32, steps=[0]
)
report["over_checkpoints"] = followed.analysed
page = Path("docs/margin.md").read_text()
names = {}
exec(page.partition("```python\\n")[2].partition("```")[0], names)
figure = names["result"].figure()
report["figure"] = [trace.name for trace in figure.data]
report["title"] = figure.layout.title.text
report["saved"] = str(names["result"].save("saved"))
report["metrics"] = names["result"].metrics

from streamlit.testing.v1 import AppTest

at = AppTest.from_file("app/Explorer.py", default_timeout=200)
for key, value in {"model": "add5", "n": "24", "seed": "1"}.items():
    at.query_params[key] = value
at.run()
at.switch_page("views/more.py").run()
at.selectbox(key="more").set_value("attribution.margin").run()
report["page errors"] = [error.value for error in at.exception]
spec = json.loads(at.get("plotly_chart")[0].proto.spec)
report["page"] = [trace["name"] for trace in spec["data"]]
report["page texts"] = [one.value for one in (*at.title, *at.header, *at.markdown, *at.caption)]
print("REPORT" + json.dumps(report))
"""


class House(NamedTuple):
    """The copy of the packages with the six files in it."""

    folder: Path
    before: set[str]

    def run(self, *command: str) -> str:
        """What a process prints that has this copy first on its path."""
        environment = os.environ | {"PYTHONPATH": str(self.folder), "BROWSER_PATH": "/nonexistent"}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("house")
    for package in ("interp", "probes", "app"):
        skipped = shutil.ignore_patterns("__pycache__", "_fixtures")
        shutil.copytree(ROOT / package, folder / package, ignore=skipped)
    (folder / "fixtures").symlink_to(ROOT / "fixtures")
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "glossary.md", folder / "docs")  # whose words the pages explain
    before = {path for path in FILES if (folder / path).exists()}
    for path, text in FILES.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if path == CATALOGUE:
            whole = file.read_text(encoding="utf-8")
            assert whole.count(HEAD) == 1
            text = whole.replace(HEAD, HEAD + text)
        file.write_text(text, encoding="utf-8")
    return House(folder, before)


@pytest.fixture(scope="module")
def report(house: House) -> Any:
    """What one fresh process finds of the analysis."""
    printed = house.run(sys.executable, "-c", PROOF)
    return json.loads(printed.partition("REPORT")[2])


def test_it_is_six_files_of_which_the_catalogue_alone_was_there(house: House) -> None:
    kinds = {"science", "result", "figure", "catalogue", "test", "page"}
    assert len(FILES) == len(kinds)
    assert house.before == {CATALOGUE}


def test_the_copy_was_asked_and_imports_stay_light(house: House, report: Any) -> None:
    assert Path(report["where"]) == house.folder / "interp" / "__init__.py"
    assert not report["torch at import"]


def test_its_own_tests_pass(report: Any) -> None:
    assert report["tests"] == 0


def test_it_has_a_public_name(report: Any) -> None:
    assert (report["public"], report["listed"], report["result"]) == ("margin", True, "Margin")


def test_it_runs_over_seeds_and_checkpoints(report: Any) -> None:
    function, analysed, grids = report["over_seeds"]
    assert (function, analysed) == ("interp.attribution.margin", "margin")
    assert set(grids) == {"margin", "shuffled"}
    assert report["over_checkpoints"] == "margin"


def test_it_has_a_figure(report: Any) -> None:
    assert report["title"] == QUESTION
    assert report["figure"] == ["true token", "another prompt's (control)"]
    assert report["metrics"]["smallest_margin"] > 0 > report["metrics"]["smallest_margin_shuffled"]


def test_a_saved_result_loads_without_torch(house: House, report: Any) -> None:
    code = (
        "import sys; from interp.results.result import Result; "
        f"found = Result.load({report['saved']!r}); "
        "print(type(found).__name__, 'torch' in sys.modules, 'plotly' in sys.modules)"
    )
    assert house.run(sys.executable, "-c", code).split() == ["Margin", "False", "False"]


def test_it_has_a_command(house: House, report: Any) -> None:
    command = shutil.which("arithmoscope", path=str(Path(sys.executable).parent))
    assert command is not None
    assert "margin" in house.run(command, "--help")
    house.run(command, "margin", "--model", "add5", "--n", "32", "--seed", "1", "--out", "run")
    summary = json.loads((house.folder / "run" / "result.json").read_text())
    assert (summary["analysis"], summary["n"], summary["seed"]) == ("margin", 32, 1)
    assert (house.folder / "run" / "figure.html").is_file()


def test_it_has_a_place_in_the_explorer(report: Any) -> None:
    assert report["page errors"] == []
    assert report["page"] == report["figure"]
    assert any(QUESTION in text for text in report["page texts"])


def test_it_breaks_no_rule_of_the_house(house: House) -> None:
    from tests.import_rules import read_house, violations

    found = [str(one) for one in violations(read_house(house.folder))]
    assert [one for one in found if "attribution" in one and "margin" in one] == []
