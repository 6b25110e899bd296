"""HTML report of a run: findings, figures, tables, calls and limits on one page.

`report_page` renders the page from the contents that are collected here. The page holds these
contents as JSON, so that `interp.verify` compares every number with a new run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from interp.errors import InputError
from interp.figures.registry import gallery
from interp.figures.report_page import LAYOUT, page
from interp.figures.theme import caption_of, unframed
from interp.results import storage
from interp.results.atomic import write_atomic
from interp.results.result import Result

MAX_ROWS = 400  # of a table; the page says how many there are


@dataclass(frozen=True)
class Section:
    """One Result of a report.

    Args:
        title: of the section, in words.
        result: what was found.
        text: a paragraph before the figures: what was asked, and why.
        group: heading of the sections that belong together, in the table of contents.
        call: analysis, task, n, seed, format and options as JSON values, for `interp.verify`.
        seconds: how long it took.
    """

    title: str
    result: Result
    text: str = ""
    group: str = ""
    call: Mapping[str, Any] | None = None
    seconds: float | None = None

    @cached_property
    def contents(self) -> dict[str, Any]:
        """What the page shows of it, as JSON values; drawn once.

        Raises:
            InputError: for a Result that has no figure.
        """
        result = self.result
        silent = result.enough or result.conclusion() is None
        return {
            "title": self.title,
            "group": self.group,
            "text": self.text,
            "caption": result.caption,
            "verdict": result.verdict,
            "no_verdict": "numbers only" if silent else result.too_few,
            "notes": list(result.notes),
            "metrics": [
                [name, _plain(value), result.meaning(name)]
                for name, value in result.metrics.items()
            ],
            "table": _table(result.frame),
            "figures": {name: _figure(figure) for name, figure in gallery(result).items()},
            "code": result.code,
            "call": None if self.call is None else dict(self.call),
            "seconds": self.seconds,
            "settings": json.dumps(storage.thaw(result.settings), ensure_ascii=False),
        }


@dataclass(frozen=True)
class Failure:
    """The place of an analysis that failed, with its error."""

    title: str
    error: str
    group: str = ""

    @property
    def contents(self) -> dict[str, Any]:
        """What the page shows of it, as JSON values."""
        return {"title": self.title, "group": self.group, "error": self.error}


def write_report(
    sections: Sequence[Section], path: str | Path, *, title: str, lead: str = "", script: str = ""
) -> Path:
    """Write `report` to `path` atomically.

    Raises:
        InputError: without a section, or for a Result that has no figure.
        StorageError: where the file cannot be written.
    """
    return write_atomic(Path(path), report(sections, title=title, lead=lead, script=script))


def report(
    sections: Sequence[Section | Failure],
    *,
    title: str,
    lead: str = "",
    script: str = "",
    left_out: Mapping[str, str] | None = None,
    machine: str = "",
) -> bytes:
    """Render the sections as one HTML page: findings first, then each Result with its figures,
    table, call and limits ("Does not show").

    Args:
        lead: a paragraph under the title.
        script: what the run was started with, printed at the end.
        left_out: what was not asked, with the reason.
        machine: where the times were measured.

    Raises:
        InputError: without a section, or for a Result that has no figure.
    """
    if not sections:
        raise InputError("the report is empty: give it at least one section with a Result")
    results = [section.result for section in sections if isinstance(section, Section)]
    models = dict.fromkeys(result.model for result in results if result.model is not None)
    return page(
        {
            "layout": LAYOUT,
            "title": title,
            "lead": lead,
            "script": script,
            "machine": machine,
            "models": [model._asdict() for model in models],
            "versions": dict(results[0].versions) if results else {},
            "sections": [section.contents for section in sections],
            "left_out": dict(left_out or {}),
        }
    )


def _figure(figure: go.Figure) -> dict[str, Any]:
    """The figure as JSON, and the caption that the theme wrote below it as text."""
    shown = json.loads(str(unframed(figure).to_json()))
    return {"caption": unescape(caption_of(figure)), "figure": shown}


def _table(frame: pd.DataFrame) -> dict[str, Any]:
    shown = frame.head(MAX_ROWS)
    return {
        "columns": [str(name) for name in shown],
        "rows": [[_plain(value) for value in row] for row in shown.itertuples(index=False)],
        "total": len(frame),
    }


def _plain(value: Any) -> Any:
    """A cell as a JSON value: NaN as None, infinities and all that is no number as text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else (None if math.isnan(value) else str(value))
    return str(value)
