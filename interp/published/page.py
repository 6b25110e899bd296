"""The page of reproductions, docs/reproductions.md, as a function of the recorded rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interp.published.rows import Row, rows
from interp.results.display import number

_HEAD = """# Published numbers beside ours

`arithmoscope rerun` measures each number again and compares the verdicts with the ones on this \
page, which is generated from its last recorded run (`python -m bench.proofs.reproductions`). The \
accepted interval of a row is set from the published number alone. *Holds*: our 95 % interval \
meets it (for a bound: lies inside it). *Differs*: it lies apart from it. *Open*: it crosses a \
bound. Rows are sorted by what surprised: those that differ first, farthest first.

Ours are other models than the published ones: smaller, trained here, on other data \
([`arithmoscope models`](using.md) lists them). A number that differs is no error in the paper, \
and one that holds speaks about our model. `arithmoscope rerun --only ROW --model PATH` asks the \
published weights, for those who have them. `mod113` is measured on three seeds: the median, and \
their range in place of an interval.

"""


def page(recorded: Sequence[Mapping[str, Any]]) -> str:
    """The page's Markdown, from the rows of `recorded.json`."""
    known = {row.key: row for row in rows()}
    found = [(known[one["key"]], one) for one in recorded if one["key"] in known]
    judged = [(row, one) for row, one in found if one["verdict"] != "not run"]
    order = ("differs", "open", "holds")
    judged.sort(key=lambda pair: (order.index(pair[1]["verdict"]), -surprise(*pair)))
    counts = {name: sum(one["verdict"] == name for _, one in judged) for name in order}
    papers = len({row.arxiv for row, _ in judged})
    published = len({(row.arxiv, row.quantity, row.condition) for row, _ in judged})
    lead = (
        f"{published} numbers of {papers} papers have a verdict, some of two models of ours. Of "
        f"{len(judged)} verdicts {counts['holds']} hold, "
        f"{counts['differs']} differ, {counts['open']} are open.\n"
    )
    table = _table(judged)
    left = [f"- `{row.key}` ({_paper(row)}, {row.quantity}, {row.condition}: "
            f"{row.value:g}): {one['reason']}" for row, one in found
            if one["verdict"] == "not run"]  # fmt: skip
    calls = _calls(judged)
    return "\n".join(
        [_HEAD + lead, *table, "", "## Not run here, and why", "", *left, "", "## The calls", "",
         *calls, ""]
    )  # fmt: skip


def surprise(row: Row, one: Mapping[str, Any]) -> float:
    """Distance of our interval from the accepted one, in half-widths of it; 0 where they meet."""
    apart = max(one["low"] - row.high, row.low - one["high"], 0.0)
    half = (row.high - row.low) / 2
    return apart / half if half else math.inf


def _table(judged: Iterable[tuple[Row, Mapping[str, Any]]]) -> list[str]:
    columns = ("Row", "Paper", "Quantity, condition", "Published", "Ours (95 %)", "n", "Model",
               "Verdict")  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row, one in judged:
        unit = "" if row.unit == "share" else f" {row.unit}"
        bounds = f" ({_n(one['low'])} to {_n(one['high'])})" if one["low"] != one["high"] else ""
        note = f"; {row.note}" if row.note else ""
        lines.append(
            f"| `{row.key}` | {_paper(row)} | {row.quantity}, {row.condition}{note} | "
            f"{row.value:g}{unit} | {_n(one['ours'])}{bounds} | {int(one['n']):,} | "
            f"{_model(one)} | **{one['verdict']}**: {row.rule} |"
        )
    return lines


def _calls(judged: Iterable[tuple[Row, Mapping[str, Any]]]) -> list[str]:
    by_code: dict[str, list[str]] = {}
    for row, one in judged:
        by_code.setdefault(str(one["code"]), []).append(f"`{row.key}`")
    return [f"{', '.join(keys)}\n\n```text\n{code}\n```\n" for code, keys in by_code.items()]


def _paper(row: Row) -> str:
    return f"[{row.source}](https://arxiv.org/abs/{row.arxiv})" if row.arxiv else row.source


def _model(one: Mapping[str, Any]) -> str:
    return f"`{one['model']}`" if one["model"] else "none"


def _n(value: float) -> str:
    return number(float(f"{value:.4g}"))
