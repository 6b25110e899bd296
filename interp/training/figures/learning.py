"""Figures of learning: gradient norms, losses by digit and by subtask class, over the steps."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders
from interp.figures.theme import CATEGORIES, GREY, MAGNITUDE, frame
from interp.training.results.learning import DigitLosses, TrainingDynamics

MANY = len(CATEGORIES)
"""Lines of a panel beyond which those that are learnt from the start are grey, with one entry in
the legend."""

DASHES = ("solid", "dash", "dot")
"""Line dashes: beyond eight lines the colours repeat, dashed."""

_ROWS = {
    "gradients": 190, "digits": 230, "tasks": 230, "classes": 230, "accuracies": 190, "totals": 190,
}  # fmt: skip
_GAP = 48  # pixels between panels, for axis title and legend
_SMALLEST = 0.1  # gradient norms below it share the darkest colour, as in the paper


@renders(TrainingDynamics)
def training_dynamics(result: TrainingDynamics) -> go.Figure:
    """Stacked panels over the same steps: gradient norms by digit, loss by digit, loss by class,
    and total loss on training and held-out problems. For answers of one token (`delayed`) total
    accuracy replaces the loss by digit."""
    panels = _panels(result)
    heights = [_ROWS[name] for name in panels]
    total = sum(heights) + _GAP * (len(panels) - 1)
    figure = make_subplots(
        rows=len(panels),
        shared_xaxes="all",
        row_heights=heights,
        vertical_spacing=_GAP / total if len(panels) > 1 else 0,
    )
    for row, name in enumerate(panels, 1):
        if name == "gradients":
            _gradients(figure, result, row)
        elif name in ("totals", "accuracies"):
            measure = {"totals": "loss", "accuracies": "accuracy"}[name]
            _totals(figure, result, measure, row, _top(heights, row, total))
        else:
            kind = {"digits": "digit", "tasks": "task", "classes": "class"}[name]
            _losses(figure, result, kind, row, _top(heights, row, total))
    figure.update_xaxes(showticklabels=True)
    figure.update_xaxes(title="training step", row=len(panels))
    return frame(
        figure,
        title="When was it learnt, and when did it generalise?"
        if result.delayed
        else "In which order was it learnt?",
        caption=f"{result.caption} · ▾ learnt{_before(result.curves)}",
        notes=result.notes,
        verdict=result.verdict,
        height=total,
    )


@renders(DigitLosses)
def digit_losses(result: DigitLosses) -> go.Figure:
    """One panel a model with the loss of each answer digit; a digit has one colour throughout."""
    digits = _in_order(result.curves["group"])
    titles = [_titled(*pair) for pair in zip(result.models, result.exact, strict=True)]
    columns = min(3, len(result.models))
    rows = -(-len(result.models) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes=True,
        subplot_titles=titles,
        horizontal_spacing=0.04,
        vertical_spacing=0.22 / rows if rows > 1 else 0,
    )
    for at, model in enumerate(result.models):
        part = result.curves[result.curves["model"] == model]
        table = part.pivot(index="step", columns="group", values="loss")
        order = result.order[result.order["model"] == model].set_index("group")
        row, col = at // columns + 1, at % columns + 1
        for group in [digit for digit in digits if digit in table]:
            number = digits.index(group)
            line = _line(table[group], group, number, order["learnt_at"].get(group, np.nan))
            line.showlegend, line.legendgroup = False, group
            figure.add_trace(line, row=row, col=col)
        figure.update_xaxes(title="training step", row=row, col=col)
    for number, group in enumerate(digits):  # one legend for all panels
        figure.add_trace(
            go.Scatter(
                x=[None],
                y=[None],
                mode="lines",
                name=group,
                legendgroup=group,
                line=_stroke(number),
            )
        )
    figure.update_yaxes(title="loss (nats)", col=1)
    figure.update_yaxes(range=[-0.05, 2.8])
    figure.update_layout(legend={"title": {"text": "answer digit<br>(index 0 least)"}})
    if before := _before(result.curves):
        figure.add_vline(x=0, line={"color": GREY, "width": 1})
    if chance := not any("[" in digit for digit in digits):  # a token a digit
        figure.add_hline(y=np.log(10), line={"color": GREY, "width": 1, "dash": "dot"})
    return frame(
        figure,
        title="Which answer digits does each model learn, and when?",
        caption=f"{result.caption} · ▾ learnt"
        f"{' · dotted: chance, ln 10' if chance else ''}{before}",
        notes=result.notes,
        verdict=result.verdict,
        height=270 * rows,
    )


def _panels(result: TrainingDynamics) -> list[str]:
    """The names of a log's panels: gradients and classes may be missing; an adapter has tasks."""
    kinds = set(result.curves["kind"])
    panels = ["gradients"] if not result.wide("grad_norm", "digit").empty else []
    panels += [
        name
        for name, kind in (("digits", "digit"), ("tasks", "task"), ("classes", "class"))
        if kind in kinds
    ]
    if result.delayed:
        panels[panels.index("digits")] = "accuracies"
    return [*panels, "totals"]


