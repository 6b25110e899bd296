"""Which contrasts of 2510.00184 tell failing from working, and which only the objectives apart?

    python -m bench.proofs.failing_and_working mul3x3-sft mul3x3-aux runs/NAME …

Models of one task, by name or folder. Each is asked held-out products without leading zeros, as
the paper's are, and looked at by middle answer digit (c2 and c3 of 3×3, c3 to c5 of 4×4):

    right            share right after the true digits before it
    long range       Fig. 2: largest effect of an operand digit on the digit's logit, over the
                     largest on c1's; larger where the digit works
    sum, asked       Fig. 3: mean absolute error of a probe of ĉ_k after the last attention where
                     c_k has to come out, over that of the one-hot operand digits; smaller
    sum, written     the same at c_k itself, as published: there c_k is known, and the next digit
                     is what needs ĉ_k; smaller
    tree             Figs. 4 and 8: share of the column's products that the tree by effect holds,
                     less that of as many random products; larger
    waves …          Fig. 6, Table 1: median R² on k = 1, 2, 5 less the permuted digits'; of the
                     embedding and the last MLP's output weights (one number a model), and of the
                     final state where c_k has to come out; larger
    loss             Fig. 7: lowest loss of the digit in the log, nats: whether it works, by
                     definition
    gradient         Fig. 7: mean gradient norm of the digit's loss over those logged steps at which
                     that loss is above 1 nat, so that a digit which is learnt later is compared
                     with one that is not before it is learnt; in either direction

A digit fails below 50 % and works from 95 %; others are shown and not counted. A contrast separates
if every failing digit lies on its side of every working one. With few models this can be chance:
the table says how likely for shuffled kinds, models being the units. Digits stand in rows of their
own, since those of one model are not independent; so many rows want a small chance.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

import interp
import probes
from bench.harness import record
from bench.pages import table as markdown_table
from bench.proofs.kept_runs import ROOT
from interp.figures.export import pictures
from interp.figures.theme import CATEGORIES, SYMBOLS, frame
from interp.results.atomic import write_atomic
from interp.training.learning import THRESHOLDS
from interp.training.logs import find_log

FAILING, WORKING = 0.5, 0.95

# The side on which working digits are: +1 above, −1 below, 0 not stated beforehand.
CONTRASTS: Mapping[str, int] = {
    "long range": 1, "sum, asked": -1, "sum, written": -1, "tree": 1, "waves embedding": 1,
    "waves neurons": 1, "waves logits": 1, "loss": -1, "gradient": 0,
}  # fmt: skip


def middle(task: Any) -> tuple[int, ...]:
    """The middle answer digits of a product of two d-digit numbers: d − 1 to 2d − 3."""
    d = task.operand_digits[0]
    return tuple(range(d - 1, 2 * d - 2))


def contrasts(source: str, *, n: int, seed: int) -> list[dict[str, Any]]:
    """A row a middle digit of one model: name, objective, share right, contrasts."""
    model: Any = interp.load(source)
    digits = middle(model.task)
    right = interp.behaviour.accuracy(
        model, model.held_out(16 * n, seed=seed, full_width=True), mode="forced"
    )
    by_digit = right.frame[right.frame["breakdown"] == "digit"].set_index("answer_digit")
    asked = model.held_out(n, seed=seed, full_width=True)
    whole = {
        "model": model.name, "hash": model.hash, "task": model.task.name,
        "objective": _objective(source), "exact": right.metrics["exact_accuracy"],
    }  # fmt: skip
    found = [
        _long_range(model, asked, digits, seed),
        _sum_error(model, model.held_out(4 * n, seed=seed, full_width=True), digits, seed),
        _tree(model, asked[:64], digits, seed),
        _waves(model, asked, digits, seed),
        _log(source, digits),
    ]
    rows = []
    for k in digits:
        row = by_digit.loc[f"c{k}"]
        shares = {"right": "accuracy", "low": "accuracy_low", "high": "accuracy_high"}
        own = {"digit": f"c{k}"} | {name: float(row[column]) for name, column in shares.items()}
        rows.append(whole | own | {name: v for part in found for name, v in part[k].items()})
    return rows


def _objective(source: str) -> str:
    card = find_log(source).card or {}
    kind = str(card.get("recipe", {}).get("objective", {}).get("kind", "unknown"))
    return "icot" if "icot" in str(card.get("name")) else kind


ByDigit = dict[int, dict[str, float]]


def _long_range(model: Any, asked: Any, digits: tuple[int, ...], seed: int) -> ByDigit:
    effect = interp.attribution.counterfactual(model, asked, seed=seed).effect
    column = effect.axis("answer_digit").index
    largest = np.nanmax(effect.values, axis=0)  # [answer digits]
    return {k: {"long range": float(largest[column(f"c{k}")] / largest[column("c1")])}
            for k in digits}  # fmt: skip


def _sum_error(model: Any, asked: Any, digits: tuple[int, ...], seed: int) -> ByDigit:
    found = probes.running_sums({"model": model}, asked, digits=digits, seed=seed).frame
    out: ByDigit = {k: {} for k in digits}
    for row in found.itertuples():
        name = "asked" if row.when == "before" else "written"
        out[row.digit] |= {
            f"sum, {name}": row.mae / row.one_hot_mae, f"mae, {name}": row.mae,
            f"one-hot mae, {name}": row.one_hot_mae, "constant mae": row.constant_mae,
        }  # fmt: skip
    return out


def _tree(model: Any, asked: Any, digits: tuple[int, ...], seed: int) -> ByDigit:
    found = interp.heads.tree(model, asked, seed=seed).scores
    of = found[found["route"] == "effect"].set_index("answer_digit")
    return {k: {"tree": float(of.loc[f"c{k}", "coverage"] - of.loc[f"c{k}", "chance"])}
            for k in digits}  # fmt: skip


def _waves(model: Any, asked: Any, digits: tuple[int, ...], seed: int) -> ByDigit:
    found = interp.geometry.fourier(
        model, asked, objects=("embedding", "neurons", "logits"),
        roles=("a0", *(f"predicts(c{k})" for k in digits)), layers=model.shape.n_layers - 1,
        permutations=100, seed=seed,
    ).places  # fmt: skip
    beyond = (found["r2"] - found["null"]).groupby([found["object"], found["role"]]).first()
    out: ByDigit = {}
    for k in digits:
        logits = beyond["logits"][f"predicts(c{k})"]
        alone = {f"waves {name}": float(beyond[name].iloc[0]) for name in ("embedding", "neurons")}
        out[k] = alone | {"waves logits": float(logits)}
    return out


def _log(source: str, digits: tuple[int, ...]) -> ByDigit:
    dynamics = interp.training.dynamics(source)
    curves = dynamics.curves
    batches = curves[(curves["split"] == "train") & curves["grad_norm"].notna()]
    out: ByDigit = {}
    for k in digits:
        own = curves[(curves["split"] == dynamics.split) & (curves["group"] == f"c{k}")]
        unlearnt = batches[(batches["group"] == f"c{k}") & (batches["loss"] > THRESHOLDS["loss"])]
        out[k] = {"loss": float(own["loss"].min()), "gradient": float(unlearnt["grad_norm"].mean())}
    return out


def separation(values: pd.Series, working: pd.Series, side: int = 0) -> tuple[str, float]:
    """Whether a number separates the two kinds, with working ones on their side, and how likely
    that is for shuffled kinds."""
    yes, no = values[working], values[~working]
    if yes.empty or no.empty or values.isna().any():
        return "not known", math.nan
    above, below = yes.min() > no.max(), yes.max() < no.min()
    apart = {1: above, -1: below, 0: above or below}[side]
    word = "separates" if apart else "the other way" if above or below else "overlaps"
    return word, (1 if side else 2) / math.comb(len(values), len(yes))


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """One row a contrast and digit: failing against working, and the answer alone against other
    objectives among the working; `failing` and `working` count models."""
    rows = []
    for digit, of in table.groupby("digit", sort=True):
        counted = of[(of["right"] < FAILING) | (of["right"] >= WORKING)]
        working = counted["right"] >= WORKING
        learnt = counted[working]
        for name, side in CONTRASTS.items():
            kind, chance = separation(counted[name], working, side)
            among, among_chance = separation(learnt[name], learnt["objective"] == "answer")
            rank = float(of[name].corr(of["right"], method="spearman"))
            rows.append((name, digit, int((~working).sum()), int(working.sum()), kind, chance,
                         among, among_chance, rank))  # fmt: skip
    return pd.DataFrame(
        rows,
        columns=[
            "contrast", "digit", "failing", "working", "failing | working", "chance",
            "answer | other objectives, working", "chance among", "rank correlation",
        ],
    )  # fmt: skip


def markdown(found: Mapping[str, Any]) -> str:
    """Failing digits beside working ones, a row a contrast and digit, as Markdown.

    Digits that no model fails at, or none gets right, have nothing to compare.
    """
    heads = ("contrast", "digit", "failing", "working", "failing, working", "by chance",
             "rank correlation", "answer alone, others", "by chance")  # fmt: skip
    rows = []
    for row in found["verdicts"]:
        if not (row["failing"] and row["working"]):
            continue
        of = [one for one in found["digits"] if one["digit"] == row["digit"]]
        failing = [one[row["contrast"]] for one in of if one["right"] < FAILING]
        working = [one[row["contrast"]] for one in of if one["right"] >= WORKING]
        rows.append((
            row["contrast"], row["digit"], _range(failing), _range(working),
            *_apart(row["failing | working"], row["chance"]), f"{row['rank correlation']:.2f}",
            *_apart(row["answer | other objectives, working"], row["chance among"]),
        ))  # fmt: skip
    return markdown_table(heads, rows)


def _apart(word: str, chance: float | None) -> tuple[str, str]:
    """The verdict, and the chance of one that separates: others have no such probability."""
    return word, chance_text(chance) if word == "separates" else "—"


def chance_text(value: float | None) -> str:
    """A probability in a table: two digits, or a power of ten."""
    if value is None or math.isnan(value):
        return "—"
    return f"{value:.2g}" if value >= 0.001 else f"{value:.0e}"


def _range(values: Sequence[float]) -> str:
    low, high = (f"{value:.2f}" for value in (min(values), max(values)))
    return f"{low} (1)" if len(values) == 1 else f"{low} to {high} ({len(values)})"


def figure(table: pd.DataFrame, n: int, seed: int) -> go.Figure:
    """A panel a contrast: its number against the share right, digits by colour, objectives by
    symbol."""
    rows, columns = 3, math.ceil(len(CONTRASTS) / 3)
    drawn = make_subplots(
        rows, columns, subplot_titles=list(CONTRASTS), horizontal_spacing=0.08,
        vertical_spacing=0.12,
    )  # fmt: skip
    kinds = sorted(table["objective"].unique())
    digits = sorted(table["digit"].unique())
    for at, name in enumerate(CONTRASTS):
        where = {"row": at // columns + 1, "col": at % columns + 1}
        for digit, colour in zip(digits, CATEGORIES, strict=False):
            for kind, symbol in zip(kinds, SYMBOLS, strict=False):
                own = table[(table["objective"] == kind) & (table["digit"] == digit)]
                drawn.add_scatter(
                    x=100 * own["right"], y=own[name], mode="markers", showlegend=False,
                    marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.75},
                    text=own["model"], cliponaxis=False, **where,
                )  # fmt: skip
    for digit, colour in zip(digits, CATEGORIES, strict=False):
        _legend(drawn, digit, colour, "square")
    for kind, symbol in zip(kinds, SYMBOLS, strict=False):
        _legend(drawn, kind, "black", f"{symbol}-open")
    drawn.update_xaxes(range=[-5, 105], tickvals=[0, 50, 100])
    drawn.update_yaxes(rangemode="tozero")
    drawn.update_annotations(font_size=13)
    drawn.update_xaxes(title="digit right, %", row=rows)
    task = table["task"].iloc[0]
    return frame(
        drawn,
        title="Which contrasts tell a failing digit from a working one?",
        caption=f"{task}, a point a digit of a model ({table['model'].nunique()} models, each "
        "trained by itself; colour: digit, symbol: objective); definitions in "
        f"bench/proofs/failing_and_working.py; n = {n} held-out products without leading zeros "
        f"(accuracy {16 * n}, sums {4 * n}, tree 64), seed {seed}.",
        notes=("why a contrast goes with accuracy",),
        height=620,
        legend=True,
    )


def _legend(drawn: go.Figure, name: str, colour: str, symbol: str) -> None:
    marker = {"color": colour, "symbol": symbol, "size": 9}
    drawn.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=marker)


def main() -> None:
    """Measure, print, draw and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sources", nargs="+", help="models of one task: names or folders")
    parser.add_argument("--n", type=int, default=256, help="prompts; accuracy and sums take more")
    parser.add_argument("--seed", type=int, default=0, help="of the prompts and resamples")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for source in options.sources:
        rows += contrasts(source, n=options.n, seed=options.seed)
        print(pd.DataFrame(rows[-2:]).round(3).to_string(index=False), flush=True)
    table = pd.DataFrame(rows).sort_values(["exact", "model", "digit"], ignore_index=True)
    found = verdicts(table)
    print(found.round(3).to_string(index=False))
    short = str(table["task"].iloc[0]).replace(":", "")
    body = {
        "n": options.n,
        "digits": table.to_dict("records"),
        "verdicts": found.to_dict("records"),
    }
    record(f"failing_and_working_{short}", options.seed, body)
    path = ROOT / "docs" / "figures" / f"{short}-failing-and-working.png"
    drawn = figure(table, options.n, options.seed)
    write_atomic(path, pictures(drawn, ("png",))["png"])


if __name__ == "__main__":
    main()
