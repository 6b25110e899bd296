"""What a waiting token is known by: the key of a conditional mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from interp.ablation.places import Places
from interp.ablation.replacements import Given
from interp.models.tokens import digits_in


class Key(NamedTuple):
    """A role at a position, and the tokens that it is conditioned on."""

    role: str
    position: int
    given: tuple[int, ...]


def keys(places: Places, given: Given) -> Iterator[tuple[int, int, Key]]:
    """(row, column, key) of every token beyond the sink that is before its row's end; columns
    count from the sink."""
    tokens = places.batch.tokens.numpy()
    for row in range(len(places.batch)):
        number: tuple[str, ...] = ()
        so_far: list[int] = []
        for column, role in enumerate(places.roles[row].tolist()):
            if not role:
                continue
            position = places.sink + column
            token = int(tokens[row, position])
            digits = digits_in(role)
            name = (digits[0],) if digits else ()
            so_far = [*so_far, token] if name and name == number else [token]
            number = name
            by = {"token": (token,), "value": tuple(so_far), "nothing": ()}
            yield row, column, Key(role, position, by[given])
