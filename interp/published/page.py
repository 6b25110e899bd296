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
accepted interval of a row is set from the published number alone, and *basis* says how: many \
tolerances are conventions of this table, and a *directional* row says only on which side of a \
bound ours lies.

*Holds*: our estimate lies in the accepted interval (for a bound or a direction: our whole 95 % \
interval does). *Differs*: our 95 % interval lies apart from it. *Open*: anything between. Rows \
that differ come first, and within a verdict the farthest: by |log ratio| of the two numbers, or \
|difference of log odds| for shares and R², which are on one scale.

Ours are other models than the published ones: smaller, trained here, on other data \
([`arithmoscope models`](using.md) lists them). A number that differs is no error in the paper, \
and one that holds speaks about our model. `arithmoscope rerun --only ROW --model PATH` asks the \
published weights, for those who have them. `mod113` is measured on three seeds: the median, and \
their range in place of an interval.

"""
_NULLS = """## Published numbers beside a null

Here ours is no measurement of the same thing but what the number is without the effect: the \
larger class, random rows, permuted digits. *Holds*: the published number, with its own interval \
where one can be had, lies above the null. *Differs*: it does not, so that it says more than its \
null is not shown. *Open*: the null is known too loosely for any number to lie above it. \
A published accuracy is the best of a model's layers, which no interval here accounts for.

"""
_ORDER = ("differs", "open", "holds")
_ODDS = ("share", "R2", "cosine")
_LEAST = 0.0005  # half of the last digit that tables print, for shares of 0 and 1


def page(recorded: Sequence[Mapping[str, Any]]) -> str:
    """The page's Markdown, from the rows of `recorded.json`."""
    known = {row.key: row for row in rows()}
    found = [(known[one["key"]], one) for one in recorded if one["key"] in known]
    judged = [(row, one) for row, one in found if one["verdict"] != "not run"]
    judged.sort(key=lambda pair: (_ORDER.index(pair[1]["verdict"]), -surprise(*pair)))
    nulls = [pair for pair in judged if pair[0].accepts == "above"]
    ours = [pair for pair in judged if pair[0].accepts != "above"]
    crossed = [pair for pair in ours if pair[0].measure == "crossed_sums"]
    measured = [pair for pair in ours if pair[0].measure != "crossed_sums"]
    able = [pair for pair in measured if pair[0].key.startswith("bai-sft-")]
    papers = len({row.arxiv for row, _ in judged if row.arxiv})
    published = len({(row.arxiv, row.quantity, row.condition) for row, _ in measured})
    directional = sum(row.directional for row, _ in measured)
    lead = (
        f"{papers} papers have a verdict here. {published} published numbers were measured on "
        f"models of ours, some on two: of {len(measured)} verdicts, {directional} of them "
        f"directional, {_counts(measured)}. {len(able)} of these ask `mul4x4-sft`, which "
        f"multiplies, for numbers of a model that fails (`bai-sft-…`): {_counts(able)}. "
        f"{len(crossed)} more measure no published quantity but ask whether mixed-up activations "
        f"would give it (`bai-crossed-…`): {_counts(crossed)}. {len(nulls)} published numbers "
        f"stand beside a null: {_count(nulls, 'holds')} lie above it, {_count(nulls, 'differs')} "
        f"do not, {_count(nulls, 'open')} open. The calls took "
        f"{_minutes(judged)} of one busy processor core, with seed {_seeds(judged)}.\n"
    )
    left = [f"- `{row.key}` ({_paper(row)}, {row.quantity}, {row.condition}: "
            f"{row.value:g}): {one['reason']}" for row, one in found
            if one["verdict"] == "not run"]  # fmt: skip
    return "\n".join(
        [_HEAD + lead, *_table([*measured, *crossed]), "", _NULLS, *_null_table(nulls), "",
         "## Not run here, and why", "", *left, "", "## The calls", "", *_calls(judged), ""]
    )  # fmt: skip


