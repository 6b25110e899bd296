"""Which products are cached where, and who fetches them? And of sums: where is the carry from?"""

from __future__ import annotations

import streamlit as st

import interp
from app import link, parts, results, study
from app.plain import plain
from interp.arithmetic.tasks import Addition, MixedAddition, Multiplication
from interp.heads.results.tree import AttentionTree

PRODUCTS = "Which products are cached where, and who fetches them?"
CARRIES = "Does the carry come from the operands or from the digit just printed?"


def page() -> None:
    """The attention tree of a multiplier, or the carry verdict of an adder."""
    chosen = study.current()
    task = interp.task(chosen.task)
    if isinstance(task, Multiplication):
        parts.heading("Attention tree", PRODUCTS)
        _tree(chosen)
    elif isinstance(task, Addition | MixedAddition):
        parts.heading("Carry", CARRIES)
        st.caption("A sum has no products, so no tree: of an adder it is the carry that moves.")
        _carry(chosen)
    else:
        parts.heading("Attention tree", PRODUCTS)
        st.info(
            f"{plain(chosen.model)} is asked {plain(chosen.task)}, which has neither products of "
            "digits nor a carry from column to column. Choose a multiplier (a task such as "
            "mul:4x4) for its tree, or an adder (add:5) for its carry; the page *Heads* shows "
            "every model.",
            icon=":material/info:",
        )


def _tree(chosen: study.Study) -> None:
    left, right = st.columns(2)
    attention = link.slider(
        "An edge counts from this attention", 0.02, 0.5, 0.1, 0.02, key="least-attention",
        place=left, help="Mean attention weight of a head from one token to another.",
    )  # fmt: skip
    effect = link.slider(
        "and from this share of the answer's margin", 0.005, 0.2, 0.02, 0.005, key="least-effect",
        place=right, format="%.3f", help="What cutting the edge costs the right digit.",
    )  # fmt: skip
    result = results.result(chosen, "heads.tree", least_attention=attention, least_effect=effect)
    parts.chart(result, "tree")
    parts.below(result)
    _scores(result)
    parts.take_away(result)


def _scores(result: AttentionTree) -> None:
    """The tree of one answer digit by effect beside by attention, and the score of each."""
    with st.container(border=True):
        digits = list(reversed(tuple(result.asking)))
        middle = digits[len(digits) // 2]
        digit = link.segments("Answer digit", digits, key="tree-digit", first=middle)
        parts.picture(result, "one tree", digit, lambda: result.figure(digit))
        st.dataframe(result.frame.round(3), hide_index=True, height=240)


def _carry(chosen: study.Study) -> None:
    result = results.result(chosen, "heads.carry")
    parts.chart(result, "carry")
    parts.below(result)
    with st.container(border=True):
        st.markdown("**By cascade length**: columns in a row that sum to nine.")
        st.dataframe(result.by_length.round(3), hide_index=True, height=240)
    parts.take_away(result)


page()
