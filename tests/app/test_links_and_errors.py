"""What the explorer says where something is not as asked: links, errors, and texts as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

import interp
from app.plain import plain
from app.sidebar import EACH

ENTRY = Path(__file__).resolve().parents[2] / "app" / "Explorer.py"


def opened(**link: object) -> AppTest:
    at = AppTest.from_file(str(ENTRY), default_timeout=180)
    for key, value in link.items():
        at.query_params[key] = str(value)
    at.run()
    assert not at.exception
    return at


def warnings(at: AppTest) -> str:
    return "\n".join(re.sub(r"\\(.)", r"\1", str(each.value)) for each in at.warning)


def test_a_link_to_an_unknown_model_says_what_is_shown_instead() -> None:
    at = opened(model="adds5", n=8)
    assert at.session_state["study"].model == "add5"
    said = warnings(at)
    assert "There is no model 'adds5', which the link asks for. Shown instead: add5." in said
    near = re.search(r"Nearest: ([^.]*)\.", said)
    assert near is not None and {"add5", "addsub5"} <= set(re.split(", | or ", near[1]))
    at.number_input(key="n").set_value(9).run()
    assert "There is no model 'adds5'" in warnings(at)  # as long as the other is shown
    at.selectbox(key="model").set_value("mod113").run()
    assert "which the link asks for" not in warnings(at)


@pytest.mark.parametrize(("key", "value"), [("n", 0), ("n", "many"), ("seed", -1)])
def test_a_link_to_a_number_that_cannot_be_says_what_is_shown_instead(
    key: str, value: object
) -> None:
    at = opened(**({"model": "mod113", "n": 8} | {key: value}))
    shown = EACH if key == "n" else getattr(at.session_state["study"], key)
    assert f"'{value}', which the link asks for. Shown instead: {shown}." in warnings(at)


def test_a_link_that_can_be_followed_says_nothing() -> None:
    at = opened(model="mod113", n=8, seed=3)
    study = at.session_state["study"]
    assert (study.model, study.n, study.seed) == ("mod113", 8, 3)
    assert not at.warning


@pytest.mark.parametrize("name", ["add5", "mod113"])
def test_sidebar_card_and_list_count_the_same_parameters(name: str) -> None:
    model = interp.load(name)
    listed = interp.list_models().set_index("name").loc[name, "parameters"]
    assert model.n_parameters == model.card["parameters"] == listed
    said = "\n".join(each.value for each in opened(model=name, n=8).sidebar.caption)
    assert f"{listed:,} parameters" in said


TEXTS = [
    "cannot read 'A*B*C': write it as add:5",
    "*all* of _it_ __here__ `code` ~~gone~~ $x$ and $y$",
    "[a](b) <b>bold</b> &amp; carry[0] | a:b:c :smile: :red[x]",
    "1. not a list",
    "# no heading",
    "- no item\n+ none\n> no quote\n=== ",
    "a\\*b, C:\\folder",
    "there is no file or folder '/no/*/such*/folder_of_mine'",
]


@pytest.mark.parametrize("text", TEXTS)
def test_plain_text_is_shown_character_by_character(text: str) -> None:
    (paragraph,) = [t for t in MarkdownIt("js-default").parse(plain(text)) if t.type == "inline"]
    shown = "".join(
        "\n" if piece.type == "hardbreak" else piece.content for piece in paragraph.children
    )
    assert {piece.type for piece in paragraph.children} <= {"text", "text_special", "hardbreak"}
    assert shown == text.rstrip()
    assert not re.search(r"(?<!\\)\$|:[a-z]+\[", plain(text))


def test_an_error_keeps_its_stars() -> None:
    at = opened(model="Another model …", path="/no/*such*/folder_of_mine")
    assert r"/no/\*such\*/folder_of_mine" in at.warning[0].value


@pytest.mark.parametrize("file", sorted((ENTRY.parent).rglob("*.py")), ids=lambda path: path.stem)
def test_no_error_reaches_markdown_but_through_one_function(file: Path) -> None:
    """Warnings are written by `parts.problem` and by the sidebar, both through `plain`."""
    for call in re.findall(r"\.(?:warning|error|exception)\((.*)", file.read_text()):
        assert call.startswith("plain("), f"{file.name}: {call}"
