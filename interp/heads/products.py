"""The products of a tree: which sites cache them, and which answer digits retrieve the sites.

An edge is a head of one layer that looks from a query site at a key site. At a site t, the digits
that its edges of one layer bring meet: those of one head, or else, where heads bring digits of one
operand only, with the digit that t itself holds or with those of other such heads. Each pair a_i,
b_j that meets is a product a_i·b_j cached at t in that layer. The position that predicts c_k has
what it caches itself, and what is cached, in a lower layer, at each site that it looks at. A look
at a digit whose own site caches a product in a lower layer fetches that product, not the digit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

from interp.models.tokens import digits_in

Pair = tuple[int, int]


class Edge(NamedTuple):
    """One head's look from a query site to a key site."""

    layer: int
    head: int
    query: str
    key: str


class Cached(NamedTuple):
    """A product cached at a site, and the edges that bring its digits there."""

    site: str
    layer: int
    pair: Pair
    edges: tuple[Edge, ...]


class Tree(NamedTuple):
    """What one answer digit uses: products, and the edges that fetch their sites."""

    cached: tuple[Cached, ...]
    fetches: tuple[Edge, ...]

    @property
    def pairs(self) -> frozenset[Pair]:
        return frozenset(one.pair for one in self.cached)


def operand_digit(role: str) -> tuple[str, int] | None:
    """("a", 2) for the role of one operand digit; None for other roles."""
    found = digits_in(role)
    if found is None or found[0] not in ("a", "b") or len(found[1]) != 1:
        return None
    return found[0], found[1].start


def caches(edges: Iterable[Edge]) -> tuple[Cached, ...]:
    """Every product that these edges cache somewhere."""
    by_layer: defaultdict[int, defaultdict[str, list[Edge]]]
    by_layer = defaultdict(lambda: defaultdict(list))
    for edge in edges:
        if operand_digit(edge.key):
            by_layer[edge.layer][edge.query].append(edge)
    found: list[Cached] = []
    for layer, by_site in sorted(by_layer.items()):
        full = {one.site for one in found}
        for site, here in by_site.items():
            digits = [edge for edge in here if edge.key not in full]
            met = _meetings(site, digits)
            found += [Cached(site, layer, pair, used) for pair, used in met.items()]
    return tuple(found)


def _meetings(site: str, here: list[Edge]) -> Mapping[Pair, tuple[Edge, ...]]:
    """The pairs of digits that meet at a site in one layer, each with the edges that bring them."""
    own = operand_digit(site)
    brought: defaultdict[int, dict[str, list[tuple[int, tuple[Edge, ...]]]]]
    brought = defaultdict(lambda: {"a": [], "b": []})
    for edge in here:
        digit = operand_digit(edge.key)
        assert digit is not None
        brought[edge.head][digit[0]].append((digit[1], (edge,)))
    pairs: dict[Pair, tuple[Edge, ...]] = {}
    alone: dict[str, list[tuple[int, tuple[Edge, ...]]]] = {"a": [], "b": []}
    for digits in brought.values():
        if digits["a"] and digits["b"]:
            _pair(pairs, digits["a"], digits["b"])
        else:
            alone["a"] += digits["a"]
            alone["b"] += digits["b"]
    if own:  # what the token itself holds needs no edge
        name, index = own
        mine: list[tuple[int, tuple[Edge, ...]]] = [(index, ())]
        _pair(pairs, *((mine, alone["b"]) if name == "a" else (alone["a"], mine)))
    else:
        _pair(pairs, alone["a"], alone["b"])
    return pairs


def _pair(
    pairs: dict[Pair, tuple[Edge, ...]],
    a: list[tuple[int, tuple[Edge, ...]]],
    b: list[tuple[int, tuple[Edge, ...]]],
) -> None:
    for (i, from_a), (j, from_b) in product(a, b):
        pairs[i, j] = tuple(dict.fromkeys((*pairs.get((i, j), ()), *from_a, *from_b)))


def tree_of(edges: Iterable[Edge], asking: str) -> Tree:
    """What the site `asking`, which predicts an answer digit, has of these edges."""
    edges = tuple(edges)
    every = caches(edges)
    fetches, used = [], [one for one in every if one.site == asking]
    for edge in edges:
        if edge.query != asking or edge.key == asking:
            continue
        there = [one for one in every if one.site == edge.key and one.layer < edge.layer]
        if there:
            fetches.append(edge)
            used += there
    return Tree(tuple(dict.fromkeys(used)), tuple(fetches))


def column_pairs(k: int, m: int, n: int) -> frozenset[Pair]:
    """The pairs with i + j = k."""
    return frozenset((i, k - i) for i in range(m) if 0 <= k - i < n)


def carry_pairs(k: int, m: int, n: int) -> frozenset[Pair]:
    """The pairs with i + j < k, of which the carry into column k depends."""
    return frozenset((i, j) for i in range(m) for j in range(n) if i + j < k)


def jaccard(one: frozenset[Pair], other: frozenset[Pair]) -> float:
    """|∩| / |∪|; 1 for two empty sets."""
    union = one | other
    return len(one & other) / len(union) if union else 1.0
