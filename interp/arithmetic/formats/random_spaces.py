"""Blanks at random places between the digits: `0 12 3+04 5 6=00579`.

From "Positional description matters" (2311.14737): with them a model cannot tell a digit's place
from its position in the text, which is why models with absolute positions do not get beyond the
lengths that they were trained on. Half of the gaps of each operand, rounded down, hold a blank, so
that all texts of a task are equally long; which ones follows from the operands, so that a problem
is always written the same way and `parse(render(p)) == p`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interp.arithmetic.formats.base import Answers, Question
from interp.arithmetic.formats.layout import Written
from interp.arithmetic.formats.standard import PADDED, formula, not_modular
from interp.arithmetic.formats.templates import TemplateFormat
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task

_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, repr=False)
class RandomSpaces(TemplateFormat):
    """Zero-padded, with blanks in half of the gaps between each operand's digits."""

    spaced = True

    def fixed_width(self, task: Task) -> bool:
        return False

    def _write(self, problems: Problems, answers: Answers | None) -> list[Written]:
        blanks = [gaps(digits, place) for place, digits in enumerate(problems.operands)]
        closed = super()._write(problems, answers)
        return [
            _spaced(one, dict(zip(problems.task.operand_names, rows, strict=True)))
            for one, *rows in zip(closed, *blanks, strict=True)
        ]

    def _question(self, text: str, task: Task) -> Question:
        return super()._question(text.replace(" ", ""), task)


def gaps(digits: npt.NDArray[np.uint8], place: int) -> npt.NDArray[np.bool_]:
    """Mask [n, width] of the digits that a blank follows, column 0 the least significant.

    Of the width - 1 gaps above a digit, (width - 1) // 2 hold one: those whose hashes of the
    operand's digits are least (the finaliser of splitmix64).
    """
    n, width = digits.shape
    state = np.full(n, place + 1, dtype=np.uint64)
    for column in digits.T:
        state = _mixed(state + column.astype(np.uint64))
    places = np.arange(1, width, dtype=np.uint64)
    keys = _mixed(np.add(state[:, None], places, dtype=np.uint64))
    chosen = np.argsort(keys, axis=1)[:, : (width - 1) // 2]
    found = np.zeros((n, width), dtype=bool)
    np.put_along_axis(found, chosen + 1, True, axis=1)  # column 0 has no digit below it
    return found


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def _spaced(one: Written, blanks: dict[str, npt.NDArray[np.bool_]]) -> Written:
    """The text with its blanks, and every span moved behind those that stand before it."""
    text, spans, start_of_answer, n_blanks = "", [], 0, 0
    for role, start, stop in one.spans:
        if start == one.answer_start:
            start_of_answer = len(text)
        piece = one.text[start:stop]
        spans.append((role, len(text), len(text) + len(piece)))
        text += piece
        if role[0] in blanks and role[1:].isdigit() and blanks[role[0]][int(role[1:])]:
            spans.append((f"x{n_blanks}", len(text), len(text) + 1))
            text, n_blanks = text + " ", n_blanks + 1
    return Written(text, tuple(spans), start_of_answer or len(text))


def has_gaps(task: Task) -> bool:
    """True if some operand is long enough for a blank: three digits."""
    return not_modular(task) and max(task.operand_digits) > 2


RANDOM_SPACES = RandomSpaces("random-spaces", formula, has_gaps, PADDED, PADDED)
