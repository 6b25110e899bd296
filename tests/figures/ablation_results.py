"""Results of ablation written by hand: what the figures are drawn from until an analysis runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interp.ablation.results.af1 import AllForOne
from interp.ablation.results.cama import CamaTable
from interp.ablation.results.compare import AblationComparison
from interp.ablation.results.evaluate import AblationScore
from interp.ablation.results.grid import AblationGrid
from interp.ablation.results.removal import LayerRemoval
from interp.ablation.results.transfer import AblationTransfer
from interp.results.grid import Axis, Grid
from interp.results.identity import ModelId

SPEC: dict[str, Any] = {
    "wait": 14,
    "transfer": [14, 15, 17],
    "compute": [16, *range(18, 30)],
    "heads": [[14, 2], [14, 5], [15, 0], [17, 8]],
    "transfer_mask": "full-peek",
    "compute_mask": "self-peek",
}
_WAIT = """\
layers 0–13 (14): wait
bos  kept (sink)
 a0  ▪
 op  ▪
 b0  ▪
 eq  ▪"""
_TRANSFER = """\
     bos a0 op b0 eq
bos    o
 a0    o  o
 op    o  ·  o
 b0    o  ·  ·  o
 eq    o  o  o  o  o"""
_COMPUTE = """\
     bos a0 op b0 eq