def _gradients(figure: go.Figure, result: TrainingDynamics, row: int) -> None:
    """Heat map of |g_k| on a logarithmic scale, the most significant digit on top."""
    table = result.wide("grad_norm", "digit")
    values = table.to_numpy().T
    top = max(float(np.nanmax(values)), 10 * _SMALLEST)
    ticks = _decades(_SMALLEST, top)
    figure.add_trace(
        go.Heatmap(
            z=np.log10(np.maximum(values, _SMALLEST)),
            x=table.index,
            y=list(table.columns),
            customdata=[
                [f"{digit}, step {step:,}: gradient norm {norm:.3g}" for step, norm in row.items()]
                for digit, row in table.items()
            ],
            hovertemplate="%{customdata}<extra></extra>",
            colorscale=MAGNITUDE,
            zmin=np.log10(_SMALLEST),
            zmax=np.log10(top),
            colorbar={
                "title": {"text": "gradient<br>norm", "side": "top"},
                "tickvals": np.log10(ticks),
                "ticktext": [f"{tick:g}" for tick in ticks],
                "thickness": 12,
                "outlinewidth": 0,
                "len": _share(figure, row),
                "y": _middle(figure, row),
            },
        ),
        row=row,
        col=1,
    )
    figure.update_yaxes(title="answer digit", type="category", row=row, col=1)


def _losses(
    figure: go.Figure, result: TrainingDynamics, kind: str, row: int, legend_top: float
) -> None:
    """One line a group, with a mark where it was learnt; the legend beside the panel."""
    table = result.wide("loss", kind)
    learnt = result.order[result.order["kind"] == kind].set_index("group")["learnt_at"]
    flat = [group for group in table.columns if learnt.get(group, np.nan) == table.index[0]]
    flat = flat if len(table.columns) > MANY else []
    for number, group in enumerate([*(g for g in table.columns if g not in flat), *flat]):
        line = _line(table[group], str(group), number, learnt.get(group, np.nan))
        line.legend = _legend(row)
        if group in flat:
            line.line, line.marker.size = {"color": GREY, "width": 1}, 0
            line.legendgroup, line.showlegend = "from the start", group == flat[0]
            if group == flat[0]:
                line.name = f"{len(flat)} learnt by the<br>first logged step"
        figure.add_trace(line, row=row, col=1)
    title = {"digit": "answer digit", "class": "subtask", "task": "task"}[kind]
    where = {"train": "training", "validation": "held out"}[result.split_of(kind)]
    _place_legend(figure, row, legend_top, f"{title}<br>({where})")
    figure.update_yaxes(title="loss (nats)", rangemode="tozero", row=row, col=1)


