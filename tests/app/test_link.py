"""What a link asks for in vain is said, whatever widget it is for."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    from app import link

    link.several("Waves", [1, 2, 5], key="waves", first=[1, 2])
    link.number("Layer", 0, 3, 1, key="layer")
    link.number("Prompt", 1, 9, None, key="row")
    link.toggle("Move along", key="move")


@pytest.mark.parametrize(
    ("key", "asked", "said"),
    [
        ("waves", "7", "There is no waves '7', which the link asks for. Shown instead: 1, 2."),
        ("layer", "9", "There is no layer '9', which the link asks for. Shown instead: 1."),
        ("layer", "top", "There is no layer 'top', which the link asks for. Shown instead: 1."),
        ("row", "12", "There is no prompt '12', which the link asks for. Shown instead: none."),
        ("move", "perhaps", "'perhaps', which the link asks for. Shown instead: false."),
    ],
)
def test_a_refused_value_is_said_until_another_is_chosen(key: str, asked: str, said: str) -> None:
    at = AppTest.from_function(page)
    at.query_params[key] = asked
    at.run(timeout=20)
    assert [said in str(one.value).replace("\\", "") for one in at.warning] == [True]
    at.number_input[0].set_value(2).run(timeout=20)
    assert len(at.warning) == (0 if key == "layer" else 1)


@pytest.mark.parametrize(
    ("key", "asked"), [("waves", "5"), ("layer", "3"), ("row", "9"), ("move", "true")]
)
def test_what_exists_is_taken_without_a_word(key: str, asked: str) -> None:
    at = AppTest.from_function(page)
    at.query_params[key] = asked
    at.run(timeout=20)
    assert not at.warning and not at.exception
    now = {"waves": at.multiselect[0], "layer": at.number_input[0], "row": at.number_input[1],
           "move": at.toggle[0]}[key].value  # fmt: skip
    assert now in ([5], int(asked) if asked.isdigit() else True)