bos    o
 a0    o  o
 op    o  ·  o
 b0    o  ·  ·  o
 eq    o  ·  ·  ·  o"""
PICTURE = "\n\n".join(
    [
        _WAIT,
        "layers 14–15 (2): transfer, full-peek, heads 14.2 14.5 15.0; the others as in compute "
        f"layers\n{_TRANSFER}",
        f"layer 16 (1): compute, self-peek\n{_COMPUTE}",
        "layer 17 (1): transfer, full-peek, heads 17.8; the others as in compute layers\n"
        f"{_TRANSFER}",
        f"layers 18–29 (12): compute, self-peek\n{_COMPUTE}",
    ]
)
PROMPTS = "interp.Addition(2).sample(80, seed=7)"


def about(**settings: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"schedule": SPEC, "problems": PROMPTS, "transfer_mask": "full-peek"}
    given |= {"format": "plain", "replacement": "cama", "sink": "first", "target": 0.9}
    return {
        "model": ModelId("tiny", "0f"),
        "task": "add:2",
        "n": 80,
        "n_distinct": 80,
        "seed": 7,
        "settings": given | settings,
    }


RIGHT: dict[str, Any] = {
    "constant": 0.12,
    "base_accuracy": 0.8,
    "n_right": 64,
    "n_right_distinct": 60,
    "resampled": "operand values",
}


def banded(values: Any, *axes: Axis, half: float = 0.05) -> Grid:
    array = np.asarray(values, float)
    return Grid(array, axes, np.clip(array - half, 0, 1), np.clip(array + half, 0, 1))


def counts(name: str, stop: int) -> Axis:
    return Axis(name, tuple(str(i) for i in range(stop)))


def score(roles: tuple[str, ...] = ("c2", "c1", "c0")) -> AblationScore:
    rng = np.random.default_rng(0)
    right = np.arange(80) % 5 > 0
    kept = right & (np.arange(80) % 7 > 0)
    rows = [*roles, "all"]
    kept_share = np.linspace(0.95, 0.86, len(rows))
    by_role = pd.DataFrame(
        {
            "role": rows,
            "base_accuracy": np.linspace(0.99, 0.8, len(rows)),
            "n_right": 64,
            "faithfulness": kept_share,
            "low": kept_share - 0.08,
            "high": np.minimum(kept_share + 0.06, 1),
            "guessed": np.linspace(0.5, 0.12, len(rows)),
            "logit_difference": 0.9,
            "kl": 0.2,
        }
    )
    return AblationScore(
        **about(),
        by_role=by_role,
        right=right,
        kept=kept,
        difference=rng.normal(5, 1, 80),
        difference_ablated=rng.normal(4, 1, 80),
        kl=rng.random(80),
        prompt=np.arange(80),
        group=np.arange(80)[:, None],
        resampled="operand values",
        constant=0.12,
        picture=PICTURE,
    )


DIGITS = Axis("role", ("c2", "c1", "c0"))


def faithful(n_layers: int) -> np.ndarray:
    """[wait, width]: high while few wait and some transfer; NaN where they do not fit."""
    wait, width = np.indices((n_layers + 1, n_layers + 1))
    kept = 1 / (1 + np.exp((wait - 0.55 * n_layers) * 8 / n_layers))
    kept = kept * (1 - 0.9 * np.exp(-width * 6 / n_layers))
    return np.where(wait + width <= n_layers, kept, np.nan)


def grid(n_layers: int = 30, kl: bool = True) -> AblationGrid:
    axes = (counts("wait", n_layers + 1), counts("width", n_layers + 1))
    values = faithful(n_layers)
    return AblationGrid(
        **about(replacement="cama"),
        **RIGHT,
        faithfulness=banded(values, *axes),
        logit_difference=Grid(values - 0.1, axes, values - 0.2, values),
        kl=Grid(3 - 3 * values, axes) if kl else None,
        by_role=banded(np.stack([values**k for k in (1, 2, 3)]), DIGITS, *axes),
        guessed=Grid(np.array([0.6, 0.2, 0.1]), (DIGITS,)),
        n_layers=n_layers,
    )


def removal(n_layers: int = 30) -> LayerRemoval:
    layers = counts("layer", n_layers)
    full = np.ones(n_layers)
    full[14:18] = (0.3, 0.6, 0.95, 0.8)
    within = np.full(n_layers, np.nan)
    within[[14, 15, 17]] = (0.1, 0.4, 0.7)
    removed = pd.DataFrame(
        {
            "where": ["full", "schedule"],
            "layers": ["14, 15, 17"] * 2,
            "faithfulness": [0.2, 0.1],
            "low": [0.1, 0.03],
            "high": [0.3, 0.2],
        }
    )
    return LayerRemoval(
        **about(),
        **RIGHT,
        full=banded(full, layers),
        schedule=banded(within, layers),
        all_removed=removed,
    )


def found() -> AllForOne:
    n_layers = 30
    waits, starts = counts("wait", n_layers + 1), counts("start", n_layers + 1)
    widths = counts("width", n_layers + 1)
    start, width = np.indices((n_layers + 1, n_layers + 1))
    window = np.clip(width / 4 - (start - 14) / 20, 0, 1)
    window[(start < 14) | (start + width > n_layers)] = np.nan
    pruning = pd.DataFrame({"step": range(1, 24), "layer": 14, "head": np.arange(1, 24) % 9})
    pruning["faithfulness"] = 0.97 - 0.0001 * pruning["step"] ** 2.3
    pruning["logit_difference"] = 0.9
    cuts = [("full", 14), ("full", 15), ("full", 17), ("full", -1)]
    cuts += [("schedule", layer) for _, layer in cuts]
    removed = pd.DataFrame(cuts, columns=["where", "layer"])
    removed["faithfulness"] = np.linspace(0.9, 0.1, len(removed))
    removed["low"] = removed["faithfulness"] - 0.06
    removed["high"] = removed["faithfulness"] + 0.06
    scores = pd.DataFrame(
        [{"faithfulness": 0.91, "faithfulness_low": 0.82, "faithfulness_high": 0.96,
          "logit_difference": 0.87, "kl": 0.21}]
    )  # fmt: skip
    return AllForOne(
        **about(),
        **RIGHT,
        status="found",
        reason="the target is kept",
        target=0.9,
        wait=14,
        transfer=(14, 15, 17),
        heads=np.array(SPEC["heads"]),
        waits=banded(1 / (1 + np.exp(np.arange(n_layers + 1) - 17.0)), waits),
        windows=banded(window, starts, widths),
        pruning=pruning,
        removal=removed,
        scores=scores,
        searched_faithfulness=0.93,
        n_layers=n_layers,
        picture=PICTURE,
    )


def refused() -> AllForOne:
    """A search that came to nothing: no wait kept the target."""
    axes = (counts("start", 31), counts("width", 31))
    empty = Grid(np.full((31, 31), np.nan), axes)
    waits = banded(np.full(31, 0.1), counts("wait", 31))
    nothing = pd.DataFrame({"step": [], "layer": [], "head": [], "faithfulness": []})
    return AllForOne(
        **about(schedule={}),
        **RIGHT,
        status="none",
        reason="waiting through one layer already keeps only 10 %",
        target=0.9,
        wait=-1,
        transfer=(),
        heads=np.zeros((0, 2), int),
        waits=waits,
        windows=empty,
        pruning=nothing.assign(logit_difference=[]),
        removal=pd.DataFrame({"where": [], "layer": [], "faithfulness": [], "low": [], "high": []}),
        scores=pd.DataFrame(),
        searched_faithfulness=float("nan"),
        n_layers=30,
        picture="",
    )


def comparison() -> AblationComparison:
    names = ["zero", "mean", "role-mean", "resample", "own", "cama"]
    table = pd.DataFrame({"replacement": names * 2, "given": "token"})
    table["mask"] = ["full-peek"] * 6 + ["window:2"] * 6
    table["status"] = ["found"] * 9 + ["none", "refused", "uninformative"]
    long = "these prompts hold no such thing, as a long sentence tells that nobody can read here"
    table["reason"] = np.where(table["status"] == "refused", long, "")
    found_ = table["status"] == "found"
    columns = {"wait": 14, "first_transfer": 14, "last_transfer": 17, "transfer_layers": 3}
    for name, value in (columns | {"heads": 36}).items():
        table[name] = np.where(found_, value, -1)
    kept = np.where(found_, np.linspace(0.05, 0.97, 12), np.nan)
    table = table.assign(faithfulness=kept, low=kept - 0.05, high=np.minimum(kept + 0.03, 1))
    table = table.assign(logit_difference=kept - 0.1, kl=1 - kept, table_error=0.25)
    for name in ("logit_difference", "kl"):
        bounds = {f"{name}_low": table[name] - 0.1, f"{name}_high": table[name] + 0.1}
        table = table.assign(**bounds)
    return AblationComparison(**about(schedule=None), **RIGHT, table=table)


def transferred() -> AblationTransfer:
    names = ["af1-original", "af1-verbal", "af1-qa", "af1-instruction", "af1-word", "af1-python"]
    kept = np.array([0.97, 0.9, 0.82, 0.7, 0.2, np.nan])
    table = pd.DataFrame(
        {
            "name": names,
            "model": "tiny",
            "task": "add:2",
            "format": names,
            "n": 80,
            "n_distinct": 80,
            "base_accuracy": [0.98, 0.9, 0.92, 0.6, 0.3, 0.0],
            "n_right": [78, 72, 74, 48, 24, 0],
            "n_right_distinct": [78, 72, 74, 48, 24, 0],
            "constant": [0.05, 0.06, 0.05, 0.1, 0.25, np.nan],
            "faithfulness": kept,
            "low": kept - 0.08,
            "high": np.minimum(kept + 0.05, 1),
            "logit_difference": kept - 0.05,
            "kl": 1 - kept,
            "table_error": 0.25,
            "sink_differs": False,
            "reason": [""] * 4
            + ["fewer than 30 distinct right prompts", "no prompt is answered rightly"],
        }
    )
    calls = [PROMPTS] * len(names)
    return AblationTransfer(**about(problems_of=calls), table=table, resampled="operand values")


def table(exact: bool = False) -> CamaTable:
    roles = Axis("role", ("a1", "a0", "op", "b1", "b0", "eq", "last"))
    depths = counts("depth", 31)
    share = 1 - np.linspace(0, 0.8, 31) * np.linspace(0.05, 1, 7)[:, None]
    share[2] = np.nan
    return CamaTable(
        **about(given="token", n=1024),
        given="token",
        exact=exact,
        own_share=Grid(share, (roles, depths)),
        error=Grid(np.zeros_like(share) if exact else 0.02 * (1.1 - share), (roles, depths)),
        values=pd.DataFrame({"role": roles.labels, "values": [10] * 7, "fewest": [92] * 7}),
    )
