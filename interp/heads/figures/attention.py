"""Figures of attention patterns: mean by head, weighted, spread, one example, staircases."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders, shows
from interp.figures.theme import ACCENT, GREY, MAGNITUDE, error_bars, frame
from interp.heads.results.attention import AttentionPatterns
from interp.results.grid import Grid

_MOST = 16  # panels
_TITLE = "Where does each head look?"
_READ = "rows: the position that predicts the digit (→); columns: the attended token"


@renders(AttentionPatterns)
def attention_patterns(result: AttentionPatterns) -> go.Figure:
    """Mean attention of each head, query by key."""
    return _panels(result, result.plain, f"{_TITLE} Mean attention")


@shows(AttentionPatterns)
def further(result: AttentionPatterns) -> Mapping[str, go.Figure]:
    """The weighted pattern, the spread, one example, and the staircases."""
    figures = {
        "weighted": _panels(result, result.weighted, f"{_TITLE} Weighted by what a value writes"),
        "spread": _panels(result, result.spread, f"{_TITLE} Standard deviation over prompts"),
        "example": _panels(result, result.example, f"{_TITLE} One prompt: {result.example_text}"),
    }
    if len(result.staircase):
        figures["staircase"] = _staircases(result)
    return figures


def _panels(result: AttentionPatterns, grid: Grid, title: str) -> go.Figure:
    """One panel a head; of many heads those with the most attention to operand digits."""
    layers, heads = (grid.axis(name).labels for name in ("layer", "head"))
    shown, note = [(la, h) for la in layers for h in heads], ""
    if len(shown) > _MOST:
        rank = result.scores.query("attends_to == 'operand' and weights == 'plain'")
        top = rank.groupby(["layer", "head"])["score"].mean().nlargest(_MOST).index
        shown = [pair for pair in shown if pair in set(top)]
        note = f" · the {_MOST} heads with most attention to operand digits"
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=0.2 / rows,
        subplot_titles=[f"layer {la}, head {h}" for la, h in shown],
    )
    top_value = float(np.nanmax(grid.values)) if np.isfinite(grid.values).any() else 1.0
    for i, (layer, head) in enumerate(shown):
        part = grid.at(layer=layer, head=head)
        assert isinstance(part, Grid)
        _pattern(figure, part, row=i // columns + 1, col=i % columns + 1)
    _scaled(figure, top_value)
    queries = len(grid.axis("query").labels)
    return frame(
        figure,
        title=title,
        caption=f"{result.caption} · {_READ}{note}",
        notes=result.notes,
        verdict=result.verdict,
        height=max(220, rows * (18 * queries + 60)),
    )


def one_head(result: AttentionPatterns, layer: str, head: str) -> go.Figure:
    """Pattern of one head, query by key: its mean, and weighted by what each value writes."""
    titles = ["mean attention", "weighted by what a value writes"]
    figure = make_subplots(
        cols=2, shared_yaxes=True, horizontal_spacing=0.03, subplot_titles=titles
    )
    rows = 0
    for col, grid in enumerate((result.plain, result.weighted), 1):
        part = grid.at(layer=layer, head=head)
        assert isinstance(part, Grid)
        rows = len(part.axis("query").labels)
        _pattern(figure, part, row=1, col=col)
    _scaled(figure, 1.0)
    return frame(
        figure,
        title=f"Where does L{layer}H{head} look?",
        caption=f"{result.caption} · {_READ}",
        notes=result.notes,
        height=max(200, 20 * rows + 80),
    )


def _pattern(figure: go.Figure, part: Grid, *, row: int, col: int) -> None:
    figure.add_heatmap(
        z=part.values,
        x=list(part.axis("key").labels),
        y=[_short(query) for query in part.axis("query").labels],
        coloraxis="coloraxis",
        hovertemplate="%{y} looks at %{x}: %{z:.2f}<extra></extra>",
        row=row,
        col=col,
    )


def _scaled(figure: go.Figure, top: float) -> None:
    bar = {"thickness": 12, "outlinewidth": 0}
    figure.update_layout(
        coloraxis={"colorscale": MAGNITUDE, "cmin": 0, "cmax": top, "colorbar": bar}
    )
    figure.update_xaxes(type="category", tickangle=90, tickfont_size=9, dtick=1)
    figure.update_yaxes(autorange="reversed", type="category", tickfont_size=9, dtick=1)
    figure.update_annotations(font={"size": 12})


def _short(query: str) -> str:
    return "→ " + query[9:-1] if query.startswith("predicts(") else query


def _staircases(result: AttentionPatterns) -> go.Figure:
    """Attention on the best staircase of each head and operand, beside the shuffled control."""
    table = result.staircase
    names = [f"{r.layer}.{r.head} {r.operand}<sub>k{r.offset:+d}</sub>" for r in table.itertuples()]
    figure = go.Figure()
    figure.add_scatter(
        x=names,
        y=table["attention"],
        error_y=error_bars(
            table["attention"], table["attention_low"], table["attention_high"], ACCENT
        ),
        mode="markers",
        marker={"color": ACCENT, "size": 8},
        name="staircase",
    )
    figure.add_scatter(
        x=names,
        y=table["shuffled_95"],
        mode="markers",
        marker={"color": GREY, "symbol": "line-ew-open", "size": 12},
        name="shuffled queries (control): 95th percentile",
    )
    figure.update_xaxes(title="layer.head and operand digit that c_k looks at", tickangle=90)
    figure.update_yaxes(title="attention", range=[-0.03, 1.03])
    return frame(
        figure,
        title="Which heads walk along an operand with the answer?",
        caption=f"{result.caption} · offset chosen on half of the prompts, measured on the rest",
        notes=result.notes,
        verdict=result.verdict,
        legend=True,
    )
