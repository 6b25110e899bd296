"""Probes find in a planted model what the key says a linear map can find, and use shows use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

import probes
from interp.arithmetic.problems import Problems
from interp.behaviour.accuracy import distinct
from probes.estimators import LinearMap
from probes.splits import Split
from tests.planted.subjects import Subject

Floats = npt.NDArray[np.float64]

_COLUMNS = ("a[0]", "b[0]", "carry[0]", "c[0]", "c[1]", "running_sum[1]", "product[1,0]")
_PROBLEMS = 13_000  # with fewer, a held-out R² lies below the population's for want of rows
_PARTS = 2


def prove_r2(subject: Subject) -> None:
    """At every layer the held-out R² of each column is the key's best linear one within 0.01.

    Every problem is predicted by a probe that did not see it, so that the R² is over the whole
    population, as the key's. Shuffled labels are at chance.
    """
    key = subject.key
    problems = distinct(key.problems(_PROBLEMS, seed=key.program.seed))
    columns = [name for name in _COLUMNS if name in problems.truth
               and np.ptp(problems.column(name).astype(float)) > 0]  # fmt: skip
    site = ("resid_pre", "resid_mid", "resid_post")[key.program.seed % 3]
    want = key.linear_r2(columns, "last", site=site, problems=problems)
    for (layer, name), (found, shuffled) in _held_out_r2(subject, problems, columns, site).items():
        expected = float(want.loc[str(layer), name])
        assert abs(found - expected) < 0.01, f"{name}, {site} {layer}: {found:.4f} {expected:.4f}"
        assert shuffled < 0.02, f"{name}, {site} {layer}: shuffled labels are told, {shuffled:.3f}"


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

    Along the key's own direction every answer becomes the predicted one; along a fitted probe's,
    which spreads over all features that tell of the carry, none stays. From the layer of the lookup
    on the carry can be read as well as before, and nothing depends on it.
    """
    lookup, carry = subject.key.layers["lookup"], subject.key.layers["carry"]
    for layer, depends in ((max(carry, lookup - 1), True), (lookup, False)):
        fitted = _carry_probe(subject, layer)
        assert fitted.score > 0.99, "the carry is there in full"
        for probe in (fitted, _told(subject, fitted)):
            moved = probes.use(subject.model, probe, seed=1)
            removed = probes.use(subject.model, probe, mode="remove", seed=1).metrics
            assert moved.named == "c1"
            share = moved.metrics["probe_predicted"]
            if not depends:
                assert share < 0.01 and removed["probe_original"] > 0.99, "nothing depends on it"
                continue
            assert share > (0.99 if probe is not fitted else 0.4), "the digit arithmetic gives"
            assert moved.metrics["probe_original"] < 0.05, "the answer follows"
            assert moved.metrics["difference_predicted_low"] > 0, "a random edit does not do it"
            assert removed["probe_original"] < 0.95, "without the carry it goes wrong"


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
