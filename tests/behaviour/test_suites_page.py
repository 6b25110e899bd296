"""The page of suites at length is what the records say."""

import pandas as pd

from bench.pages import filled
from bench.proofs import suites_at_length as suites
from bench.proofs.suites_tables import tables


def test_the_page_is_what_the_records_say():
    page = suites.PAGE.read_text(encoding="utf-8")
    assert filled(page, tables(suites.records(), suites.asked)) == page
    assert "| `smollm2` |" in page


def test_rows_by_hand():
    cell = {"share": 0.5, "low": 0.25, "high": 0.75, "n": 4, "exact": 2, "last": 4, "highest": 1}
    test = {what: {"p": 0.015} for what in ("exact", "last", "highest")}
    near = {
        "accuracy": 0.5,
        "low": 0.25,
        "high": 0.75,
        "majority": 0.6,
        "digits_alone": 1.0,
        "untrained": 0.9,
    }
    words = near | {"digits_alone": None}
    parts = {
        "lengths": {"add:1": cell, "add:2": cell},
        "commas": {
            "cells": {"plain": {"add:4": cell, "add:5": cell}, "other": {"add:4": cell}},
            "against plain": {"other": test},
        },
        "near": {"chosen": [{"k": 5, "wording": "digits", **near},
                            {"k": 5, "wording": "words", **words}], "conclusion": "None."},
    }  # fmt: skip
    found = tables({"smollm2": parts, "b": {}}, suites.asked)
    cells = "50 (25–75), n = 4 | 50 (25–75), n = 4"
    assert (
        found["lengths"].splitlines()[-1].startswith(f"| `smollm2` | `calculate@1:0` | {cells} |")
    )
    plain, other = found["commas"].splitlines()[-2:]
    assert plain == "| `smollm2` | `plain` | 50 | 100 | 25 |"
    assert other == "| `smollm2` | `other` | 50 (p = 0.015) | 100 (p = 0.015) | 25 (p = 0.015) |"
    *_, row, between, said = found["near"].splitlines()
    assert row.startswith("| `smollm2` | 5 | 50 (25–75) | 50 (25–75) | 60 | 100 | 90 |")
    assert (between, said) == ("", "`smollm2`: None.")
    assert found["cookbook"] == "Not run yet."


def test_cookbook_rows_by_hand():
    def cells(task: str, *shares: float) -> list[dict]:
        return [
            {"task": task, "length": k + 1, "exact_match": share, "exact_match_low": share - 0.2}
            for k, share in enumerate(shares)
        ]

    part = {"lengths": [*cells("add:float", 0.5, 0.25), *cells("max:integer", 1.0, 0.9)]}

    def half_copied(task: str, length: int) -> pd.DataFrame:
        return pd.DataFrame({"question": ["Add: 1 + 2 ="] * 2, "answer": ["3", "2"]})

    names = ("exact_match", "digit_match", "parsed", "tasks_learned", "tasks_sure", "cells")
    metrics = dict.fromkeys((*names, "tasks_preserved"), 1.0)
    models = {"a": {"cookbook": part | {"metrics": metrics}}, "b": {}}
    models["c"] = {"cookbook": {"lengths": cells("max:integer", 0.0), "metrics": metrics}}
    assert tables(models, half_copied)["cookbook by task"].splitlines() == [
        "| task | without arithmetic, % | `a`, % | `c`, % |",
        "|---|---|---|---|",
        "| `max:integer` | 50 · 50 | 100 · 90 | 0 · — |",
        "| `add:float` | 50 · 50 | 50 · 25 | — · — |",
        "",
        "`a`: in 2 of 4 cells the whole interval lies above the rule without arithmetic.",
        "",
        "`c`: in 0 of 1 cells the whole interval lies above the rule without arithmetic.",
    ]
    assert tables({"b": {}}, suites.asked)["cookbook by task"] == "Not run yet."
