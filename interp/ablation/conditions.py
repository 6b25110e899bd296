"""The mean, or the other prompt, that stands in for each token: by its key, or by less of it.

A token whose key no other prompt has is conditioned on less, step by step, until another prompt
shares it, and Results count such tokens:

| step       | the mean over the other prompts with …                       |
| `token`    | the same token at the role and position (of the key "value") |
| `position` | the role at the same position                                |
| `role`     | the role at any position                                     |
| `part`     | the role without its last number: `shot0.10`, any of `shot0` |

The token's own state never stands in for it: that would leave the token as it was.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from interp.ablation.keys import Key, keys
from interp.ablation.places import Places
from interp.ablation.tables import members
from interp.errors import InputError

if TYPE_CHECKING:
    from interp.ablation.replacements import Replacement
    from interp.ablation.tables import Table

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def wider(key: Key) -> Iterator[tuple[str, Key]]:
    """The steps of less, with the key of each."""
    if len(key.given) > 1:
        yield "token", Key(key.role, key.position, key.given[-1:])
    if key.given:
        yield "position", Key(key.role, key.position, ())
    yield "role", Key(key.role, -1, ())
    if (part := re.sub(r"\.\d+$", "", key.role)) != key.role:
        yield "part", Key(part, -1, ())


@dataclass(frozen=True, eq=False)
class Conditions:
    """The mean of each token between the sink and the row's end.

    pool     int64 [n, columns], the mean's number in `pools`; -1 without one
    pools    the table's keys that each mean takes together
    inside   bool [n, columns], True where the table has the token's own state, which is left out
    relaxed  step of less → number of tokens
    """

    pool: Ints
    pools: tuple[tuple[int, ...], ...]
    inside: Bools
    relaxed: Mapping[str, int]

    def pooled(self, values: torch.Tensor) -> torch.Tensor:
        """Sums of a table, [keys, …], as sums of the pools, [pools, …]."""
        more = self.pools[len(values) :]
        return torch.cat([values, *(values[list(pool)].sum(0, keepdim=True) for pool in more)])


def conditions(places: Places, table: Table, true: Bools | None = None) -> Conditions:
    """The narrowest mean of each token that another prompt has a part in. Tokens outside `true`
    (bool [n, columns], those of a prompt with the true answer so far) get their key's mean or none.

    Raises InputError for a role that no other prompt of the table has.
    """
    shape = places.roles.shape
    true = np.ones(shape, dtype=bool) if true is None else true
    held = np.array([prompt in table.members for prompt in members(places)])[:, None]
    inside, counts = held & true, table.counts.tolist()
    together = _pools(table)
    pool, relaxed = np.full(shape, -1, dtype=np.int64), Counter[str]()
    pools: dict[tuple[int, ...], int] = {(number,): number for number in range(len(counts))}
    for row, column, key in keys(places, table.given):
        own, number = int(inside[row, column]), table.index.get(key)
        if number is not None and counts[number] > own:
            pool[row, column] = number
        elif true[row, column]:
            for step, less in wider(key):
                numbers = together.get((step, less), ())
                if sum(counts[i] for i in numbers) > own:
                    pool[row, column] = pools.setdefault(numbers, len(pools))
                    relaxed[step] += 1
                    break
            else:
                raise _alone(places, row, key.role, "of the table ")
    return Conditions(pool, tuple(pools), inside, dict(relaxed))


def _pools(table: Table) -> dict[tuple[str, Key], tuple[int, ...]]:
    """The table's keys that each wider key takes together."""
    found: dict[tuple[str, Key], list[int]] = defaultdict(list)
    for key, number in table.index.items():
        for less in wider(key):
            found[less].append(number)
    return {less: tuple(numbers) for less, numbers in found.items()}


def donors(places: Places, replacement: Replacement) -> Ints:
    """Row and column of the state that `resample` draws for each token, [2, n, columns]: of another
    prompt with its key, or with less of it; -1 beyond a row's end.

    Raises InputError for a role that no other prompt has.
    """
    return _drawn(places, replacement)[0]


def relaxed(places: Places, replacement: Replacement, table: Table | None) -> Mapping[str, int]:
    """Step of less → number of tokens of these prompts that are replaced given so much less."""
    if replacement.name == "resample":
        return _drawn(places, replacement)[1]
    if table is None or replacement.name == "mean":
        return {}
    return conditions(places, table).relaxed


def _drawn(places: Places, replacement: Replacement) -> tuple[Ints, Mapping[str, int]]:
    rng = np.random.default_rng(replacement.seed)
    found: dict[tuple[str, Key], list[tuple[int, int]]] = defaultdict(list)
    for row, column, key in keys(places, replacement.given or "nothing"):  # type: ignore[arg-type]
        for step in (("", key), *wider(key)):
            found[step].append((row, column))
    same = np.unique(places.batch.tokens.numpy(), axis=0, return_inverse=True)[1].ravel()
    out, less = np.full((2, *places.roles.shape), -1, dtype=np.int64), Counter[str]()
    arrays = {step: np.array(where) for step, where in found.items()}
    for row, column, key in _by_key(places, replacement):
        for step in (("", key), *wider(key)):
            others = arrays[step][same[arrays[step][:, 0]] != same[row]]
            if len(others):
                out[:, row, column] = others[rng.integers(len(others))]
                less[step[0]] += step[0] != ""
                break
        else:
            raise _alone(places, row, key.role, "")
    return out, {step: count for step, count in less.items() if count}


def _by_key(places: Places, replacement: Replacement) -> list[tuple[int, int, Key]]:
    """The tokens, those of one key together: the order in which states are drawn."""
    listed: dict[Key, list[tuple[int, int, Key]]] = defaultdict(list)
    for found in keys(places, replacement.given or "nothing"):  # type: ignore[arg-type]
        listed[found[2]].append(found)
    return [found for group in listed.values() for found in group]


def _alone(places: Places, row: int, role: str, where: str) -> InputError:
    return InputError(
        f"no other prompt {where}has a token {role!r}, which {places.batch.texts[row]!r} has: use "
        f"replacement='zero' or 'own', which need no other prompt, or leave this one out."
    )