def surprise(row: Row, one: Mapping[str, Any]) -> float:
    """Distance of our number from the published one: |log ratio|, or |difference of log odds| for
    shares, R² and cosines (as (1 + cosine) / 2). Counts get a half added, since some are 0."""
    theirs, ours = row.value, float(one["ours"])
    if row.unit in _ODDS:
        if row.unit == "cosine":
            theirs, ours = (1 + theirs) / 2, (1 + ours) / 2
        return abs(_log_odds(theirs) - _log_odds(ours))
    if row.unit == "digits":
        theirs, ours = theirs + 0.5, ours + 0.5
    if min(theirs, ours) <= 0:  # a difference that was stated as a sign alone
        return 0.0
    return abs(math.log(ours / theirs))


def _log_odds(share: float) -> float:
    kept = min(max(share, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))


def _count(pairs: Iterable[tuple[Row, Mapping[str, Any]]], verdict: str) -> int:
    return sum(one["verdict"] == verdict for _, one in pairs)


def _counts(pairs: Sequence[tuple[Row, Mapping[str, Any]]]) -> str:
    hold, differ, stay = (_count(pairs, name) for name in ("holds", "differs", "open"))
    return f"{hold} hold, {differ} differ and {stay} are open"


def _minutes(judged: Iterable[tuple[Row, Mapping[str, Any]]]) -> str:
    return f"{number(round(sum(one['seconds'] for _, one in judged) / 60, 1))} minutes"


def _seeds(judged: Iterable[tuple[Row, Mapping[str, Any]]]) -> str:
    return ", ".join(str(seed) for seed in sorted({int(one["seed"]) for _, one in judged}))


def _table(judged: Iterable[tuple[Row, Mapping[str, Any]]]) -> list[str]:
    columns = ("Row", "Paper", "Quantity, condition", "Published", "Ours (95 %)", "n", "Model",
               "Verdict", "Basis of the bounds")  # fmt: skip
    lines = _heading(columns)
    for row, one in judged:
        lines.append(
            f"| `{row.key}` | {_paper(row)} | {_what(row)} | {_published(row)} | {_ours(one)} | "
            f"{int(one['n']):,} | {_model(one)} | **{one['verdict']}**: {row.rule} | {row.basis} |"
        )
    return lines


def _null_table(judged: Iterable[tuple[Row, Mapping[str, Any]]]) -> list[str]:
    columns = ("Row", "Paper", "Quantity, condition", "Published", "Its interval", "Null", "Model",
               "Verdict")  # fmt: skip
    lines = _heading(columns)
    for row, one in judged:
        own = row.basis if row.low == row.high else f"{_n(row.low)} to {_n(row.high)} ({row.basis})"
        lines.append(
            f"| `{row.key}` | {_paper(row)} | {_what(row)} | {_published(row)} | {own} | "
            f"{_ours(one)} | {_model(one)} | **{one['verdict']}** |"
        )
    return lines


def _heading(columns: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]


def _calls(judged: Iterable[tuple[Row, Mapping[str, Any]]]) -> list[str]:
    by_code: dict[str, list[str]] = {}
    for row, one in judged:
        by_code.setdefault(str(one["code"]), []).append(f"`{row.key}`")
    return [f"{', '.join(keys)}\n\n```text\n{code}\n```\n" for code, keys in by_code.items()]


def _paper(row: Row) -> str:
    return f"[{row.source}](https://arxiv.org/abs/{row.arxiv})" if row.arxiv else row.source


def _what(row: Row) -> str:
    return f"{row.quantity}, {row.condition}" + (f"; {row.note}" if row.note else "")


def _published(row: Row) -> str:
    return f"{row.value:g}" + ("" if row.unit == "share" else f" {row.unit}")


def _ours(one: Mapping[str, Any]) -> str:
    bounds = f" ({_n(one['low'])} to {_n(one['high'])})" if one["low"] != one["high"] else ""
    return _n(one["ours"]) + bounds


def _model(one: Mapping[str, Any]) -> str:
    return f"`{one['model']}`" if one["model"] else "none"


def _n(value: float) -> str:
    return number(float(f"{value:.4g}"))
