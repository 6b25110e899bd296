"""Figure of a circuit: how few nodes keep the answer?"""

from __future__ import annotations

import plotly.graph_objects as go

from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, frame
from interp.heads.results.circuit import CircuitScore

_NAMED = 12


@renders(CircuitScore)
def circuit(result: CircuitScore) -> go.Figure:
    """Faithfulness by number of kept nodes, the circuit with its interval, and random ones."""
    curve, scores, size = result.curve, result.metrics, len(result.nodes)
    figure = go.Figure()
    figure.add_scatter(
        x=curve["nodes"], y=curve["chosen_on"], name="prompts it was chosen on", mode="lines",
        line={"color": GREY, "dash": "dot"},
    )  # fmt: skip
    figure.add_scatter(
        x=curve["nodes"], y=curve["faithfulness"], name="other prompts", mode="lines+markers",
        line={"color": ACCENT}, marker={"size": 5},
    )  # fmt: skip
    figure.add_scatter(
        x=[size], y=[scores["faithfulness"]], name="the circuit", mode="markers",
        marker={"color": ACCENT, "size": 12, "symbol": "diamond"},
        error_y={"type": "data", "symmetric": False, "color": ACCENT,
                 "array": [result.faithfulness_high - scores["faithfulness"]],
                 "arrayminus": [scores["faithfulness"] - result.faithfulness_low]},
    )  # fmt: skip
    figure.add_scatter(
        x=[size], y=[scores["random"]], name="random circuits of its size", mode="markers",
        marker={"color": GREY, "size": 9, "symbol": "square"},
        error_y={"type": "data", "symmetric": False, "color": GREY,
                 "array": [scores["random_high"] - scores["random"]],
                 "arrayminus": [scores["random"] - scores["random_low"]]},
    )  # fmt: skip
    figure.update_xaxes(title="nodes kept")
    figure.update_yaxes(title="faithfulness")
    named = ", ".join(result.nodes[:_NAMED]) + (" …" if size > _NAMED else "")
    return frame(
        figure,
        title="How few nodes keep the answer?",
        caption=f"{result.caption} · {named} · others replaced from the corrupted prompt "
        f"(operand {result.settings['swap']} swapped)",
        notes=result.notes,
        verdict=result.verdict,
        legend=True,
    )
