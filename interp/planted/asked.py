"""Token ids of problems for a planted model, and interventions on its run."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from interp.arithmetic.formats import format
from interp.arithmetic.problems import Problems
from interp.planted.interpret import Edit, Visible
from interp.planted.program import Floats, Ints, Program
from interp.planted.tokenizer import token_ids


def tokens_of(program: Program, problems: Problems, *, prefix: Problems | None = None) -> Ints:
    """Token ids [n, T] of problems with their own answers, or those of `prefix`, row by row."""
    answer = "true" if prefix is None else prefix.answers()
    written = format(program.format).render(problems, answer=answer)
    return token_ids(program, [w.text for w in written])


def asking(program: Program, roles: Sequence[str]) -> list[int]:
    """The positions whose logits emit the tokens at `roles`."""
    return [program.position(role) - 1 for role in roles]


def together(*edits: Edit) -> Edit:
    """Compose edits in order."""

    def change(site: str, layer: int, value: Floats) -> Floats:
        for edit in edits:
            value = edit(site, layer, value)
        return value

    return change


def at(
    site: str,
    layer: int,
    positions: Sequence[int],
    change: Callable[[Floats], Floats],
    heads: Sequence[int] = (),
) -> Edit:
    """Change one site at some positions.

    `change` takes [n, positions, features], for the site `heads` (of the selected `heads`)
    [heads, n, positions, features], and returns an array that broadcasts to it.
    """
    where = list(positions)

    def edit(found: str, number: int, old: Floats) -> Floats:
        if (found, number) != (site, layer):
            return old
        new = old.copy()
        if site == "heads":
            for i, head in enumerate(heads):
                part = old[list(heads)][:, :, where]
                new[head][:, where] = np.broadcast_to(change(part), part.shape)[i]
        else:
            new[:, where] = change(old[:, where])
        return new

    return edit


def blocked(
    length: int,
    layers: Sequence[int],
    queries: Sequence[int],
    keys: Sequence[int],
    heads: Sequence[int] | None = None,
) -> Visible:
    """Block attention of heads (default: all) of `layers` from `queries` to `keys`."""
    allowed = np.ones((length, length), dtype=bool)
    allowed[np.ix_(list(queries), list(keys))] = False

    def visible(layer: int, head: int) -> npt.NDArray[np.bool_] | None:
        here = layer in layers and (heads is None or head in heads)
        return allowed if here else None

    return visible


def own_only(length: int, layers: Sequence[int], queries: Sequence[int] | None = None) -> Visible:
    """Restrict tokens (default: all) in `layers` to themselves and the sink: the self-peek of "all
    for one" (arXiv 2509.09650)."""
    which = range(length) if queries is None else queries
    allowed = np.ones((length, length), dtype=bool)
    allowed[list(which)] = np.eye(length, dtype=bool)[list(which)]
    allowed[:, 0] = True

    def visible(layer: int, head: int) -> npt.NDArray[np.bool_] | None:
        return allowed if layer in layers else None

    return visible


def all_visible(*rules: Visible) -> Visible:
    """Intersection of several visibility rules."""

    def visible(layer: int, head: int) -> npt.NDArray[np.bool_] | None:
        found = [allowed for rule in rules if (allowed := rule(layer, head)) is not None]
        return np.logical_and.reduce(found) if found else None

    return visible
