"""How a Result shows itself: a line in a terminal, a card or its figure in a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from interp.results import kinds

if TYPE_CHECKING:
    from interp.results.result import Result

_ROWS = 8


def number(value: float) -> str:
    """A headline as people read it: 4 significant digits, a dash where it is not defined."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    return f"{value:.4g}".replace("-", "−")


def caption(result: Result) -> str:
    """Model, task, n, n_distinct, seed and interval; and whether that is too few for a verdict."""
    parts = [] if result.model is None else [result.model.name]
    parts += [result.task] if result.task else []
    parts += [f"n = {result.n:,} ({result.n_distinct:,} distinct)"]
    held_out = result.settings.get("held_out")
    parts += [f"held out from {held_out}"] if held_out else []
    parts += [] if result.seed is None else [f"seed {result.seed}"]
    parts += [result.interval] if result.interval else []
    if not result.enough and result.conclusion() is not None:
        parts.append("too few distinct prompts for a verdict")
    return " · ".join(parts)


def text(result: Result) -> str:
    """One line: the type, what it is about and the headlines."""
    about = {"model": None if result.model is None else result.model.name, "task": result.task}
    shown = [f"{name}={value!r}" for name, value in about.items() if value is not None]
    shown += [f"n={result.n}", f"n_distinct={result.n_distinct}"]
    shown += [f"{name}={number(value)}" for name, value in result.metrics.items()]
    return f"{type(result).__name__}({', '.join(shown)})"


def html(result: Result) -> str:
    """A card: caption, verdict, headlines, the first rows, what it does not show, the call."""
    metrics = "".join(
        f"<tr><td>{escape(name)}</td><td style='text-align:right'>{number(value)}</td></tr>"
        for name, value in result.metrics.items()
    )
    frame = result.frame
    rows = frame.head(_ROWS).to_html(index=False, border=0, float_format=number)
    more = f"<p>… {len(frame) - _ROWS:,} more rows in <code>.frame</code></p>"
    notes = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    verdict = f"<p><b>{escape(result.verdict)}</b></p>" if result.verdict else ""
    return (
        f"<div><h4>{escape(result.analysis)}</h4><p>{escape(result.caption)}</p>{verdict}"
        f"<table>{metrics}</table>{rows}{more if len(frame) > _ROWS else ''}"
        f"{'<p>Does not show:</p><ul>' + notes + '</ul>' if notes else ''}"
        f"<pre>{escape(result.code)}</pre></div>"
    )


def mimebundle(result: Result) -> dict[str, Any]:
    """Text and card always, and the Plotly figure where a renderer is registered for the type."""
    bundle: dict[str, Any] = {"text/plain": text(result), "text/html": html(result)}
    drawing = kinds.drawing(result.analysis)
    if drawing is not None and drawing.draws(type(result)):
        import json

        bundle["application/vnd.plotly.v1+json"] = json.loads(result.figure().to_json())
    return bundle


def unread_formats(names: Sequence[str]) -> str:
    """A sentence on the formats of which no answer could be read, with a blank before it; "" for
    none."""
    if not names:
        return ""
    return (
        f" No answer could be read in {', '.join(names)}: how many of them are right is not known."
    )
