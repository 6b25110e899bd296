"""Numbers in words: as many digits as are known, and no share told as all or none that is not."""

from __future__ import annotations

import pytest

from interp.results.display import number, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001953, "0.2"), (0.01562, "1.6"), (0.457, "46"), (0.9963, "99.63"), (0.95, "95"),
        (0.99996, "99.996"), (0, "0"), (1, "100"), (1.05, "105"), (-0.031, "−3.1"),
        (float("nan"), "–"),
    ],
)  # fmt: skip
def test_a_share_has_two_digits_of_what_it_is_from_the_nearer_end(value: float, text: str) -> None:
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(452.41, "452"), (0.9996, "0.9996"), (1250.0, "1,250"), (-1.2345, "−1.23"), (64, "64"),
     (float("inf"), "∞")],
)  # fmt: skip
def test_a_number_has_three_digits_and_whole_ones_stay_whole(value: float, text: str) -> None:
    assert number(value) == text
