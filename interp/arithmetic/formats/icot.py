"""The line of the published 4×4 file, for m×n digits: partial products and running sums spelt out.

    5 6 3 2 * 7 4 3 4||5 5 5 6 1 + 0 0 6 4 9 0 ( 5 5 1 1 1 1 ) + … #### 5 5 6 0 8 2 0 1
    └── a ──┘ └── b ─┘ └── P_0 ─┘ └─── P_1 ──┘ └─── S_1 ────┘        └────── c ──────┘

    P_j = a · b_j · 10^j           m + 1 + j digits
    S_j = P_0 + … + P_j            m + 1 + j digits, in brackets, for 1 ≤ j < n - 1

Everything is written least significant digit first and separated by blanks; S_{n-1} is the answer.
From da03/Internalize_CoT_Step_by_Step, `data/4_by_4_mult` (arXiv 2405.14838), studied in
2510.00184. Thoughts `t0`, `t1`, … are the digits, `+`, `(` and `)` of the chain (46 of them for
4×4), `op` is the `*`, `eq` the `####` before the answer. `icot-no-cot` is the same line with the
chain taken out: what a model is trained on without it, and what is left at the end of implicit
chain-of-thought training.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from interp.arithmetic.digits import Digits
from interp.arithmetic.formats.base import Answers
from interp.arithmetic.formats.layout import Cells, Codes, Fixed, Piece
from interp.arithmetic.formats.numbers import NumberStyle, ReadAnswer
from interp.arithmetic.formats.templates import TemplateFormat
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task

SPELT = NumberStyle(padded=True, least_first=True, separator=" ", group=1)


def is_product(task: Task) -> bool:
    """Multiplication of any m×n digits."""
    return task.arithmetic == "product"


def factors(operators: tuple[str, ...]) -> str:
    """`a * b||`: the chain of thought comes next."""
    return "<a> [op|*] <b>||"


def factors_only(operators: tuple[str, ...]) -> str:
    """`a * b|| ####`: the answer comes next."""
    return "<a> [op|*] <b>|| [eq|####]"


@dataclass(frozen=True, repr=False)
class ICoT(TemplateFormat):
    """The published line: factors, chain of thought, answer."""

    def thoughts(self, task: Task) -> list[Piece]:
        return [*_chain(*task.operand_digits), Fixed(" "), Fixed("####", "eq")]

    def read_answer(self, text: str, task: Task, *, anywhere: bool = False) -> ReadAnswer:
        _, mark, rest = text.partition("####")
        if not mark:
            return ReadAnswer(None, reason=f"no '####' before the answer in {text[:24]!r}")
        return super().read_answer(rest, task, anywhere=anywhere)

    def _sources(self, problems: Problems, answers: Answers | None) -> dict[str, Codes]:
        sources = super()._sources(problems, answers)
        if answers is not None:
            for name, digits in intermediates(*problems.operands).items():
                sources[name] = digits + np.uint8(48)
        return sources


def _chain(m: int, n: int) -> Iterator[Piece]:
    thought = count()

    def number(source: str, width: int) -> Iterator[Piece]:
        for k in range(width):
            yield Fixed(" " if k else "")
            yield Cells(source, (k,), (f"t{next(thought)}",))

    def mark(sign: str) -> list[Piece]:
        return [Fixed(" "), Fixed(sign, f"t{next(thought)}"), Fixed(" ")]

    for j in range(n):
        yield from mark("+") if j else []
        yield from number(f"product{j}", m + 1 + j)
        if 0 < j < n - 1:
            yield from mark("(")
            yield from number(f"partial{j}", m + 1 + j)
            # No blank after the bracket: the next mark brings its own.
            yield from mark(")")[:2]


def intermediates(a: Digits, b: Digits) -> dict[str, Digits]:
    """P_j as `product{j}` and S_j as `partial{j}`, each [n, m + 1 + j], least significant first."""
    m = a.shape[1]
    found: dict[str, Digits] = {}
    total = np.zeros((len(a), 0), dtype=np.uint8)
    for j in range(b.shape[1]):
        product = np.zeros((len(a), m + 1 + j), dtype=np.uint8)
        product[:, j:] = _carried(a.astype(np.int16) * b[:, j : j + 1], m + 1)
        column_sum = product.astype(np.int16)
        column_sum[:, : total.shape[1]] += total
        total = _carried(column_sum, m + 1 + j)
        found[f"product{j}"], found[f"partial{j}"] = product, total
    return found


def _carried(column_sum: NDArray[np.int16], width: int) -> Digits:
    """Digits [n, width] of Σ_k column_sum[:, k] · 10^k."""
    digits = np.zeros((len(column_sum), width), dtype=np.uint8)
    carry = np.zeros(len(column_sum), dtype=np.int16)
    for k in range(width):
        running = carry + (column_sum[:, k] if k < column_sum.shape[1] else 0)
        carry, digits[:, k] = running // 10, running % 10
    return digits


IMPLICIT = (
    ICoT("icot", factors, is_product, SPELT, SPELT, lead=" "),
    TemplateFormat("icot-no-cot", factors_only, is_product, SPELT, SPELT, lead=" "),
)
