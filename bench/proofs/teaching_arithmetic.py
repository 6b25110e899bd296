"""How many examples does a format need? The runs of `interp.training.teaching` and their curves.

    python -m bench.proofs.teaching_arithmetic             the table; tables and figure of the page
    python -m bench.proofs.teaching_arithmetic --run-all   all runs; after a kill it goes on

From the root of a clean checkout, on one thread. Models lie in `runs/NAME`; of each run only card
and log come to `fixtures/teaching/NAME`. Accuracy is that of free greedy decoding on 2,000 held-out
sums, in which a model writes its own scratchpad; the runs with random blanks are also asked sums of
one digit more than they were trained on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

import interp
from bench.harness import record
from bench.pages import filled, table
from bench.proofs.kept_runs import ROOT, Place, command
from interp.figures.export import pictures
from interp.figures.theme import CATEGORIES, SYMBOLS, error_bars, frame
from interp.models.fixtures import fixtures_root
from interp.results.atomic import write_atomic
from interp.training import Recipe, teaching
from interp.training.export_model import LOG

N = 2000
PAGE = ROOT / "docs" / "sample-size.md"
LEARNT, LAST = 0.99, 3
PUBLISHED = {  # share, by format and number of examples: 2307.03381, three-digit sums
    "plain": {10_000: 0.8718},
    "reversed": {2_500: 1.0},
    "scratchpad": {2_000: 1.0},
}


def decoded(recipe: Recipe, folder: Path) -> Mapping[str, Any]:
    """Accuracy by greedy decoding; the runs with room for it are asked one digit more as well."""
    model = interp.load(str(folder))
    tasks = [recipe.task] + (["add:4"] if recipe.n_ctx else [])
    return {"decoded": {name: _accuracy(model, name, recipe) for name in tasks}}


def _accuracy(model: Any, task: str, recipe: Recipe) -> dict[str, float]:
    found = interp.behaviour.accuracy(
        model, task, n=N, format=recipe.format, seed=recipe.seed + 10**6, strict=False
    )
    m = found.metrics
    return {
        "share": m["exact_accuracy"], "low": m["exact_accuracy_low"],
        "high": m["exact_accuracy_high"], "n": found.n, "readable": m["readable"],
    }  # fmt: skip


def curves(place: Place) -> pd.DataFrame:
    """One row a run that has ended: format, examples, seed, accuracy with its interval and n, and
    `trained`, the share right in the last training batches, teacher-forced."""
    rows = []
    for name, recipe in teaching.RUNS.items():
        card = place.card(name)
        if card is None:
            continue
        form, trained = name.split("-")[1], _trained(place.kept / name / LOG)
        for task, found in card["design"]["decoded"].items():
            rows.append((form, recipe.fixed_rows, recipe.seed, task, *found.values(), trained))
    columns = ["format", "examples", "seed", "task", "share", "low", "high", "n", "readable",
               "trained"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _trained(log: Path) -> float:
    """Share of rows answered right in the last batches that a run logged; NaN without a log."""
    if not log.is_file():
        return math.nan
    rows = pd.read_parquet(log)
    rows = rows[(rows["split"] == "train") & (rows["group"] == "total")].sort_values("step")
    return float(rows["accuracy"].tail(LAST).mean())


def figure(found: pd.DataFrame) -> go.Figure:
    """Accuracy by number of examples: the seeds as points, a line through their medians."""
    drawn = go.Figure()
    for form, colour, symbol in zip(teaching.FORMATS, CATEGORIES, SYMBOLS, strict=False):
        rows = found[(found["format"] == form) & (found["task"] == "add:3")]
        middle = rows.groupby("examples")["share"].median()
        drawn.add_scatter(
            x=rows["examples"], y=100 * rows["share"], mode="markers", showlegend=False,
            marker={"color": colour, "symbol": symbol, "size": 7},
            error_y=error_bars(100 * rows["share"], 100 * rows["low"], 100 * rows["high"], colour),
        )  # fmt: skip
        drawn.add_scatter(
            x=middle.index, y=100 * middle, mode="lines", name=form, line={"color": colour}
        )
        known = PUBLISHED[form]
        drawn.add_scatter(
            x=list(known), y=[100 * share for share in known.values()], mode="markers",
            name=f"{form}, published", showlegend=True,
            marker={"color": colour, "symbol": f"{symbol}-open", "size": 13, "line": {"width": 2}},
        )  # fmt: skip
    drawn.update_xaxes(type="log", title="examples trained on", tickvals=list(teaching.SIZES))
    drawn.update_yaxes(title="held-out sums answered exactly, %", range=[-3, 105])
    seeds = sorted(found["seed"].unique())
    recipe = next(iter(teaching.RUNS.values()))
    return frame(
        drawn,
        title="How many examples does a format of three-digit sums need?",
        caption=f"add:3, {N} held-out sums a point (greedy decoding, Wilson 95 %), seeds "
        f"{', '.join(map(str, seeds))}; {recipe.n_layers} layers of width {recipe.d_model}, "
        f"{recipe.steps} steps. Open: published, six layers of width 384.",
        notes=("what longer training or a wider model would reach",),
        legend=True,
    )


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Median, lowest and highest seed by format and number of examples, in percent."""
    of = found.groupby(["task", "format", "examples"])["share"]
    table = (100 * of.agg(["median", "min", "max", "count"])).round(2)
    return table.assign(count=of.count())


