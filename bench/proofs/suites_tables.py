"""The tables of docs/suites.md, from the records of `bench.proofs.suites_at_length`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.pages import table

Parts = Mapping[str, Any]
Rows = list[Sequence[object]]

_WORDINGS = {
    "exactly": "the exact answer", "roughly": "a rough answer", "hinted": "the same, with a hint",
}  # fmt: skip


def tables(models: Mapping[str, Parts]) -> dict[str, str]:
    """A Markdown table a part, with the models that have run it, and what each comes to; without
    any, a line saying so."""
    return {name: _told(name, rows, models) for name, rows in _ROWS.items()}


def _told(
    name: str, rows: tuple[Sequence[str], Callable[[str, Any], Rows]], models: Mapping[str, Parts]
) -> str:
    heads, of = rows
    done = {model: parts[name] for model, parts in models.items() if name in parts}
    if not done:
        return "Not run yet."
    cells = [row for model, part in done.items() for row in of(model, part)]
    said = [f"`{model}`: {part['conclusion']}" for model, part in done.items()
            if "conclusion" in part]  # fmt: skip
    return "\n\n".join([table(heads, cells), *said])


def _lengths(model: str, part: Any) -> Rows:
    return [(f"`{model}`", *(_share(cell) for cell in part.values()))]


def _commas(model: str, part: Any) -> Rows:
    rows: Rows = []
    for form, cells in part["cells"].items():
        test = part["against plain"].get(form)
        shares = []
        for what in ("exact", "last", "highest"):
            right = sum(cell[what] for cell in cells.values())
            asked = sum(cell["n"] for cell in cells.values())
            p = f" (p = {test[what]['p']:.2g})" if test else ""
            shares.append(f"{100 * right / asked:.0f}{p}")
        rows.append((f"`{model}`", f"`{form}`", *shares))
    return rows


def _noisy(model: str, part: Any) -> Rows:
    names = ("clean", "random", "random_relaxed", "precise", "precise_relaxed", "worst")
    return [(f"`{model}`", *(f"{100 * part[name]:.0f}" for name in names))]


def _street(model: str, part: Any) -> Rows:
    m = part["metrics"]
    whole = {(g["wording"], g["grade"]): g for g in part["grades"] if not g["topic"]}
    rows: Rows = []
    for wording, said in _WORDINGS.items():
        grade = {name: whole[wording, name] for name in ("exact", "good", "mildly off", "way off")}
        own = (f"{100 * m[f'{wording}_chance']:.0f}", f"{100 * m[f'{wording}_unread']:.0f}")
        shares = (f"{100 * grade[name]['share']:.0f}" for name in grade)
        rows.append((f"`{model}`", said, *shares, *own, int(grade["exact"]["n"])))
    return rows


def _near(model: str, part: Any) -> Rows:
    by = {(row["k"], row["wording"]): row for row in part["chosen"]}
    wordings = list(dict.fromkeys(wording for _, wording in by))
    rows: Rows = []
    for k in dict.fromkeys(k for k, _ in by):
        first = by[k, wordings[0]]
        alone = first["digits_alone"]
        rows.append(
            (f"`{model}`", k, *(_share(by[k, w], "accuracy") for w in wordings),
             f"{100 * first['majority']:.0f}", "—" if alone is None else f"{100 * alone:.0f}",
             f"{100 * first['untrained']:.0f}")
        )  # fmt: skip
    return rows


def _cookbook(model: str, part: Any) -> Rows:
    m = part["metrics"]
    names = ("exact_match", "digit_match", "parsed")
    counts = (int(m[name]) for name in ("tasks_learned", "tasks_sure", "tasks_preserved"))
    return [(f"`{model}`", *(f"{100 * m[name]:.0f}" for name in names), *counts, int(m["cells"]))]


def _share(cell: Mapping[str, float], name: str = "share") -> str:
    share, low, high = (100 * cell[key] for key in (name, "low", "high"))
    return f"{share:.0f} ({low:.0f}–{high:.0f})"


_ROWS: Mapping[str, tuple[Sequence[str], Callable[[str, Any], Rows]]] = {
    "lengths": (("model", *map(str, range(1, 10))), _lengths),
    "commas": (("model", "format", "whole sums, %", "last digit, %", "highest digit, %"), _commas),
    "noisy": (
        ("model", "behind right digits, %", "behind random ones, %", "at most one off, %",
         "behind ones off by one, %", "at most one off, %", "behind one wrong digit, lowest, %"),
        _noisy,
    ),
    "street": (
        ("model", "asked for", "exact, %", "within 20 %, %", "mildly off, %", "way off, %",
         "exact or within 20 % by chance, %", "unreadable, %", "n"), _street,
    ),
    "near": (
        ("model", "k", "same sentences, %", "other sentences, %", "words, %", "larger class, %",
         "digits alone, %", "random weights, %"), _near,
    ),
    "cookbook": (
        ("model", "exact, %", "digits, %", "readable, %", "tasks with a learnt length",
         "surely", "preserved", "cells"), _cookbook,
    ),
}  # fmt: skip
