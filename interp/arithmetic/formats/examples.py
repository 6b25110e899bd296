"""Few-shot formats, solved examples before the question: `plain@2:7` or `plain@1+1,3+5`.

`BASE@K:SEED` draws K examples from the task. They are the same for every problem, so all prompts
share one prefix, except that a problem among the examples gets another example in that place.
`BASE@1+1,3+5` gives fixed examples, the same for every problem.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from interp.arithmetic.formats.base import Answers, Format, Question, problems_of
from interp.arithmetic.formats.layout import Spans, Written
from interp.arithmetic.formats.numbers import ReadAnswer
from interp.arithmetic.formats.reading import Cursor, NotInFormat
from interp.arithmetic.problems import Problems, as_keys
from interp.arithmetic.tasks import Task
from interp.errors import InputError

MAX_SHOTS = 64
_DRAWS_PER_SHOT = 64


@dataclass(frozen=True, repr=False)
class FewShot(Format):
    """A format with solved examples in front, one a line; example i has the role `shot{i}`.

    base      the format of the examples and of the question
    shots     how many are drawn, with `seed`; or
    given     the examples themselves
    """

    base: Format
    shots: int
    seed: int = 0
    given: tuple[Question, ...] = ()

    @property
    def name(self) -> str:  # type: ignore[override]
        if self.given:
            return f"{self.base.name}@{','.join(_formula(question) for question in self.given)}"
        return f"{self.base.name}@{self.shots}:{self.seed}"

    @property
    def fluent(self) -> bool:  # type: ignore[override]
        return self.base.fluent

    @property
    def whole(self) -> bool:
        return self.base.whole

    def accepts(self, task: Task) -> bool:
        return self.base.accepts(task)

    def fixed_width(self, task: Task) -> bool:
        return self.base.fixed_width(task)

    def answer_width(self, task: Task) -> int | None:
        return self.base.answer_width(task)

    def read_answer(self, text: str, task: Task, *, anywhere: bool = False) -> ReadAnswer:
        """The number at the start of the text: few-shot models go on to invent problems."""
        return self.base.read_answer(text, task, anywhere=anywhere)

    def examples(self, task: Task) -> Problems:
        """The examples, and, where they are drawn, one more to stand in for a problem's own."""
        return _examples(self, task)

    def leaks(self, problems: Problems) -> npt.NDArray[np.bool_]:
        """Rows [n] whose own question and answer are among their examples.

        Named examples leak where a problem is one of them; drawn ones only where the task has too
        few problems to choose others.
        """
        shots = self.examples(problems.task)
        own = _own_shot(shots[: self.shots], problems)
        if len(shots) == self.shots:
            return own >= 0
        return (own >= 0) & (_own_shot(shots[self.shots :], problems) >= 0)

    def _write(self, problems: Problems, answers: Answers | None) -> list[Written]:
        questions = self.base._write(problems, answers)
        shots = self.examples(problems.task)
        own = _own_shot(shots[: self.shots], problems)
        if len(shots) == self.shots:
            own[:] = -1
        prefixes = _prefixes(self, problems.task)
        return [prefixes[place].before(q) for place, q in zip(own.tolist(), questions, strict=True)]

    def _question(self, text: str, task: Task) -> Question:
        prefixes = _prefixes(self, task)
        found = (p.text for p in prefixes.values() if text.startswith(p.text))
        prefix = next(found, prefixes[-1].text)
        Cursor(text, self.name).literal(prefix)
        try:
            return self.base._question(text[len(prefix) :], task)
        except NotInFormat as error:
            at = len(prefix) + error.at
            raise NotInFormat(text, at, self.name, error.expected) from error


