"""Probes find in a planted model what the key says a linear map can find, and use shows use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

import probes
from interp import engine
from interp.arithmetic.problems import Problems
from interp.behaviour.accuracy import distinct
from interp.engine import Read
from interp.models.planted.asked import at
from probes.estimators import LinearMap
from probes.splits import Split
from probes.steps import Along, edit
from tests.planted.subjects import Subject

Floats = npt.NDArray[np.float64]

_COLUMNS = ("a[0]", "b[0]", "carry[0]", "c[0]", "c[1]", "running_sum[1]", "product[1,0]")
_PROBLEMS = 13_000  # with fewer, a held-out R² lies below the population's for want of rows
_PARTS = 2


def prove_r2(subject: Subject) -> None:
    """At every layer the held-out R² of each column is the key's best linear one within 0.01.

    Every problem is predicted by a probe that did not see it, so that the R² is over the whole
    population, as the key's. The key's is in-sample, on n rows, and the probe's out of sample, from
    m of them: over k directions least squares is expected to lose (1 − R²)(k/n + k/m), and a
    penalty less. Shuffled labels are at chance.
    """
    key = subject.key
    problems = distinct(key.problems(_PROBLEMS, seed=key.program.seed))
    columns = [name for name in _COLUMNS if name in problems.truth
               and np.ptp(problems.column(name).astype(float)) > 0]  # fmt: skip
    site = ("resid_pre", "resid_mid", "resid_post")[key.program.seed % 3]
    want = key.linear_r2(columns, "last", site=site, problems=problems)
    cost = (1 + _PARTS / (_PARTS - 1)) / len(problems)  # of a direction
    directions = _directions(subject, problems, site)
    for (layer, name), (found, shuffled) in _held_out_r2(subject, problems, columns, site).items():
        expected = float(want.loc[str(layer), name])
        lost = (1 - expected) * directions[layer] * cost
        assert -lost - 0.01 < found - expected < 0.01, (
            f"{name}, {site} {layer}: {found:.4f}, not {expected:.4f} less {lost:.4f} at most"
        )
        assert shuffled < 0.02, f"{name}, {site} {layer}: shuffled labels are told, {shuffled:.3f}"


def _directions(subject: Subject, problems: Problems, site: str) -> dict[int, int]:
    """In how many directions the activations of each layer vary."""
    batch = subject.model.prompts(problems[:2000])
    found = engine.run(subject.model, batch, reads=[Read(site, roles=("last",))], logits=None)
    out = {}
    for (_, layer), values in found.activations.items():
        spread = torch.linalg.svdvals((values[:, 0] - values[:, 0].mean(dim=0)).double())
        out[layer] = int((spread > 1e-3 * spread[0]).sum())
    return out


def _held_out_r2(
    subject: Subject, problems: Problems, columns: list[str], site: str
) -> dict[tuple[int, str], tuple[float, float]]:
    """R² over all problems, and the largest of the shuffled controls, by layer and column."""
    part = np.random.default_rng(0).permutation(len(problems)) % _PARTS
    said: dict[tuple[int, str], Floats] = {}
    shuffled: dict[tuple[int, str], float] = {}
    for held in range(_PARTS):
        train, test = np.flatnonzero(part != held), np.flatnonzero(part == held)
        sweep = probes.probe(
            subject.model,
            problems,
            targets=[f"{name}:real" for name in columns],
            sites=(site,),
            roles=("last",),
            split=Split("parts", train, test, np.arange(len(train)) % 5),
            controls=("shuffled",),
        )
        for cell, row in enumerate(sweep.frame.to_dict("records")):
            place = (int(row["layer"]), str(row["target"]))
            points = sweep.scatter(cell)
            both = said.setdefault(place, np.full((2, len(problems)), np.nan))
            both[:, points["row"]] = points[["true", "predicted"]].to_numpy().T
            shuffled[place] = max(shuffled.get(place, -1.0), float(row["shuffled"]))
    return {place: (_r2(*both), shuffled[place]) for place, both in said.items()}


def _r2(true: Floats, predicted: Floats) -> float:
    return float(1 - ((true - predicted) ** 2).sum() / ((true - true.mean()) ** 2).sum())


def prove_use(subject: Subject) -> None:
    """Moving the carry flips the digit that the key names, as long as its lookup lies ahead.

    Along the key's own direction every answer becomes the predicted one. A fitted probe's step also
    moves what goes with the carry in the data (the digits that make it); what the answers become
    then is what the key says of a run with that step. From the layer of the lookup on the carry can
    be read as well as before, and nothing depends on it.
    """
    lookup, carry = subject.key.layers["lookup"], subject.key.layers["carry"]
    ahead, behind = (_carry_probe(subject, layer) for layer in (max(carry, lookup - 1), lookup))
    assert min(ahead.score, behind.score) > 0.99, "the carry is there in full"
    told = probes.use(subject.model, _told(subject, ahead), along="probe", seed=1)
    assert told.named == "c1"
    assert told.metrics["probe_predicted"] > 0.99, "the digit that arithmetic gives"
    assert told.metrics["difference_predicted_low"] > 0, "a random edit does not do it"
    for along in ("pattern", "probe"):
        found = probes.use(subject.model, ahead, along=along, to=1.0, seed=1).metrics
        assert abs(found["probe_predicted"] - _share_moved(subject, ahead, along)) < 0.02, along
        gone = probes.use(subject.model, ahead, mode="remove", along=along, seed=1).metrics
        assert abs(gone["probe_right"] - _share_kept(subject, ahead, along)) < 0.02, along
    for probe in (behind, _told(subject, behind)):
        after = probes.use(subject.model, probe, seed=1).metrics
        assert after["probe_original"] > 0.99, "nothing depends on the carry any more"


def _share_moved(subject: Subject, probe: probes.FittedProbe, along: Along) -> float:
    """The share of answers that are (c1 + 1) mod 10 when the key's own run is given the step that
    makes the probe read a carry where there is none."""
    problems = probe.held_out[:256]
    rows = problems.column("carry[0]") == 0
    moved = (problems.answer[:, 1].astype(int) + 1) % 10
    return _share(subject, probe, along, 1.0, moved, rows)


def _share_kept(subject: Subject, probe: probes.FittedProbe, along: Along) -> float:
    """The share of right answers in the key's own run when the probe reads its mean everywhere."""
    problems = probe.held_out[:256]
    right = problems.answer[:, 1].astype(int)
    return _share(subject, probe, along, None, right, np.ones(len(problems), dtype=bool))