def _totals(
    figure: go.Figure, result: TrainingDynamics, measure: str, row: int, legend_top: float
) -> None:
    """Total loss on a logarithmic scale, or total accuracy, on training and held-out problems, with
    a mark at the step at which it is learnt.

    The training curve is the training loss; it has no mark if that is another quantity.
    """
    for number, split in enumerate(result.splits):
        rows = result.totals[result.totals["split"] == split].set_index("step")
        name = "training" if split == "train" else "held out"
        told = split == "validation" or result.same_quantity
        learnt_at = result.whole_learnt_at(split) if told else np.nan
        line = _line(rows[measure], name, number, learnt_at, " nats" if measure == "loss" else "")
        line.legend = _legend(row)
        figure.add_trace(line, row=row, col=1)
    title = "whole" if result.same_quantity else "whole (training:<br>what is minimised)"
    _place_legend(figure, row, legend_top, title)
    axes: dict[str, dict[str, object]] = {
        "loss": {"title": "loss (nats)", "type": "log", "exponentformat": "power", "nticks": 6},
        "accuracy": {"title": "accuracy", "range": [-0.03, 1.03]},
    }
    figure.update_yaxes(**axes[measure], row=row, col=1)


def _legend(row: int) -> str:
    return "legend" if row == 1 else f"legend{row}"


def _place_legend(figure: go.Figure, row: int, top: float, title: str) -> None:
    """Place the legend beside the panel's upper end."""
    place = {"x": 1.01, "xanchor": "left", "y": top, "yanchor": "top"}
    figure.update_layout({_legend(row): {**place, "title": {"text": title}, "tracegroupgap": 0}})


def _line(
    values: pd.Series, group: str, number: int, learnt_at: float, unit: str = " nats"
) -> go.Scatter:
    """Draw the curve, with a mark at the step at which it counts as learnt."""
    known = values.dropna()
    marked: npt.NDArray[np.int64] = np.where(known.index == learnt_at, 11, 0)
    name = group.removeprefix("class:")
    return go.Scatter(
        x=known.index,
        y=known,
        mode="lines+markers",
        name=name,
        line=_stroke(number),
        marker={"symbol": "triangle-down", "size": marked, "opacity": 1, "line": {"width": 0}},
        hovertemplate=f"<b>{name}</b>, step %{{x:,}}: %{{y:.4g}}{unit}<extra></extra>",
    )


def _stroke(number: int) -> dict[str, object]:
    turn, colour = divmod(number, len(CATEGORIES))
    return {"color": CATEGORIES[colour], "width": 1.8, "dash": DASHES[turn % len(DASHES)]}


def _in_order(groups: Sequence[str] | pd.Series) -> list[str]:
    """The digits from the least significant on; a sign last."""
    return sorted(set(groups), key=lambda group: (group == "sign", len(group), group))


def _titled(model: str, exact: float | None) -> str:
    return model if exact is None else f"{model}: {exact:.4g} exact"


def _decades(low: float, high: float) -> npt.NDArray[np.float64]:
    return 10.0 ** np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)


def _top(heights: list[int], row: int, total: int) -> float:
    """Height of a panel's upper edge, as a share of the plot's height."""
    return 1 - (sum(heights[: row - 1]) + _GAP * (row - 1)) / total


def _domain(figure: go.Figure, row: int) -> tuple[float, float]:
    low, high = figure.layout["yaxis" if row == 1 else f"yaxis{row}"].domain
    return float(low), float(high)


def _share(figure: go.Figure, row: int) -> float:
    low, high = _domain(figure, row)
    return high - low


def _middle(figure: go.Figure, row: int) -> float:
    return sum(_domain(figure, row)) / 2


def _before(curves: pd.DataFrame) -> str:
    """The caption's note on steps below 0, "" where there are none."""
    return " · steps below 0: of what it was started from" if (curves["step"] < 0).any() else ""
