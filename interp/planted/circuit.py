"""The draft circuit of a mechanism, and the Program compiled from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interp.planted.attention import angle_of
from interp.planted.draft import Draft, DraftHead
from interp.planted.neurons import Neuron, Row, combined
from interp.planted.program import ANCHOR, SINK, Family, Floats, Head, Layer, Neurons, Program

PAD, UNKNOWN, BOS = "<pad>", "<unk>", "<bos>"
DIGIT = r"\S"  # one token a character
NUMBER = r"\d+|\S"  # one token a number

_PRIOR = 0.4  # of the logit scale; below one half, the lead of the right answer


@dataclass(frozen=True)
class Sizes:
    """The requested sizes; each mechanism reads its own."""

    layers: int
    family: Family
    digits: int
    modulus: int


@dataclass(frozen=True)
class Circuit:
    """A drafted mechanism.

    `tokens`: features of each token besides the anchor, in the order of the vocabulary;
    `evidence`: features that the unembedding reads for a token, in units of the logit scale;
    `reads`, `read_scale` and `looks` describe the distractors (`Draft.distract`).
    """

    draft: Draft
    task: str
    format: str
    pattern: str
    layout: tuple[str, ...]
    answers: tuple[str, ...]
    tokens: Mapping[str, Row]
    evidence: Mapping[str, Row]
    reads: Sequence[Row]
    read_scale: float
    looks: Sequence[int]
    facts: Mapping[str, Any]


def assemble(kind: str, seed: int, circuit: Circuit) -> Program:
    """Number all features, add distractors and priors, and draw the random choices."""
    draft = circuit.draft
    rng = draft.rng
    draft.distract(circuit.reads, circuit.read_scale, circuit.looks)
    vocabulary = (*circuit.tokens, PAD, UNKNOWN, BOS)
    scale = float(rng.uniform(10.0, 20.0))
    # A prior separates tokens without evidence, so that noise never decides a ranking.
    prior = rng.permutation(np.linspace(0.0, _PRIOR, len(vocabulary)))
    evidence = [
        combined({ANCHOR: float(p)}, circuit.evidence.get(token, {}))
        for token, p in zip(vocabulary, prior, strict=True)
    ]
    embed = draft.dense([circuit.tokens.get(token, {}) for token in vocabulary])
    embed[:, ANCHOR] = 1.0
    embed[vocabulary.index(BOS), SINK] = 1.0
    layers = tuple(
        _layer(draft, heads, neurons)
        for heads, neurons in zip(draft.heads, draft.neurons, strict=True)
    )
    n_heads = len(layers[0].heads)
    n_kv_heads = _kv_heads(rng, n_heads) if draft.family == "llama" else n_heads
    return Program(
        kind=kind,
        seed=seed,
        family=draft.family,
        task=circuit.task,
        format=circuit.format,
        vocabulary=vocabulary,
        pattern=circuit.pattern,
        layout=circuit.layout,
        answers=circuit.answers,
        features=tuple(draft.names),
        scale=np.array(draft.scales),
        embed=embed,
        place=_places(draft, len(circuit.layout)),
        unembed=draft.dense(evidence) * scale,
        layers=layers,
        logit_scale=scale,
        n_kv_heads=n_kv_heads,
        d_head=_head_size(rng, layers, n_kv_heads, len(draft.names)),
        facts=circuit.facts,
    )


def group_reads(heads: Sequence[Head]) -> Floats:
    """Union of the reads of heads that share their values: [v, features], no row twice."""
    return np.asarray(np.unique(np.concatenate([head.read for head in heads]), axis=0))


def groups(heads: Sequence[Head], n_kv_heads: int) -> list[Sequence[Head]]:
    """The heads of a layer grouped by shared keys and values."""
    size = len(heads) // n_kv_heads
    return [heads[i * size : (i + 1) * size] for i in range(n_kv_heads)]


def _layer(draft: Draft, heads: Sequence[DraftHead], neurons: Sequence[Neuron]) -> Layer:
    return Layer(
        tuple(_head(draft, head) for head in heads),
        Neurons(
            draft.dense([neuron.read for neuron in neurons]),
            np.array([neuron.bias for neuron in neurons]),
            draft.dense([neuron.write for neuron in neurons]).T,
        ),
    )


def _head(draft: Draft, head: DraftHead) -> Head:
    write = np.zeros((len(draft.names), len(head.moves)))
    write[[move.feature for move in head.moves], range(len(head.moves))] = 1.0
    read = draft.dense([move.read for move in head.moves])
    role = "mover" if head.role == "mover" else "distractor"
    return Head(role, head.offset, read, write, head.brings, head.targets)  # type: ignore[arg-type]


def _places(draft: Draft, length: int) -> Floats:
    """GPT-2's positions as points on a circle; Llama rotates queries and keys instead."""
    out = np.zeros((length, len(draft.names)))
    if draft.family == "gpt2":
        angle = angle_of(length) * np.arange(length)
        first = draft.names.index("place[0]")
        out[:, first], out[:, first + 1] = np.cos(angle), np.sin(angle)
    return out


def _kv_heads(rng: np.random.Generator, n_heads: int) -> int:
    return int(rng.choice([n for n in range(1, n_heads + 1) if n_heads % n == 0]))


def _head_size(
    rng: np.random.Generator, layers: Sequence[Layer], n_kv_heads: int, features: int
) -> int:
    """The least even size (pairs are turned) with room for one pair that compares distances, one
    for the sink, and what a group reads; and of a stream that holds all features, the anchor in two
    coordinates, and the vector of ones. Then something more."""
    n_heads = len(layers[0].heads)
    widest = max(
        len(group_reads(group)) for layer in layers for group in groups(layer.heads, n_kv_heads)
    )
    least = max(6, widest, -(-(features + 2) // n_heads))
    return 2 * int(-(-least // 2) + rng.integers(0, 3))


def operand_offsets(layout: Sequence[str], answers: Sequence[str]) -> list[int]:
    """Distances from the answer-predicting positions back to the operand digits."""
    operands = [i for i, role in enumerate(layout) if role[0] in "ab" and role != "bos"]
    return sorted({layout.index(role) - 1 - i for role in answers for i in operands})
