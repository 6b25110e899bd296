"""Modular suite on `mod113`: whole time, and its transforms against the public code's products.

The public code of 2301.05217 transforms activations by `einsum('xyz,fx,Fy->fFz')`, projects logits
on p² × p² outer products and loops over neurons and frequencies. The products are repeated here
(the loop over neurons on a few, and scaled), on the same pass.
"""

from __future__ import annotations

import time

import torch

from bench.harness import record, seconds
from interp.geometry import losses
from interp.geometry._modular import modular
from interp.geometry._phases import phases
from interp.geometry.pairs import grid_of, run_pairs
from interp.geometry.spectra import basis, clusters, sum_waves
from interp.models.loading import load_model

P, KEYS = 113, (19, 23, 25, 37)
LIMIT = 120.0  # seconds for the suite and all checkpoints


def public_transform(acts: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
    """The dense 2-D transform [p, p, m] of the public code."""
    return torch.einsum("xyz,fx,Fy->fFz", acts, waves, waves)


def public_projection(logits: torch.Tensor, waves: torch.Tensor, k: int) -> torch.Tensor:
    """cos and sin of w_k(a + b) of the logits [p², p], by outer products."""
    c, s = waves[2 * k - 1], waves[2 * k]
    total = torch.zeros_like(logits)
    for table in (torch.outer(c, c) - torch.outer(s, s), torch.outer(s, c) + torch.outer(c, s)):
        wave = table.flatten() / 2**0.5
        total += wave[:, None] @ (wave[None, :] @ logits)
    return total


def main() -> None:
    """Time the parts, the suite and the phases, and record them."""
    torch.set_num_threads(2)
    model = load_model("mod113")
    grid = grid_of(model, P)
    seen = run_pairs(model, grid)
    assert seen.neurons is not None
    waves = torch.from_numpy(basis(P).copy()).float()
    acts, logits = torch.from_numpy(seen.neurons), torch.from_numpy(seen.logits).float()
    flat = logits.reshape(P * P, P)
    parts = {
        "clusters": seconds(lambda: clusters(seen.neurons)),
        "clusters, public transform alone": seconds(lambda: public_transform(acts, waves)),
        "waves of the logits": seconds(lambda: sum_waves(seen.logits, KEYS)),
        "waves of the logits, public": seconds(
            lambda: [public_projection(flat, waves, k) for k in KEYS]
        ),
        "loss": seconds(lambda: losses.cross_entropy(seen.logits)),
    }
    began = time.perf_counter()
    suite = modular(model, triples="published")
    middle = time.perf_counter()
    series = phases(model)
    ended = time.perf_counter()
    body = {
        "parts_seconds": parts,
        "suite_seconds": middle - began,
        "phases_seconds": ended - middle,
        "checkpoints": len(series.steps),
        "limit_seconds": LIMIT,
        "within_limit": ended - began < LIMIT,
        "never_slower": parts["clusters"] <= parts["clusters, public transform alone"]
        and parts["waves of the logits"] <= parts["waves of the logits, public"],
        "keys": sorted(suite.keys),
    }
    record("geometry", 0, body)


if __name__ == "__main__":
    main()
