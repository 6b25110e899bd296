"""Plots of shares with intervals and chance levels, used by the figures of errors."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from interp.figures.theme import ACCENT, CATEGORIES, GREY, SYMBOLS, error_bars

SHARE, CHANCE = "given answers", "shuffled among problems"


def beside_chance(
    figure: go.Figure,
    table: pd.DataFrame,
    labels: Sequence[str],
    *,
    across: bool = True,
    row: int = 1,
    col: int = 1,
    legend: bool = True,
    hover: Sequence[str] | None = None,
    most: float = 1.0,
) -> None:
    """Points with intervals for `share`, and open ones for `chance`, one label each.

    `across` puts shares on x and labels on y, else the reverse. `most` is the end of the shares'
    axis. The table has share, low, high, chance, chance_high, hits and n, and if known chance_low.
    """
    place, size = ("y", "x") if across else ("x", "y")
    low = table["chance_low"] if "chance_low" in table else table["chance"]
    for name, value, ends, colour in (
        (CHANCE, table["chance"], (low, table["chance_high"]), GREY),
        (SHARE, table["share"], (table["low"], table["high"]), ACCENT),
    ):
        filled = name == SHARE
        error = error_bars(value, ends[0], ends[1], colour)
        figure.add_trace(
            go.Scatter(
                **{size: value, place: list(labels), f"error_{size}": error},
                mode="markers",
                cliponaxis=False,
                name=name,
                legendgroup=name,
                showlegend=legend,
                marker={
                    "size": 8,
                    "color": colour if filled else "white",
                    "line": {"color": colour, "width": 1.5},
                },
                text=list(hover) if hover is not None else list(labels),
                customdata=table[["hits", "n"]] if filled else None,
                hovertemplate=f"%{{text}}<br>%{{{size}:.1%}}"
                + (" (%{customdata[0]:,} of %{customdata[1]:,})" if filled else "")
                + f"<extra>{name}</extra>",
            ),
            row=row,
            col=col,
        )
    axes = (figure.update_yaxes, figure.update_xaxes)
    labelled, shared = axes if across else axes[::-1]
    labelled(type="category", row=row, col=col)
    shared(range=[-0.02 * most, 1.02 * most], tickformat=".0%", row=row, col=col)


def parts(
    figure: go.Figure,
    tables: dict[str, pd.DataFrame],
    key: str,
    labels: dict[object, str],
    *,
    across: bool = True,
    row: int = 1,
    col: int = 1,
    legend: bool = True,
) -> None:
    """Small points for the shares in parts of the sample; `labels` places the values of `key`."""
    place, size = ("y", "x") if across else ("x", "y")
    for number, (name, table) in enumerate(tables.items(), 1):
        where = [labels[value] for value in table[key]]
        figure.add_trace(
            go.Scatter(
                **{size: table["share"], place: where},
                mode="markers",
                cliponaxis=False,
                name=name,
                legendgroup=name,
                showlegend=legend,
                marker={"size": 5, "color": CATEGORIES[number], "symbol": SYMBOLS[number]},
                text=where,
                customdata=table[["hits", "n"]],
                hovertemplate=f"%{{text}}<br>%{{{size}:.1%}} (%{{customdata[0]:,}} of "
                f"%{{customdata[1]:,}})<extra>{name}</extra>",
            ),
            row=row,
            col=col,
        )
