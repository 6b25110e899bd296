"""A generated answer, token by token with probabilities, under the right one."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interp.stack.results.intervene import Intervened

RUNS = {"before": "before", "after": "after"}


def table(result: Intervened, runs: Mapping[str, str] = RUNS) -> str:
    """HTML of the answers generated; `runs` names the rows of those shown."""
    said = result.answer
    rows = {"": [f"<th>{escape(role)}</th>" for role in said["answer_digit"]]}
    rows["right"] = [f"<td>{escape(token)}</td>" for token in said["right"]]
    for name, words in runs.items():
        columns = zip(said[name], said[f"probability_{name}"], said[f"right_{name}"], strict=True)
        rows[words] = [_cell(token, share, right) for token, share, right in columns]
    body = "".join(
        f"<tr><th style='text-align:left'>{name}</th>{''.join(cells)}</tr>"
        for name, cells in rows.items()
    )
    return f"<style>{_STYLE}</style><table class='digits'>{body}</table>"


def _cell(token: str, share: float, right: bool) -> str:
    wrong = "" if right else " class='wrong' title='not the right token'"
    return f"<td{wrong}>{escape(token)}<br><small>{share:.1%}</small></td>"


_STYLE = """
.digits { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 0 0 .4rem }
.digits th { font-weight: 400; opacity: .7; padding: .1rem .7rem; font-size: .85rem }
.digits td { padding: .25rem .7rem; text-align: center; font-size: 1.15rem; line-height: 1.05 }
.digits small { font-size: .72rem; opacity: .75 }
.digits .wrong { outline: 2px solid #D55E00; outline-offset: -2px }
"""
