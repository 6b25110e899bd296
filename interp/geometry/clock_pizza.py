"""Clock or Pizza: three measures of a modular adder (Zhong et al., arXiv 2306.17844).

    distance irrelevance     mean over d of std_s(L[s, d]) / std(L),  L the right answer's logit at
                             s = a + b (rows) and d = a − b (columns), all mod p, population std
    gradient symmetricity    mean over triples (a, b, c) of the cosine of ∂logit_c/∂E_a and
                             ∂logit_c/∂E_b, the gradients at the two operands' embeddings
    circularity              mean over the first four principal components v of the p embeddings of
                             max over k of 2·|Σ_t v_t e^{2πikt/p}|² / (p‖v‖²), at most 1

In the paper a Pizza has symmetricity above 0.98 and distance irrelevance below 0.6.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from interp.arithmetic.tasks import ModularAddition
from interp.engine._gradients import gradients
from interp.engine.interventions import Replace, Rows
from interp.engine.requests import Cancel, Read
from interp.errors import InputError
from interp.geometry.pairs import Grid
from interp.models.model import Model

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Triples = Literal["published"] | int | Sequence[tuple[int, int, int]] | None

PUBLISHED_SEED, PUBLISHED_TRIPLES = 42, 100
COMPONENTS = 4
LEAST_ERROR = 0.005  # the standard error at which drawing triples stops
_ROUND, _MOST = 400, 20_000


def correct_logits(logits: Floats) -> Floats:
    """The right answer's logit on axes s = a + b and d = a − b mod p, from logits [p, p, p]."""
    p = len(logits)
    a, b = np.meshgrid(np.arange(p), np.arange(p), indexing="ij")
    out = np.full((p, p), np.nan)
    out[(a + b) % p, (a - b) % p] = logits[a, b, (a + b) % p]
    return out


def distance_irrelevance(logits: Floats) -> float:
    """mean_d std_s(L[s, d]) / std(L) of logits [p, p, p] (a, b, c).

    0: the right logit depends on a − b alone; 1: a − b tells nothing of it, as in any table without
    structure. For an even p the map (s, d) leaves half of the cells empty: they are left out.

    Does not show: a circle. Unstructured logits have 1 too.
    """
    right = correct_logits(logits)
    spread = float(np.nanstd(right))
    if spread == 0:
        return float("nan")
    return float(np.nanmean(np.nanstd(right, axis=0)) / spread)


class Symmetricity(NamedTuple):
    """Mean cosine over triples, its standard error, and the number of triples."""

    mean: float
    error: float
    n: int


@cache
def published_triples(p: int) -> tuple[tuple[int, int, int], ...]:
    """The authors' 100 triples: all p³ in lexicographic order, shuffled with Python's
    `random.Random(42)`, the first 100."""
    every = list(itertools.product(range(p), range(p), range(p)))
    random.Random(PUBLISHED_SEED).shuffle(every)
    return tuple(every[:PUBLISHED_TRIPLES])


def gradient_symmetricity(
    model: Model,
    grid: Grid,
    triples: Triples = None,
    *,
    seed: int = 0,
    noise: Floats | None = None,
    memory: int = 2**30,
    cancel: Cancel | None = None,
) -> Symmetricity:
    """Mean cosine of the gradients of logit c at the two operands, over triples (a, b, c).

    Args:
        triples: "published" takes the authors' 100, a number draws that many with `seed`, a list
            gives them; None draws until the standard error is below 0.005.
        noise: embeddings [p, d_model] put in the place of the operands' own. Symmetry that stays
            with random vectors is forced by the architecture.

    Raises:
        InputError: for triples outside 0 … p − 1, or fewer than two.
    """
    if triples is None:
        rng, found = np.random.default_rng(seed), np.empty(0)
        while len(found) < _MOST:
            drawn = rng.integers(grid.p, size=(_ROUND, 3))
            found = np.append(found, _cosines(model, grid, drawn, noise, memory, cancel))
            if np.nanstd(found) / np.sqrt(len(found)) < LEAST_ERROR:
                break
    else:
        found = _cosines(model, grid, _as_triples(triples, grid.p, seed), noise, memory, cancel)
    known = found[~np.isnan(found)]
    if len(known) < 2:
        return Symmetricity(float("nan"), float("nan"), len(known))
    return Symmetricity(
        float(known.mean()), float(known.std(ddof=1) / np.sqrt(len(known))), len(known)
    )


def circularity(embedding: Floats, components: int = COMPONENTS) -> float:
    """Mean over the first principal components of the largest share of one frequency, at most 1.

    `embedding` is [p, d], a row a residue. 1: every component is a wave.

    Does not show: that the circle is used.
    """
    centred = embedding - embedding.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    p = len(embedding)
    scores = left[:, :components] * sizes[:components]
    shares = 2 * np.abs(np.fft.rfft(scores, axis=0)[1 : p // 2 + 1]) ** 2
    norms = p * (scores**2).sum(axis=0)
    best = shares.max(axis=0) / np.where(norms > 0, norms, np.inf)
    return float(np.minimum(best, 1.0).mean())


def random_circularity(p: int, d: int, seed: int, draws: int = 200) -> Floats:
    """The same of Gaussian embeddings, [draws]: the best of p // 2 frequencies is above 0 by
    chance alone."""
    rng = np.random.default_rng(seed)
    return np.array([circularity(rng.standard_normal((p, d))) for _ in range(draws)])


def _as_triples(triples: Triples, p: int, seed: int) -> Ints:
    if isinstance(triples, str):
        if triples != "published":
            raise InputError(
                f"triples={triples!r} is unknown: 'published', a number, a list of (a, b, c), or "
                "None for as many as a standard error below 0.005 needs"
            )
        return np.array(published_triples(p))
    if isinstance(triples, int | np.integer):
        if triples < 2:
            raise InputError(f"triples={triples}: a mean with an error needs at least two")
        return np.random.default_rng(seed).integers(p, size=(int(triples), 3))
    found = np.asarray(triples)
    if found.ndim != 2 or found.shape[1] != 3 or len(found) < 2:
        raise InputError("triples must be a list of at least two (a, b, c)")
    if (found < 0).any() or (found >= p).any():
        raise InputError(f"triples (a, b, c) lie between 0 and {p - 1}")
    return found.astype(np.int64)


def _cosines(
    model: Model,
    grid: Grid,
    triples: Ints,
    noise: Floats | None,
    memory: int,
    cancel: Cancel | None,
) -> Floats:
    problems = ModularAddition(grid.p).problems(triples[:, 0], triples[:, 1])
    batch = model.prompts(problems, format=grid.batch.format, answer="none")
    wanted = torch.from_numpy(grid.tokens[triples[:, 2]])
    done = 0

    def of(logits: torch.Tensor, rows: object) -> torch.Tensor:
        nonlocal done  # minibatches come in order
        index = wanted[done : done + len(logits)].to(logits.device)
        done += len(logits)
        return logits[:, 0].gather(1, index[:, None])[:, 0]

    edits = []
    if noise is not None:
        stand_in = torch.from_numpy(noise[triples[:, :2]]).to(model.dtype)
        edits = [Replace("resid_pre", Rows({0: stand_in}), layers=(0,), roles=grid.roles)]
    slopes = gradients(
        model, batch, [Read("resid_pre", (0,), grid.roles)], of=of, logits="last",
        interventions=edits, memory=memory, cancel=cancel,
    ).gradients["resid_pre", 0].double().numpy()  # fmt: skip
    first, second = slopes[:, 0], slopes[:, 1]
    size = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(size > 0, (first * second).sum(axis=1) / size, np.nan))
