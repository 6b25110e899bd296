"""Wording of a Result's numbers and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(value: float) -> str:
    """Text of a headline: 4 significant digits, a dash if undefined."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    return f"{value:.4g}".replace("-", "−")


def unread_formats(names: Sequence[str]) -> str:
    """Sentence on formats without a readable answer, with a leading blank; "" for none."""
    if not names:
        return ""
    return (
        f" No answer could be read in {', '.join(names)}: how many of them are right is not known."
    )
