"""How numbers and sentences of a Result are worded."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(value: float) -> str:
    """A headline as people read it: 4 significant digits, a dash where it is not defined."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    return f"{value:.4g}".replace("-", "−")


def unread_formats(names: Sequence[str]) -> str:
    """A sentence on the formats of which no answer could be read, with a blank before it; "" for
    none."""
    if not names:
        return ""
    return (
        f" No answer could be read in {', '.join(names)}: how many of them are right is not known."
    )
