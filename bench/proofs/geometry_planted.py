"""The modular suite on planted adders with fresh seeds: their frequencies and no others.

Each planted model adds modulo p by a few circles of known frequency, radius and phase. For each:

    keys        the rule on logits names the planted frequencies exactly, and so do the neurons with
                over 85 % of their variance at one frequency
    radius      of each circle in the embeddings, to 1e-3 of the planted one; phase to 1e-3 radians
    silence     power of all other frequencies in the embeddings, below 1e-9 of the strongest
    excluded    the loss without one frequency, over the full loss: twenty times larger for each
                planted one than for any other (a finite number of neurons leaves harmonics)
    untrained   the same architecture with random weights has no key frequency
    mutated     with a − b for a + b the planted frequencies are not found

    python -m bench.proofs.geometry_planted --seeds 20
"""

from __future__ import annotations

import argparse
import secrets
from typing import Any

import numpy as np

from bench.harness import record
from interp.geometry import losses
from interp.geometry._modular import ONE_FREQUENCY, direct_map, rules_of
from interp.geometry.key_frequencies import keys_of, wave_cosines
from interp.geometry.pairs import Pass, grid_of, run_pairs
from interp.geometry.spectra import clusters, dft, frequencies_of
from interp.models.untrained import untrained
from interp.planted import build
from interp.planted.program import basis as program_basis

RISE, SILENT, EXACT = 20.0, 1e-9, 1e-3


def main() -> None:
    """Prove each seed, write the table, and fail if any seed does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--first", type=int, default=secrets.randbelow(2**31), help="fresh if left out"
    )
    parser.add_argument("--modulus", type=int, default=29)
    options = parser.parse_args()
    rows = []
    for seed in range(options.first, options.first + options.seeds):
        rows.append(_proved(seed, options.modulus))
        print(rows[-1], flush=True)
    failed = [row["seed"] for row in rows if not all(row["holds"].values())]
    body = {"modulus": options.modulus, "seeds": options.seeds, "failed": failed, "rows": rows}
    record("geometry_planted", options.first, body, show=False)
    assert not failed, failed


def _proved(seed: int, p: int) -> dict[str, Any]:
    hidden = build("modular", seed=seed, modulus=p, layers=2, family="gpt2")
    model, key = hidden.model(), hidden.key
    planted = sorted(int(one["frequency"]) for one in key.frequencies)
    seen = run_pairs(model, grid_of(model, p), key.readable_from)
    assert seen.neurons is not None
    rules = rules_of(seen, direct_map(model, seen))
    own = clusters(seen.neurons)
    single = own.frequency[np.nan_to_num(own.explained) > ONE_FREQUENCY]
    found = {
        "logits": sorted(keys_of(rules, "logits")),
        "neurons": sorted({int(k) for k in single}),
        "neurons, the rule without a threshold": sorted(keys_of(rules, "neurons")),
    }
    radius, phase = _circles(seen, key)
    squares = (dft(seen.embedding) ** 2).sum(axis=1)
    others = ~np.isin(frequencies_of(p), [0, *planted])
    rises = _rises(seen)
    wanted = np.isin(np.arange(1, p // 2 + 1), planted)
    flipped = seen.logits[:, (-np.arange(p)) % p]
    random = untrained(model, seed=seed)
    noise = wave_cosines(run_pairs(random, grid_of(random, p)).logits)
    numbers = {
        "radius_error": radius,
        "phase_error": phase,
        "other_power": float(squares[others].max() / squares[1:].max()),
        "least_rise": float(rises[wanted].min()),
        "largest_other_rise": float(rises[~wanted].max()),
        "largest_cosine_untrained": float(noise.max()),
        "largest_cosine_mutated": float(np.abs(wave_cosines(flipped)).max()),
        "least_cosine_planted": float(wave_cosines(seen.logits)[wanted].min()),
    }
    threshold = float(rules[rules["rule"] == "logits"]["threshold"].iloc[0])
    holds = {
        "keys": all(found[name] == planted for name in ("logits", "neurons")),
        "radius": radius < EXACT,
        "phase": phase < EXACT,
        "silence": numbers["other_power"] < SILENT,
        "excluded": numbers["least_rise"] > RISE * numbers["largest_other_rise"],
        "untrained": numbers["largest_cosine_untrained"] <= threshold,
        "mutated": numbers["largest_cosine_mutated"] < numbers["least_cosine_planted"] / 3,
    }
    return {"seed": seed, "planted": planted, "found": found, **numbers, "holds": holds}


def _circles(seen: Pass, key: Any) -> tuple[float, float]:
    """Largest relative error of a radius, and largest error of a phase in radians: the wave of
    frequency f in the embeddings is ρ (cos(w a + φ) u + sin(w a + φ) v)."""
    waves, program, p = dft(seen.embedding), key.program, seen.grid.p
    radius, phase = [], []
    for one in key.frequencies:
        k = int(one["frequency"])
        cosine, sine = waves[frequencies_of(p) == k]
        blocks = [i for i, name in enumerate(program.features) if name.startswith(f"circle {k}")]
        for turn, axis in enumerate(program_basis(program)[:, blocks[:2]].T):
            z = np.sqrt(2 / p) * (cosine @ axis - 1j * (sine @ axis)) / (axis @ axis)
            radius.append(abs(abs(z) / one["radius"] - 1))
            off = np.angle(z * np.exp(-1j * one["phase"]) * 1j**turn)
            phase.append(abs(off))
    return float(max(radius)), float(max(phase))


def _rises(seen: Pass) -> np.ndarray:
    full = losses.cross_entropy(seen.logits)
    every = range(1, seen.grid.p // 2 + 1)
    without = [losses.cross_entropy(losses.removed(seen.logits, (k,))) for k in every]
    return np.array(without) / full


if __name__ == "__main__":
    main()
