"""Addition modulo p on a circle: a few frequencies, added by rectified cosines.

With w = 2π f / p, the token a is ρ (cos(w a + φ), sin(w a + φ)) for each planted frequency f. At
`=`, heads have brought both operands, and m neurons a frequency compute
relu(cos(w a + φ − ψ_j) + cos(w b + φ − ψ_j)), ψ_j = 2π j / m. The sum of two cosines is
2 cos(w(a − b)/2) cos(w(a + b)/2 + φ − ψ_j), and rectifying it brings forth its second harmonic:
Σ_j relu(…) e^{2iψ_j} ∝ |cos(w(a − b)/2)| e^{i(w(a + b) + 2φ)}. The unembedding compares this with
the angle of each residue. This is the "pizza" of Zhong et al. (arXiv 2306.17844); Nanda et al.
(2301.05217) found the circles.
"""

from typing import NamedTuple

import numpy as np

from interp.planted.circuit import NUMBER, Circuit, Sizes
from interp.planted.draft import Draft, Move
from interp.planted.neurons import Neuron, Row
from interp.planted.program import Floats

USUAL = (23, 29, 31, 37, 41, 43, 47, 53, 59, 61)
MODULI = (11, 13, 17, 19, *USUAL, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113)

_ASK = 3  # the position of `=`
_LEAST_MARGIN = 0.2
_LEAD = 0.6  # of the logit scale: lead of the right residue over any other; priors differ by less


class _Circles(NamedTuple):
    """Frequencies f, their phases and radii, m neurons for each, and a factor for the logits."""

    frequencies: list[int]
    phases: list[float]
    radii: list[float]
    m: int
    factor: float


def modular(rng: np.random.Generator, sizes: Sizes) -> Circuit:
    """`mod:p` in the format `modular`, right on the whole grid."""
    p = sizes.modulus
    frequencies, phases, radii, m, factor = _draw(rng, p)
    draft = Draft(rng, sizes.layers, sizes.family)
    sum_layer = draft.layer(0, sizes.layers - 1)
    own = [draft.block(f"circle {f}", 2) for f in frequencies]
    sign = draft.feature("sign")
    reads: list[Row] = [{feature: 1.0} for pair in own for feature in pair]
    brought = {}
    for name, offset in (("a", 2), ("b", 1)):
        brought[name] = [draft.block(f"circle {f} of {name}", 2) for f in frequencies]
        into = [feature for pair in brought[name] for feature in pair]
        moves = [Move(x, y) for x, y in zip(reads, into, strict=True)]
        draft.mover(draft.layer(0, sum_layer), offset, moves, f"{name}_value", [_ASK])

    answers = [draft.block(f"circle {f} of c", 2) for f in frequencies]
    for i, answer in enumerate(answers):
        draft.add(sum_layer, _harmonic(brought["a"][i], brought["b"][i], radii[i], m, answer))
    width = len(str(p - 1))
    names = [f"{v:0{width}d}" for v in range(p)]
    tokens = _rows(own, _circles(p, frequencies, phases, radii))
    doubled, factors = [2 * phase for phase in phases], [factor for _ in phases]
    evidence = _rows(answers, _circles(p, frequencies, doubled, factors))
    return Circuit(
        draft=draft,
        task=f"mod:{p}",
        format="modular",
        pattern=NUMBER,
        layout=("bos", _span("a", width), _span("b", width), "eq", _span("c", width)),
        answers=(_span("c", width),),
        tokens={**dict(zip(names, tokens, strict=True)), "=": {sign: 1.0}},
        evidence=dict(zip(names, evidence, strict=True)),
        reads=reads,
        read_scale=1.0,
        looks=[1, 2],
        facts={
            "layers": {"sum": sum_layer},
            "readable_from": sum_layer,
            "saturated": False,
            "modulus": p,
            "neurons_a_frequency": m,
            "frequencies": [
                {"frequency": f, "phase": phase, "radius": radius, "answer_phase": 2 * phase}
                for f, phase, radius in zip(frequencies, phases, radii, strict=True)
            ],
        },
    )


def _span(name: str, width: int) -> str:
    return f"{name}0" if width == 1 else f"{name}[0:{width}]"


def _draw(rng: np.random.Generator, p: int) -> _Circles:
    """Circles that add correctly for all p² pairs; more circles if a few do not suffice."""
    tries = 0
    while True:
        n = min(int(rng.integers(3, 6)) + tries // 20, (p - 1) // 2)
        frequencies = sorted(rng.choice(np.arange(1, (p + 1) // 2), n, replace=False).tolist())
        phases = rng.uniform(-np.pi, np.pi, n).tolist()
        m = int(rng.choice([7, 9, 11, 13]))
        margin = _margin(p, frequencies, phases, m)
        if margin > _LEAST_MARGIN:
            radii = rng.uniform(0.7, 1.5, n).tolist()
            return _Circles(frequencies, phases, radii, m, _LEAD / margin)
        tries += 1


def _margin(p: int, frequencies: list[int], phases: list[float], m: int) -> float:
    """The smallest lead of the right residue over any other, for a factor of 1."""
    a, b = (x.ravel() for x in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    logits = np.zeros((p * p, p))
    turns = 2 * np.pi * np.arange(m) / m
    for f, phase in zip(frequencies, phases, strict=True):
        w = 2 * np.pi * f / p
        x = np.cos(w * a[:, None] + phase - turns) + np.cos(w * b[:, None] + phase - turns)
        z = np.maximum(x, 0.0) @ np.exp(2j * turns) * _gain(m)
        logits += (z[:, None] * np.exp(-1j * (w * np.arange(p) + 2 * phase))).real
    right = (np.arange(p * p), (a + b) % p)
    true = logits[right].copy()
    logits[right] = -np.inf
    return float((true - logits.max(axis=1)).min())


def _gain(m: int) -> float:
    """Gain that gives the answer's circle a radius of about |cos(w(a − b)/2)|.

    relu(r cos x) has the second harmonic 2r/(3π) cos 2x; m such neurons give m r/(3π).
    """
    return 3 * np.pi / (2 * m)


def _harmonic(a: list[int], b: list[int], radius: float, m: int, answer: list[int]) -> list[Neuron]:
    made = []
    for psi in 2 * np.pi * np.arange(m) / m:
        c, s = float(np.cos(psi)) / radius, float(np.sin(psi)) / radius
        write = {answer[0]: float(np.cos(2 * psi)) * _gain(m),
                 answer[1]: float(np.sin(2 * psi)) * _gain(m)}  # fmt: skip
        made.append(Neuron({a[0]: c, a[1]: s, b[0]: c, b[1]: s}, 0.0, write))
    return made


def _circles(p: int, frequencies: list[int], phases: list[float], radii: list[float]) -> Floats:
    """Coordinates [frequencies, p, 2] of each residue on each circle."""
    turns = 2 * np.pi * np.outer(frequencies, np.arange(p)) / p
    angle = turns + np.array(phases)[:, None]
    points = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.asarray(points * np.array(radii)[:, None, None])


def _rows(blocks: list[list[int]], points: Floats) -> list[Row]:
    """One row a residue: its coordinates on all circles, each in a block of two features."""
    features = np.ravel(blocks).tolist()
    return [
        dict(zip(features, coordinates, strict=True))
        for coordinates in points.transpose(1, 0, 2).reshape(points.shape[1], -1).tolist()
    ]
