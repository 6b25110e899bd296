from __future__ import annotations

from typing import Any

import pytest

from tests.planted.subjects import CASES, FIRST_SEED, Subject, subject


def pytest_report_header() -> str:
    return f"planted models: PLANTED_SEED={FIRST_SEED}"


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-PLANTED_SEED={case[1]}")
def planted(request: Any) -> Subject:
    """Every kind of planted model, each on every fresh seed."""
    return subject(*request.param)
