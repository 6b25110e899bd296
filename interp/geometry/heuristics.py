"""Heuristics that a unit may follow, and how well its strongest prompts match one.

A heuristic is a set S of prompts: an operand or the result in a range, with a residue, with a digit
at a place, or equal operands (Nikankin et al., arXiv 2410.21272), and for longer operands a column
whose two digits have a sum mod 10. The score of a unit u is

    overlap(u, S) = |top-|S| prompts of u ∩ S| / |S|

and chance is |S|/n. A unit matches where the best overlap is at least 0.6. The false-positive
control renames the numbers (one permutation for each operand and the result), which keeps what
varies with what and destroys ranges, residues and digits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

THRESHOLD = 0.6
MODULI = (2, 3, 4, 5, 10)
SMALLEST, LARGEST = 0.02, 0.34  # of the sample, for a set
_WINDOWS = 10
_LEAST = 5


class Heuristics(NamedTuple):
    """Names, families and sets [h, n] of prompts."""

    names: tuple[str, ...]
    families: tuple[str, ...]
    sets: Mask


def numbers_of(problems: Problems) -> dict[str, Ints]:
    """The operands' values and the result's, int[n] each."""
    task = problems.task
    found = {
        name: problems.values(i).astype(np.int64) for i, name in enumerate(task.operand_names[:2])
    }
    return {**found, "result": problems.answers().astype(np.int64)}


def renamed(numbers: dict[str, Ints], rng: np.random.Generator) -> dict[str, Ints]:
    """The same numbers under one random permutation of each one's values."""
    out = {}
    for name, values in numbers.items():
        every, index = np.unique(values, return_inverse=True)
        out[name] = rng.permutation(every)[index]
    return out


def heuristics(numbers: dict[str, Ints]) -> Heuristics:
    """All heuristics whose set has 2 % to 34 % of the prompts and at least five."""
    names, families, sets = [], [], []
    n = len(next(iter(numbers.values())))
    for what, values in numbers.items():
        for family, name, inside in _about(what, values):
            share = inside.mean()
            if inside.sum() >= _LEAST and SMALLEST <= share <= LARGEST:
                names.append(name)
                families.append(family)
                sets.append(inside)
    operands = [values for name, values in numbers.items() if name != "result"]
    for name, inside in _columns(operands):
        if inside.sum() >= _LEAST and SMALLEST <= inside.mean() <= LARGEST:
            names.append(name)
            families.append("column")
            sets.append(inside)
    if len(operands) == 2 and _LEAST <= (same := operands[0] == operands[1]).sum() <= LARGEST * n:
        names.append("a = b")
        families.append("identical")
        sets.append(same)
    return Heuristics(
        tuple(names), tuple(families), np.array(sets, dtype=bool).reshape(len(sets), n)
    )


def _columns(operands: list[Ints]) -> list[tuple[str, Mask]]:
    """Sums mod 10 of two digits of a column above the first, whose sum is the result's residue."""
    if len(operands) != 2:
        return []
    a, b = (np.abs(values) for values in operands)
    found = []
    for place in range(1, len(str(int(max(a.max(), b.max()))))):
        total = (a // 10**place + b // 10**place) % 10
        found += [(f"a[{place}] + b[{place}] mod 10 = {d}", total == d) for d in range(10)]
    return found


def _about(what: str, values: Ints) -> list[tuple[str, str, Mask]]:
    kind = "result" if what == "result" else "operand"
    found = []
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _WINDOWS + 1)).round().astype(int))
    for i in range(len(edges) - 1):
        for j in range(i + 1, min(i + 4, len(edges))):
            low, high = int(edges[i]), int(edges[j])
            inside = (values >= low) & (values < high if j < len(edges) - 1 else values <= high)
            found.append((f"{kind} range", f"{low} ≤ {what} < {high}", inside))
    for m in MODULI:
        for r in range(m):
            found.append((f"{kind} residue", f"{what} mod {m} = {r}", values % m == r))
    for place in range(1, len(str(int(np.abs(values).max())))):
        for d in range(10):
            digit = (np.abs(values) // 10**place) % 10
            found.append((f"{kind} pattern", f"digit {place} of {what} is {d}", digit == d))
    return found


class Match(NamedTuple):
    """The best heuristic of each unit: its index, overlap and chance, [units]."""

    best: Ints
    overlap: Floats
    chance: Floats


def matches(acts: npt.ArrayLike, found: Heuristics) -> Match:
    """Best heuristic of each unit of `acts` [n, units]; by overlap over chance among those at or
    above the threshold, else by overlap."""
    x = np.asarray(acts, dtype=float)
    sizes = found.sets.sum(axis=1)
    chance = sizes / found.sets.shape[1]
    best = np.zeros(x.shape[1], dtype=np.int64)
    overlap = np.zeros(x.shape[1])
    rows = np.arange(len(sizes))
    for unit in range(x.shape[1]):
        order = np.argsort(-x[:, unit], kind="stable")[: sizes.max()]
        hits = np.cumsum(found.sets[:, order], axis=1, dtype=np.int32)
        scores = hits[rows, sizes - 1] / sizes
        good = scores >= THRESHOLD
        rank = np.where(good, scores - chance, -1.0) if good.any() else scores
        best[unit] = int(rank.argmax())
        overlap[unit] = scores[best[unit]]
    return Match(best, overlap, chance[best])
