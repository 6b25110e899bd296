"""Parts of the Behaviour page beyond accuracy and the prompt search, one function each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from app import link, parts, sidebar
from app.results import result as computed
from app.study import Study
from interp.catalogue import entry
from interp.suites.number_cookbook.tasks import cookbook_tasks

if TYPE_CHECKING:
    from interp.results.result import Result

PARTS = {"errors": "Kinds of errors", "explain": "The fault behind them"}
PUBLISHED = {"errors": "published_errors", "explain": "explain_published"}
COOKBOOK = ("add:integer", "add:float", "add:fraction", "max:integer")


def errors(chosen: Study) -> None:
    """Show kinds of wrong answers beside a shuffled control, and the answers."""
    result = computed(chosen, "behaviour.error_taxonomy")
    _shown(result, "errors")
    _listed(result.wrong[["problem", "answer", "given", "kind"]], "wrong answers")
    parts.take_away(result)


def explanation(chosen: Study) -> None:
    """Show which fault predicts the wrong answers, and each fault's predictions."""
    result = computed(chosen, "behaviour.explain_errors")
    _shown(result, "explanation")
    _listed(result.wrong, "wrong answers, with the faults that predict them")
    parts.take_away(result)


def noisy_prefix(chosen: Study) -> None:
    """Show the effect of wrong digits on the digits written after them."""
    result = computed(chosen, "suites.noisy_prefix")
    _shown(result, "noisy prefix")
    parts.take_away(result)


def doctor(chosen: Study) -> str:
    """Show all prompt formats tried, and those that failed; return the best one."""
    result = computed(chosen, "behaviour.doctor", n=entry("behaviour.doctor").n)
    _shown(result, "doctor")
    refused = result.trials[result.trials["refusal"] != ""]
    _listed(refused[["format", "start", "refusal"]], "ways to ask that this model has no text for")
    parts.take_away(result)
    return str(result.trials.loc[result.best, "format"])


def cookbook(chosen: Study) -> None:
    """Show the Number Cookbook: a form first, since it takes long, then scores by digit length."""
    with st.form("cookbook", border=True):
        names = [task.name for task in cookbook_tasks()]
        tasks = st.multiselect("Tasks", names, default=COOKBOOK, key="cookbook tasks")
        left, middle, right = st.columns(3)
        longest = left.number_input("Digits, up to", 1, 20, 2, key="cookbook digits")
        most = entry("suites.cookbook").n or 1
        n = middle.number_input("Problems each", 1, 1000, most, key="cookbook n")
        seconds = right.number_input("Seconds at most", 1, 36_000, 120, key="cookbook seconds")
        if st.form_submit_button("Ask"):
            st.session_state["cookbook asked"] = True
    if not st.session_state.get("cookbook asked"):
        return
    lengths = tuple(range(1, int(longest) + 1))
    result = computed(
        chosen,
        "suites.cookbook",
        tasks=tuple(tasks),
        lengths=lengths,
        n=int(n),
        seconds=int(seconds),
    )
    _shown(result, "cookbook")
    learned = result.learned[result.learned["score"] == "exact_match"]
    columns = ["task", "well_learned", "well_learned_sure"]
    columns += ["performance_preserving", "performance_preserving_sure"]
    _listed(learned[columns], "tasks: the greatest lengths that pass, by exact match")
    parts.take_away(result)


def approximation(chosen: Study) -> None:
    """Show approximate and exact versions of everyday questions."""
    n = st.number_input("Questions", 8, 1000, 64, step=8, key="street n")
    result = computed(chosen, "suites.approximation", n=int(n))
    _shown(result, "approximation")
    columns = ["wording", "topic", "question", "exact", "given", "grade"]
    _listed(result.answers[columns], "answers")
    parts.take_away(result)


def published(chosen: Study) -> None:
    """Show the error analyses of a published result file."""
    path = st.text_input(
        "Result file of Tokenization counts (arXiv 2402.14903)",
        key="published-file",
        bind="query-params",
        placeholder="left empty: the 1,080 answers of GPT-3.5 that come with arithmoscope",
    )
    part = link.segments(
        "Show", list(PARTS), key="published", first="errors", format_func=PARTS.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    result = published_result(path.strip(), part, chosen)
    _shown(result, f"published {part}")
    columns = [name for name in ("problem", "answer", "given", "kind", "simulators")
               if name in result.wrong]  # fmt: skip
    _listed(result.wrong[columns], "wrong answers")
    parts.take_away(result)


def published_result(path: str, part: str, chosen: Study) -> Any:
    """Errors of a published result file; an empty path means the shipped one."""
    there = bool(path) and Path(path).is_file()
    if there:
        sidebar.check(path)
    stamp = Path(path).stat().st_mtime if there else 0.0
    return computed(chosen, f"behaviour.{PUBLISHED[part]}", stamp, path=path or None)


def _shown(result: Result, key: str) -> None:
    parts.chart(result, key)
    parts.below(result)


def _listed(table: pd.DataFrame, what: str) -> None:
    with st.container(border=True):
        st.markdown(f"**{len(table):,}** {what}")
        st.dataframe(table, hide_index=True, height=min(320, 38 + 35 * max(1, len(table))))
