"""A figure on a page: in the dark theme its numbers stay, and every cell can be clicked."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from app.cells import clickable, in_dark
from interp.figures.theme import INK


def test_a_dark_figure_keeps_its_numbers_and_can_be_clicked() -> None:
    """Plotly writes arrays as base64, which the squares over the cells must read."""
    z = np.arange(6.0).reshape(2, 3)
    figure = go.Figure(go.Heatmap(z=z, x=list("abc"), y=list("pq")))
    figure.update_layout(font={"color": INK})
    dark = in_dark(figure)
    assert np.array_equal(np.asarray(dark.data[0].z, dtype=float), z)
    assert dark.layout.font.color != INK
    squares = clickable(dark).data[-1]
    assert list(squares.text) == [f"{r}, {c}: {z[i, j]:.3g}" for i, r in enumerate("pq")
                                  for j, c in enumerate("abc")]  # fmt: skip
