"""Figure of the Number Cookbook: three scores, task × digit length."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.matrix import heatmap, outline
from interp.figures.registry import renders
from interp.figures.theme import frame
from interp.suites.number_cookbook.scores import WELL_LEARNED
from interp.suites.results.cookbook import SCORES, CookbookScores

_TITLES = ("exact match", "digit match", "length difference")


@renders(CookbookScores)
def cookbook(result: CookbookScores) -> go.Figure:
    """A heat map for each score; frames mark lengths that the benchmark calls well learned."""
    tasks = list(dict.fromkeys(result.lengths["task"]))
    lengths = sorted(set(result.lengths["length"]))
    figure = make_subplots(
        cols=3, shared_yaxes=True, horizontal_spacing=0.1, subplot_titles=_TITLES
    )
    for col, score in enumerate(SCORES, 1):
        table = result.lengths.pivot(index="task", columns="length", values=score)
        values = table.reindex(index=tasks, columns=lengths).to_numpy(float)
        text = np.vectorize(lambda v: "" if np.isnan(v) else f"{v:.2f}", otypes=[object])(values)
        figure.add_trace(
            heatmap(
                values,
                [str(length) for length in lengths],
                tasks,
                scale=_scale(score, values),
                bar={"x": _BARS[col - 1], "thickness": 8},
                text=text,
                hover=_hover(result, score, tasks, lengths),
            ),
            row=1,
            col=col,
        )
        passed = values <= WELL_LEARNED[score] if col == 3 else values >= WELL_LEARNED[score]
        outline(figure, passed, row=1, col=col)
        figure.update_xaxes(title="digits", type="category", row=1, col=col)
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="How far does it know numbers?",
        caption=f"{result.caption} · framed: well learned",
        notes=result.notes,
        verdict=result.verdict,
        height=max(200, 26 * len(tasks) + 60),
    )


_BARS = (0.27, 0.635, 1.0)


def _scale(score: str, values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, object]:
    """The colour scale of a score, bright at its best value: 1 for matches, 0 for the length
    difference."""
    if score != "length_difference":
        return {"colorscale": "cividis", "zmin": 0.0, "zmax": 1.0}
    known = values[np.isfinite(values)]
    top = max(1.0, float(known.max())) if known.size else 1.0
    return {"colorscale": "cividis_r", "zmin": 0.0, "zmax": top}


def _hover(
    result: CookbookScores, score: str, tasks: list[str], lengths: list[int]
) -> np.ndarray[Any, np.dtype[np.object_]]:
    hover = np.full((len(tasks), len(lengths)), "", dtype=object)
    for cell in result.lengths.to_dict("records"):
        low, high = cell[f"{score}_low"], cell[f"{score}_high"]
        hover[tasks.index(cell["task"]), lengths.index(cell["length"])] = (
            f"<b>{cell['task']}, {cell['length']} digits</b><br>{score.replace('_', ' ')} "
            f"{cell[score]:.3f} [{low:.3f}, {high:.3f}]<br>n {cell['n']:,}, "
            f"readable {cell['parsed']:.0%}"
        )
    return hover
