"""Keys of the conditional means, which identify a waiting token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from interp.ablation.places import Places
from interp.ablation.replacements import Given
from interp.models.tokens import digits_in


class Key(NamedTuple):
    """A role at a position, and the tokens that its mean is conditioned on."""

    role: str
    position: int
    given: tuple[int, ...]


def keys(places: Places, given: Given) -> Iterator[tuple[int, int, Key]]:
    """(row, column, key) of every token between the sink and its row's end; columns count from the
    sink."""
    batch = places.batch
    tokens = batch.tokens.numpy()
    for row in range(len(batch)):
        number: str | None = None
        so_far: list[int] = []
        layout = batch.layouts[int(batch.layout_of[row])]
        for position in range(int(places.ends[row])):
            role, token = layout[position], int(tokens[row, position])
            digits = digits_in(role)
            name = digits[0] if digits else None
            so_far = [*so_far, token] if name and name == number else [token]
            number = name
            if position >= places.sink:
                by = {"token": (token,), "value": tuple(so_far), "nothing": ()}
                yield row, position - places.sink, Key(role, position, by[given])
