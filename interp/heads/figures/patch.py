"""Figures of activation patching: which nodes carry the answer?"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from interp.figures.matrix import by_digit, heatmap, most_first, outline, panels, signed_text
from interp.figures.registry import renders, shows
from interp.figures.theme import ACCENT, GREY, error_bars, frame, signed_range
from interp.heads.results.patch import ActivationPatching
from interp.results.display import number
from interp.results.grid import Grid

_TITLES = {
    "head": "heads", "q": "queries", "k": "keys", "v": "values", "pattern": "attention patterns",
    "mlp": "MLPs", "attn": "attention layers", "resid_pre": "positions", "resid_mid": "positions",
    "resid_post": "positions", "embed": "embeddings",
}  # fmt: skip


@renders(ActivationPatching)
def patch(result: ActivationPatching) -> go.Figure:
    """Mean effect by cell, a panel for each answer digit; findings are framed."""
    digits = most_first(list(result.main.axis("answer_digit").labels))
    rows, columns, y_title, x_title = _plane(result)
    figure, down, across = panels(digits)
    values, main = result.main.values, result.main
    assert main.low is not None and main.high is not None
    for i, digit in enumerate(digits):
        where = result.main.axis("answer_digit").index(digit)
        shape = (len(rows), len(columns))
        cells, low, high = (
            part[..., where].reshape(shape) for part in (values, main.low, main.high)
        )
        row, col = i // across + 1, i % across + 1
        figure.add_trace(
            heatmap(
                cells,
                columns,
                rows,
                scale=signed_range(values),
                bar={"title": {"text": _unit(result), "side": "right"}, "x": 1.01},
                text=signed_text(cells, (high - low) / 2) if len(digits) == 1 else None,
                hover=_hover(result, digit, shape),
            ).update(showscale=i == 0),
            row=row,
            col=col,
        )
        outline(figure, result.findings[..., where].reshape(shape), row=row, col=col)
        if row == down:
            figure.update_xaxes(title=x_title, row=row, col=col)
    figure.update_xaxes(type="category", tickangle=0 if len(columns) <= 12 else -90)
    figure.update_yaxes(type="category")
    figure.update_yaxes(title=y_title, col=1)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title=f"Which {_TITLES[str(result.settings['kind'])]} carry the answer?",
        caption=f"{_said(result)} · framed: q ≤ 0.05 and above the noise floor "
        f"({number(max(result.noise, result.floor))})",
        notes=result.notes,
        verdict=result.verdict,
        height=down * max(180, min(22 * len(rows) + 60, 640)),
    )


def head_effects(result: ActivationPatching, head: str) -> go.Figure:
    """Effect of one head, patched at all positions, by answer digit, beside its control."""
    layer, index = head.removeprefix("L").split("H")
    lines = {"patched": result.main} | (
        {} if result.same_answer is None else {"same answer (control)": result.same_answer}
    )
    shown = {}
    for name, grid in lines.items():
        mine = grid.at(layer=layer, head=index)
        assert isinstance(mine, Grid) and mine.low is not None and mine.high is not None
        shown[name] = (mine.values, mine.low, mine.high)
    figure = by_digit(
        result.main.axis("answer_digit").labels, shown, title=f"mean effect ({_unit(result)})"
    )
    return frame(
        figure, title=f"Which answer digits does {head} carry?", caption=_said(result),
        notes=result.notes, height=260, legend=len(shown) > 1,
    )  # fmt: skip


def _said(result: ActivationPatching) -> str:
    direction = result.settings["direction"]
    done = "clean into corrupted" if direction == "denoise" else "corrupted into clean"
    places = "" if "role" in [axis.name for axis in result.main.axes] else ", at all positions"
    return (
        f"{result.caption} · {direction}: {done}{places}, operand changed: "
        f"{result.settings['swap']}"
    )


def _plane(result: ActivationPatching) -> tuple[list[str], list[str], str, str]:
    """Labels of rows and columns, and the axes' titles."""
    axes = {axis.name: axis.labels for axis in result.main.axes}
    layers = list(axes["layer"])
    index = next((name for name in ("head", "group") if name in axes), None)
    grouped = "key/value group" if index == "group" else "head"
    if index is None:
        return layers, list(axes.get("role", ("all positions",))), "layer", "role patched"
    if "role" not in axes:
        return layers, list(axes[index]), "layer", grouped
    letter = "H" if index == "head" else "G"
    rows = [f"L{layer}{letter}{i}" for layer in layers for i in axes[index]]
    return rows, list(axes["role"]), grouped, "role patched"


def _unit(result: ActivationPatching) -> str:
    return {"logit_difference": "logits", "logit": "logits", "kl": "nats"}.get(
        result.lead, result.lead.replace("_", " ")
    )


def _hover(
    result: ActivationPatching, digit: str, shape: tuple[int, int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    table = result.frame
    table = table[table["answer_digit"] == digit]
    lead = result.lead
    text = [
        f"<b>{row['node']} → {digit}</b><br>{lead.replace('_', ' ')} {row[lead]:.3g} "
        f"[{row[lead + '_low']:.3g}, {row[lead + '_high']:.3g}], {row['share']:.1%} of all"
        f"<br>q {row['q']:.2g}"
        + (f"<br>same answer {row['same_answer']:.3g}" if "same_answer" in row else "")
        for row in table.to_dict("records")
    ]
    return np.array(text, dtype=object).reshape(shape)


@shows(ActivationPatching)
def further(result: ActivationPatching) -> dict[str, go.Figure]:
    """Nodes chosen on one half of the prompts, scored on the other."""
    table = result.chosen
    if not len(table):
        return {}
    figure = go.Figure()
    low, high = table["random_low"].iloc[0], table["random_high"].iloc[0]
    figure.add_hrect(y0=low, y1=high, fillcolor=GREY, opacity=0.15, line_width=0)
    figure.add_scatter(
        x=table["node"], y=table["chosen"], mode="markers", name="half they were chosen on",
        marker={"color": GREY, "symbol": "circle-open", "size": 8},
    )  # fmt: skip
    figure.add_scatter(
        x=table["node"], y=table["scored"], mode="markers", name="other half",
        error_y=error_bars(table["scored"], table["scored_low"], table["scored_high"], ACCENT),
        marker={"color": ACCENT, "size": 8},
    )  # fmt: skip
    figure.update_xaxes(type="category", tickangle=-60)
    figure.update_yaxes(title=f"mean effect ({_unit(result)})")
    return {
        "chosen": frame(
            figure,
            title="Do the chosen nodes hold on other prompts?",
            caption=f"{result.caption} · mean over answer digits · grey: 95 % of single random "
            "nodes on the other half",
            notes=result.notes,
            verdict=result.verdict,
            legend=True,
        )
    }