class _Prefix:
    """The examples' text, put before a question whose spans move along."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.text = "".join(texts)
        stops = np.cumsum([len(text) for text in texts]).tolist()
        self.spans = tuple(
            (f"shot{i}", start, stop)
            for i, (start, stop) in enumerate(zip([0, *stops[:-1]], stops, strict=True))
        )
        self._moved: dict[Spans, Spans] = {}

    def before(self, question: Written) -> Written:
        moved = self._moved.get(question.spans)
        if moved is None:
            by = len(self.text)
            own = ((role, start + by, stop + by) for role, start, stop in question.spans)
            moved = self._moved[question.spans] = (*self.spans, *own)
        return Written(self.text + question.text, moved, len(self.text) + question.answer_start)


@lru_cache(maxsize=256)
def _prefixes(form: FewShot, task: Task) -> dict[int, _Prefix]:
    """The examples' text before most problems (key -1), and before those that are shot i."""
    shots = form.examples(task)
    texts = [written.text + "\n" for written in form.base.render(shots)]
    regular, spare = texts[: form.shots], texts[form.shots :]
    prefixes = {-1: _Prefix(regular)}
    for i in range(form.shots) if spare else ():
        prefixes[i] = _Prefix([*regular[:i], *spare, *regular[i + 1 :]])
    return prefixes


@lru_cache(maxsize=256)
def _examples(form: FewShot, task: Task) -> Problems:
    if form.given:
        return problems_of(form.given, task)
    drawn = task.sample(_DRAWS_PER_SHOT * (form.shots + 1), seed=form.seed)
    _, first = np.unique(as_keys(drawn.rows), return_index=True)
    distinct = drawn[np.sort(first)]
    if len(distinct) >= form.shots:
        return distinct[: form.shots + 1]
    # A task with fewer problems than shots: repeat them, and there is none left to stand in.
    return distinct[np.arange(form.shots) % len(distinct)]


def _own_shot(shots: Problems, problems: Problems) -> npt.NDArray[np.int64]:
    """For each problem the index of the shot that asks the same, -1 where none does; [n]."""
    same = as_keys(problems.rows)[:, None] == as_keys(shots.rows)[None, :]
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


def few_shot(base: Format, examples: int | Problems | Sequence[str], *, seed: int = 0) -> FewShot:
    """`base` with solved examples in front of every question.

    examples   how many to draw from the task with `seed`; or the examples themselves, as Problems
               or as texts such as ["1+1", "3+5"]

    >>> from interp.arithmetic.formats import format, few_shot
    >>> few_shot(format("plain"), ["1+1", "3+5"]).name
    'plain@1+1,3+5'
    """
    if isinstance(base, FewShot):
        raise InputError(f"{base.name!r} already has examples; give the format below it.")
    if isinstance(examples, int | np.integer):
        if not 1 <= examples <= MAX_SHOTS:
            raise InputError(f"the number of examples must be 1 to {MAX_SHOTS}, not {examples}.")
        return FewShot(base, int(examples), int(seed))
    given = tuple(_questions(examples))
    if not 1 <= len(given) <= MAX_SHOTS:
        raise InputError(f"the number of examples must be 1 to {MAX_SHOTS}, not {len(given)}.")
    return FewShot(base, len(given), given=given)


def _questions(examples: Problems | Sequence[str]) -> list[Question]:
    if isinstance(examples, Sequence):
        return [_from_formula(text) for text in examples]
    values = zip(*(examples.values(i) for i in range(len(examples.operands))), strict=True)
    operators = examples.operators.tolist()
    return [
        Question(tuple(int(v) for v in row), tuple(signs))
        for row, signs in zip(values, operators, strict=True)
    ]


def _from_formula(text: str) -> Question:
    if not re.fullmatch(r"\d+(?:[-+*]\d+)+", text):
        raise InputError(f"an example must be a formula such as '1+1', not {text!r}.")
    return Question(
        tuple(int(v) for v in re.split(r"[-+*]", text)), tuple(re.findall(r"[-+*]", text))
    )


def _formula(question: Question) -> str:
    text = str(question.operands[0])
    for operator, value in zip(question.operators, question.operands[1:], strict=True):
        text += f"{operator}{value}"
    return text


def few_shot_named(base: Format, examples: str) -> FewShot:
    """The inverse of `FewShot.name`, given what stands behind its `@`."""
    if drawn := re.fullmatch(r"(\d+):(\d+)", examples):
        return few_shot(base, int(drawn[1]), seed=int(drawn[2]))
    if drawn := re.fullmatch(r"\d+", examples):
        return few_shot(base, int(drawn[0]))
    return few_shot(base, examples.split(","))
