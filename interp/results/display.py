"""Wording of a Result's numbers and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(value: float) -> str:
    """Text of a headline: whole numbers as they are, others with 3 significant digits; a dash if
    undefined."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    whole = float(value).is_integer() or abs(value) >= 1000
    text = f"{value:,.0f}" if whole else f"{value:.3g}"
    if text in ("1", "-1") and not whole:  # 0.9996 is not 1
        text = f"{value:.4g}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share in percent, without the sign: two significant digits of what it is from the nearer
    of 0 and 100, so that 99.63 is not told as 100, nor 1.562 as if all its digits were known."""
    value = 100 * float(share)
    nearer = min(abs(value), abs(100 - value))
    if not math.isfinite(value) or nearer < 1e-12:
        return number(round(value, 9) if math.isfinite(value) else value)
    decimals = min(max(1 - math.floor(math.log10(nearer)), 0), 4)
    text = f"{value:.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def unread_formats(names: Sequence[str]) -> str:
    """Sentence on formats without a readable answer, with a leading blank; "" for none."""
    if not names:
        return ""
    return (
        f" No answer could be read in {', '.join(names)}: how many of them are right is not known."
    )
