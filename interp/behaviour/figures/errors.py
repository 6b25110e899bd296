"""Figure of the error taxonomy: kinds and positions of errors."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.behaviour.figures.shares import beside_chance, parts
from interp.behaviour.results.errors import GROUPS, ErrorTaxonomy
from interp.figures.registry import renders
from interp.figures.theme import frame


@renders(ErrorTaxonomy)
def error_taxonomy(result: ErrorTaxonomy) -> go.Figure:
    """Shares by kind on the left, by digit and by position within a token on the right; small
    points for problems with and without an answer longer than every operand."""
    kinds = result.group("all").iloc[::-1]
    digits = result.group("all", "digits").iloc[::-1]
    sides = [("Wrong digits", digits, [f"c{k}" for k in digits["digit"]], "answer digit")]
    if len(result.places):
        places = result.group("all", "places")
        sides.append(("Most significant wrong digit", places, _places(places), "token · place"))
    figure = make_subplots(
        rows=len(sides),
        cols=2,
        specs=[[{"rowspan": len(sides)}, {}], *[[None, {}]] * (len(sides) - 1)],
        column_widths=[0.52, 0.48],
        horizontal_spacing=0.1,
        vertical_spacing=0.26,
        subplot_titles=("Kinds of wrong answers", *(title for title, *_ in sides)),
    )
    names = [str(kind).replace("_", " ") for kind in kinds["kind"]]
    means = [f"<b>{n}</b>: {m}" for n, m in zip(names, kinds["means"], strict=True)]
    beside_chance(figure, kinds, names, hover=means)
    for row, (_, table, labels, axis) in enumerate(sides, 1):
        beside_chance(figure, table, labels, across=False, row=row, col=2, legend=False)
        figure.update_xaxes(title=axis, row=row, col=2)
    groups = [name for name in GROUPS[1:] if (result.kinds["problems"] == name).any()]
    by_kind = {name: result.group(name) for name in groups}
    by_digit = {name: result.group(name, "digits") for name in groups}
    parts(figure, by_kind, "kind", dict(zip(kinds["kind"], names, strict=True)))
    digit_names: dict[object, str] = {k: f"c{k}" for k in digits["digit"]}
    parts(figure, by_digit, "digit", digit_names, across=False, col=2, legend=False)
    figure.update_xaxes(title="share of the wrong answers", row=1, col=1)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="What do its wrong answers look like?",
        caption=result.caption,
        notes=result.notes,
        verdict=result.verdict,
        height=430,
        legend=True,
    )


def _places(places: pd.DataFrame) -> list[str]:
    """Labels of token and position from the left, in order; a too short answer has neither."""
    rows = zip(places["token"], places["place"], strict=True)
    return [f"{token} · {place}" if token else "too short" for token, place in rows]
