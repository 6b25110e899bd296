"""Which operand digits does each answer digit depend on?"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import streamlit as st

from app import parts, results, study

if TYPE_CHECKING:
    from interp.attribution.results.counterfactual import CounterfactualAttribution

PREFIXES = {"keep": "Original's answer digits", "recompute": "New problem's answer digits"}
TARGETS = {
    "argmax": "Model's first choice",
    "true": "Right digit",
    "difference": "Right digit, old − new",
}
CELL = "attribution cell"
EXAMPLE, LENS = "One example", "Logit lens by layer"


def page() -> None:
    """Δlogit by operand and answer digit beside the oracle's probability, and one example."""
    chosen = study.current()
    parts.heading("Attribution", "Which operand digits does each answer digit depend on?")
    prefix, target = _policies()
    result = results.result(chosen, "attribution.counterfactual", prefix=prefix, target=target)
    clicked = parts.chart(result, "attribution")
    parts.below(result)
    _follow(chosen, result, prefix, clicked)
    parts.take_away(result)


def _policies() -> tuple[str, str]:
    left, right = st.columns(2)
    prefix = left.segmented_control(
        "Before each digit that is read",
        list(PREFIXES),
        default="keep",
        required=True,
        format_func=PREFIXES.__getitem__,
        key="prefix",
        persist_state="session",
    )
    target = right.segmented_control(
        "Whose logit",
        list(TARGETS),
        default="argmax",
        required=True,
        format_func=TARGETS.__getitem__,
        key="target",
        persist_state="session",
    )
    return str(prefix), str(target)


def _follow(
    chosen: study.Study,
    result: CounterfactualAttribution,
    prefix: str,
    clicked: tuple[str, ...] | None,
) -> None:
    """Show one prompt before and after the clicked swap, or the logit lens."""
    with st.container(border=True):
        shown = st.segmented_control(
            "Look closer",
            [EXAMPLE, LENS],
            default=EXAMPLE,
            required=True,
            label_visibility="collapsed",
            key="closer",
            persist_state="session",
        )
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
    cell = _cell(result, clicked)
    if cell is None:
        text, button = st.columns([4, 1], vertical_alignment="center")
        text.markdown("Click a cell to see one prompt before and after that swap.")
        button.button("Show me one", on_click=_keep, args=(_strongest(result),), width="stretch")
        return
    operand, answer = cell
    effect, magnitude, oracle, used = (
        getattr(result, name).at(operand_digit=operand, answer_digit=answer)
        for name in ("effect", "magnitude", "oracle", "used")
    )
    words, number = st.columns([4, 1], vertical_alignment="center")
    words.markdown(
        f"When **{operand}** is replaced, the logit of **{answer}** falls by {effect:.3g} on "
        f"average ({magnitude:.3g} up or down), over {used:.0f} prompts. By arithmetic {answer} "
        f"changes with probability {oracle:.3g}."
    )
    row = number.number_input("Prompt", min_value=1, max_value=result.n, key="row")
    example = results.result(
        chosen,
        "attribution.swap_example",
        operand_digit=operand,
        prefix=prefix,
        row=int(row) - 1,
    )
    st.code(f"{example.before}\n{example.after}", language=None)
    parts.chart(example, "example")
    parts.below(example)


def _cell(
    result: CounterfactualAttribution, clicked: tuple[str, ...] | None
) -> tuple[str, str] | None:
    """The cell clicked last, or None if this figure lacks it."""
    if clicked is not None:
        _keep((clicked[0], clicked[1]))
    cell = cast("tuple[str, str] | None", st.session_state.get(CELL))
    if cell is None or cell[0] not in result.effect.axis("operand_digit").labels:
        return None
    return cell if cell[1] in result.effect.axis("answer_digit").labels else None


def _keep(cell: tuple[str, str]) -> None:
    st.session_state[CELL] = cell


def _strongest(result: CounterfactualAttribution) -> tuple[str, str]:
    cell = result.frame.sort_values("magnitude", ascending=False).iloc[0]
    return str(cell["operand_digit"]), str(cell["answer_digit"])


page()
