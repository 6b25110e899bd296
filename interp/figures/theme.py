"""Theme of every figure: typeface, accent, colour scales by kind of number.

magnitudes      cividis, from dark (nothing) to bright
signed effects  red–blue, centred at zero
categories      Okabe–Ito, distinct to colour-blind readers and in print
digits 0–9      a cyclic scale, since 9 is next to 0
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.express.colors import cyclical
from plotly.express.colors import sample_colorscale as _sample

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
INK, GREY, PALE = "#1a1a1a", "#6b6b6b", "#e6e6e6"
ACCENT = "#0072B2"
MAGNITUDE = "cividis"
SIGNED = "RdBu"
CATEGORIES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#000000",
)
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "pentagon")
"""Marker symbols beside CATEGORIES, so that lines differ without colour."""
DIGITS = tuple(_sample(cyclical.Phase, [i / 10 for i in range(10)]))

WIDTH = 900
_TITLE, _SMALL, _TINY = 17, 12, 11
_LINE, _LEGEND = 15, 26  # pixels of a small line of text, and of a line of legend
_LEFT, _RIGHT = 70, 24  # margins in pixels, before the labels of rows
_CHARACTER = 5.75  # pixels of a character of small text, on average; bold takes an eighth more

_AXIS = {
    "showgrid": False,
    "zeroline": False,
    "linecolor": GREY,
    "ticks": "outside",
    "tickcolor": GREY,
    "ticklen": 4,
    "automargin": True,
    "title": {"standoff": 8, "font": {"size": 13}},
}

TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "colorway": list(CATEGORIES),
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {"bgcolor": "rgba(0,0,0,0)", "font": {"size": _SMALL}},
        "hoverlabel": {"font": {"family": FONT, "size": _SMALL}, "bgcolor": "white"},
        "title": {"x": 0, "xref": "paper", "xanchor": "left"},
    }
)


def frame(
    figure: go.Figure,
    *,
    title: str,
    caption: str,
    notes: tuple[str, ...] = (),
    verdict: str | None = None,
    height: int = 420,
    legend: bool = False,
) -> go.Figure:
    """Put the question above the figure; verdict, caption and limits ("Does not show") below.

    `height` is that of the plot itself, in pixels; text adds to it. `legend` lays the legend out in
    a line of its own under the title. Returns the same figure.
    """
    left = _left(figure)
    width = WIDTH - left - _RIGHT
    lines = _wrapped(f"<b>{verdict}</b>" if verdict else "", width) + _wrapped(caption, width)
    if notes:
        lines += _wrapped(f"Does not show {'; nor '.join(notes)}.", width)
    top, bottom = 60 + _LEGEND * legend, 70 + _LINE * len(lines)
    figure.update_layout(
        template=TEMPLATE,
        title={"text": title, "font": {"size": _TITLE}, "y": 1, "yref": "container"},
        width=WIDTH,
        height=height + top + bottom,
        margin={"t": top, "b": bottom, "l": left, "r": _RIGHT},
    )
    figure.update_layout(title={"pad": {"t": 16}, "yanchor": "top"})
    if legend:
        line = {"orientation": "h", "x": 0, "xanchor": "left", "yanchor": "top"}
        where = {"y": 1 - 40 / figure.layout.height, "yref": "container"}
        figure.update_layout(legend={**line, **where})
    figure.add_annotation(
        text=escape_math("<br>".join(lines)),
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        yshift=-bottom + 8,
        xanchor="left",
        yanchor="bottom",
        align="left",
        showarrow=False,
        font={"size": _TINY, "color": GREY},
    )
    return figure


def is_caption(note: Any) -> bool:
    """Whether an annotation is the text below a figure."""
    return bool(note.yref == "paper" and note.y == 0 and note.yanchor == "bottom")


def caption_of(figure: go.Figure) -> str:
    """Caption of a figure that `frame` finished: what was measured and how to read it."""
    lines = [line for note in filter(is_caption, figure.layout.annotations)
             for line in str(note.text).split("<br>")]  # fmt: skip
    plain = " ".join(line for line in lines if not line.startswith("<b"))
    return plain.partition("Does not show ")[0].strip()


def unframed(figure: go.Figure) -> go.Figure:
    """A copy without the text below it, for a page that prints the text itself."""
    copy = go.Figure(figure)
    below = [note for note in copy.layout.annotations if is_caption(note)]
    freed = _LINE * sum(len(str(note.text).split("<br>")) for note in below)
    copy.layout.annotations = [note for note in copy.layout.annotations if not is_caption(note)]
    if freed:
        copy.layout.height -= freed
        copy.layout.margin.b -= freed
    return copy


def signed_range(values: npt.NDArray[np.float64]) -> dict[str, object]:
    """Colour axis of signed effects: red–blue, centred at zero."""
    largest = _largest(np.abs(values))
    return {"colorscale": SIGNED, "zmin": -largest, "zmax": largest}


def magnitude_range(values: npt.NDArray[np.float64], top: float | None = None) -> dict[str, object]:
    """Colour axis of magnitudes: cividis from 0 to the maximum, or to `top`."""
    return {"colorscale": MAGNITUDE, "zmin": 0.0, "zmax": _largest(values) if top is None else top}


def error_bars(
    value: Any, low: Any, high: Any, colour: str | None = None, *, thin: bool = False
) -> dict[str, Any]:
    """Plotly's error bars from `low` to `high`, columns or arrays like `value`; `thin` for many
    in a row."""
    return {
        "type": "data",
        "symmetric": False,
        "array": high - value,
        "arrayminus": value - low,
        "thickness": 1 if thin else 1.2,
        "width": 2 if thin else 3,
        **({} if colour is None else {"color": colour}),
    }


def escape_math(text: str) -> str:
    """The text with its dollars as entities: Plotly sends what stands between two to MathJax."""
    return text.replace("$", "&#36;")


def translucent(colour: str, alpha: float) -> str:
    """Convert a hex colour to rgba, for bands."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def _largest(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if known.size and known.max() > 0 else 1.0


def _left(figure: go.Figure) -> int:
    """The left margin in pixels, with room for the row labels of the first y-axis: plotly would
    widen it by itself, and push the text below the figure out of its right edge."""
    labels = [
        str(label)
        for trace in figure.data
        if getattr(trace, "yaxis", None) in (None, "y") and getattr(trace, "y", None) is not None
        for label in trace.y
        if isinstance(label, str)
    ]
    labels += [str(label) for label in figure.layout.yaxis.ticktext or ()]
    lines = [re.sub("<[^>]*>", "", line) for label in labels for line in label.split("<br>")]
    size = figure.layout.yaxis.tickfont.size or 13
    title = 24 if figure.layout.yaxis.title.text else 0
    wanted = round(0.61 * size * max(map(len, lines), default=0)) + 12 + title
    return min(max(_LEFT, wanted), WIDTH // 2)  # the other half is for the plot and its caption


def _wrapped(text: str, width: float) -> list[str]:
    bold = text.startswith("<b>")
    plain = text.removeprefix("<b>").removesuffix("</b>")
    lines = textwrap.wrap(plain, int(width / (_CHARACTER * (1 + bold / 8))))
    ink = f"<b style='color:{INK}'>"
    return [f"{ink}{line}</b>" for line in lines] if bold else lines