def told(found: pd.DataFrame) -> dict[str, str]:
    """The parts of docs/sample-size.md that come from the runs."""
    asked = found[(found["task"] == "add:3") & found["format"].isin(list(teaching.FORMATS))]
    said = [_enough(form, asked[asked["format"] == form]) for form in teaching.FORMATS]
    tasks = ("add:3", "add:4")
    blanks = [
        (f"`{teaching.SPACES[form]}`", *(
            _cell(found[(found["format"] == form) & (found["task"] == task)]["share"])
            for task in tasks
        ))
        for form in teaching.SPACES
    ]  # fmt: skip
    return {
        "sizes": "\n\n".join([_by_size(asked, "share"), " ".join(said)]),
        "trained": _by_size(asked, "trained"),
        "blanks": table(("format", "three digits", "four digits"), blanks),
    }


def _by_size(asked: pd.DataFrame, column: str) -> str:
    """A row a format, a column a number of examples."""
    groups = {key: of[column] for key, of in asked.groupby(["format", "examples"])}
    none: pd.Series[float] = pd.Series(dtype=float)
    rows = [
        (form, *(_cell(groups.get((form, size), none)) for size in teaching.SIZES))
        for form in teaching.FORMATS
    ]
    return table(("format", *(f"{size:,}" for size in teaching.SIZES)), rows)


def _cell(shares: pd.Series[float]) -> str:
    """Median of the seeds, lowest and highest, in percent; how many where they are not all."""
    if shares.empty:
        return "—"
    percent, seeds = 100 * shares, len(teaching.SEEDS)
    count = "" if len(shares) == seeds else f", {len(shares)} of {seeds} seeds"
    return f"{percent.median():.1f} ({percent.min():.1f}–{percent.max():.1f}{count})"


def _enough(form: str, runs: pd.DataFrame) -> str:
    """From how many examples on the middle seed has learnt the format."""
    middle = runs.groupby("examples")["share"].median()
    if middle.empty:
        return f"`{form}` has not run yet."
    learnt = middle.index[middle >= LEARNT]
    if len(learnt):
        return f"`{form}` reaches {100 * LEARNT:.0f} % from {int(learnt.min()):,} examples on."
    best = int(middle.idxmax())
    sizes = "six sizes" if len(middle) == len(teaching.SIZES) else f"{len(middle)} sizes so far"
    return (
        f"`{form}` reaches {100 * LEARNT:.0f} % at none of its {sizes}; its best is "
        f"{100 * middle[best]:.1f} %, with {best:,} examples."
    )


def main() -> None:
    """Run the requested parts; without an option tables, figure and record."""
    place = Place(Path("runs"), fixtures_root() / "teaching")

    def tell() -> str:
        found = curves(place)
        if found.empty:
            return "no run has ended yet: --run-all"
        drawn = pictures(figure(found), ("png",))["png"]
        write_atomic(ROOT / "docs" / "figures" / "sample-size.png", drawn)
        page = filled(PAGE.read_text(encoding="utf-8"), told(found))
        write_atomic(PAGE, page.encode())
        record("teaching_arithmetic", 0, {"runs": found.to_dict("records")}, show=False)
        return summary(found).to_string()

    command(__doc__, place, lambda: list(teaching.RUNS.values()), decoded, tell)


if __name__ == "__main__":
    main()
