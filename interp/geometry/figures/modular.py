"""Figures of the modular-addition suite: by which waves does it add?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import Figures, renders, shows
from interp.figures.theme import ACCENT, CATEGORIES, GREY, MAGNITUDE, PALE, frame
from interp.geometry.results.modular import PUBLISHED, ModularAnalysis

_LEAST_SHARE = 1e-4  # black in the figure
_AXES = {
    "embedding": "share of the power of W_E",
    "unembedding": "share of the power of W_L = W_U W_out",
    "neurons": "neurons with this best frequency",
    "logits": "cosine of the logits with cos w(a + b − c)",
}


@renders(ModularAnalysis)
def modular(result: ModularAnalysis) -> go.Figure:
    """Strength of each frequency under every rule, key frequencies in colour, with thresholds."""
    rules = list(dict.fromkeys(result.rules["rule"]))
    figure = make_subplots(
        rows=2, cols=2, subplot_titles=[_title(result, rule) for rule in rules],
        vertical_spacing=0.2, horizontal_spacing=0.1,
    )  # fmt: skip
    for i, rule in enumerate(rules):
        own = result.rules[result.rules["rule"] == rule]
        row, col = i // 2 + 1, i % 2 + 1
        figure.add_bar(
            x=own["frequency"],
            y=own["strength"],
            marker={"color": [ACCENT if kept else GREY for kept in own["kept"]]},
            hovertemplate="frequency %{x}: %{y:.4g}<extra></extra>",
            showlegend=False,
            row=row,
            col=col,
        )
        figure.add_hline(
            y=float(own["threshold"].iloc[0]), line={"dash": "dot", "width": 1, "color": GREY},
            row=row, col=col,
        )  # fmt: skip
        figure.update_yaxes(title={"text": _AXES[rule], "font": {"size": 11}}, row=row, col=col)
        figure.update_xaxes(title="frequency k", row=row, col=col)
    figure.update_annotations(font={"size": 13})
    return frame(
        figure,
        title="By which waves does it add?",
        caption=f"{result.caption} · coloured: kept by the rule; dashed line: its threshold",
        notes=result.notes,
        verdict=result.verdict,
        height=560,
    )


@shows(ModularAnalysis)
def modular_parts(result: ModularAnalysis) -> Figures:
    """Neuron clusters, right logits by a + b and a − b, losses, and published numbers."""
    parts = {"neurons": _neurons(result)}
    if len(result.pairs):
        parts["pairs"] = _pairs(result)
    return parts | {
        "correct": _correct(result),
        "losses": _losses(result),
        "published": _published(result),
    }


def _pairs(result: ModularAnalysis) -> go.Figure:
    """Share of the variance by the frequencies of a and of b, on a logarithmic scale."""
    named = list(dict.fromkeys(result.pairs["object"]))
    metrics = result.metrics
    titles = [
        f"{name}: {100 * metrics[f'{name}_same_frequency']:.1f} % at one frequency"
        for name in named
    ]
    figure = make_subplots(cols=len(named), subplot_titles=titles, horizontal_spacing=0.12)
    for col, name in enumerate(named, 1):
        own = result.pairs[result.pairs["object"] == name]
        table = own.pivot(index="a", columns="b", values="share").to_numpy(float)
        figure.add_heatmap(
            z=np.log10(np.maximum(table, _LEAST_SHARE)), customdata=table,
            zmin=np.log10(_LEAST_SHARE), zmax=0, colorscale=MAGNITUDE,
            showscale=col == len(named),
            colorbar={"thickness": 12, "outlinewidth": 0, "title": {"text": "share"},
                      "tickvals": [0, -1, -2, -3, -4], "ticktext": ["1", "0.1", "0.01", "0.001",
                                                                    "10⁻⁴"]},
            hovertemplate="k of a %{y}, k of b %{x}: %{customdata:.3g}<extra></extra>",
            row=1, col=col,
        )  # fmt: skip
        figure.update_yaxes(title="frequency of a", autorange="reversed", row=1, col=col)
        figure.update_xaxes(title="frequency of b", row=1, col=col)
    return frame(
        figure,
        title="Which frequencies do a and b have together?",
        caption=f"{result.caption} · share of the variance over all pairs; the diagonal holds the "
        "waves of a + b and a − b, the edges those of one operand alone",
        notes=result.notes,
        height=420,
    )


def _title(result: ModularAnalysis, rule: str) -> str:
    row = result.margins.set_index("rule").loc[rule]
    keys = row["keys"].split()
    said = f"keys {row['keys']}" if 0 < len(keys) <= 8 else f"{len(keys)} keys"
    margin = row["margin"]
    known = "no other" if np.isinf(margin) else f"margin {_rounded(margin)}"
    known = known if margin == margin else ""
    return f"{rule}: {said}{', ' + known if known else ''}"


def _rounded(margin: float) -> str:
    """Three digits, thousands in full: 3.79, 1,390."""
    return f"{margin:,.0f}" if margin >= 100 else f"{margin:.3g}"


def _neurons(result: ModularAnalysis) -> go.Figure:
    figure = go.Figure()
    table = result.neurons[result.neurons["frequency"] > 0]
    counts = table["frequency"].value_counts()
    named = list(counts.index[: len(CATEGORIES) - 1])
    groups = [(f"k = {k}", table[table["frequency"] == k]) for k in sorted(named)]
    groups.append(("other", table[~table["frequency"].isin(named)]))
    for i, (name, own) in enumerate(group for group in groups if len(group[1])):
        figure.add_histogram(
            x=own["explained"],
            xbins={"start": 0, "end": 1, "size": 0.02},
            name=f"{name} ({len(own)})",
            marker={"color": CATEGORIES[i] if name != "other" else PALE},
        )
    control = result.value("neurons_explained_shuffled")
    figure.add_vline(x=0.85, line={"dash": "dot", "width": 1, "color": GREY})
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="share of variance explained by the best frequency", range=[0, 1])
    figure.update_yaxes(title="neurons")
    share = result.value("neurons_one_frequency")
    return frame(
        figure,
        title="Does each neuron compute one frequency?",
        caption=f"{result.caption} · dotted: 85 % · pairs in random order: at most "
        f"{control:.2g} explained",
        verdict=f"{100 * share:.1f} % of the neurons have over 85 % of their variance at one "
        "frequency.",
        legend=True,
    )


def _correct(result: ModularAnalysis) -> go.Figure:
    figure = go.Figure(
        go.Heatmap(
            z=result.correct,
            colorscale=MAGNITUDE,
            colorbar={"thickness": 12, "outlinewidth": 0, "title": {"text": "logit"}},
            hovertemplate="a + b = %{y}, a − b = %{x}: %{z:.3g}<extra></extra>",
        )
    )
    figure.update_xaxes(title="a − b mod p")
    figure.update_yaxes(title="a + b mod p", scaleanchor="x")
    numbers = {row.measure: row for row in result.measures.itertuples()}
    irrelevance, symmetry = numbers["distance_irrelevance"], numbers["gradient_symmetricity"]
    return frame(
        figure,
        title="Does the right logit depend on the distance of the operands?",
        caption=f"{result.caption} · distance irrelevance {irrelevance.value:.3f} (1 without "
        f"structure) · gradient symmetricity {symmetry.value:.3f} ± {symmetry.error:.3f} (random "
        f"embeddings {symmetry.chance:.3f})",
        notes=result.notes,
        height=560,
    )


def _losses(result: ModularAnalysis) -> go.Figure:
    table = result.losses
    names = [_loss_name(row) for row in table.itertuples()]
    colours = {"full": GREY, "restricted": CATEGORIES[2], "excluded": CATEGORIES[5]}
    figure = go.Figure(
        go.Bar(
            x=table["loss"],
            y=names,
            orientation="h",
            marker={"color": [colours[measure] for measure in table["measure"]]},
            hovertemplate="%{y}: %{x:.4g} nats<extra></extra>",
        )
    )
    chance = float(np.log(result.settings["modulus"]))
    figure.add_vline(x=chance, line={"dash": "dot", "color": GREY})
    figure.update_xaxes(title="loss (nats)", type="log", exponentformat="power")
    figure.update_yaxes(autorange="reversed")
    return frame(
        figure,
        title="What do the key waves do for the loss?",
        caption=f"{result.caption} · dotted: a uniform guess, ln p",
        notes=result.notes,
        height=28 * len(table) + 60,
    )


def _loss_name(row: object) -> str:
    found = {name: getattr(row, name) for name in ("measure", "where", "frequencies", "split")}
    which = f" {found['frequencies']}" if found["frequencies"] else ""
    return f"{found['measure']}{which} · {found['where']} · {found['split']}"


def _published(result: ModularAnalysis) -> go.Figure:
    """This model's numbers beside those of published models."""
    own = pd.DataFrame(
        [
            (measure, result.value(measure), result.model.name if result.model else "this model")
            for measure in dict.fromkeys(PUBLISHED["measure"])
        ],
        columns=["measure", "published", "source"],
    )
    figure = go.Figure()
    for name, table, colour, symbol in (
        ("published, other models", PUBLISHED, GREY, "circle-open"),
        (own["source"].iloc[0], own, ACCENT, "diamond"),
    ):
        figure.add_scatter(
            x=table["published"],
            y=table["measure"].str.replace("_", " "),
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 10},
            text=table["source"],
            hovertemplate="%{text}: %{x:.4f}<extra></extra>",
        )
    figure.update_xaxes(title="value", range=[0, 1.02])
    figure.update_yaxes(autorange="reversed")
    return frame(
        figure,
        title="How do its numbers compare with published models?",
        caption=f"{result.caption} · other seeds, sizes and weight decays: no number must agree",
        height=300,
        legend=True,
    )
