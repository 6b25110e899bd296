"""Train/validation/test split of problems by a hash, reproducible from the recipe.

Every pair of operands has a fixed hash in [0, 1); the lowest are the test problems, the next the
validation problems and the rest training problems. No list is stored: the recipe determines the
part of every problem.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.origin import Origin
from interp.arithmetic.problems import Problems
from interp.arithmetic.seeds import generator, step_seed, whole
from interp.arithmetic.tasks import Task
from interp.errors import InputError

_ATTEMPTS = 64
_LARGEST_GRID = 2**20  # problems are enumerated up to here and drawn beyond

PARTS = ("test", "validation", "train")

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Split:
    """Shares of all operand pairs that are kept from training, and the seed of the hash.

    The place of a problem is that of its unordered operands, whatever the operators: with 12+34
    held out, 34+12 and 12-34 are held out too, so that no symmetry of the task leaks an answer.
    """

    test: float
    validation: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.test < 1 and 0 < self.validation < 1 and self.test + self.validation < 1):
            raise InputError(
                f"test_share={self.test} and validation_share={self.validation} must be above 0 "
                "and leave something to train on: together below 1"
            )

    def share(self, part: str) -> float:
        """The share of all operand pairs that belong to a part."""
        train = 1 - self.test - self.validation
        return {"test": self.test, "validation": self.validation, "train": train}[part]

    def part(self, problems: Problems) -> NDArray[np.str_]:
        """`"test"`, `"validation"` or `"train"` for each problem, `[n]`."""
        place = _places(problems, self.seed)
        return np.select(
            [place < self.test, place < self.test + self.validation], PARTS[:2], "train"
        )

    def keeps(self, problems: Problems, part: str) -> NDArray[np.bool_]:
        """Mask `[n]` of the rows in a part."""
        if part not in PARTS:
            raise InputError(f"no part {part!r} of the data; there are {', '.join(PARTS)}")
        return np.asarray(self.part(problems) == part)

    def draw(
        self, task: Task, part: str, n: int, seed: int, *, sampler: str = "uniform", **options: Any
    ) -> Problems:
        """`n` rows of one sampler that belong to a part.

        Raises InputError if the sampler rarely gives such rows.
        """
        found: list[Problems] = []
        missing = n
        for attempt in range(_ATTEMPTS):
            drawn = task.sample(
                int(missing / self.share(part) * 1.1) + 16,
                seed=step_seed(seed, attempt),
                sampler=sampler,
                **options,
            )
            rows = np.flatnonzero(self.keeps(drawn, part))[:missing]
            if len(rows):
                found.append(drawn[rows])
            missing -= len(rows)
            if not missing:
                return Problems.concat(found)
        raise InputError(
            f"the sampler {sampler!r} finds too few {part} problems of {task.name}: "
            "give it a wider choice, or change the shares or the seed of the split"
        )

    def sample(
        self, task: Task, part: str, n: int, seed: int, *, full_width: bool = False
    ) -> Problems:
        """At most `n` distinct problems of a part, uniform over the task; with `full_width` over
        its problems without leading zeros: `n` rows, repeated ones left out.

        Otherwise up to 2**20 problems the task is listed in full, and all of the part is given
        where it has no more than `n`. Raises InputError where the part has no problem of the task,
        and for n or a seed that is no whole number.
        """
        n, rng = whole(n), generator(seed)
        width = {"full_width": True} if full_width else {}
        origin = Origin("held_out", n, seed, {"part": part, **width}, self)
        if full_width:
            return self.draw(task, part, n, seed, full_width=True).distinct().drawn_by(origin)
        if task.n_problems <= _LARGEST_GRID:
            grid = task.grid()
            rows = np.flatnonzero(self.keeps(grid, part))
            if not len(rows):
                raise InputError(
                    f"none of the {task.n_problems} problems of {task.name} is a {part} problem of "
                    f"{self}: take a larger task, or a split with a larger share or another seed. "
                    "To ask a model any problem, draw from the whole task: --sampler uniform, or "
                    f"interp.task({task.name!r}).sample({n}, seed=0)"
                )
            return grid[np.sort(rng.permutation(rows)[:n])].drawn_by(origin)
        # Drawn twice, a problem of so large a task is rare: a few more make up for it.
        spare = n + 16 + int(n**2 / task.n_problems / self.share(part))
        return self.draw(task, part, spare, seed).distinct()[:n].drawn_by(origin)


def _places(problems: Problems, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each unordered set of operands: the top 53 bits of its hash."""
    start = np.uint64(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
    together = np.zeros(problems.n, dtype=np.uint64)
    for digits in problems.operands:
        together += _hash(digits, start)
    return np.asarray(_mix(together ^ start) >> np.uint64(11), dtype=np.float64) / 2.0**53


def _hash(digits: NDArray[np.uint8], start: np.uint64) -> Hashes:
    """One hash a row. Leading zeros count for nothing, so 007 of one task is 7 of another."""
    state = np.full(len(digits), start, dtype=np.uint64)
    for low in range(0, digits.shape[1], 18):
        chunk = digits[:, low : low + 18].astype(np.uint64)
        powers = np.uint64(10) ** np.arange(chunk.shape[1], dtype=np.uint64)
        value = (chunk * powers).sum(axis=1, dtype=np.uint64)
        counts = (value > 0) | (low == 0)
        state = np.where(counts, _mix(state ^ value ^ np.uint64(low)), state)
    return state


def _mix(x: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every bit depends on every bit."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
