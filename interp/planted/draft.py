"""Builder of a program: features by name, heads and neurons in any layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from interp.planted.neurons import Neuron, Row, combined, scaled
from interp.planted.program import Family, Floats

SCALAR = 0.25
"""Length in the stream of one unit of a number-valued feature, so that 9 is not long."""

_JUNK_SCALARS = 6
_DECOY_NEURONS = 6
_DECOY_FEATURES = 4


class Move(NamedTuple):
    """One number that a head moves: how it is read, and the feature it is added to."""

    read: Row
    feature: int


@dataclass(frozen=True)
class DraftHead:
    """A head before the final numbering of features."""

    role: str
    offset: int
    moves: tuple[Move, ...]
    brings: str = ""
    targets: tuple[int, ...] = ()


class Draft:
    """Collects features, heads and neurons; `distract` adds distractors to every layer."""

    def __init__(self, rng: np.random.Generator, n_layers: int, family: Family) -> None:
        self.rng, self.family = rng, family
        self.names: list[str] = []
        self.scales: list[float] = []
        self.heads: list[list[DraftHead]] = [[] for _ in range(n_layers)]
        self.neurons: list[list[Neuron]] = [[] for _ in range(n_layers)]
        self.feature("anchor", scale=float(rng.uniform(8e4, 12e4)))  # number ANCHOR
        self.feature("sink")  # number SINK
        if family == "gpt2":
            self.block("place", 2)

    @property
    def n_layers(self) -> int:
        return len(self.heads)

    def feature(self, name: str, scale: float = 1.0) -> int:
        """A new feature's index."""
        self.names.append(name)
        self.scales.append(scale)
        return len(self.names) - 1

    def block(self, name: str, n: int, scale: float = 1.0) -> list[int]:
        """The indices of n new features: name[0], name[1], …"""
        return [self.feature(f"{name}[{i}]", scale) for i in range(n)]

    def layer(self, first: int, last: int) -> int:
        """A layer drawn from first … last."""
        return int(self.rng.integers(first, last + 1))

    def mover(
        self, layer: int, offset: int, moves: Sequence[Move], brings: str, targets: Sequence[int]
    ) -> None:
        """Add a head whose output the mechanism uses at `targets`."""
        head = DraftHead("mover", offset, tuple(moves), brings, tuple(targets))
        self.heads[layer].append(head)

    def add(self, layer: int, neurons: Sequence[Neuron]) -> None:
        """Add neurons to a layer's MLP."""
        self.neurons[layer].extend(neurons)

    def distract(self, reads: Sequence[Row], scale: float, offsets: Sequence[int]) -> None:
        """Give every layer the same number of heads: the rest are distractors.

        They attend to operand digits (`offsets`) and read like the movers (`reads`, taken from the
        embedding), so their outputs have the movers' norm and as much information about the
        problem, but go into junk features. Only decoy neurons read those, and nothing reads the
        decoys' output. Heads and neurons are then shuffled within their layers.
        """
        most = max(len(heads) for heads in self.heads)
        n_heads = int(self.rng.choice([n for n in (2, 3, 4, 6, 8) if n > most][:3]))
        junk = self.block("junk", max(_JUNK_SCALARS, len(reads)), scale)
        decoy = self.block("decoy", _DECOY_FEATURES, scale)
        for heads, neurons in zip(self.heads, self.neurons, strict=True):
            while len(heads) < n_heads:
                heads.append(self._distractor(reads, junk, offsets))
            neurons.extend(self._decoys(reads, junk, decoy))
            self.rng.shuffle(heads)
            self.rng.shuffle(neurons)

    def _distractor(
        self, reads: Sequence[Row], junk: Sequence[int], offsets: Sequence[int]
    ) -> DraftHead:
        written = self.rng.permutation(junk)[: len(reads)]
        sign = float(self.rng.choice([-1.0, 1.0]))  # so that junk does not pile up over the layers
        moves = [
            Move(scaled(read, sign), int(feature))
            for read, feature in zip(reads, written, strict=True)
        ]
        return DraftHead("distractor", int(self.rng.choice(offsets)), tuple(moves))

    def _decoys(
        self, reads: Sequence[Row], junk: Sequence[int], decoy: Sequence[int]
    ) -> list[Neuron]:
        """Decoy neurons, with kinks between integers like the mechanism's neurons."""
        made = []
        for _ in range(_DECOY_NEURONS):
            sign, weight = self.rng.choice([-1.0, 1.0], 2)
            seen, told = self.rng.choice(junk), self.rng.choice(decoy)
            read = combined(reads[int(self.rng.integers(len(reads)))], {int(seen): float(sign)})
            bias = float(self.rng.choice([-2.5, -0.5, 0.5, 2.5]))
            made.append(Neuron(read, bias, {int(told): 0.25 * float(weight)}))
        return made

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Rows as an array [rows, features]."""
        out = np.zeros((len(rows), len(self.names)))
        for i, row in enumerate(rows):
            out[i, list(row)] = list(row.values())
        return out
