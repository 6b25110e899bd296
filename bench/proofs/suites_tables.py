"""The tables of docs/suites.md, from the records of `bench.proofs.suites_at_length`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.pages import table
from interp.suites.number_cookbook.scores import naive_share

LENGTH_N = 100  # sums a length
# The prompt that each answers best: smollm2 by `interp.behaviour.search_prompts`, smollm2-arith by
# its training, on bare questions.
PROMPTS = {
    "smollm2": "calculate@1:0", "smollm2-arith": "calculate", "gemma3-270m": "calculate@1:0",
}  # fmt: skip
Parts = Mapping[str, Any]
Rows = list[Sequence[object]]

_WORDINGS = {
    "exactly": "the exact answer", "roughly": "a rough answer", "hinted": "the same, with a hint",
}  # fmt: skip


def tables(
    models: Mapping[str, Parts], asked: Callable[[str, int], pd.DataFrame]
) -> dict[str, str]:
    """A Markdown table a part, with the models that have run it, and what each comes to; without
    any, a line saying so. `asked`: the Cookbook's problems of a task and length."""
    found = {name: _told(name, rows, models) for name, rows in _ROWS.items()}
    return found | {"cookbook by task": _by_task(models, asked)}


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
    cells = (
        _share(cell) + ("" if cell["n"] == LENGTH_N else f", n = {cell['n']:.0f}")
        for cell in part.values()
    )
    return [(f"`{model}`", f"`{PROMPTS[model]}`", *cells)]


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
    shares = (f"{100 * part[name]:.0f}" for name in names)
    return [(f"`{model}`", f"`{PROMPTS[model]}`", *shares)]


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


def _by_task(models: Mapping[str, Parts], asked: Callable[[str, int], pd.DataFrame]) -> str:
    """A row a task, with the exact answers of the best rule without arithmetic and of each model at
    each length, the best task first; below it, in how many cells a model surely beats the rule."""
    found = {
        model: {(cell["task"], cell["length"]): cell for cell in parts["cookbook"]["lengths"]}
        for model, parts in models.items()
        if "cookbook" in parts
    }
    if not found:
        return "Not run yet."
    cells = list(dict.fromkeys(cell for of in found.values() for cell in of))
    naive = {cell: naive_share(asked(*cell)) for cell in cells}
    right = {model: {cell: row["exact_match"] for cell, row in of.items()}
             for model, of in found.items()}  # fmt: skip
    lengths = sorted({length for _, length in cells})
    best = next(iter(right.values()))
    tasks = dict.fromkeys(task for task, _ in cells)
    order = sorted(tasks, key=lambda task: (-sum(best.get((task, k), 0.0) for k in lengths), task))
    rows = [
        (f"`{task}`", *(_numbers(task, of, lengths) for of in (naive, *right.values())))
        for task in order
    ]
    told = [
        f"`{model}`: in {sum(row['exact_match_low'] > naive[cell] for cell, row in of.items())} of "
        f"{len(of)} cells the whole interval lies above the rule without arithmetic."
        for model, of in found.items()
    ]
    heads = ("task", "without arithmetic, %", *(f"`{model}`, %" for model in found))
    return "\n\n".join([table(heads, rows), *told])


def _numbers(task: str, shares: Mapping[tuple[str, int], float], lengths: Sequence[int]) -> str:
    found = [shares.get((task, k)) for k in lengths]
    return " · ".join("—" if share is None else f"{100 * share:.0f}" for share in found)


def _share(cell: Mapping[str, float], name: str = "share") -> str:
    share, low, high = (100 * cell[key] for key in (name, "low", "high"))
    return f"{share:.0f} ({low:.0f}–{high:.0f})"


_ROWS: Mapping[str, tuple[Sequence[str], Callable[[str, Any], Rows]]] = {
    "lengths": (("model", "prompt", *map(str, range(1, 10))), _lengths),
    "commas": (("model", "format", "whole sums, %", "last digit, %", "highest digit, %"), _commas),
    "noisy": (
        ("model", "prompt", "behind right digits, %", "behind random ones, %", "at most one off, %",
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
