"""The scratchpads of "Teaching arithmetic to small transformers" (arXiv 2307.03381).

Simplified, 128+367 (the last line is the answer):

    Input:
    128+367
    Target:
    A->5 , C->1
    A->9 , C->0
    A->4 , C->0.
    495

Detailed:

    Input:
    128+367
    Target:
    <scratch>
    [1,2,8] has 3 digits.
    [3,6,7] has 3 digits.
    [1,2,8] + [3,6,7] , A=[] , C=0 , 8+7+0=15 , A->5 , C->1
    [1,2] + [3,6] , A=[5] , C=1 , 2+6+1=9 , A->9 , C->0
    [1] + [3] , A=[9,5] , C=0 , 1+3+0=4 , A->4 , C->0
    [] + [] , A=[4,9,5] C=0 , END
    </scratch>
    4 9 5

Subtraction works from the right without comparing first (the paper's first version): the last
column may be negative, and `-300+61=-239` puts the parts together. The detailed product multiplies
by one digit a line. Numbers are as long as written; a thought `t0`, `t1`, … is one character that
was computed, everything else on the pad is template text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from interp.arithmetic.digits import to_integers
from interp.arithmetic.formats.base import Answers, Format, Question
from interp.arithmetic.formats.layout import Written
from interp.arithmetic.formats.numbers import NumberStyle, ReadAnswer
from interp.arithmetic.formats.reading import Cursor
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task

_PLAIN = NumberStyle()
_SPELT = NumberStyle(separator=" ", group=1)


class Pad:
    """A text that grows from left to right and remembers the role of each character."""

    def __init__(self) -> None:
        self.text = ""
        self.spans: list[tuple[str, int, int]] = []
        self._templates = 0
        self._thoughts = 0

    def say(self, text: str, role: str = "") -> None:
        """Template text, or text with a role of its own."""
        start = len(self.text)
        self.text += text
        if not role and self.spans and self.spans[-1][0].startswith("x"):
            self.spans[-1] = (self.spans[-1][0], self.spans[-1][1], len(self.text))
            return
        if not role:
            role = f"x{self._templates}"
            self._templates += 1
        self.spans.append((role, start, len(self.text)))

    def number(self, value: int, letter: str, between: str = "") -> None:
        """A number whose digits are `letter{k}`; a minus in front is `sign`."""
        if value < 0:
            self.say("-", "sign")
        digits = str(abs(value))
        for place, digit in enumerate(digits):
            if place and between:
                self.say(between)
            self.say(digit, f"{letter}{len(digits) - 1 - place}")

    def think(self, value: int) -> None:
        """A computed number, one thought a character."""
        for character in str(value):
            self.say(character, f"t{self._thoughts}")
            self._thoughts += 1

    def think_list(self, values: Iterable[int]) -> None:
        """`[1,2,8]`, each number computed or copied by the model."""
        self.say("[")
        for place, value in enumerate(values):
            if place:
                self.say(",")
            self.think(value)
        self.say("]")


@dataclass(frozen=True, repr=False)
class Scratchpad(Format):
    """Sums and differences worked out on paper; `detailed` adds what is left, and products."""

    name: str
    detailed: bool
    spaced = True  # steps end with a line break

    def accepts(self, task: Task) -> bool:
        if task.arithmetic == "product":
            return self.detailed
        return task.arithmetic == "sum" and len(task.operand_digits) == 2

    def fixed_width(self, task: Task) -> bool:
        return False

    def answer_width(self, task: Task) -> int | None:
        return None

    def read_answer(self, text: str, task: Task, *, anywhere: bool = False) -> ReadAnswer:
        end = r"</scratch>\s*" if self.detailed else r"\.\n"
        found = re.search(end, text)
        if found is None:
            mark = "</scratch>" if self.detailed else "the full stop of the last step"
            return ReadAnswer(None, reason=f"the scratchpad has no end ({mark})")
        style = _SPELT if self.detailed else _PLAIN
        return style.read(text[found.end() :], task.answer_digits, task.signed, anywhere)

    def _write(self, problems: Problems, answers: Answers | None) -> list[Written]:
        values = [to_integers(operand).tolist() for operand in problems.operands]
        operators = problems.operators[:, 0].tolist()
        results: list[int | None] = [None] * len(problems)
        if answers is not None:
            results = (to_integers(answers.digits) * np.where(answers.sign < 0, -1, 1)).tolist()
        rows = zip(*values, operators, results, strict=True)
        return [self._pad(a, b, operator, result) for a, b, operator, result in rows]

    def _pad(self, a: int, b: int, operator: str, answer: int | None) -> Written:
        pad = Pad()
        pad.say("Input:\n")
        pad.number(a, "a")
        pad.say(operator, "op")
        pad.number(b, "b")
        pad.say("\nTarget:\n")
        if answer is None:
            return Written(pad.text, tuple(pad.spans), len(pad.text))
        if self.detailed:
            _detailed(pad, a, b, operator)
        else:
            _simplified(pad, a, b, operator)
        start = len(pad.text)
        pad.number(answer, "c", " " if self.detailed else "")
        return Written(pad.text, tuple(pad.spans), start)

    def _question(self, text: str, task: Task) -> Question:
        cursor = Cursor(text, self.name)
        cursor.literal("Input:\n")
        a = int(_PLAIN.take(cursor, task.operand_digits[0], "operand a"))
        allowed = "".join(task.operators[0])
        operator = cursor.take(f"[{re.escape(allowed)}]", f"one of the operators {allowed}")
        b = int(_PLAIN.take(cursor, task.operand_digits[1], "operand b"))
        cursor.literal("\nTarget:\n")
        return Question((a, b), (operator,))


def _simplified(pad: Pad, a: int, b: int, operator: str) -> None:
    columns = sum_columns(a, b) if operator == "+" else difference_columns(a, b)
    for k, column in enumerate(columns):
        pad.say("A->" if k == 0 else "\nA->")
        pad.think(column.digit)
        pad.say(" , C->")
        pad.think(column.carry)
    if operator == "-":
        pad.say("\n")
        _put_together(pad, [column.digit for column in columns])
    pad.say(".\n")


def _detailed(pad: Pad, a: int, b: int, operator: str) -> None:
    pad.say("<scratch>\n")
    for value in (a, b):
        pad.think_list(_digits(value))
        pad.say(" has ")
        pad.think(len(str(value)))
        pad.say(" digits.\n")
    if operator == "*":
        _product_lines(pad, a, b)
    else:
        _column_lines(pad, a, b, operator)
    pad.say(" , END\n</scratch>\n")


def _column_lines(pad: Pad, a: int, b: int, operator: str) -> None:
    columns = sum_columns(a, b) if operator == "+" else difference_columns(a, b)
    written: list[int] = []
    carry = 0
    for k, column in enumerate(columns):
        _remaining(pad, a, b, operator, k)
        pad.say(" , A=")
        pad.think_list(written)
        pad.say(" , C=")
        pad.think(carry)
        pad.say(" , ")
        _column_sum(pad, column, operator, carry)
        pad.say(" , A->")
        pad.think(column.digit)
        pad.say(" , C->")
        pad.think(column.carry)
        pad.say("\n")
        written.insert(0, column.digit)
        carry = column.carry
    _remaining(pad, a, b, operator, len(columns))
    pad.say(" , A=")
    pad.think_list(written)
    if operator == "+":
        pad.say(" C=")
        pad.think(carry)
    else:
        pad.say("\n")
        _put_together(pad, written[::-1])


def _remaining(pad: Pad, a: int, b: int, operator: str, done: int) -> None:
    """`[1,2] + [3,6]`: the digits that no column has used yet."""
    for value, between in ((a, f" {operator} "), (b, "")):
        digits = _digits(value)
        pad.think_list(digits[: max(len(digits) - done, 0)])
        pad.say(between)


def _column_sum(pad: Pad, column: Column, operator: str, carry: int) -> None:
    """`8+7+0=15`, or `2-6-1+10=5` where the column borrows from the next."""
    pad.think(column.a)
    pad.say(operator)
    pad.think(column.b)
    pad.say(operator)
    pad.think(abs(carry))
    pad.say("+10=" if column.borrows else "=")
    pad.think(column.total)


def _put_together(pad: Pad, columns: list[int]) -> None:
    """`-300+61=-239`: the most significant column, which may be negative, and the others."""
    top = columns[-1] * 10 ** (len(columns) - 1)
    rest = sum(digit * 10**k for k, digit in enumerate(columns[:-1]))
    pad.think(top)
    pad.say("+")
    pad.think(rest)
    pad.say("=")
    pad.think(top + rest)


def _product_lines(pad: Pad, a: int, b: int) -> None:
    total = 0
    for place, digit in enumerate(reversed(_digits(b))):
        pad.say("\n" if place else "")
        pad.think_list(_digits(a))
        pad.say(" * ")
        pad.think(digit)
        pad.say(" , A=")
        pad.think_list(_digits(a * digit))
        pad.say(" , k=")
        pad.think(10**place)
        shifted = a * digit * 10**place
        pad.say(" , B=")
        pad.think_list(_digits(shifted))
        pad.say(" , C=")
        pad.think(total)
        pad.say("+")
        pad.think(shifted)
        total += shifted
        pad.say("=")
        pad.think(total)


def _digits(value: int) -> list[int]:
    return [int(digit) for digit in str(value)]


class Column(NamedTuple):
    """One line of the pad. `carry` is 1 or 0 in sums, -1 or 0 in differences."""

    a: int
    b: int
    total: int  # what the line computes: 15 in 8+7+0=15
    digit: int  # what is written down: 5
    carry: int
    borrows: bool = False


def sum_columns(a: int, b: int) -> list[Column]:
    """The columns of a + b, least significant first; the last carry is left over."""
    columns: list[Column] = []
    carry = 0
    for x, y in _digit_pairs(a, b):
        total = x + y + carry
        columns.append(Column(x, y, total, total % 10, total // 10))
        carry = total // 10
    return columns


def difference_columns(a: int, b: int) -> list[Column]:
    """The columns of a - b, least significant first. The last cannot borrow and may be negative."""
    pairs = _digit_pairs(a, b)
    columns: list[Column] = []
    borrowed = 0
    for k, (x, y) in enumerate(pairs):
        total = x - y - borrowed
        short = total < 0
        borrows = short and k < len(pairs) - 1
        total += 10 * borrows
        columns.append(Column(x, y, total, total, -int(short), borrows))
        borrowed = int(short)
    return columns


def _digit_pairs(a: int, b: int) -> list[tuple[int, int]]:
    width = max(len(str(a)), len(str(b)))
    return [
        (int(x), int(y))
        for x, y in zip(f"{a:0{width}d}"[::-1], f"{b:0{width}d}"[::-1], strict=True)
    ]


SCRATCHPADS = (
    Scratchpad("scratchpad", detailed=False),
    Scratchpad("scratchpad-detailed", detailed=True),
)
