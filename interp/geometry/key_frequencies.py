"""Key frequencies of a modular adder, under each rule in use.

    embedding     power of the token embeddings W_E along tokens (2301.05217, Fig. 3)
    unembedding   power of the neuron–logit map W_L = W_U W_out along answers (2301.05217: those
                  with "nontrivial" norm; no threshold is published)
    neurons       each neuron's best frequency, every one that occurs (the repository's rule)
    logits        cosine of the logits, centred over answers, with cos(w_k(a + b − c)): above 0.005
                  (2302.03025)

Without a published threshold a frequency is kept with at least a quarter of the strongest power,
half of its amplitude, if the strongest is above that of white noise: (1 + 4/√d)/K of the power for
d independent columns and K frequencies. A cosine must also be above 5 p^(−3/2), five standard
deviations of unstructured logits. Each rule gives its strengths, so the margin can be judged: the
weakest frequency kept over the strongest dropped.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.errors import InputError
from interp.geometry.spectra import Clusters, by_difference, power

Floats = npt.NDArray[np.float64]

RULES = ("embedding", "unembedding", "neurons", "logits")
SHARE_OF_STRONGEST = 0.25
LEAST_COSINE = 0.005
DEVIATIONS = 5.0
NOISE = 4.0
LEAST_NEURONS = 1


def wave_cosines(logits: Floats) -> Floats:
    """Cosine of the logits [p, p, p], centred over c, with cos(w_k(a + b − c)); k = 1 … p // 2.

    Its square is the share of the centred logits' sum of squares that this wave explains, and the
    waves are orthogonal: shares add up.
    """
    centred = logits - logits.mean(axis=2, keepdims=True)
    size = np.sqrt((centred**2).sum())
    p = len(logits)
    n = np.arange(p)
    k = np.arange(1, p // 2 + 1)
    waves = np.cos(2 * np.pi * ((k[:, None] * n) % p) / p)
    found = p * (waves @ by_difference(centred))
    if size == 0:
        return np.full(len(k), np.nan)
    return np.asarray(found / (size * p * np.linalg.norm(waves, axis=1)))


def by_rule(
    embedding: Floats, direct: Floats | None, neurons: Clusters | None, logits: Floats
) -> pd.DataFrame:
    """One row a rule and frequency: rule, frequency, strength, threshold, kept.

    strength: share of the power above frequency 0 (embedding, unembedding), number of neurons, or
    cosine. Rules without their data (no MLP) are left out.
    """
    parts = [_by_power("embedding", embedding)]
    if direct is not None:
        parts.append(_by_power("unembedding", direct.T))
    p = len(embedding)
    if neurons is not None:
        counts = np.bincount(neurons.frequency[neurons.frequency > 0], minlength=p // 2 + 1)[1:]
        parts.append(_table("neurons", counts.astype(float), LEAST_NEURONS))
    parts.append(_table("logits", wave_cosines(logits), max(LEAST_COSINE, DEVIATIONS * p**-1.5)))
    return pd.concat(parts, ignore_index=True)


def keys_of(rules: pd.DataFrame, rule: str) -> tuple[int, ...]:
    """The frequencies that a rule keeps, strongest first."""
    own = rules[rules["rule"] == rule]
    if own.empty:
        known = ", ".join(dict.fromkeys(rules["rule"]))
        raise InputError(f"no rule {rule!r} here: use {known}, or give the frequencies")
    kept = own[own["kept"]].sort_values("strength", ascending=False, kind="stable")
    return tuple(int(k) for k in kept["frequency"])


def _by_power(rule: str, rows: Floats) -> pd.DataFrame:
    """`rows` is [p, d]: shares of the power of all columns, above frequency 0."""
    found = power(rows).reshape(len(rows) // 2 + 1, -1).sum(axis=1)[1:]
    total = found.sum()
    shares = found / total if total > 0 else np.zeros_like(found)
    strongest = float(shares.max())
    white = (1 + NOISE / np.sqrt(_columns(rows))) / len(shares)
    return _table(rule, shares, SHARE_OF_STRONGEST * strongest if strongest > white else white)


def _columns(rows: Floats) -> float:
    """Number of independent columns: (Σλ)² / Σλ² of the covariance's eigenvalues λ."""
    sizes = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    return float(sizes.sum() ** 2 / np.maximum((sizes**2).sum(), np.finfo(float).tiny)) or 1.0


def _table(rule: str, strength: Floats, threshold: float) -> pd.DataFrame:
    above = strength > threshold if rule != "neurons" else strength >= threshold
    return pd.DataFrame(
        {
            "rule": rule,
            "frequency": np.arange(1, len(strength) + 1),
            "strength": strength,
            "threshold": threshold,
            "kept": above,
        }
    )
