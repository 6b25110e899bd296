"""Figure of one probe-sweep cell: true against predicted, and the score beside its controls."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import heatmap, outline
from interp.figures.theme import ACCENT, GREY, INK, frame, magnitude_range, translucent
from interp.results.display import number
from probes.results.sweep import ASKED_FOR, ProbeSweep, split_words

CONTROLS = {
    "shown": "one-hot digits<br>and printed answer",
    "one_hot": "one-hot operand digits",
    "embedding": "the token's embedding",
    "untrained": "random weights",
    "shuffled": "shuffled labels",
    "control_task": "random label per token",
    "constant": "constant",
}
"""What a probe's score stands beside, by its column in `ProbeSweep.frame`."""

_MAX_CLASSES = 24  # of a confusion matrix


def probe_cell(result: ProbeSweep, cell: int) -> go.Figure:
    """Plot true against predicted on held-out prompts, with y = x (classes: a confusion matrix),
    and the score beside each control.

    Raises:
        InputError: for a cell that does not exist.
    """
    points, row = result.scatter(cell), result.frame.iloc[cell].to_dict()
    figure = make_subplots(
        cols=2,
        column_widths=[0.54, 0.46],
        horizontal_spacing=0.27,
        subplot_titles=("Held-out prompts", "The score and its controls"),
    )
    names = result.labels.get(row["target"])
    classes = np.union1d(points["true"], points["predicted"])
    if row["kind"] != "real" and len(classes) <= _MAX_CLASSES:
        _confusion(figure, points, classes, names)
    else:
        scatter_with_diagonal(figure, points, row=1, col=1)
        figure.update_xaxes(title=f"true {row['target']}", col=1)
        figure.update_yaxes(title="predicted", col=1)
    _controls(figure, row)
    figure.update_annotations(font={"size": 13})
    head = f" head {row['head']}" if row["head"] >= 0 else ""
    return frame(
        figure,
        title=f"{row['target']} at {row['site']} of layer {row['layer']}{head}, role {row['role']}",
        caption=_caption(result, row),
        notes=result.notes,
        height=360,
    )


def scatter_with_diagonal(
    figure: go.Figure, points: pd.DataFrame, *, row: int, col: int, colour: str = ACCENT
) -> None:
    """Add a scatter of `predicted` over `true` and the line y = x."""
    ends = [float(points["true"].min()), float(points["true"].max())]
    figure.add_trace(
        go.Scatter(
            x=ends,
            y=ends,
            mode="lines",
            line={"color": INK, "width": 1, "dash": "dash"},
            hoverinfo="skip",
            showlegend=False,
            name="y = x",
        ),
        row=row,
        col=col,
    )
    figure.add_trace(
        go.Scatter(
            x=points["true"],
            y=points["predicted"],
            mode="markers",
            marker={"size": 4, "color": translucent(colour, 0.45)},
            hovertemplate="true %{x:.4g}, predicted %{y:.4g}<extra></extra>",
            showlegend=False,
            cliponaxis=False,
            name="prompts",
        ),
        row=row,
        col=col,
    )


def measured(cell: Mapping[Any, Any]) -> str:
    """Text of the score; for numbers also the mean absolute error beside that of a constant and of
    the digits alone."""
    if cell["metric"] != "r2":
        return f"accuracy {number(cell['score'])} (majority {number(cell['constant'])})"
    told = f"R² {number(cell['score'])} (one-hot digits {number(cell['one_hot'])})"
    if np.isnan(cell["mae"]):
        return told
    return (
        f"{told}, MAE {number(cell['mae'])} (constant {number(cell['constant_mae'])}, "
        f"one-hot digits {number(cell['one_hot_mae'])})"
    )


def _confusion(
    figure: go.Figure, points: pd.DataFrame, classes: Any, names: Sequence[str] | None
) -> None:
    counts = pd.crosstab(points["predicted"], points["true"])
    counts = counts.reindex(index=classes, columns=classes, fill_value=0)
    labels = [names[int(value)] if names else f"{value:g}" for value in classes]
    values = counts.to_numpy(dtype=float)
    few = len(classes) <= 12
    trace = heatmap(
        values,
        labels,
        labels,
        scale=magnitude_range(values) | {"showscale": not few},
        bar={"x": 0.4, "title": {"text": "prompts", "side": "top", "font": {"size": 12}}},
        text=counts.astype(str).replace("0", "").to_numpy(dtype=object) if few else None,
        hover=np.array(
            [[f"true {x}, predicted {y}: {n:.0f}" for x, n in zip(labels, line, strict=True)]
             for y, line in zip(labels, values, strict=True)], dtype=object
        ),
    )  # fmt: skip
    figure.add_trace(trace, row=1, col=1)
    outline(figure, np.eye(len(classes), dtype=bool), row=1, col=1)
    figure.update_xaxes(type="category", title="true", row=1, col=1)
    figure.update_yaxes(type="category", title="predicted", row=1, col=1)


def _controls(figure: go.Figure, cell: Mapping[str, Any]) -> None:
    known = {name: text for name, text in CONTROLS.items() if not np.isnan(cell[name])}
    figure.add_trace(
        go.Scatter(
            x=[cell[name] for name in known],
            y=list(known.values()),
            mode="markers",
            marker={"size": 9, "color": "white", "line": {"color": GREY, "width": 1.5}},
            hovertemplate="%{y}: %{x:.4g}<extra></extra>",
            showlegend=False,
            name="controls",
        ),
        row=1,
        col=2,
    )
    figure.add_trace(
        go.Scatter(
            x=[cell["score"]],
            y=["<b>the probe</b>"],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [cell["gain_high"] - cell["gain"]],
                "arrayminus": [cell["gain"] - cell["gain_low"]],
                "thickness": 1.4,
                "width": 4,
                "color": ACCENT,
            },
            mode="markers",
            marker={"size": 10, "color": ACCENT},
            hovertemplate="the probe: %{x:.4g}<extra></extra>",
            showlegend=False,
            name="the probe",
        ),
        row=1,
        col=2,
    )
    figure.add_vline(x=cell["score"], line={"color": GREY, "width": 1, "dash": "dot"}, row=1, col=2)
    low = min(0.0, max(-1.0, min(cell["score"], *(cell[name] for name in known))))
    figure.update_xaxes(
        title="R²" if cell["metric"] == "r2" else "accuracy", range=[low - 0.04, 1.04], col=2
    )
    order = ["<b>the probe</b>", *known.values()]
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=order[::-1], row=1, col=2
    )


def _caption(result: ProbeSweep, cell: Mapping[str, Any]) -> str:
    parts = [
        result.caption,
        split_words(result.settings),
        f"{cell['n_test']:,} held-out prompts",
        measured(cell),
        f"bar: interval of the gain, drawn from {cell['reference']} (dotted)",
    ]
    parts += ["index 0 least significant"]
    if "control_task" in result.unmeasured and np.isnan(cell["control_task"]):
        parts += ["no control task: the split holds out the digits that it labels"]
    parts += ["the token there shows it"] if cell["visible"] else []
    parts += [ASKED_FOR] if cell["trained_in"] else []
    return " · ".join(parts)
