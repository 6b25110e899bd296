"""A planted model as a feature program: what each head moves and each neuron computes.

The residual stream is described by named features x_f. Feature 0 is the anchor: 1 at every
position and by far the longest vector of all, so that the norms of the model divide by nearly a
constant. In a compiled model the stream is Σ_f x_f · scale_f · r_f with orthonormal directions r_f
(`basis`). The anchor lies in two coordinates of its own, as the massive activations of large models
do (Sun et al., arXiv 2402.17762); all other directions are rotated at random. Feature 1 marks the
sink, `<bos>`, which takes the attention of heads without a target (Xiao et al., arXiv 2309.17453).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from interp.errors import RoleError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Family = Literal["gpt2", "llama"]

ANCHOR, SINK = 0, 1
NORM_EPSILON = 1e-5
PULL = 0.2
"""Positions are as near as they are to (own − offset + PULL): never a tie."""


@dataclass(frozen=True, eq=False)
class Head:
    """One attention head: it attends `offset` places back and maps features to features.

    If the text has no such place, or it is masked, the head attends to the sink, the first token;
    if both are masked, to the nearest unmasked place.

    Args:
        role: "mover", or "distractor", whose output nothing reads.
        read: [v, features], from the attended place.
        write: [features, v], into the stream.
        brings: the moved truth column: "a[k]".
        targets: the positions at which its output is used.
    """

    role: Literal["mover", "distractor"]
    offset: int
    read: Floats
    write: Floats
    brings: str = ""
    targets: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Neurons:
    """x += write · relu(read · x + bias); read [m, features], bias [m], write [features, m]."""

    read: Floats
    bias: Floats
    write: Floats


@dataclass(frozen=True, eq=False)
class Layer:
    """Heads side by side, then neurons."""

    heads: tuple[Head, ...]
    neurons: Neurons


@dataclass(frozen=True, eq=False)
class Program:
    """A whole planted model before it gets weights.

    Args:
        kind, seed, family: the arguments it was built from.
        task, format: names of the task and of the format it reads.
        vocabulary: the text of each token; `pattern` cuts a text into them.
        layout: the role of each position of a prompt with its answer; all prompts have the same.
        answers: the answer roles that it gets right; others are outside the mechanism.
        features, scale: name, and length in the stream, of each feature.
        embed: [vocabulary, features], features of each token.
        place: [positions, features], features of each position (all zero for Llama).
        unembed: [vocabulary, features].
        logit_scale: logits by which the right answer's evidence raises its token.
        n_kv_heads, d_head: sizes of the attention; groups of heads share keys and values.
        facts: facts about the mechanism by construction; JSON values.
    """

    kind: str
    seed: int
    family: Family
    task: str
    format: str
    vocabulary: tuple[str, ...]
    pattern: str
    layout: tuple[str, ...]
    answers: tuple[str, ...]
    features: tuple[str, ...]
    scale: Floats
    embed: Floats
    place: Floats
    unembed: Floats
    layers: tuple[Layer, ...]
    logit_scale: float
    n_kv_heads: int
    d_head: int
    facts: Mapping[str, Any]

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    @property
    def n_heads(self) -> int:
        return len(self.layers[0].heads)

    @property
    def d_model(self) -> int:
        return self.n_heads * self.d_head

    @property
    def anchor(self) -> float:
        """Length of the anchor in the stream."""
        return float(self.scale[ANCHOR])

    def feature(self, name: str) -> int:
        """The index of a feature."""
        return self.features.index(name)

    def position(self, role: str) -> int:
        """The position of a role; `last` is the one before the answer. RoleError where there is
        none."""
        if role == "last":
            return min(i for i, r in enumerate(self.layout) if r[0] == "c") - 1
        if role not in self.layout:
            raise RoleError(f"prompts have no role {role!r}: they have {', '.join(self.layout)}")
        return self.layout.index(role)

    @cached_property
    def digest(self) -> str:
        """sha256 over every number, rounded to six decimals, and every name."""
        found = hashlib.sha256()
        _add(found, self)
        return found.hexdigest()


def basis(program: Program) -> Floats:
    """The vector [d_model, features] of one unit of each feature.

    Directions are orthonormal and orthogonal to the vector of ones, which LayerNorm removes. In
    coordinates of its own the anchor costs the other features no digits in float32.
    """
    rng = np.random.default_rng([program.seed, 1])
    d, n = program.d_model, len(program.features)
    massive, rest = np.split(rng.permutation(d), [2])
    drawn = np.column_stack([np.ones(d - 2), rng.standard_normal((d - 2, n - 1))])
    directions = np.zeros((d, n))
    directions[rest, 1:] = np.linalg.qr(drawn)[0][:, 1:]
    directions[massive, ANCHOR] = np.array([1.0, -1.0]) / np.sqrt(2.0)
    return np.asarray(directions * program.scale)


def _add(found: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        # + 0.0 makes −0 into 0.
        found.update(repr(value.shape).encode() + (np.round(value, 6) + 0.0).tobytes())
    elif isinstance(value, Program | Layer | Head | Neurons):
        for field in fields(value):
            _add(found, getattr(value, field.name))
    elif isinstance(value, tuple):
        found.update(f"({len(value)}".encode())
        for item in value:
            _add(found, item)
    else:
        found.update(repr(value).encode())
