"""Rows of a ProbeSweep from fitted probes: scores, controls, gains and their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.models.prompts import PromptBatch
from interp.results.resampling import resampling
from probes.activations import Hook
from probes.design import Design
from probes.estimators.circular import read_circle
from probes.fitting import Found, constants
from probes.places import positions, predicted_role
from probes.references import Reference, References
from probes.resample import Ratios, Resamples, resamples
from probes.results.sweep import ENOUGH_TYPES
from probes.scores import mean_absolute_error, quality, score, size
from probes.targets import Target

Floats = npt.NDArray[np.float64]

SCORES = (
    "score", "mae", "cv", "constant", "constant_mae", "one_hot", "one_hot_mae", "shown",
    "shown_mae", "embedding", "untrained", "shuffled", "control_task", "types_shared",
)  # fmt: skip
"""A target's scores in a cell, in the order of the table's columns."""


@dataclass(frozen=True, eq=False)
class ProbeCell:
    """One row of the table, and the probe's predictions on the held-out rows."""

    row: dict[str, Any]
    predicted: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frame:
    """Values shared by all cells of one design: resamples, references, and columns of the place."""

    design: Design
    beaten: tuple[Reference, ...]  # each target's strongest reference, `References.of`
    theirs: Floats  # its quality [held-out rows, targets]
    ratios: Ratios  # of qualities to sizes
    without: tuple[dict[str, float], ...]  # each target's scores that need no activations
    predicts: str
    emitted: tuple[str, ...]
    visible: tuple[str, ...]
    trained_in: tuple[bool, ...]


def frame(
    batch: PromptBatch,
    design: Design,
    against: References,
    weights: dict[bytes, Resamples],
    trained: Sequence[bool],
    seed: int,
) -> Frame:
    """The Frame of a design; `weights` keeps the resamples of equal held-out rows."""
    test = design.test
    key = test.tobytes()
    if key not in weights:
        weights[key] = resamples(resampling(batch.problems[test]).groups, seed=seed)
    targets, values = list(enumerate(design.targets)), design.test_values
    beaten = [against.of(design, i) for i, _ in targets]
    theirs = [quality(target, values[:, i], beaten[i][1]) for i, target in targets]
    sizes = [size(target, values[:, i]) for i, target in targets]
    return Frame(
        design,
        tuple(name for name, _ in beaten),
        np.stack(theirs, axis=1),
        weights[key].over(np.stack(sizes, axis=1)),
        tuple(_without(design, against, i) for i, _ in targets),
        predicted_role(batch, design.place),
        tuple(_emitted(batch, target, design.place) for target in design.targets),
        tuple(target.visible_at(batch, design.place) for target in design.targets),
        tuple(trained),
    )


def _emitted(batch: PromptBatch, target: Target, place: str) -> str:
    """Whether the answer digit of the target's column is printed before or after `place`."""
    if target.answer_digit is None or target.answer_digit not in batch.answer_roles:
        return ""
    there, here = batch.position_array(target.answer_digit), positions(batch, place)
    both = (there >= 0) & (here >= 0)
    return "after" if bool((there[both] <= here[both]).all()) else "before"


def cells(shared: Frame, hook: Hook, found: Sequence[Found]) -> list[ProbeCell]:
    """Cells of one hook, one per target of the design."""
    design = shared.design
    values = design.test_values
    mine = [quality(t, values[:, i], found[i].predicted) for i, t in enumerate(design.targets)]
    own = np.stack(mine, axis=1)
    scores, gains = shared.ratios.of(own), shared.ratios.of(own - shared.theirs)
    out = []
    for i, target in enumerate(design.targets):
        row = {
            "target": target.name, "kind": target.kind, "metric": target.metric,
            "copied": target.copied,
            "site": hook.site, "layer": hook.layer, "head": hook.head, "role": design.place,
            "predicts": shared.predicts, "emitted": shared.emitted[i],
            "visible": shared.visible[i],
            **_scores(design, i, found[i], shared.without[i]),
            "score_low": float(scores.low[i]), "score_high": float(scores.high[i]),
            "reference": shared.beaten[i],
            "gain": float(gains.value[i]), "gain_low": float(gains.low[i]),
            "gain_high": float(gains.high[i]), "p": float(gains.p[i]),
            "alpha": found[i].alpha, "n_train": design.n_train,
            "n_test": len(design.test), "trained_in": shared.trained_in[i],
        }  # fmt: skip
        out.append(ProbeCell(row, shown_values(target, found[i].predicted)))
    return out


def _without(design: Design, against: References, i: int) -> dict[str, float]:
    """Scores of a target that need no activations; NaN for the others."""
    target, true = design.targets[i], design.test_values[:, i]
    constant, median = constants(design, i)
    out = dict.fromkeys(SCORES, float("nan"))
    out["constant"] = score(target, true, constant)
    out["constant_mae"] = mean_absolute_error(target, true, median)
    for name, probes in {"one_hot": against.one_hot, "shown": against.shown}.items():
        out[name] = score(target, true, probes[i].predicted)
        out[f"{name}_mae"] = mean_absolute_error(target, true, probes[i].predicted)
    if against.embedding is not None:
        out["embedding"] = score(target, true, against.embedding[i].predicted)
    if "control_task" in design.scored:
        out["types_shared"] = float(design.test_scored("control_task")[:, i].mean())
    return out


def _scores(design: Design, i: int, found: Found, without: dict[str, float]) -> dict[str, float]:
    """Scores of one cell, with the target's scores that need no activations."""
    target, true = design.targets[i], design.test_values[:, i]
    controls = [name for name in ("shuffled", "control_task") if name in found.wrong]
    mine: dict[str, float] = {
        "score": score(target, true, found.predicted),
        "mae": mean_absolute_error(target, true, found.predicted),
        "cv": found.cv,
        **{name: _control_score(design, i, name, found.wrong[name]) for name in controls},
    }
    return without | mine


def _control_score(design: Design, i: int, name: str, said: Floats) -> float:
    """Score of a control on the held-out rows with learnable labels; NaN if these are too few."""
    rows = design.test_scored(name)[:, i]
    if rows.mean() < ENOUGH_TYPES:
        return float("nan")
    return score(design.targets[i], design.test_wrong(name)[rows, i], said[rows])


def shown_values(target: Target, predicted: Floats) -> npt.NDArray[np.float32]:
    """Predictions [n, 1 or 2] as displayed: numbers, classes, or residues of an angle."""
    if target.kind == "angle":
        assert target.modulus is not None
        return read_circle(predicted, target.modulus).astype(np.float32)
    return predicted[:, 0].astype(np.float32)
