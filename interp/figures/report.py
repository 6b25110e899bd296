"""HTML report of a run: figures, tables, calls and limits.

Plotly's script is inside, once, so the file opens without a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from interp.errors import InputError
from interp.figures.registry import gallery
from interp.figures.theme import ACCENT, FONT, GREY, INK, PALE
from interp.results.atomic import write_atomic
from interp.results.display import number
from interp.results.result import Result

_MAX_ROWS = 400  # per table; the files beside the report have all rows
_CONFIG = {"displaylogo": False, "responsive": False}
_STYLE = f"""
body {{ font: 15px/1.5 {FONT}; color: {INK}; max-width: 940px; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.7rem; margin-bottom: .2rem }} h2 {{ font-size: 1.25rem; margin-top: 3rem }}
a {{ color: {ACCENT} }} .small {{ color: {GREY}; font-size: 13px }}
table {{ border-collapse: collapse; font-size: 12px; font-variant-numeric: tabular-nums }}
th, td {{ padding: .15rem .5rem; border-bottom: 1px solid {PALE}; text-align: right;
  white-space: nowrap }}
th {{ position: sticky; top: 0; background: white }}
.scroll {{ overflow: auto; max-height: 28rem; border: 1px solid {PALE} }}
pre {{ background: #f6f6f6; padding: .7rem 1rem; overflow-x: auto; font-size: 12.5px }}
summary {{ cursor: pointer; margin: .6rem 0; color: {ACCENT} }}
figure {{ margin: 1rem 0; overflow-x: auto }}
"""


@dataclass(frozen=True)
class Section:
    """One Result of a report.

    Args:
        title: of the section, in words.
        result: what was found.
        text: a paragraph before the figures: what was asked, and why.
    """

    title: str
    result: Result
    text: str = ""


def write_report(
    sections: Sequence[Section], path: str | Path, *, title: str, lead: str = "", script: str = ""
) -> Path:
    """Write `report` to `path` atomically.

    Raises:
        InputError: without a section, or for a Result that has no figure.
        StorageError: where the file cannot be written.
    """
    return write_atomic(Path(path), report(sections, title=title, lead=lead, script=script))


def report(sections: Sequence[Section], *, title: str, lead: str = "", script: str = "") -> bytes:
    """Render the sections as one HTML page: findings first, then each Result with its figures,
    table, call and limits ("Does not show").

    Args:
        lead: a paragraph under the title.
        script: what the run was started with, printed at the end.

    Raises:
        InputError: without a section, or for a Result that has no figure.
    """
    if not sections:
        raise InputError("the report is empty: give it at least one section with a Result")
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>",
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(lead)}</p>" if lead else "",
        _findings(sections),
        *(_section(section, f"s{i}") for i, section in enumerate(sections)),
        _ending(sections, script),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part).encode()


def _findings(sections: Sequence[Section]) -> str:
    """One line per section, with the verdict or the reason why there is none."""
    items = "".join(
        f"<li><a href='#s{i}'>{escape(section.title)}</a>: {escape(_found(section.result))}</li>"
        for i, section in enumerate(sections)
    )
    return f"<h2>What was found</h2><ul>{items}</ul>"


def _found(result: Result) -> str:
    if result.verdict:
        return result.verdict
    return "numbers only" if result.enough else "too few distinct prompts for a verdict"


def _section(section: Section, name: str) -> str:
    result = section.result
    figures = "".join(
        f"<figure>{_figure(figure, f'{name}-{which}')}</figure>"
        for which, figure in gallery(result).items()
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    unseen = f"<p><b>Does not show</b></p><ul>{notes}</ul>" if notes else ""
    return (
        f"<h2 id='{name}'>{escape(section.title)}</h2>{text}{figures}{_headlines(result)}"
        f"{_table(result.frame)}{unseen}<p><b>The call</b></p><pre>{escape(result.code)}</pre>"
    )


def _figure(figure: go.Figure, name: str) -> str:
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG, div_id=name))


def _headlines(result: Result) -> str:
    if not result.metrics:
        return ""
    rows = "".join(
        f"<tr><td style='text-align:left'>{escape(name)}</td><td>{number(value)}</td>"
        f"<td style='text-align:left'>{escape(result.meaning(name))}</td></tr>"
        for name, value in result.metrics.items()
    )
    return (
        f"<details><summary>Headlines ({len(result.metrics)})</summary><div class='scroll'>"
        f"<table>{rows}</table></div></details>"
    )


def _table(frame: pd.DataFrame) -> str:
    """The tidy table, collapsed; four digits, with exact numbers in table.parquet."""
    shown = frame.head(_MAX_ROWS)
    head = "".join(f"<th>{escape(str(name))}</th>" for name in shown)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>"
        for row in shown.itertuples(index=False)
    )
    more = len(frame) - len(shown)
    rest = f"<p class='small'>… {more:,} more rows in table.csv</p>" if more else ""
    return (
        f"<details><summary>Table ({len(frame):,} rows)</summary><div class='scroll'><table>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{rest}</details>"
    )


def _cell(value: object) -> str:
    if isinstance(value, (float, np.floating)):
        return number(float(value))
    return escape(str(value))


def _ending(sections: Sequence[Section], script: str) -> str:
    """Models, versions and the script of the run."""
    ids = dict.fromkeys(s.result.model for s in sections if s.result.model is not None)
    models = "; ".join(f"{escape(model.name)} <code>{model.hash[:16]}</code>" for model in ids)
    versions = ", ".join(
        f"{escape(name)} {escape(version)}" for name, version in sections[0].result.versions.items()
    )
    asked = f"<p><b>The run</b></p><pre>{escape(script)}</pre>" if script else ""
    return (
        f"<h2>How to make it again</h2>{asked}"
        f"<p class='small'>{f'Models: {models}.<br>' if models else ''}Versions: {versions}.</p>"
    )
