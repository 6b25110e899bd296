"""Figure of a circuit: how few nodes or edges keep the answer?"""

from __future__ import annotations

import plotly.graph_objects as go

from interp.figures.registry import renders
from interp.figures.theme import ACCENT, GREY, error_bars, frame
from interp.heads.circuits import SIZES
from interp.heads.results.circuit import CircuitScore

_NAMED = {"nodes": 12, "edges": 5}


@renders(CircuitScore)
def circuit(result: CircuitScore) -> go.Figure:
    """Faithfulness by number of kept nodes, or share of kept edges beside random orders; the
    circuit with its interval, and random ones."""
    curve, scores, size = result.curve, result.metrics, float(len(result.nodes))
    figure = go.Figure()
    if result.what == "edges":
        curve = curve[curve["nodes"] > 0]  # the axis is logarithmic
        curve = curve.assign(nodes=100 * curve["nodes"] / len(result.ranking))
        size *= 100 / len(result.ranking)
        figure.add_scatter(
            x=curve["nodes"], y=curve["random"], name="random orders", mode="lines+markers",
            line={"color": GREY}, marker={"size": 5},
            error_y=error_bars(curve["random"], curve["random_low"], curve["random_high"], GREY),
        )  # fmt: skip
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
    if result.what == "edges":
        ticks = [100 * share for share in SIZES if 100 * share >= curve["nodes"].min() / 2]
        figure.update_xaxes(
            title="edges kept (% of all, logarithmic)", type="log", tickvals=ticks,
            ticktext=[f"{tick:g}" for tick in ticks],
        )  # fmt: skip
    else:
        figure.update_xaxes(title="nodes kept")
    figure.update_yaxes(title="faithfulness")
    most = _NAMED[result.what]
    named = ", ".join(result.nodes[:most]) + (" …" if len(result.nodes) > most else "")
    return frame(
        figure,
        title=f"How few {result.what} keep the answer?",
        caption=f"{result.caption} · {named} · others replaced from the corrupted prompt "
        f"(operand {result.settings['swap']} swapped)",
        notes=result.notes,
        verdict=result.verdict,
        legend=True,
    )
