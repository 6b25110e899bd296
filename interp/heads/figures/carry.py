"""Figure of the carry verdict: what do answers follow where operands and print disagree?"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders
from interp.figures.theme import CATEGORIES, GREY, error_bars, frame
from interp.heads.results.carry import SOURCES, CarryVerdict

_COLOURS = {"operands": CATEGORIES[0], "print": CATEGORIES[5], "neither": GREY}
_SYMBOLS = {"operands": "circle", "print": "diamond", "neither": "x"}
_AGREE = CATEGORIES[2]


@renders(CarryVerdict)
def carry_verdict(result: CarryVerdict) -> go.Figure:
    """The 2 × 2 of what operands and print say, with controls, beside shares by cascade length."""
    figure = make_subplots(
        cols=2,
        column_widths=[0.56, 0.44],
        horizontal_spacing=0.16,
        subplot_titles=("Operands against print", "By cascade length"),
    )
    _bars(figure, result.frame)
    _lengths(figure, result.by_length)
    figure.update_annotations(font={"size": 13})
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(
        title="share of answers", range=[0, 1], tickvals=[0, 0.5, 1], tickformat=".0%", col=1
    )
    figure.update_yaxes(autorange="reversed", type="category", col=1)
    figure.update_xaxes(title="columns that sum to nine", dtick=1, col=2)
    figure.update_yaxes(range=[-0.03, 1.04], tickvals=[0, 0.5, 1], tickformat=".0%", col=2)
    read = "answer from the lowest digit" if result.least_first else "answer from the highest digit"
    return frame(
        figure,
        title="Does the carry come from the operands or from the digit just printed?",
        caption=f"{result.caption} · {read} · rows: the carry that each says · solid: one "
        "digit forced, dotted: every printed digit that the other carry would change",
        notes=result.notes,
        verdict=result.verdict,
        height=300,
        legend=True,
    )


def _bars(figure: go.Figure, table: pd.DataFrame) -> None:
    """Stacked shares, a bar a cell; where both sources agree, one share for both."""
    cells = table[(table["length"] == "all") & (table["forced"] != "run")].copy()
    cells["kind"] = [
        _kind(row.neighbour, row.forced, row.operands, row.print) for row in cells.itertuples()
    ]
    cells = cells.sort_values(["neighbour", "kind"])
    shown: set[str] = set()
    for row in cells.itertuples():
        agree = row.operands == row.print
        parts = (
            (("both", row.operands_share, _AGREE), ("neither", row.neither_share, GREY))
            if agree
            else tuple((s, getattr(row, f"{s}_share"), _COLOURS[s]) for s in SOURCES)
        )
        for name, share, colour in parts:
            figure.add_bar(
                x=[share],
                y=[f"{row.kind}<br><span style='font-size:10px'>n = {row.n}</span>"],
                orientation="h",
                name="both" if name == "both" else name,
                legendgroup=name,
                showlegend=name not in shown,
                marker={"color": colour},
                hovertemplate=f"{name}: %{{x:.1%}}<extra></extra>",
                text=f"{share:.0%}" if share >= 0.08 else "",
                insidetextanchor="middle",
                textangle=0,
                row=1,
                col=1,
            )
            shown.add(name)


def _kind(neighbour: str, forced: str, operands: int, said: int) -> str:
    if neighbour == "other":
        return f"control {operands}, " + ("forced" if forced != "none" else "as printed")
    return f"operands {operands}, print {said}"


def _lengths(figure: go.Figure, table: pd.DataFrame) -> None:
    for (forced, source), part in table.groupby(["forced", "source"], sort=False):
        dotted = forced == "run"
        figure.add_scatter(
            x=part["length"],
            y=part["share"],
            error_y=error_bars(
                part["share"], part["low"], part["high"], _COLOURS[source], thin=True
            ),
            mode="lines+markers",
            name=source,
            legendgroup=source,
            showlegend=False,
            line={"color": _COLOURS[source], "width": 1.5, "dash": "dot" if dotted else "solid"},
            marker={"symbol": _SYMBOLS[source] + ("-open" if dotted else ""), "size": 8},
            customdata=part["n"],
            hovertemplate=f"{source}, {forced} forced: %{{y:.1%}} (n = %{{customdata}})"
            "<extra></extra>",
            row=1,
            col=2,
        )
