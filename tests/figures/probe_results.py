"""Hand-made Results of the probe bench, for what draws and reports them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interp.results.identity import ModelId
from probes.results.baseline import OneHotBaseline, RunningSums
from probes.results.causal_test import ProbeUse
from probes.results.sweep import ProbeSweep

HELD_OUT = 60
LAYERS, ROLES = (0, 1, 2), ("last", "c2", "c1", "predicts(c0)")
KINDS = {"carry[1]": "class", "running_sum[2]": "real", "class[1]": "class", "c[1]": "angle"}
LABELS = {"class[1]": ("BA", "MC", "UC")}
CONTROLS = ("constant", "one_hot", "shown", "embedding", "untrained", "shuffled", "control_task")
ABOUT: dict[str, Any] = {
    "model": ModelId("tiny", "0f"),
    "task": "add:3",
    "n": 240,
    "n_distinct": 240,
    "seed": 7,
    "settings": {
        "problems": "interp.task('add:3').sample(240, seed=7)",
        "targets": list(KINDS),
        "sites": ["attn_out", "resid_post"],
        "roles": list(ROLES),
        "split": "operand",
    },
}


def sweep(
    kinds: dict[str, str] | None = None,
    layers: tuple[int, ...] = LAYERS,
    roles: tuple[str, ...] = ROLES,
    places: tuple[tuple[str, int], ...] = (("attn_out", -1), ("resid_post", -1)),
    **changes: Any,
) -> ProbeSweep:
    """A sweep whose gain grows with the layer, and with a target that is known late."""
    kinds = KINDS if kinds is None else kinds
    rng = np.random.default_rng(0)
    true = np.stack([_true(kind, rng) for kind in kinds.values()]).astype(np.float32)
    rows, predicted = [], []
    for number, (target, kind) in enumerate(kinds.items()):
        for site, head in places:
            for layer in layers:
                for at, role in enumerate(roles):
                    if target == "running_sum[2]" and role == "last":
                        continue  # not known there
                    rows.append(_cell(target, kind, site, head, layer, role, at))
                    predicted.append(_predicted(kind, true[number], layer, rng))
    fields: dict[str, Any] = {
        "format": "padded",
        "cells": pd.DataFrame(rows),
        "names": tuple(kinds),
        "labels": {name: LABELS[name] for name in kinds if name in LABELS},
        "rows": np.tile(np.arange(HELD_OUT), (len(kinds), 1)),
        "true": true,
        "predicted": np.stack(predicted).astype(np.float32),
        "resampled": "operand values",
    }
    return ProbeSweep(**(ABOUT | fields | changes))


def _true(kind: str, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, {"real": 60, "class": 3, "angle": 10}[kind], HELD_OUT)


def _predicted(kind: str, true: np.ndarray, layer: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "real":
        return true + rng.normal(0, 12 / (1 + layer), HELD_OUT)
    wrong = rng.random(HELD_OUT) < 0.5 / (1 + layer)
    return np.where(wrong, rng.permutation(true), true)


def _cell(
    target: str, kind: str, site: str, head: int, layer: int, role: str, at: int
) -> dict[str, Any]:
    real = kind != "class"
    shown = 0.55 + 0.02 * at
    gain = 0.12 * layer - 0.05 + 0.03 * at - 0.1 * (site == "attn_out")
    bound = 0.04 + 0.01 * at
    return {
        "target": target, "kind": kind, "metric": "r2" if real else "accuracy",
        "copied": False, "site": site,
        "layer": layer, "head": head, "role": role,
        "predicts": "c0" if role == "predicts(c0)" else "", "emitted": "before",
        "visible": "whole" if (target, role) == ("c[1]", "c1") else "",
        "score": shown + gain, "score_low": shown + gain - 0.05,
        "score_high": shown + gain + 0.05, "mae": 9.0 - layer if kind == "real" else np.nan,
        "cv": shown + gain - 0.01, "constant": 0.0 if real else 0.4,
        "constant_mae": 15.0 if kind == "real" else np.nan,
        "one_hot": shown - 0.02, "one_hot_mae": 10.0 if kind == "real" else np.nan,
        "shown": shown, "shown_mae": 9.5 if kind == "real" else np.nan,
        "embedding": 0.2, "untrained": 0.45, "shuffled": -0.05 if real else 0.35,
        "control_task": 0.1, "types_shared": 1.0, "reference": "shown", "gain": gain,
        "gain_low": gain - bound, "gain_high": gain + bound,
        "p": 0.001 if gain > bound else 0.4, "alpha": 1.0,
        "n_train": 180, "n_test": HELD_OUT, "trained_in": target == "running_sum[2]",
    }  # fmt: skip


def use(mode: str = "move", named: str = "c1", **changes: Any) -> ProbeUse:
    """The probe moves c1 in four fifths of the prompts, a random step hardly ever."""
    rows: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for digit in ("c3", "c2", "c1", "c0"):
        hit = 0.8 if digit == named else 0.1
        for arm, share in (("clean", 0.0), ("probe", hit), ("random", 0.06)):
            moved = np.nan if mode == "remove" else share
            rows.append(
                {"arm": arm, "answer_digit": digit, "n": 200}
                | _interval("predicted", moved)
                | _interval("mismatched", moved / 9)
                | _interval("original", 0.97 - share)
                | _interval("right", 0.96 - share)
                | {"other": 0.03}
                | {"logit": 8 * share - 5, "logit_low": 8 * share - 6, "logit_high": 8 * share - 4}
            )
        differences.append(
            {"answer_digit": digit}
            | _interval("predicted", np.nan if mode == "remove" else hit - 0.06)
            | _interval("followed", np.nan if mode == "remove" else hit - hit / 9)
            | {"p": np.nan if mode == "remove" else 0.001, "compared": 200}
            | _interval("original", 0.06 - hit)
            | _interval("right", 0.06 - hit)
        )
    fitted = {"problems": ABOUT["settings"]["problems"], "site": "resid_post", "layer": 1}
    fields: dict[str, Any] = {
        "target": "carry[1]", "site": "resid_post", "layer": 1, "head": -1, "role": "last",
        "format": "padded", "mode": mode, "named": named, "outcomes": pd.DataFrame(rows),
        "difference": pd.DataFrame(differences), "norm": 3.2, "stream": 21.0,
        "resampled": "operand values",
        "settings": {"fitted": fitted | {"role": "last"}, "mode": mode, "randoms": 8, "n": 256},
    }  # fmt: skip
    return ProbeUse(**(ABOUT | fields | changes))


def _interval(name: str, value: float) -> dict[str, float]:
    return {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.05}


def baseline(**changes: Any) -> OneHotBaseline:
    """Products at 0.83, a carry by its accuracy."""
    names = [f"product[{i},{j}]" for i in range(2) for j in range(2)] + ["running_sum[2]"]
    rows = [_score(name, "real", 0.83 + 0.01 * i) for i, name in enumerate(names)]
    rows += [_score("carry[1]", "class", 0.71)]
    fields = {"model": None, "cells": pd.DataFrame(rows), "resampled": "problems"}
    settings = {"problems": ABOUT["settings"]["problems"], "split": "problem"}
    return OneHotBaseline(**(ABOUT | fields | {"settings": settings} | changes))


def _score(target: str, kind: str, score: float) -> dict[str, Any]:
    real = kind == "real"
    return {
        "target": target, "kind": kind, "metric": "r2" if real else "accuracy", "score": score,
        "low": score - 0.02, "high": score + 0.02, "mae": 6.3 if real else np.nan,
        "constant": 0.0 if real else 0.5, "constant_mae": 16.6 if real else np.nan,
        "n_train": 180, "n_test": HELD_OUT,
    }  # fmt: skip


def sums(models: tuple[str, ...] = ("aux", "sft"), **changes: Any) -> RunningSums:
    """Two models, digits 2 to 4, before and after the digit is written."""
    rng = np.random.default_rng(1)
    rows, true, predicted = [], [], []
    for number, model in enumerate(models):
        for digit in (2, 3, 4):
            for when in ("before", "after"):
                error = 4 + 10 * number - 2 * (when == "after")
                rows.append(_sum(model, digit, when, error))
                true.append(rng.integers(0, 200, HELD_OUT))
                predicted.append(true[-1] + rng.normal(0, error, HELD_OUT))
    fields: dict[str, Any] = {
        "model": None,
        "cells": pd.DataFrame(rows),
        "true": np.stack(true).astype(np.float32),
        "predicted": np.stack(predicted).astype(np.float32),
        "resampled": "problems",
        "settings": {"problems": ABOUT["settings"]["problems"], "split": "problem"},
    }
    return RunningSums(**(ABOUT | {"task": "mul:4x4"} | fields | changes))


def _sum(model: str, digit: int, when: str, error: float) -> dict[str, Any]:
    r2 = 1 - (error / 30) ** 2
    return {
        "model": model, "source": f"mul4x4-{model}", "hash": f"{model}-hash",
        "digit": digit, "when": when,
        "role": f"c{digit}" if when == "after" else f"predicts(c{digit})",
        "r2": r2, "r2_low": r2 - 0.01, "r2_high": r2 + 0.01, "mae": 0.8 * error,
        "mae_low": 0.75 * error, "mae_high": 0.85 * error, "constant_mae": 28.0 + digit,
        "shuffled_r2": -0.02, "embedding_r2": 0.2, "untrained_r2": 0.4, "control_task_r2": 0.1,
        "p": 0.001 if r2 > 0.88 else 0.4, "one_hot_r2": 0.85, "one_hot_mae": 11.5, "shown_r2": 0.86,
        "shown_mae": 11.0,
        "gain": r2 - 0.86, "gain_low": r2 - 0.88, "gain_high": r2 - 0.84,
        "published_mae": 1.5 if model == "aux" and when == "after" else np.nan,
        "trained_in": model == "aux", "n_train": 180, "n_test": HELD_OUT,
    }  # fmt: skip
