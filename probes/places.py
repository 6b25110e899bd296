"""Positions that a probe reads: a token by its role, or the position that predicts the token.

`"c2"` is the token c2 itself, part of the input; `"predicts(c2)"` is the position before it, whose
logits give c2. Both are resolved row by row, so prompts of different lengths can be probed
together.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from interp.errors import RoleError
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in


def default_places(batch: PromptBatch) -> tuple[str, ...]:
    """`last`, the prompt's end, then every answer token that the model reads, in order of print."""
    return ("last", *(role for role in batch.answer_roles if role in batch.input_roles))


def positions(batch: PromptBatch, place: str) -> npt.NDArray[np.int64]:
    """The position of `place` in each row, [n]; -1 in rows that lack it.

    Raises RoleError for a role that no prompt has, or that is the first token where "predicts(…)"
    asks for the one before.
    """
    return batch.position_array(place)


def roles_at(batch: PromptBatch, place: str) -> npt.NDArray[np.str_]:
    """`PromptBatch.roles_at`."""
    return batch.roles_at(place)


def bos_tokens(batch: PromptBatch) -> tuple[int, ...]:
    """`PromptBatch.bos_tokens`."""
    return batch.bos_tokens


def predicted_role(batch: PromptBatch, place: str) -> str:
    """`PromptBatch.emitted_at`."""
    return batch.emitted_at(place)


def is_thought(role: str) -> bool:
    """Whether a role is a token of a chain of thought: `t0`, `t1`, …"""
    return re.fullmatch(r"t\d+(\.\d+)?", role) is not None


def digits_seen(batch: PromptBatch, place: str) -> dict[str, npt.NDArray[np.bool_]]:
    """Which digits (`a0`, `c2`), operators (`op`) and `sign` stand at or before `place`, by row.

    A leading digit that a short number lacks counts as seen once a token follows the number: it is
    then known to be zero.
    """
    task = batch.problems.task
    widths = dict(zip(task.operand_names, task.operand_digits, strict=True))
    return _by_row(batch, place, lambda layout, at: _read(layout, at, widths))


def digits_held(batch: PromptBatch, place: str) -> dict[str, npt.NDArray[np.bool_]]:
    """Which digits (or `op`, `sign`) the token at `place` holds itself, by row."""
    return _by_row(batch, place, lambda layout, at: _held(layout[at : at + 1]))


def other_tokens(batch: PromptBatch, place: str) -> list[npt.NDArray[np.int64]]:
    """Token ids [n] of each role that holds no digit, operator or sign of the problem, at or before
    `place`; -1 in rows without one. Constant roles are left out."""
    names, where = batch.problems.task.operand_names, positions(batch, place)
    found = []
    for role in batch.roles[:-1]:  # not "last", which is another name for one of them
        digits = digits_in(role)
        if (digits and digits[0] in (*names, "c")) or re.fullmatch(r"sign|op\d*", role):
            continue
        there = batch.find(role)
        seen = (there >= 0) & (there <= where)
        tokens = np.where(seen, batch.labels(role).numpy(), -1)
        if len(np.unique(tokens)) > 1:
            found.append(tokens)
    return found


def check_places(batch: PromptBatch, places: Sequence[str]) -> tuple[str, ...]:
    """The places without duplicates. Raises RoleError for a place that no prompt has, or that the
    model does not read."""
    for place in places:
        batch.require_input(place)
        if (positions(batch, place) < 0).all():
            raise RoleError(
                f"{place!r} is in none of these prompts; they have {', '.join(batch.roles)}, "
                "and predicts(ROLE) for the position before one"
            )
    return tuple(dict.fromkeys(places))


def _by_row(
    batch: PromptBatch, place: str, read: Callable[[tuple[str, ...], int], set[str]]
) -> dict[str, npt.NDArray[np.bool_]]:
    """`read(layout, position)` for every row, as a mask [n] for each name it gives anywhere."""
    where = positions(batch, place)
    pairs, of = np.unique(np.stack([batch.layout_of, where]), axis=1, return_inverse=True)
    found = [
        read(batch.layouts[layout], int(at)) if at >= 0 else set[str]()
        for layout, at in zip(*pairs, strict=True)
    ]
    names = sorted(set().union(*found))
    of = of.ravel()
    return {name: np.array([name in names_here for names_here in found])[of] for name in names}


def _read(layout: tuple[str, ...], at: int, widths: dict[str, int]) -> set[str]:
    before = layout[: at + 1]
    found = _held(before)
    for name, width in widths.items():
        own = [i for i, role in enumerate(layout) if (d := digits_in(role)) and d[0] == name]
        if own and at > max(own):
            found |= {f"{name}{i}" for i in range(width)}
    return found


def _held(roles: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for role in roles:
        digits = digits_in(role)
        if digits is not None:
            found |= {f"{digits[0]}{i}" for i in digits[1]}
        elif role == "sign" or re.fullmatch(r"op\d*", role):
            found.add(role)
    return found
