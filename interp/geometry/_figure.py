"""Regular figures of numbers: circles and prisms in the class means of one place, and their use.

`interp.geometry.regular` has the formulas of the shapes, `interp.geometry.causal` those of the
causal test. Source: Bai et al. (arXiv 2510.00184), Fig. 6, which has neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.geometry.causal import move_table, removal_table
from interp.geometry.classes import Classes, class_means, classes_of
from interp.geometry.edited import place_of
from interp.geometry.fits import exceed, wave_shares
from interp.geometry.fits import permutations as orders_of
from interp.geometry.regular import circle, circle_table, principal, prism, wave_total
from interp.geometry.results.figure import RegularFigure
from interp.geometry.spectra import check_frequencies
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DIGIT_WAVES = (1, 2, 5)
_MOST_WAVES = 4


@shows_progress
def figure(
    model: Model,
    asked: Asked,
    *,
    site: str = "resid_post",
    layer: int | None = None,
    role: str | None = None,
    frequencies: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
    permutations: int = 200,
    randoms: int = 2,
    causal: bool = True,
    n: int = 2048,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> RegularFigure:
    """Principal components, circles and prism of the class means at one place, and their use.

    Args:
        site, layer: where; None means the last layer.
        role: the token whose number gives the classes; None means the position that predicts the
            middle answer digit.
        frequencies: the waves that are removed, kept and moved along; None means 1, 2 and 5 for
            digits, else the four strongest.
        steps: by how much the number is moved; None means 1 and 4 for digits, else 1 and q // 3.
        permutations: draws of the shapes' null distribution.
        randoms: random controls of the causal test.
        causal: make the causal test; False leaves it out, and nothing is concluded of use.
        n, seed, format, held_out: the sample of a task (`interp.models.asking`).
        memory, cancel, progress: as in `engine.run`.

    Does not show: that the same place of another seed or prompt has this shape.

    Raises:
        InputError: for a role without a number, numbers that the sample lacks, prompts without an
            answer, or class means that are all equal.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    chosen = role or _middle(batch)
    place = place_of(model, site, layer, chosen)
    classes = classes_of(batch, chosen)
    rows = np.flatnonzero(classes.values >= 0)
    part = batch if len(rows) == len(batch) else batch[rows]
    classes = classes_of(part, chosen)
    activation = place.read(model, part, memory, cancel)
    means, noise = class_means(activation, classes)
    if not np.ptp(means, axis=0).any():
        raise InputError(f"all numbers have the same mean at {site} {place.layer}, {chosen}")
    waves = _waves(frequencies, means, classes)
    orders = _orders(classes.q, permutations, seed)
    removal, errors, moves, differences = (pd.DataFrame() for _ in range(4))
    if causal:
        options: dict[str, Any] = {
            "randoms": randoms, "seed": seed, "memory": memory, "cancel": cancel,
        }  # fmt: skip
        given = (model, part, place, activation, classes, means, waves)
        removal, errors = removal_table(*given, **options)
        if progress is not None:
            progress(1, 2)
        by = tuple(steps) if steps is not None else (1, 4 if classes.q == 10 else classes.q // 3)
        moves, differences = move_table(*given, by, **options)
        if progress is not None:
            progress(2, 2)
    found = principal(means)
    share, drawn = wave_total(means, waves, orders)
    return RegularFigure(
        model=batch.model,
        task=batch.problems.task.name,
        n=len(part),
        n_distinct=part.n_distinct,
        seed=seed,
        settings={
            "format": batch.format,
            **sampled,
            "site": site,
            "layer": place.layer,
            "role": chosen,
            "frequencies": list(waves),
            "steps": None if steps is None else list(steps),
            "permutations": permutations,
            "randoms": randoms,
            "causal": causal,
        },
        number=classes.column,
        noise=noise,
        share=share,
        share_null=float(np.quantile(drawn, 0.95)),
        p=exceed(share, drawn),
        points=_points(means, found.scores, waves),
        components=_components(means, found.explained, found.alignment, orders),
        circles=pd.DataFrame(circle_table(means, orders)),
        prism=_prism(means, orders),
        removal=removal,
        errors=errors,
        moves=moves,
        differences=differences,
    )


def _middle(batch: PromptBatch) -> str:
    roles = [role for role in batch.answer_roles_least_first if digits_in(role)]
    if not roles:
        raise InputError(
            "these prompts hold no answer: name the role whose number gives the figure"
        )
    return f"predicts({roles[len(roles) // 2]})"


def _orders(q: int, draws: int, seed: int) -> Ints:
    if draws < 20:
        raise InputError(f"permutations={draws}: a null distribution needs at least 20")
    return orders_of(q, draws, seed)


def _waves(frequencies: Sequence[int] | None, means: Floats, classes: Classes) -> tuple[int, ...]:
    if frequencies is not None:
        return tuple(int(k) for k in check_frequencies(np.asarray(list(frequencies)), classes.q))
    if classes.q == 10:
        return DIGIT_WAVES
    shares = [circle(means, k).share for k in range(1, classes.q // 2 + 1)]
    return tuple(sorted(int(k) + 1 for k in np.argsort(shares)[::-1][:_MOST_WAVES]))


def _points(means: Floats, scores: Floats, waves: Sequence[int]) -> pd.DataFrame:
    """One row a number: its principal coordinates, and its place in each wave's plane."""
    table = pd.DataFrame({"number": np.arange(len(means))})
    for i in range(scores.shape[1]):
        table[f"pc{i + 1}"] = scores[:, i]
    for k in waves:
        plane = circle(means, k).points
        table[f"x{k}"], table[f"y{k}"] = plane[:, 0], plane[:, 1]
    return table


def _components(means: Floats, explained: Floats, alignment: Floats, orders: Ints) -> pd.DataFrame:
    """One row a principal component: explained, its best frequency and share, the share of the best
    frequency with permuted numbers (95 %), p."""
    q = len(means)
    centred = means - means.mean(axis=0)
    left = np.linalg.svd(centred, full_matrices=False)[0][:, : len(explained)]
    rows = []
    for i, shares in enumerate(alignment):
        k = int(shares.argmax()) + 1
        null = _best_shares(left[:, i], orders)
        row: dict[str, Any] = {
            "component": i + 1, "explained": float(explained[i]), "frequency": k,
            "share": float(shares[k - 1]), "null": float(np.quantile(null, 0.95)),
            "p": exceed(float(shares[k - 1]), null),
        }  # fmt: skip
        rows.append(row | {f"k{j}": float(shares[j - 1]) for j in range(1, min(q // 2, 8) + 1)})
    return pd.DataFrame(rows)


def _best_shares(profile: Floats, orders: Ints) -> Floats:
    return np.asarray(wave_shares(profile[None], orders)[:, 0].max(axis=1))


def _prism(means: Floats, orders: Ints) -> pd.DataFrame:
    """measure, value, null (95 % of permuted numbers), p; empty unless there are ten numbers."""
    if len(means) != 10:
        return pd.DataFrame({"measure": [], "value": [], "null": [], "p": []})
    found = prism(means)
    drawn = pd.DataFrame([prism(means[order]) for order in orders])
    return pd.DataFrame(
        [
            {
                "measure": name,
                "value": value,
                "null": float(drawn[name].quantile(0.95)),
                "p": exceed(value, drawn[name].to_numpy()),
            }
            for name, value in found.items()
        ]
    )
