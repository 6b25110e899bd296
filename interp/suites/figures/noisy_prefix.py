"""Figure of the noisy-prefix test: effect of a wrong digit on later ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import heatmap
from interp.figures.registry import renders
from interp.figures.theme import CATEGORIES, GREY, SYMBOLS, error_bars, frame, magnitude_range
from interp.suites.results.noisy_prefix import ALL, NoisyPrefix

_TITLES = {"random": "Exact behind one random wrong digit", "precise": "… behind one off by one"}


@renders(NoisyPrefix)
def noisy_prefix(result: NoisyPrefix) -> go.Figure:
    """Exact accuracy, perturbed digit × predicted digit; and with all digits before perturbed."""
    figure = make_subplots(
        rows=2,
        cols=2,
        specs=[[{}, {}], [{"colspan": 2}, None]],
        row_heights=[0.48, 0.52],
        horizontal_spacing=0.12,
        vertical_spacing=0.26,
        subplot_titles=(*_TITLES.values(), "Behind digits that are all wrong"),
    )
    after = list(result.printed[1:])
    before = [*result.printed[:-1], "none"]
    for col, noise in enumerate(_TITLES, 1):
        share, text, hover = _matrix(result, noise, before, after)
        bar = {"x": 1.01, "y": 0.8, "len": 0.45, "title": {"text": "exact", "side": "top"}}
        trace = heatmap(
            share, after, before, scale=magnitude_range(share, 1.0), bar=bar, text=text, hover=hover
        )
        trace.showscale = col == 2
        figure.add_trace(trace, row=1, col=col)
        figure.update_xaxes(title="predicted digit", type="category", row=1, col=col)
        figure.update_yaxes(type="category", autorange="reversed", row=1, col=col)
    figure.update_yaxes(title="perturbed digit", row=1, col=1)
    _behind_all(figure, result)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="Does it copy its own mistakes?",
        caption=f"{result.caption} · index 0 is the least significant digit",
        notes=result.notes,
        verdict=result.verdict,
        height=max(460, 2 * 34 * len(before) + 120),
        legend=True,
    )


Cells = tuple[npt.NDArray[np.float64], npt.NDArray[np.object_], npt.NDArray[np.object_]]


def _matrix(result: NoisyPrefix, noise: str, before: list[str], after: list[str]) -> Cells:
    share = np.full((len(before), len(after)), np.nan)
    text, hover = (np.full(share.shape, "", dtype=object) for _ in range(2))
    for name in before:
        rows = result.rows(*("none", "") if name == "none" else (noise, name))
        for cell in rows[rows["digit"].isin(after)].itertuples():
            at = before.index(name), after.index(str(cell.digit))
            share[at], text[at] = cell.exact, f"{cell.exact:.2f}"
            hover[at] = (
                f"<b>{cell.digit}</b> behind a wrong {name}<br>exact {cell.exact:.4f} "
                f"[{cell.low:.4f}, {cell.high:.4f}]<br>within one {cell.relaxed:.4f}<br>"
                f"n {cell.n:,}"
            )
    return share, text, hover


def _behind_all(figure: go.Figure, result: NoisyPrefix) -> None:
    """Lines over the digits: exact and relaxed, clean and after an all-wrong prefix."""
    lines = [("right prefix, exact", result.rows("none", ""), "exact", GREY, "solid")]
    for number, noise in enumerate(_TITLES):
        name = "random" if noise == "random" else "off by one"
        for score, dash in (("exact", "solid"), ("relaxed", "dot")):
            rows = result.rows(noise, ALL)
            lines.append((f"{name}, {score}", rows, score, CATEGORIES[number], dash))
    for number, (name, rows, score, colour, dash) in enumerate(lines):
        rows = rows[rows["digit"].isin(result.printed[1:])]
        figure.add_trace(_line(name, rows, score, colour, dash, SYMBOLS[number]), row=2, col=1)
    figure.update_xaxes(title="predicted digit, in order of print", type="category", row=2, col=1)
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%", row=2, col=1)


def _line(
    name: str, rows: pd.DataFrame, score: str, colour: str, dash: str, symbol: str
) -> go.Scatter:
    ends = ("low", "high") if score == "exact" else ("relaxed_low", "relaxed_high")
    return go.Scatter(
        x=rows["digit"],
        y=rows[score],
        mode="lines+markers",
        cliponaxis=False,
        name=name,
        line={"color": colour, "dash": dash, "width": 1.5},
        marker={"symbol": symbol, "size": 7},
        error_y=error_bars(rows[score], rows[ends[0]], rows[ends[1]]),
        hovertemplate=f"%{{x}}: %{{y:.3f}}<extra>{name}</extra>",
    )
