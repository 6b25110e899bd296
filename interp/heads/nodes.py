"""Names of nodes and edges: a head, a key/value group, an MLP, a stream, by layer and role.

| name                   | node                                                 | site         |
|------------------------|------------------------------------------------------|--------------|
| `L3H5`                 | output of head 5 of layer 3, before its projection   | z            |
| `L3H5.q`               | its queries                                          | q            |
| `L3H5.pattern`         | its attention pattern                                | pattern      |
| `L3G1.k` `L3G1.v`      | keys, values of group 1: of the heads that share them | k, v        |
| `L3.mlp` `L3.attn`     | output of the MLP, of the whole attention            | mlp_out, ... |
| `L3N17`                | neuron 17 of the MLP                                 | mlp_post     |
| `L3.resid_pre` ...     | residual stream; also `resid_mid`, `resid_post`      | the same     |
| `embed`                | embeddings, the stream before layer 0                | resid_pre    |
| `L3H5@predicts(c2)`    | the same at one role; without a role: all positions  |              |
| `L1H0->L3H5.q`         | edge into another head's queries, or into `logits`   |              |

With as many key/value groups as heads, group g belongs to head g. With fewer, keys and values of
one head alone do not exist, so patches of k and v are patches of a group.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

from interp.errors import InputError

Kind = Literal[
    "head", "q", "k", "v", "pattern", "mlp", "attn", "neuron",
    "resid_pre", "resid_mid", "resid_post", "embed",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
SITES: dict[Kind, str] = {
    "head": "z", "q": "q", "k": "k", "v": "v", "pattern": "pattern", "mlp": "mlp_out",
    "attn": "attn_out", "neuron": "mlp_post", "resid_pre": "resid_pre", "resid_mid": "resid_mid",
    "resid_post": "resid_post", "embed": "resid_pre",
}  # fmt: skip
INDEXED: tuple[Kind, ...] = ("head", "q", "k", "v", "pattern", "neuron")
LOGITS = "logits"
_NAME = re.compile(r"L(\d+)(?:([HGN])(\d+))?(?:\.(\w+))?(?:@(.+))?")
_EXAMPLES = "'L3H5', 'L3H5.q', 'L3G1.k', 'L3.mlp', 'L3.resid_post@c2' or 'embed'"


class Sizes(Protocol):
    """The sizes of a model that its nodes depend on (`interp.models.model.Shape`)."""

    @property
    def n_layers(self) -> int: ...
    @property
    def n_heads(self) -> int: ...
    @property
    def n_kv_heads(self) -> int: ...
    @property
    def d_mlp(self) -> int: ...


@dataclass(frozen=True, order=True)
class Node:
    """One node of a model; `index` is that of a head, group or neuron. `role=""`: all positions."""

    layer: int
    kind: Kind
    index: int = -1
    role: str = ""

    @property
    def site(self) -> str:
        """The engine's site."""
        return SITES[self.kind]

    @property
    def heads(self) -> tuple[int, ...] | None:
        """Heads, groups or neurons of an intervention; None for a node without an index."""
        return (self.index,) if self.kind in INDEXED else None

    @property
    def name(self) -> str:
        """As in the table above."""
        at = f"@{self.role}" if self.role else ""
        if self.kind == "embed":
            return f"embed{at}"
        if self.kind == "neuron":
            return f"L{self.layer}N{self.index}{at}"
        letter = "G" if self.kind in ("k", "v") else "H"
        index = f"{letter}{self.index}" if self.kind in INDEXED else ""
        return f"L{self.layer}{index}{'' if self.kind == 'head' else '.' + self.kind}{at}"

    def at(self, role: str) -> Node:
        """The same node at a role."""
        return replace(self, role=role)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, order=True)
class Edge:
    """What `receiver` (None: the logits) reads of what `sender` writes."""

    sender: Node
    receiver: Node | None = None

    @property
    def name(self) -> str:
        return f"{self.sender}->{self.receiver or LOGITS}"

    def __str__(self) -> str:
        return self.name


def node(name: str | Node) -> Node:
    """The node of a name.

    >>> node("L3G1.k@a0")
    Node(layer=3, kind='k', index=1, role='a0')

    Raises InputError for anything that is no name, with examples.
    """
    if isinstance(name, Node):
        return name
    text = str(name)
    if text == "embed" or text.startswith("embed@"):
        return Node(0, "embed", role=text.removeprefix("embed").removeprefix("@"))
    found = _NAME.fullmatch(text)
    if found is None:
        raise InputError(f"{text!r} names no node: write one such as {_EXAMPLES}")
    layer, letter, index, part, role = found.groups()
    wanted = {"H": ("head", "q", "pattern"), "G": ("k", "v"), "N": ("neuron",)}
    kind = part or {"H": "head", "N": "neuron"}.get(letter or "", "")
    for known in KINDS:
        fits = known in wanted[letter] if letter else known not in (*INDEXED, "embed")
        if known == kind and fits:
            return Node(int(layer), known, int(index) if letter else -1, role or "")
    raise InputError(
        f"{text!r} names no node: heads (H) have .q and .pattern, groups (G) .k and .v. "
        f"Write one such as {_EXAMPLES}"
    )


def edge(name: str | Edge) -> Edge:
    """The edge of a name, `L1H0->L3H5.q` or `L1H0->logits`. Raises as `node`."""
    if isinstance(name, Edge):
        return name
    sender, arrow, receiver = name.partition("->")
    if not arrow:
        raise InputError(f"{name!r} names no edge: write one such as 'L1H0->L3H5.q'")
    return Edge(node(sender), None if receiver == LOGITS else node(receiver))


def width(sizes: Sizes, kind: Kind) -> int:
    """Number of nodes of a kind in a layer."""
    if kind not in INDEXED:
        return 1
    return {"k": sizes.n_kv_heads, "v": sizes.n_kv_heads, "neuron": sizes.d_mlp}.get(
        kind, sizes.n_heads
    )


def nodes_of(sizes: Sizes, kind: Kind) -> tuple[Node, ...]:
    """Every node of a kind, lowest layer first, without roles."""
    if kind == "embed":
        return (Node(0, "embed"),)
    if kind not in KINDS:
        raise InputError(f"no nodes of kind {kind!r}: choose from {', '.join(KINDS)}")
    indices = range(width(sizes, kind)) if kind in INDEXED else (-1,)
    return tuple(Node(layer, kind, i) for layer in range(sizes.n_layers) for i in indices)


def check_nodes(sizes: Sizes, nodes: Iterable[Node], model: str) -> None:
    """Raise InputError for a node that a model of these sizes lacks."""
    for one in nodes:
        if one.layer >= sizes.n_layers:
            raise InputError(
                f"{model} has no node {one.name}: it has layers 0 to {sizes.n_layers - 1}"
            )
        if one.kind in INDEXED and one.index >= width(sizes, one.kind):
            of = "key/value groups" if one.kind in ("k", "v") else "heads"
            of = "neurons" if one.kind == "neuron" else of
            raise InputError(
                f"{model} has no node {one.name}: its layers have {of} 0 to "
                f"{width(sizes, one.kind) - 1}"
            )
