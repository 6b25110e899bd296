"""Template formats, a text with numbers: from `12+34=46` to `The sum of 12 and 34 is `.

A wording is written with operands in angle brackets and spans that have a role in square ones:
`<a>[op|+]<b>[eq|=]`. It may depend on the operators, never on the digits.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from interp.arithmetic.digits import significant_digits
from interp.arithmetic.formats.base import Answers, Format, Question
from interp.arithmetic.formats.layout import (
    Cells,
    Codes,
    Fixed,
    Key,
    Layout,
    Piece,
    Written,
    lay_out,
    write_by_shape,
)
from interp.arithmetic.formats.numbers import NumberStyle, ReadAnswer
from interp.arithmetic.formats.reading import Cursor, NotInFormat
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task

Parts = tuple[Fixed | str, ...]  # in order: fixed text, or an operand's letter
Wording = Callable[[tuple[str, ...]], "str | Parts"]  # the operators of a problem → its markup
_MARKUP = re.compile(r"<(?P<operand>\w)>|\[(?P<role>\w+)\|(?P<text>[^\]]*)\]")


@lru_cache(maxsize=1024)
def marked_up(markup: str | Parts) -> Parts:
    """The parts of a markup."""
    if isinstance(markup, tuple):
        return markup
    parts: list[Fixed | str] = []
    at = 0
    for found in _MARKUP.finditer(markup):
        parts.append(Fixed(markup[at : found.start()]))
        parts.append(found["operand"] or Fixed(found["text"], found["role"]))
        at = found.end()
    return (*parts, Fixed(markup[at:]))


@dataclass(frozen=True, repr=False)
class TemplateFormat(Format):
    """A wording, a style for its operands and one for its answer.

    wording      the question's markup, given the operators
    suits        predicate of the tasks it can write
    style        number style of operands; `answer_style` of the answer
    styles       (letter, style) of the operands with a style of their own
    fluent       True if the prompt is language rather than a formula
    lead         a blank in front of the answer that belongs to it, not to the prompt: a tokenizer
                 that reads " 7" as one token must find it whole on one side
    end          text after the answer, with the role `eos`
    """

    name: str
    wording: Wording
    suits: Callable[[Task], bool]
    style: NumberStyle = field(default_factory=NumberStyle)
    answer_style: NumberStyle = field(default_factory=NumberStyle)
    fluent: bool = False
    lead: str = ""
    styles: tuple[tuple[str, NumberStyle], ...] = ()
    end: str = ""

    def style_of(self, letter: str) -> NumberStyle:
        """The number style of an operand."""
        return dict(self.styles).get(letter, self.style)

    @property
    def whole(self) -> bool:
        styles = [self.style, self.answer_style, *(style for _, style in self.styles)]
        return any(style.whole for style in styles)

    def accepts(self, task: Task) -> bool:
        return self.suits(task)

    def fixed_width(self, task: Task) -> bool:
        shapes = {
            tuple(
                (p.role, len(p.text)) if isinstance(p, Fixed) else (p, 0) for p in marked_up(markup)
            )
            for markup in map(self.wording, operator_choices(task))
        }
        padded = [self.answer_style.padded, *(self.style_of(x).padded for x in task.operand_names)]
        return all(padded) and len(shapes) == 1

    def answer_width(self, task: Task) -> int | None:
        style = self.answer_style
        return style.padded_width(task.answer_digits) if style.padded else None

    def read_answer(self, text: str, task: Task, *, anywhere: bool = False) -> ReadAnswer:
        return self.answer_style.read(text, task.answer_digits, task.signed, anywhere)

    def _write(self, problems: Problems, answers: Answers | None) -> list[Written]:
        shapes, choices = self._shapes(problems, answers)
        task = problems.task

        def layout_of(shape: Key) -> Layout:
            return _layout(self, task, choices[shape[0]], shape[1:], answers is not None)

        return write_by_shape(shapes, layout_of, self._sources(problems, answers))

    def _shapes(
        self, problems: Problems, answers: Answers | None
    ) -> tuple[npt.NDArray[np.int64], list[tuple[str, ...]]]:
        """Layout keys, one row a problem: operators, lengths, answer length, sign."""
        choices = operator_choices(problems.task)
        columns = [_operator_index(problems, choices)]
        lengths = np.asarray(problems.lengths, dtype=np.int64)
        task = problems.task
        for place, (letter, width) in enumerate(
            zip(task.operand_names, task.operand_digits, strict=True)
        ):
            fixed = np.full(len(problems), width, dtype=np.int64)
            columns.append(fixed if self.style_of(letter).padded else lengths[:, place])
        if answers is not None:
            n, width = answers.digits.shape
            if self.answer_style.padded:
                columns += [np.full(n, width), np.zeros(n, dtype=np.int64)]
            else:
                length = significant_digits(answers.digits)
                nonzero = answers.digits.any(axis=1)
                columns += [length, ((answers.sign < 0) & nonzero).astype(np.int64)]
        return np.stack(columns, axis=1), choices

    def _sources(self, problems: Problems, answers: Answers | None) -> dict[str, Codes]:
        sources = {
            letter: digits + np.uint8(48)
            for letter, digits in zip(problems.task.operand_names, problems.operands, strict=True)
        }
        if answers is not None:
            sources["c"] = answers.digits + np.uint8(48)
            sources["sign"] = np.where(answers.sign < 0, ord("-"), ord("+")).astype(np.uint8)[
                :, None
            ]
        return sources

    def thoughts(self, task: Task) -> list[Piece]:
        """The chain of thought between question and answer: empty, unless a subclass has one."""
        return []

    def _question(self, text: str, task: Task) -> Question:
        failed: list[NotInFormat] = []
        for operators in operator_choices(task):
            cursor = Cursor(text, self.name)
            try:
                return Question(self._operands(cursor, task, operators), operators)
            except NotInFormat as error:
                failed.append(error)
        raise max(failed, key=lambda error: error.at)

    def _operands(self, cursor: Cursor, task: Task, operators: tuple[str, ...]) -> tuple[int, ...]:
        found: dict[str, int] = {}
        places = {name: place for place, name in enumerate(task.operand_names)}
        for part in marked_up(self.wording(operators)):
            if isinstance(part, Fixed):
                cursor.literal(part.text)
                continue
            start, place = cursor.at, places[part]
            found[part] = int(
                self.style_of(part).take(cursor, task.operand_digits[place], f"operand {part}")
            )
            if found[part] >= task.operand_limits[place]:
                cursor.at = start
                cursor.fail(f"operand {part} below {task.operand_limits[place]}")
        return tuple(found[name] for name in places)


@lru_cache(maxsize=4096)
def _layout(
    form: TemplateFormat, task: Task, operators: tuple[str, ...], widths: Key, answered: bool
) -> Layout:
    operand_width = dict(zip(task.operand_names, widths, strict=False))
    question: list[Piece] = []
    for part in marked_up(form.wording(operators)):
        if isinstance(part, Fixed):
            question.append(part)
        else:
            most = task.operand_digits[task.operand_names.index(part)]
            question.extend(form.style_of(part).pieces(part, operand_width[part], most))
    if not answered:
        return lay_out(question)
    length, negative = widths[-2:]
    answer: list[Piece] = [Fixed(form.lead)]
    if form.answer_style.padded and task.signed:
        answer.append(Cells("sign", (0,), ("sign",)))
    elif negative:
        answer.append(Fixed("-", "sign"))
    answer.extend(form.answer_style.pieces("c", length, task.answer_digits))
    answer.append(Fixed(form.end, "eos"))
    return lay_out([*question, *form.thoughts(task)], answer)


def operator_choices(task: Task) -> list[tuple[str, ...]]:
    """Every combination of operators that the task allows, in the task's order."""
    return list(product(*task.operators))


def _operator_index(problems: Problems, choices: list[tuple[str, ...]]) -> npt.NDArray[np.int64]:
    index = np.zeros(len(problems), dtype=np.int64)
    if len(choices) > 1:
        for gap, allowed in enumerate(problems.task.operators):
            index *= len(allowed)
            for place, operator in enumerate(allowed):
                index += place * (problems.operators[:, gap] == operator)
    return index
