"""What the pages name exists: files, public names, commands, floors; and habits agree with pins."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
import typer.main
import yaml

from app.cli import app
from app.glossary import terms
from tests.import_rules import FLOORS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAME = re.compile(
    r"(?<![\w./-])((?:interp|probes)(?:\.(?!py\b|yaml\b|ipynb\b)[A-Za-z]\w*)+)(?![\w/])"
)
EXAMPLE = ("margin",)  # the analysis of add-an-analysis.md, which does not ship


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def found(name: str) -> bool:
    """Whether a dotted name leads from a package to an object, by attributes or modules."""
    first, *rest = name.split(".")
    here = import_module(first)
    for number, part in enumerate(rest):
        if not hasattr(here, part):
            try:
                here = import_module(".".join([first, *rest[: number + 1]]))
            except ImportError:
                return False
            continue
        here = getattr(here, part)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text(page))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_public_name_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        pytest.skip("it names what was as well")
    names = {name for name in NAME.findall(text(page)) if name.split(".")[-1] not in EXAMPLE}
    assert [name for name in sorted(names) if not found(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists(page: Path) -> None:
    listed = typer.main.get_command(app).list_commands(None)  # type: ignore[attr-defined]
    commands = {*listed, *EXAMPLE}
    blocks = "\n".join(re.findall(r"^```\w+\n(.*?)^```$", text(page), re.M | re.S))
    named = re.findall(r"^arithmoscope ([a-z-]+)", blocks, re.M)
    named += re.findall(r"`arithmoscope ([a-z][a-z-]*)", text(page))
    assert set(named) - commands == set()


def test_the_floors_are_those_of_the_rules() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", text(ROOT / "CONTRIBUTING.md"), re.M)
    assert [int(number) for number, _ in rows] == list(range(1, len(FLOORS) + 1))
    for modules, (_, rooms) in zip(FLOORS, rows, strict=True):
        there = [name.split(".") for name in modules]
        there = [parts for parts in there if list(ROOT.glob("/".join(parts) + "*"))]
        assert [parts for parts in there if parts[-1] not in rooms] == []


def test_the_glossary_says_each_term_once() -> None:
    terms = re.findall(r"^\| \*\*(.+?)\*\*", text(ROOT / "docs" / "glossary.md"), re.M)
    assert len(terms) > 50 and len(terms) == len(set(terms))


def test_the_explorer_can_explain_each_term() -> None:
    rows = re.findall(r"^\| \*\*(.+?)\*\*", text(ROOT / "docs" / "glossary.md"), re.M)
    explained = terms()
    assert list(explained) == [name for names in rows for name in names.split(", ")]
    assert all(meaning and not set("|`*") & set(meaning) for meaning in explained.values())


def test_hooks_have_the_versions_of_the_environment() -> None:
    pins = dict(line.split("==") for line in text_lines("constraints.txt") if "==" in line)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    revisions = {Path(hook["repo"]).name: hook["rev"] for hook in hooks}
    assert revisions["ruff-pre-commit"] == f"v{pins['ruff']}"
    assert all(re.fullmatch(r"v?\d+\.\d+\.\d+", revision) for revision in revisions.values())


def test_the_workflow_runs_every_python_that_is_promised() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(text_lines("pyproject.toml")))
    assert pythons == promised


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.name)
def test_forms_and_workflows_are_mappings(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def text_lines(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()
