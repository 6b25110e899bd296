"""Statistics of a layer's states, under the names of what they are.

StreetMath (arXiv 2510.25776) prints the last of them as "gradient norm"; no gradient is in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

_BINS = 50


def statistics(states: npt.NDArray[np.float32], layers: Sequence[int]) -> pd.DataFrame:
    """One row a layer of states [n, layers, d].

    With s the singular values of the centred states and p = s / Σ s:

        spectral_entropy    −Σ p ln p, nats
        effective_rank      number of s above 0.01 of the largest
        trace               of the covariance
        entropy             of all activations in 50 equal bins, nats
        root_variance_size  √(variance of all activations) · their number
        cosine, distance, angle   between this layer's mean state and that of the next one given
                            (StreetMath's are of consecutive layers, so give every layer); angle in
                            degrees; NaN for the last one
    """
    rows = []
    for at, layer in enumerate(layers):
        X = states[:, at].astype(np.float64)
        mean = X.mean(axis=0)
        s = np.linalg.svd(X - mean, compute_uv=False)
        p = s[s > 0] / s.sum()
        counts = np.histogram(X, bins=_BINS)[0]
        q = counts[counts > 0] / counts.sum()
        row = {
            "layer": layer,
            "spectral_entropy": float(-(p * np.log(p)).sum()),
            "effective_rank": int((s > 0.01 * s[0]).sum()),
            "trace": float((s**2).sum() / (len(X) - 1)),
            "entropy": float(-(q * np.log(q)).sum()),
            "root_variance_size": float(np.sqrt(X.var()) * X.size),
            "cosine": np.nan, "distance": np.nan, "angle": np.nan,
        }  # fmt: skip
        if at + 1 < len(layers):
            other = states[:, at + 1].astype(np.float64).mean(axis=0)
            cosine = float(mean @ other / (np.linalg.norm(mean) * np.linalg.norm(other)))
            row |= {
                "cosine": cosine, "distance": float(np.linalg.norm(mean - other)),
                "angle": float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
            }  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)
