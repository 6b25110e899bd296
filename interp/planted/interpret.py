"""Interpreter of a program on feature values, in plain numpy: no weights, rotation or softmax.

This is a second, independent implementation of a planted model, and computes its answer key.
`norms=True` divides by the length of the stream exactly as the model's norms do; `norms=False` is
the ideal, which divides by the anchor alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from interp.planted.program import ANCHOR, NORM_EPSILON, PULL, Floats, Ints, Program

Edit = Callable[[str, int, Floats], Floats]
"""(site, layer, value) → new value. Sites: `heads` [heads, n, T, F], and `resid_pre`, `resid_mid`,
`mlp`, `resid_post` [n, T, F]."""

Visible = Callable[[int, int], npt.NDArray[np.bool_] | None]
"""(layer, head) → which keys each query may look at, [T, T], or None for all before it."""


@dataclass
class Trace:
    """Features at every site: lists over layers; `heads` [heads, n, T, F], the others [n, T, F]."""

    resid_pre: list[Floats] = field(default_factory=list)
    heads: list[Floats] = field(default_factory=list)
    resid_mid: list[Floats] = field(default_factory=list)
    mlp: list[Floats] = field(default_factory=list)
    resid_post: list[Floats] = field(default_factory=list)


def interpret(
    program: Program,
    tokens: Ints,
    *,
    norms: bool = True,
    edit: Edit | None = None,
    visible: Visible | None = None,
) -> Trace:
    """Run `tokens` [n, T] through every layer."""
    change = edit or (lambda site, layer, value: value)
    x = program.embed[tokens] + program.place[: tokens.shape[1]]
    out = Trace()
    for number, layer in enumerate(program.layers):
        x = change("resid_pre", number, x)
        out.resid_pre.append(x)
        seen = normed(program, x, norms)
        heads = np.stack(
            [
                (seen[:, looks_at(program, number, h, x.shape[1], visible)] @ head.read.T)
                @ head.write.T
                for h, head in enumerate(layer.heads)
            ]
        )
        out.heads.append(change("heads", number, heads))
        x = change("resid_mid", number, x + out.heads[-1].sum(axis=0))
        out.resid_mid.append(x)
        out.mlp.append(change("mlp", number, _mlp(program, number, normed(program, x, norms))))
        x = change("resid_post", number, x + out.mlp[-1])
        out.resid_post.append(x)
    return out


def normed(program: Program, x: Floats, norms: bool) -> Floats:
    """Input of a sublayer: x, divided by the stream's length in anchors where `norms`."""
    if not norms:
        return x
    squared = ((x * program.scale) ** 2).sum(axis=-1, keepdims=True)
    return x * program.anchor / np.sqrt(squared + program.d_model * NORM_EPSILON)


def read_out(program: Program, x: Floats, norms: bool = True) -> Floats:
    """Logits [..., vocabulary] of features, by the final norm and the unembedding."""
    return normed(program, x, norms) @ program.unembed.T


def looks_at(
    program: Program, layer: int, head: int, length: int, visible: Visible | None = None
) -> Ints:
    """Attended position of each query, [length]: its place, else the sink, else the nearest."""
    place = np.arange(length)
    offset = program.layers[layer].heads[head].offset
    distance = np.abs(place[:, None] - offset + PULL - place[None, :])
    distance[place[:, None] < place[None, :]] = np.inf
    allowed = visible(layer, head) if visible is not None else None
    if allowed is not None:
        distance[~allowed[:length, :length]] = np.inf
    found = distance.argmin(axis=1)
    lost = distance[place, found] > 0.5  # farther than the place itself
    return np.where(lost & np.isfinite(distance[:, 0]), 0, found)


def _mlp(program: Program, layer: int, x: Floats) -> Floats:
    neurons = program.layers[layer].neurons
    # A Llama has no biases: biases and the gate's constant factor are read from the anchor.
    one = x[..., ANCHOR : ANCHOR + 1] if program.family == "llama" else 1.0
    active = np.maximum(x @ neurons.read.T + neurons.bias * one, 0.0)
    return (active * one) @ neurons.write.T
