"""Figures of attention trees: operand digits, caches and answer digits in three columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.figures.registry import renders, shows
from interp.figures.theme import ACCENT, CATEGORIES, GREY, INK, PALE, frame, translucent
from interp.heads.results.tree import ROUTES, AttentionTree

_KIND = {"column": CATEGORIES[2], "carry": CATEGORIES[1], "extra": CATEGORIES[5]}
_WORDS = {"column": "i + j = k", "carry": "i + j < k (its carry)", "extra": "i + j > k (extra)"}
_TITLES = {"effect": "By the effect of cuts", "attention": "By attention alone"}
_COLUMN = {"digit": 0.0, "site": 1.0, "answer": 2.0}


@renders(AttentionTree)
def attention_tree(result: AttentionTree) -> go.Figure:
    """All trees by effect in one graph."""
    figure = go.Figure()
    answers = [role for role in result.sites if role in result.asking]  # in order of print
    _draw(figure, result, "effect", answers)
    height = 36 * max(len(_site_rows(result, answers)), sum(result.digits)) + 90
    return _framed(
        figure, result, "Which products are cached where, and which answer digit fetches them?",
        max(380, height),
    )  # fmt: skip


@shows(AttentionTree)
def further(result: AttentionTree) -> Mapping[str, go.Figure]:
    """The tree of each answer digit, by effect beside by attention."""
    return {role: _one(result, role) for role in result.asking}


def _one(result: AttentionTree, role: str) -> go.Figure:
    scores = result.scores[result.scores["answer_digit"] == role].set_index("route")
    below = []
    for route in ROUTES:
        row = scores.loc[route]
        covered = "–" if row.coverage != row.coverage else f"{row.coverage:.0%}"
        random = "–" if row.chance != row.chance else f"{row.chance:.0%}"
        below.append(
            f"{covered} of its column<br>random {random}, {row.extra} extra<br>"
            f"stability {row.stability:.2f} (random {row.stability_random:.2f})"
        )
    titles = [_TITLES[route] for route in ROUTES]
    figure = make_subplots(cols=2, horizontal_spacing=0.06, subplot_titles=titles)
    figure.update_annotations(font={"size": 12})
    most = sum(result.digits)
    for col, route in enumerate(ROUTES, 1):
        _draw(figure, result, route, [role], col=col, legend=col == 1)
        figure.update_xaxes(
            title={"text": below[col - 1], "font": {"size": 10}, "standoff": 2}, col=col
        )
        most = max(most, len(_site_rows(result, [role], route)))
    return _framed(figure, result, f"What does {role} fetch, and from where?", 26 * most + 110)


def _framed(figure: go.Figure, result: AttentionTree, title: str, height: int) -> go.Figure:
    figure.update_xaxes(
        range=[-0.35, 2.35],
        tickvals=list(_COLUMN.values()),
        ticktext=["operands", "caches", "answer"],
        tickangle=0,
        showline=False,
        ticks="",
    )
    figure.update_yaxes(visible=False, range=[-0.06, 1.06])
    s = result.settings
    return frame(
        figure,
        title=title,
        caption=f"{result.caption} · width: attention · an edge counts from attention "
        f"{s['least_attention']:g} and a share {s['least_effect']:g} of the margin",
        notes=result.notes,
        verdict=result.verdict,
        height=height,
        legend=True,
    )


def _draw(
    figure: go.Figure,
    result: AttentionTree,
    route: str,
    answers: Sequence[str],
    *,
    col: int | None = None,
    legend: bool = True,
) -> None:
    where = {} if col is None else {"row": 1, "col": col}
    links = result.links[
        (result.links["route"] == route) & result.links["answer_digit"].isin(answers)
    ]
    m, n = result.digits
    digits = [f"a{i}" for i in reversed(range(m))] + [f"b{j}" for j in reversed(range(n))]
    sites = _site_rows(result, answers, route)
    place = {("digit", name): y for name, y in zip(digits, _spread(len(digits)), strict=True)}
    place |= {("site", name): y for name, y in zip(sites, _spread(len(sites)), strict=True)}
    place |= {("answer", name): y for name, y in zip(answers, _spread(len(answers)), strict=True)}
    _lines(figure, links, result.asking, place, where)
    _nodes(figure, "digit", digits, digits, place, where)
    _nodes(figure, "answer", answers, list(answers), place, where)
    _nodes(figure, "site", sites, [_label(result, s, answers, route) for s in sites], place, where)
    if legend:
        for kind, colour in _KIND.items():
            marker = {"color": colour, "symbol": "square", "size": 10}
            figure.add_scatter(
                x=[None], y=[None], mode="markers", marker=marker, name=_WORDS[kind], **where
            )


def _spread(count: int) -> list[float]:
    return [1 - (i + 0.5) / count for i in range(count)]


def _site_rows(result: AttentionTree, answers: Sequence[str], route: str = "effect") -> list[str]:
    """The sites that cache a product of these trees, in order of print."""
    rows = result.products
    rows = rows[(rows["route"] == route) & rows["answer_digit"].isin(answers)]
    used = set(rows["site"])
    return [site for site in result.sites if site in used]


def _label(result: AttentionTree, site: str, answers: Sequence[str], route: str) -> str:
    """The site's name and its products, coloured by what they are to the answer digit."""
    rows = result.products
    rows = rows[
        (rows["route"] == route) & (rows["site"] == site) & rows["answer_digit"].isin(answers)
    ]
    pairs: dict[tuple[int, int], set[str]] = {}
    for row in rows.itertuples():
        pairs.setdefault((row.i, row.j), set()).add(row.kind)
    shown = []
    for (i, j), kinds in sorted(pairs.items(), key=lambda item: (sum(item[0]), item[0])):
        kind = next(kind for kind in _KIND if kind in kinds)  # the best use of it
        shown.append(f"<span style='color:{_KIND[kind]}'>a{i}b{j}</span>")
    lines = [" ".join(shown[at : at + 8]) for at in range(0, len(shown), 8)]
    return f"<b>{site}</b>: " + "<br>".join(lines)


