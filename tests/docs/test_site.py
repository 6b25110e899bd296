"""The documentation builds: every page read, some written, no example run; and nothing is fetched.

`python -m bench.proofs.documentation` builds all of it, with every example executed.
"""

from __future__ import annotations

import ast
import doctest
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from bench.proofs import documentation
from interp.catalogue import CATALOGUE

EXAMPLES = documentation.ROOT / "docs" / "examples"
SECTIONS = ("Formula", "Example", "Control", "Pitfall", "Used in")
sys.path.append(str(documentation.ROOT / "docs" / "_ext"))

needs_sphinx = pytest.mark.skipif(
    importlib.util.find_spec("sphinx") is None,
    reason="the extra `docs` is not installed: pip install -e '.[docs]'",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    docs = documentation.copied(tmp_path_factory.mktemp("site"))
    stubs = {
        "index": "Methods\n=======\n\n.. toctree::\n\n   pitfalls\n",
        "pitfalls": "Pitfalls\n========\n",
    }
    for name, text in stubs.items():
        (docs / "methods").mkdir(exist_ok=True)
        (docs / "methods" / f"{name}.rst").write_text(text)
    options = ("-t", "pages", "-D", "reference_packages=interp.figures")
    pages = ("index.md", "catalogue.rst", "glossary.md", "reference/interp.figures.rst")
    return documentation.build(docs, *options, pages=pages)


@needs_sphinx
def test_the_catalogue_page_has_every_analysis(site: Path) -> None:
    page = (site / "catalogue.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page).replace("&#39;", "'").replace("’", "'")
    assert [one.name for one in CATALOGUE if one.question not in text] == []
    assert [one.name for one in CATALOGUE if one.public not in text] == []


@needs_sphinx
def test_the_reference_has_docstrings(site: Path) -> None:
    page = (site / "reference" / "interp.figures.html").read_text(encoding="utf-8")
    assert 'id="interp.figures.write_figure"' in page and "never fails the call" in page


@needs_sphinx
def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    assert documentation.fetched(site) == []
    assert (site / "_static" / "plotly.min.js").is_file()


@needs_sphinx
def test_docstrings_become_valid_markup() -> None:
    import docstrings
    from docstrings import marked_up

    assert doctest.testmod(docstrings).failed == 0
    assert marked_up(["R² of `a*b`, a|b, `Grid`s"]) == ["R² of ``a*b``, a\\|b, ``Grid``\\ s"]
    assert marked_up(["Loss:", "", "    x * y"]) == ["Loss:", "", "::", "", "    x * y"]
    assert marked_up(["Args:", "    n: how *many*"]) == ["Args:", "    n: how \\*many\\*"]
    columns = ["name    public name", "kind    name of the Result"]
    assert marked_up(columns) == ["::", "", *(f"    {line}" for line in columns)]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_a_page_has_its_parts_and_checks_its_numbers(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    if path.stem != "pitfalls":
        headings = re.findall(r"^(?:# )?([A-Z][\w ]+)\n(?:# )?-{3,}$", text, re.M)
        assert headings == list(SECTIONS)


def test_a_pitfall_has_a_wrong_way_and_a_right_one_and_asserts_both() -> None:
    text = (EXAMPLES / "pitfalls.py").read_text(encoding="utf-8")
    sections = re.split(r"^# %%\n(?=# \d+\. )", text, flags=re.M)[1:]
    assert len(sections) >= documentation.FEWEST_PITFALLS
    for number, section in enumerate(sections, start=1):
        assert section.startswith(f"# {number}. ")
        assert section.count('"wrong: ') == section.count('"right: ') == 1
        checked = [
            node.test for node in ast.walk(ast.parse(section)) if isinstance(node, ast.Assert)
        ]
        names = {
            name.id for test in checked for name in ast.walk(test) if isinstance(name, ast.Name)
        }
        assert len(checked) >= 1 and names, section.splitlines()[0]
        # Prose names no measured number: those come from the code.
        prose = " ".join(re.findall(r"^# (?!%%|-|\d+\.)(.*)$", section, re.M))
        assert not re.search(r"\d\.\d|\d ?%", prose), prose
