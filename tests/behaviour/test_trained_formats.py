"""Character models trained from scratch in a format that no card tells: the doctor names it."""

from __future__ import annotations

import pytest

import interp
from tests import nanogpt


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("template", "found", "fields"),
    [
        ("${a}+{b}={c}$", "${a}+{b}={c}$", ("begin", "end")),
        ("{a}+{b}={c:reversed}\n", "{a}+{b}={c:reversed}", ("answer_order",)),
    ],
    ids=["dollars", "reversed, not padded"],
)
def test_the_doctor_names_the_format_of_a_trained_model(
    template: str, found: str, fields: tuple[str, ...]
) -> None:
    module, characters = nanogpt.train_on_sums(template)
    model = interp.wrap(module, characters, name="nano")
    result = interp.behaviour.doctor(model, "add:2")
    print(result.verdict)
    assert result.format == found and result.fits
    assert all(f"({field})" in result.verdict for field in fields)
    assert result.metrics["digit_accuracy"] > 0.75 > result.metrics["default_digit_accuracy"]
    assert result.metrics["exact_accuracy"] > 0.5
    assert "best of" in result.verdict and len(result.examples) == 4