def _lines(
    figure: go.Figure,
    links: pd.DataFrame,
    asking: Mapping[str, str],
    place: Mapping[tuple[str, str], float],
    where: Mapping[str, int],
) -> None:
    """Edges; the dotted ones lead from a site to the answer digit that it predicts itself."""
    drawn = set()
    for row in links.itertuples():
        ends = (
            (("digit", row.key), ("site", row.query))
            if row.part == "cache"
            else (("site", row.key), ("answer", row.answer_digit))
        )
        if ends in drawn or any(end not in place for end in ends):
            continue
        drawn.add(ends)
        colour = ACCENT if row.part == "cache" else INK
        text = (
            f"{row.query} looks at {row.key} (head {row.head} of layer {row.layer})<br>attention "
            f"{row.attention:.2f}, its cut costs {row.share:.1%} of the margin of "
            f"{row.answer_digit}"
        )
        _line(figure, ends, place, colour, 1 + 4 * row.attention, "solid", text, where)
    for answer, site in asking.items():
        ends = (("site", site), ("answer", answer))
        if all(end in place for end in ends):
            text = f"{site} predicts {answer}: no edge is needed"
            _line(figure, ends, place, GREY, 1.5, "dot", text, where)


def _line(
    figure: go.Figure,
    ends: tuple[tuple[str, str], tuple[str, str]],
    place: Mapping[tuple[str, str], float],
    colour: str,
    width: float,
    dash: str,
    text: str,
    where: Mapping[str, int],
) -> None:
    figure.add_scatter(
        x=[_COLUMN[kind] for kind, _ in ends],
        y=[place[end] for end in ends],
        mode="lines",
        line={"color": translucent(colour, 0.45), "width": width, "dash": dash},
        hoverinfo="text",
        text=text,
        showlegend=False,
        **where,
    )


def _nodes(
    figure: go.Figure,
    kind: str,
    names: Sequence[str],
    labels: Sequence[str],
    place: Mapping[tuple[str, str], float],
    where: Mapping[str, int],
) -> None:
    figure.add_scatter(
        x=[_COLUMN[kind]] * len(names),
        y=[place[kind, name] for name in names],
        mode="markers",
        marker={"size": 11, "color": PALE, "line": {"color": INK, "width": 1}},
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
        **where,
    )
    side = {
        "digit": {"xanchor": "right", "xshift": -8},
        "site": {"yanchor": "bottom", "yshift": 6},
        "answer": {"xanchor": "left", "xshift": 8},
    }[kind]
    # Annotations, since they alone have a ground: lines would cross the letters.
    for name, label in zip(names, labels, strict=True):
        figure.add_annotation(
            x=_COLUMN[kind], y=place[kind, name], text=label, showarrow=False,
            font={"size": 11}, bgcolor="rgba(255,255,255,0.85)", borderpad=0, **side, **where,
        )  # fmt: skip
