"""The interface of formats: write problems, read them back, read a model's answer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from interp.arithmetic.digits import object_array, to_digits
from interp.arithmetic.formats.layout import Written
from interp.arithmetic.formats.numbers import ReadAnswer
from interp.arithmetic.formats.reading import check_same
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.errors import FormatError, InputError


class Answers(NamedTuple):
    """The answers to write: digits uint8 [n, answer_digits], and their sign int8 [n]."""

    digits: npt.NDArray[np.uint8]
    sign: npt.NDArray[np.int8]


class Question(NamedTuple):
    """A question: its operands and the operators between them."""

    operands: tuple[int, ...]
    operators: tuple[str, ...]


class Format(ABC):
    """A way to write problems as text, both ways: `parse(render(p)) == p`, exactly.

    Parsing is strict. The question is parsed piece by piece, then rendered again, and any
    difference from the given text (an intermediate, the answer, a blank) raises FormatError and
    quotes the place. Generated text is read leniently, by `read_answer`.
    """

    name: str
    fluent: bool = False  # True where the prompt is language rather than a formula
    spaced: bool = False  # True where blanks stand for something, and are tokens of a trained model

    @abstractmethod
    def accepts(self, task: Task) -> bool:
        """True if this format can write the task's problems."""

    @abstractmethod
    def fixed_width(self, task: Task) -> bool:
        """True if all problems of the task have the same length and the same spans."""

    @abstractmethod
    def answer_width(self, task: Task) -> int | None:
        """Padded width of every answer; None for unpadded answers."""

    @abstractmethod
    def _write(self, problems: Problems, answers: Answers | None) -> list[Written]: ...

    @abstractmethod
    def _question(self, text: str, task: Task) -> Question: ...

    @abstractmethod
    def read_answer(self, text: str, task: Task, *, anywhere: bool = False) -> ReadAnswer:
        """The answer in a model's generated text. Never raises on odd text.

        `anywhere` takes the first number wherever it stands, as the AF1 scripts do (`-?\\d+`).
        """

    def render(
        self, problems: Problems, *, answer: str | npt.ArrayLike | Sequence[int] = "true"
    ) -> list[Written]:
        """Write every problem.

        answer   "true"; "none" for the prompt alone (without the chain of thought, where there is
                 one); digits [n, answer_digits], least significant first, under the true sign; or
                 signed integers [n]

        Raises InputError for a task that this format cannot write and for answers that do not fit.
        """
        self.require(problems.task)
        if isinstance(answer, str) and answer == "none":
            return self._write(problems, None)
        return self._write(problems, _answers(problems, answer))

    def parse(self, text: str, task: Task, *, answer: str = "true") -> Problems:
        """The one problem that `text` holds, its answer and every intermediate checked.

        With answer="none" the text must be the prompt alone. Raises FormatError, quoting the place.
        """
        return self.parse_many([text], task, answer=answer)

    def parse_many(self, texts: Sequence[str], task: Task, *, answer: str = "true") -> Problems:
        """One problem a text; `parse` for many. Raises FormatError with the line's number."""
        self.require(task)
        if answer not in ("true", "none"):
            raise InputError(f"answer must be 'true' or 'none' when reading, not {answer!r}.")
        if not len(texts):
            raise InputError("there is no text to read: pass at least one.")
        questions = []
        for line, text in enumerate(texts):
            try:
                questions.append(self._question(text, task))
            except FormatError as error:
                raise FormatError(
                    f"line {line}: {error}" if len(texts) > 1 else str(error)
                ) from error
        problems = problems_of(questions, task)
        check_same(texts, self.render(problems, answer=answer), self.name)
        return problems

    def require(self, task: Task) -> None:
        """Raise InputError, naming the formats that fit, where this one cannot write the task."""
        if not self.accepts(task):
            able = ", ".join(name for name, form in FORMATS.items() if form.accepts(task))
            why = self.why_not(task)
            raise InputError(
                f"format {self.name!r} cannot write {task.name!r}{why and f': {why}'}. Formats "
                f"that can: {able}."
            )

    @property
    def whole(self) -> bool:
        """True if the template asks for one token a number."""
        return False

    def why_not(self, task: Task) -> str:
        """The reason why this format cannot write the task, '' if there is none to give."""
        return ""

    def __repr__(self) -> str:
        return f"format({self.name!r})"


FORMATS: dict[str, Format] = {}
"""Every format by name; `registry` fills it."""


def problems_of(questions: Sequence[Question], task: Task) -> Problems:
    """The questions as Problems of the task."""
    operands = zip(*(q.operands for q in questions), strict=True)
    operators = ["".join(q.operators) for q in questions]
    return task.problems(*(list(values) for values in operands), operators=operators)


def _answers(problems: Problems, answer: str | npt.ArrayLike | Sequence[int]) -> Answers:
    if isinstance(answer, str):
        if answer != "true":
            raise InputError(f"answer must be 'true', 'none', digits or integers, not {answer!r}.")
        return Answers(problems.answer, problems.sign)
    array = np.asarray(answer)
    n, width = len(problems), problems.task.answer_digits
    if array.shape == (n, width):
        return Answers(_checked_digits(array), problems.sign)
    if array.shape == (n,):
        return _from_values(array, problems)
    raise InputError(
        f"answers must be integers [{n}] or digits [{n}, {width}], not an array of shape "
        f"{list(array.shape)}."
    )


def _checked_digits(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype.kind not in "iu" or array.min(initial=0) < 0 or array.max(initial=0) > 9:
        raise InputError("answer digits must be integers from 0 to 9.")
    return array.astype(np.uint8)


def _from_values(array: npt.NDArray[Any], problems: Problems) -> Answers:
    width = problems.task.answer_digits
    listed = array.tolist()
    if wrong := [v for v in listed if isinstance(v, bool) or not isinstance(v, int | np.integer)]:
        raise InputError(f"answers must be integers, not {array.dtype} such as {wrong[0]!r}.")
    values = object_array(listed)
    size = np.abs(values)
    if (size >= 10**width).any():
        raise InputError(f"an answer has more than the task's {width} digits.")
    negative = (values < 0).astype(bool)
    if negative.any() and not problems.task.signed:
        raise InputError(f"{problems.task.name!r} has no negative answers.")
    sign = np.where(negative, -1, (values > 0).astype(bool)).astype(np.int8)
    return Answers(to_digits(size, width), sign)