def _share(
    subject: Subject,
    probe: probes.FittedProbe,
    along: Along,
    reading: float | None,
    digits: npt.NDArray[np.int64],
    rows: npt.NDArray[np.bool_],
) -> float:
    """How often, in `rows`, the key says `digits` for c1 after the step to that reading (mean)."""
    key, problems = subject.key, probe.held_out[:256]
    X = probe.activations(subject.model, subject.model.prompts(problems)).astype(float)
    now = probe.reading(X)
    wanted = np.full_like(now, now.mean() if reading is None else reading)
    step = key.features_of(edit(probe, now, wanted, along))[rows][:, None]
    place = key.position("c1") - 1
    change = at("resid_post", probe.hook.layer, [place], lambda old: old + step)
    said = key.logits(problems[rows], ["c1"], edit=change)[:, 0].argmax(axis=-1)
    tokens = np.array([key.program.vocabulary.index(str(digit)) for digit in digits[rows]])
    return float((said == tokens).mean())


def _carry_probe(subject: Subject, layer: int) -> probes.FittedProbe:
    problems = distinct(subject.key.problems(1200, seed=subject.key.program.seed))
    return probes.fit(
        subject.model, problems, "carry[0]:real", site="resid_post", layer=layer,
        role="predicts(c1)", split="problem",
    )  # fmt: skip


def _told(subject: Subject, fitted: probes.FittedProbe) -> probes.FittedProbe:
    """The same probe along the direction that the key tells, which is read with unit gain."""
    direction = subject.key.direction("carry")
    coef = (direction / (direction @ direction))[:, None]
    return replace(fitted, map=LinearMap(coef, np.zeros(1)))
