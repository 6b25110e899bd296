"""Which contrasts of 2510.00184 tell failing from working, and which only ICoT from answers alone?

    python -m bench.proofs.failing_and_working mul3x3-sft mul3x3-aux runs/NAME …

Each model of one task by name or folder: its accuracy, and what the paper's figures show, at the
middle answer digits (c2 and c3 of 3×3, c3 to c5 of 4×4):

    long range    Fig. 2: largest effect of an operand digit on a middle digit's logit, at the
                  middle digit where it is least, over the largest on c1
    sum error     Fig. 3: mean absolute error of a probe of ĉ_k at c_k after the last attention,
                  over that of the one-hot operand digits
    tree          Figs. 4 and 8: share of the column's products that the tree by effect holds, less
                  that of as many random products
    waves …       Fig. 6, Table 1: median R² on k = 1, 2, 5 less the permuted digits' 95 %
    loss          Fig. 7: lowest validation loss in the log, nats
    gradient      Fig. 7: mean gradient norm of the loss in the last fifth of the log

A contrast separates failing from working if no failing model lies on the working side of any
working one. Models between 50 and 95 % are shown and not counted. With few models of either kind
a separation can be chance: the table says how likely it is for shuffled kinds.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

import interp
import probes
from bench.harness import record
from bench.proofs.kept_runs import ROOT
from interp.figures.export import pictures
from interp.figures.theme import CATEGORIES, SYMBOLS, frame
from interp.results.atomic import write_atomic
from interp.training.logs import find_log

FAILING, WORKING = 0.5, 0.95
CONTRASTS = (
    "long range", "sum error", "tree", "waves embedding", "waves neurons", "waves logits", "loss",
    "gradient",
)  # fmt: skip


def middle(task: Any) -> tuple[int, ...]:
    """The middle answer digits of a product of two d-digit numbers: d − 1 to 2d − 3."""
    d = task.operand_digits[0]
    return tuple(range(d - 1, 2 * d - 2))


def contrasts(source: str, *, n: int, seed: int) -> dict[str, Any]:
    """One model: name, objective, exact accuracy with its interval, by digit, contrasts."""
    model = interp.load(source)
    task = model.task
    digits = middle(task)
    right = interp.behaviour.accuracy(model, task, n=n, seed=seed)
    m = right.metrics
    by_digit = right.frame[right.frame["breakdown"] == "digit"]
    found: dict[str, Any] = {
        "model": model.name, "hash": model.hash, "task": task.name,
        "objective": _objective(source), "exact": m["exact_accuracy"],
        "low": m["exact_accuracy_low"], "high": m["exact_accuracy_high"],
        "by_digit": dict(zip(by_digit["answer_digit"], by_digit["accuracy"], strict=True)),
    }  # fmt: skip
    found["long range"] = _long_range(model, task, digits, n, seed)
    found["sum error"] = _sum_error(model, task, digits, n, seed)
    found["tree"] = _tree(model, task, digits, seed)
    found |= _waves(model, task, digits, n, seed)
    found |= _log(source, digits)
    return found


def _objective(source: str) -> str:
    card = find_log(source).card or {}
    kind = str(card.get("recipe", {}).get("objective", {}).get("kind", "unknown"))
    return "icot" if "icot" in str(card.get("name")) else kind


def _long_range(model: Any, task: Any, digits: tuple[int, ...], n: int, seed: int) -> float:
    effect = interp.attribution.counterfactual(model, task, n=n, seed=seed).effect
    column = effect.axis("answer_digit").index
    largest = np.nanmax(effect.values, axis=0)  # [answer digits]
    return float(min(largest[column(f"c{k}")] for k in digits) / largest[column("c1")])


def _sum_error(model: Any, task: Any, digits: tuple[int, ...], n: int, seed: int) -> float:
    found = probes.running_sums({"model": model}, task, digits=digits, n=4 * n, seed=seed).frame
    after = found[found["when"] == "after"]
    return float((after["mae"] / after["one_hot_mae"]).mean())


def _tree(model: Any, task: Any, digits: tuple[int, ...], seed: int) -> float:
    found = interp.heads.tree(model, task, n=64, seed=seed).scores
    of = found[(found["route"] == "effect") & found["answer_digit"].isin([f"c{k}" for k in digits])]
    return float((of["coverage"] - of["chance"]).mean())


def _waves(model: Any, task: Any, digits: tuple[int, ...], n: int, seed: int) -> dict[str, float]:
    found = interp.geometry.fourier(
        model, task, objects=("embedding", "neurons", "logits"),
        roles=("a0", f"predicts(c{digits[0]})"), layers=model.shape.n_layers - 1,
        permutations=100, n=n, seed=seed,
    ).metrics  # fmt: skip
    return {
        f"waves {name}": found[f"r2[{name}]"] - found[f"null[{name}]"]
        for name in ("embedding", "neurons", "logits")
    }


def _log(source: str, digits: tuple[int, ...]) -> dict[str, float]:
    frame = find_log(source).frame
    own = frame[frame["group"].isin([f"c{k}" for k in digits])]
    held_out = own[own["split"] == "validation"].groupby("group")["loss"].min()
    steps = own.loc[own["grad_norm"].notna()]
    late = steps[steps["step"] > 0.8 * frame["step"].max()]["grad_norm"]
    return {"loss": float(held_out.max()), "gradient": float(late.mean())}


def separation(values: pd.Series, working: pd.Series) -> tuple[str, float]:
    """Whether a number separates the two kinds, and how likely that is for shuffled kinds."""
    yes, no = values[working], values[~working]
    if yes.empty or no.empty or values.isna().any():
        return "not known", math.nan
    apart = yes.min() > no.max() or yes.max() < no.min()
    return ("separates" if apart else "overlaps"), 2 / math.comb(len(values), len(yes))


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """One row a contrast: failing against working, and the answer alone against other objectives
    among the working."""
    counted = table[(table["exact"] < FAILING) | (table["exact"] >= WORKING)]
    working = counted["exact"] >= WORKING
    learnt = counted[working]
    rows = []
    for name in CONTRASTS:
        kind, chance = separation(counted[name], working)
        among, among_chance = separation(learnt[name], learnt["objective"] == "answer")
        rank = float(table[name].corr(table["exact"], method="spearman"))
        rows.append((name, kind, chance, among, among_chance, rank))
    return pd.DataFrame(
        rows,
        columns=[
            "contrast", "failing | working", "chance", "answer | other objectives, working",
            "chance among", "rank correlation with accuracy",
        ],
    )  # fmt: skip


def figure(table: pd.DataFrame, n: int, seed: int) -> go.Figure:
    """A panel a contrast: its number against exact accuracy, the objective by colour and symbol."""
    rows, columns = 2, math.ceil(len(CONTRASTS) / 2)
    drawn = make_subplots(rows, columns, subplot_titles=CONTRASTS, horizontal_spacing=0.07)
    kinds = sorted(table["objective"].unique())
    for at, name in enumerate(CONTRASTS):
        for kind, colour, symbol in zip(kinds, CATEGORIES, SYMBOLS, strict=False):
            own = table[table["objective"] == kind]
            drawn.add_scatter(
                x=100 * own["exact"], y=own[name], mode="markers", name=kind, legendgroup=kind,
                showlegend=at == 0, marker={"color": colour, "symbol": symbol, "size": 8},
                text=own["model"], cliponaxis=False, row=at // columns + 1, col=at % columns + 1,
            )  # fmt: skip
    drawn.update_xaxes(range=[-5, 105], tickvals=[0, 50, 100])
    drawn.update_yaxes(rangemode="tozero")
    drawn.update_annotations(font_size=13)
    drawn.update_xaxes(title="exact, %", row=rows)
    task = table["task"].iloc[0]
    return frame(
        drawn,
        title="Which contrasts tell failing from working?",
        caption=f"{task}, one point a model of its own training, at answer digits "
        f"{', '.join(f'c{k}' for k in middle(interp.task(task)))}; definitions in "
        f"bench/proofs/failing_and_working.py; n = {n} (sums {4 * n}, tree 64), seed {seed}.",
        notes=("why a contrast goes with accuracy",),
        height=480,
        legend=True,
    )


def main() -> None:
    """Measure, print, draw and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--n", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for source in options.sources:
        rows.append(contrasts(source, n=options.n, seed=options.seed))
        print(
            {k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True
        )
    table = pd.DataFrame(rows).sort_values("exact", ignore_index=True)
    found = verdicts(table)
    print(found.round(3).to_string(index=False))
    short = str(table["task"].iloc[0]).replace(":", "")
    body = {
        "n": options.n,
        "models": table.to_dict("records"),
        "verdicts": found.to_dict("records"),
    }
    record(f"failing_and_working_{short}", options.seed, body)
    path = ROOT / "docs" / "figures" / f"{short}-failing-and-working.png"
    drawn = figure(table, options.n, options.seed)
    write_atomic(path, pictures(drawn, ("png",))["png"])


if __name__ == "__main__":
    main()
