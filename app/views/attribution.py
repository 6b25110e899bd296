"""Which operand digits does each answer digit depend on?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import link, parts, results, study

if TYPE_CHECKING:
    from interp.attribution.results.counterfactual import CounterfactualAttribution

PREFIXES = {"Original's answer digits": "keep", "New problem's answer digits": "recompute"}
TARGETS = {
    "Model's first choice": "argmax",
    "Right digit": "true",
    "Right digit, old − new": "difference",
}
EXAMPLE, LENS = "One example", "Logit lens by layer"


def page() -> None:
    """Δlogit by operand and answer digit beside the oracle's probability, and one example."""
    chosen = study.current()
    parts.heading("Attribution", "Which operand digits does each answer digit depend on?")
    prefix, target = _policies()
    result = results.result(chosen, "attribution.counterfactual", prefix=prefix, target=target)
    clicked = parts.chart(result, "attribution")
    _follow(chosen, result, prefix, clicked)
    parts.below(result)
    parts.take_away(result)


def _policies() -> tuple[str, str]:
    left, right = st.columns(2)
    before, whose = list(PREFIXES), list(TARGETS)
    prefix = link.segments(
        "Before each digit that is read", before, key="prefix", first=before[0], place=left,
        help="What the model sees of the answer: the digits of the problem as it was, or those of "
        "the problem after the swap.",
    )  # fmt: skip
    target = link.segments("Whose logit", whose, key="target", first=whose[0], place=right)
    return PREFIXES[prefix], TARGETS[target]


def _follow(
    chosen: study.Study,
    result: CounterfactualAttribution,
    prefix: str,
    clicked: tuple[str, ...] | None,
) -> None:
    """Show one prompt before and after the clicked swap, or the logit lens."""
    with st.container(border=True):
        shown = link.segments(
            "Look closer", [EXAMPLE, LENS], key="closer", first=EXAMPLE,
            label_visibility="collapsed",
        )  # fmt: skip
        if shown == LENS:
            lens = results.result(chosen, "attribution.logit_lens")
            parts.chart(lens, "lens")
            parts.below(lens)
        else:
            _example(chosen, result, prefix, clicked)


def _example(
    chosen: study.Study,
    result: CounterfactualAttribution,
    prefix: str,
    clicked: tuple[str, ...] | None,
) -> None:
    axes = [result.effect.axis(name).labels for name in ("operand_digit", "answer_digit")]
    operand, answer = parts.pick(
        ("operand", "Operand digit swapped", axes[0]), ("digit", "Answer digit read", axes[1]),
        clicked, _strongest(result),
    )  # fmt: skip
    effect, magnitude, oracle, used = (
        getattr(result, name).at(operand_digit=operand, answer_digit=answer)
        for name in ("effect", "magnitude", "oracle", "used")
    )
    row = link.number(
        "Prompt", 1, result.n, None, key="row", width=240,
        placeholder=f"one that changes {answer}",
    )  # fmt: skip
    example = results.result(
        chosen,
        "attribution.swap_example",
        operand_digit=operand,
        answer_digit=answer,
        prefix=prefix,
        row=None if row is None else row - 1,
    )
    st.markdown(
        f"When **{operand}** is replaced, the logit of **{answer}** falls by {effect:.3g} on "
        f"average ({magnitude:.3g} up or down), over {used:.0f} prompts. By arithmetic "
        f"{answer} changes with probability {oracle:.3g}."
    )
    st.code(f"{example.before}\n{example.after}", language=None)
    parts.chart(example, "example")
    parts.below(example)


def _strongest(result: CounterfactualAttribution) -> tuple[str, str]:
    """The cell of the largest mean |Δlogit| among those that arithmetic often lets change."""
    table = result.frame.assign(changes=result.frame["oracle"] >= 0.5)
    cell = table.sort_values(["changes", "magnitude"], ascending=False).iloc[0]
    return str(cell["operand_digit"]), str(cell["answer_digit"])


page()
