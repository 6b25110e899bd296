"""Verify a report: a number changed anywhere is found, and a report runs nothing of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interp
from interp.errors import InputError
from interp.figures.report_page import contents_of, page
from interp.many.comparing import Comparison, same_text
from tests.app.test_cli import run

SWAP, DIRECT = "attribution.swap_example", "attribution.direct"
ZERO = ("<td>0</td>", "<td>7</td>")  # a cell of its table, and the same changed by hand


@pytest.fixture(scope="module")
def text(add5: Any, small_reports: None) -> str:
    return interp.report(add5, only=[SWAP, DIRECT], budget=1.0).page().decode()


@pytest.fixture
def checked(add5: Any, tmp_path: Path) -> Callable[..., Any]:
    def check(text: str, *only: str) -> Any:
        path = tmp_path / "report.html"
        path.write_text(text)
        return interp.verify(path, add5, only=only)

    return check


def changed(text: str, change: Callable[[Any], None]) -> str:
    """The page of changed contents: as if a report had said so."""
    contents = contents_of(text)
    change(contents)
    return page(contents).decode()


def refused(found: Any) -> str:
    """What is said of the one analysis that could not be run."""
    (row,) = found.frame[found.frame["holds"] == "could not be run"].itertuples()
    return str(row.now)


def moved(found: Any) -> list[tuple[str, str]]:
    rows = found.frame[found.frame["holds"] == "no"]
    return list(rows[["analysis", "number"]].itertuples(index=False, name=None))


def test_a_report_holds(text: str, checked: Any) -> None:
    found = checked(text)
    assert found.holds, found.frame.to_string()
    assert list(found.frame["analysis"]) == ["model", "page", DIRECT, SWAP]
    assert found.conclusion() == "4 of 4 parts hold, 0 moved, 0 could not be run."


def test_a_number_changed_in_the_page_alone(text: str, checked: Any) -> None:
    found = checked(text.replace(*ZERO, 1))
    assert moved(found) == [(SWAP, "shown in the page, and held")]
    row = found.frame[found.frame["holds"] == "no"].iloc[0]
    assert (row["reported"], row["now"]) == ("7", "0")
    assert moved(checked(text.replace("<p>2 analyses of", "<p>9 analyses of", 1)))[0][0] == "page"


def test_a_number_changed_in_the_data_alone(text: str, checked: Any) -> None:
    value = contents_of(text)["sections"][1]["metrics"][0][1]
    held = json.dumps(value)
    assert held in text
    found = checked(text.replace(held, json.dumps(value * 1.001)), SWAP)
    assert (SWAP, "headline.largest_change") in moved(found) or moved(found)[0][0] == SWAP
    assert not found.holds


def test_a_number_changed_everywhere_is_not_what_a_new_run_gives(text: str, checked: Any) -> None:
    def change(contents: Any) -> None:
        section = contents["sections"][0]
        section["metrics"][0][1] *= 1.001
        section["table"]["rows"][3][2] = 1e6
        trace = section["figures"]["figure"]["figure"]["data"][0]
        z = np.frombuffer(base64.b64decode(trace["z"]["bdata"]), trace["z"]["dtype"]).copy()
        z[5] += 1e-3 * np.nanmax(np.abs(z))
        trace["z"]["bdata"] = base64.b64encode(z.tobytes()).decode()
        section["verdict"] = section["verdict"].replace("writes most", "writes least")

    found = moved(checked(changed(text, change), DIRECT))
    names = [number for _, number in found]
    assert {"verdict", "figure.figure.figure.data[0].z[5]"} < set(names)
    assert any(name.startswith("headline.") for name in names)
    assert any(name.startswith("table.") and name.endswith("[3]") for name in names)
    assert len(names) == 4


def test_another_model_of_the_same_name(text: str, checked: Any) -> None:
    def change(contents: Any) -> None:
        contents["models"][0]["hash"] = "0" * 64

    found = checked(changed(text, change), SWAP)
    assert moved(found) == [("model", "add5")]


def test_what_no_report_could_ask_is_refused_by_name(text: str, checked: Any) -> None:
    def told(**parts: Any) -> str:
        """The page whose call is changed: parts that are mappings are merged."""

        def change(contents: Any) -> None:
            call = contents["sections"][0]["call"]
            for name, value in parts.items():
                call[name] = {**call[name], **value} if isinstance(value, dict) else value

        return changed(text, change)

    for parts, words in (
        ({"analysis": "os.system"}, "no analysis 'os.system'"),
        ({"asked": "rm -rf"}, "rm -rf"),
        ({"dtype": "pickle"}, "no report has a model in 'pickle'"),
        ({"options": {"n": 10**9}}, "n = 1000000000 of attribution.direct is not between"),
        ({"options": {"n": True}}, "n = True"),
        ({"options": {"seed": "0"}}, "the seed '0'"),
        ({"options": {"format": ["plain"]}}, "the format of attribution.direct"),
        ({"options": {"memory": 2**60}}, "no report sets memory"),
        ({"options": "n"}, "'options' is no dict"),
    ):
        found = checked(told(**parts), str(parts.get("analysis", DIRECT)))
        assert words in refused(found), parts
        assert not found.holds


def test_its_code_is_not_executed_and_no_model_is_fetched(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(contents: Any) -> None:
        for section in contents["sections"]:
            section["code"] = f"open({str(tmp_path / 'mine')!r}, 'w')"
            section["call"]["model"] = str(tmp_path)

    path = tmp_path / "report.html"
    path.write_text(changed(text, change))
    found = interp.verify(path, only=[SWAP])
    assert f"the model {tmp_path} is not shipped; open it yourself" in refused(found)
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<html></html>", "this file is no report"),
        ("<script type='application/json' id='contents'>{</script>", "cannot be read"),
        ("<script type='application/json' id='contents'>{}</script>", "another layout"),
        ("<script type='application/json' id='contents'>{\"layout\": 1}</script>", "'title'"),
    ],
)
def test_what_is_no_report(content: str, words: str, checked: Any) -> None:
    with pytest.raises(InputError, match=words):
        checked(content)


def test_the_command(
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "report.html"
    path.write_text(text)
    assert run(monkeypatch, "verify", str(path), "--only", SWAP) == 0
    assert "2 of 2 parts hold" in capsys.readouterr().out
    path.write_text(text.replace(*ZERO, 1))
    table = tmp_path / "rows.csv"
    assert run(monkeypatch, "verify", str(path), "--only", SWAP, "--table", str(table)) == 1
    assert "1 moved" in capsys.readouterr().out
    assert "shown in the page" in table.read_text()
    assert run(monkeypatch, "verify", str(tmp_path / "none.html")) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_the_tolerance() -> None:
    found = Comparison()
    found.add("a", [1.0, 100.0, None], [1.005, 100.0, None])
    found.add("b", [1.0, 100.0], [1.02, 100.0])
    found.add("c", 3, 4)
    found.add("d", {"x": 1.0}, {"y": 1.0})
    found.add("e", None, 0.0)
    assert [one.number for one in found.moved] == ["b[0]", "c", "d.y", "d.x", "e"]
    assert same_text("52.4 % (50 to 55)", "52.5 % (50 to 55)")
    assert same_text("n = 1,024 · 1.2e-06", "n = 1,024 · 1.3e-06")
    assert not same_text("n = 1,024", "n = 1,025")
    assert not same_text("52.4 %", "52.6 %")
    assert not same_text("heads carry it", "heads do not carry it")
