"""Scores of generated answers against the truth.

Digit match and length difference are the Number Cookbook's (arXiv 2411.03766): with p and g the
digit strings of the prediction and the truth as the format writes it, aligned at their right ends,

    digit match          Σ_i [p_i = g_i] / |g|       missing digits are wrong, extra ones are free
    length difference    | |p| - |g| |
    exact match          p = g

The Cookbook drops signs and counts leading zeros; `exact` does neither: it asks for the right
number.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interp.arithmetic.formats import format as format_named
from interp.arithmetic.formats import format_names
from interp.arithmetic.formats.base import Format
from interp.arithmetic.formats.numbers import ReadAnswer
from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.errors import FormatError, InputError

_NO_DIGIT = -1


def read_answer(
    text: str, format: Format | str, task: Task, *, anywhere: bool = False
) -> ReadAnswer:
    """The answer in a model's generated text; its `digits` are None if unreadable.

    Raises InputError for a format that cannot write the task; never for odd text.
    """
    return _suitable(format, task).read_answer(text, task, anywhere=anywhere)


def score(
    problems: Problems, texts: Sequence[str], format: Format | str, *, anywhere: bool = False
) -> pd.DataFrame:
    """Scores of the generated texts, one row a problem.

    parsed             a number could be read; `reason` says why not
    well_formed        it is written as the format writes it (width, sign, grouping)
    answer             the signed number read, or None
    exact              it is the right number
    exact_match        its digits are the truth's digits, signs dropped (Number Cookbook)
    digit_match        share of the truth's digits that are right (Number Cookbook)
    length_difference  how many digits too many or too few (Number Cookbook)
    correct[k]         digit k, 0 the least significant, is right. A digit that was not written is a
                       zero where numbers are as long as they are, and wrong where they are padded.

    An unreadable answer is wrong in every column. Raises InputError where there is not one text
    for each problem. Does not show: whether wrong numbers or a wrong format cause a low score;
    `check_answered_in` does.
    """
    form = _suitable(format, problems.task)
    if len(texts) != len(problems):
        raise InputError(
            f"there are {len(problems)} problems and {len(texts)} answers: pass one text each."
        )
    read = [form.read_answer(text, problems.task, anywhere=anywhere) for text in texts]
    written = written_answers(problems, form)
    frame = pd.DataFrame(
        {
            "parsed": [answer.digits is not None for answer in read],
            "well_formed": [answer.well_formed for answer in read],
            "reason": [answer.reason for answer in read],
            "answer": object_or_none(read),
        }
    )
    frame["exact"] = _right_numbers(read, problems)
    digits = [answer.digits or "" for answer in read]
    frame["exact_match"] = [mine == true for mine, true in zip(digits, written, strict=True)]
    frame["digit_match"] = digit_match(digits, written)
    frame["length_difference"] = length_difference(digits, written)
    return pd.concat([frame, _correct_digits(digits, problems, form)], axis=1)


def digit_match(predicted: Sequence[str], true: Sequence[str]) -> NDArray[np.float64]:
    """Share [n] of the true digits that the prediction has at the same place from the right."""
    width = max(map(len, true), default=1)
    mine, right = digit_table(predicted, width), digit_table(true, width)
    return ((mine == right) & (right != _NO_DIGIT)).sum(axis=1) / np.array([len(t) for t in true])


def length_difference(predicted: Sequence[str], true: Sequence[str]) -> NDArray[np.int64]:
    """How many digits the prediction has too many or too few, [n]."""
    return np.array(
        [abs(len(p) - len(t)) for p, t in zip(predicted, true, strict=True)], dtype=np.int64
    )


def digit_table(numbers: Sequence[str], width: int) -> NDArray[np.int8]:
    """The last `width` digits of each number as int8 [n, width], column 0 the last; -1 for none."""
    text = "".join(number[::-1][:width].ljust(width, "/") for number in numbers)
    codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8).astype(np.int8)
    return (codes - np.int8(48)).reshape(len(numbers), width)  # "/" comes just before "0"


def check_answered_in(
    problems: Problems, texts: Sequence[str], format: Format | str, *, readable: float = 0.5
) -> None:
    """Raise FormatError where the answers are not written in this format.

    That is where fewer than `readable` of them can be read, or where fewer than one in ten are
    right while another format reads most of them as right. The message quotes an answer and names
    the format that fits, if one does.
    """
    form = _suitable(format, problems.task)
    own = score(problems, texts, form)
    unreadable = own[~own["parsed"]]
    fit = answered_in(problems, texts)
    best = str(fit.index[0])
    other = fit[best] >= 0.5 and own["exact"].mean() < 0.1
    if own["parsed"].mean() >= readable and not other:
        return
    remedy = (
        f"Read as {best!r}, {fit[best]:.0%} of them are right: pass format={best!r}."
        if fit[best] > max(own["exact"].mean(), 0.1)
        else "No format of this task reads them as right: look at the texts, or try another prompt."
    )
    row = int(unreadable.index[0]) if len(unreadable) else 0
    reason = f" ({own['reason'][row]})" if own["reason"][row] else ""
    raise FormatError(
        f"the model does not answer in format {form.name!r}: {len(unreadable)} of {len(own)} "
        f"answers cannot be read and {int(own['exact'].sum())} are right. One is "
        f"{texts[row][:60]!r}{reason}. {remedy}"
    )


def answered_in(problems: Problems, texts: Sequence[str]) -> pd.Series:
    """Share of right answers when the texts are read as each format of the task, best first."""
    shares = {}
    for name in format_names(problems.task):
        form = format_named(name)
        read = [form.read_answer(text, problems.task) for text in texts]
        fits = [answer.well_formed for answer in read]
        shares[name] = float(np.mean(_right_numbers(read, problems) & np.array(fits)))
    return pd.Series(shares, name="exact").sort_values(ascending=False, kind="stable")


def _suitable(format: Format | str, task: Task) -> Format:
    form = format_named(format) if isinstance(format, str) else format
    form.require(task)
    return form


def object_or_none(read: Sequence[ReadAnswer]) -> NDArray[np.object_]:
    """The numbers read, as Python integers, None where none was."""
    values = np.empty(len(read), dtype=object)
    values[:] = [answer.value for answer in read]
    return values


def written_answers(problems: Problems, form: Format) -> list[str]:
    """The digits of each true answer as the format writes it, most significant first."""
    width = form.answer_width(problems.task) or 1
    return [f"{abs(value):0{width}d}" for value in problems.answers()]


def _right_numbers(read: Sequence[ReadAnswer], problems: Problems) -> NDArray[np.bool_]:
    values = object_or_none(read)
    return np.asarray(values == problems.answers(), dtype=bool)


def _correct_digits(digits: Sequence[str], problems: Problems, form: Format) -> pd.DataFrame:
    width = problems.task.answer_digits
    table = digit_table(digits, width)
    if form.answer_width(problems.task) is None:
        written = np.array([len(d) > 0 for d in digits])
        table = np.where((table == _NO_DIGIT) & written[:, None], 0, table)
    right = table == problems.answer
    return pd.DataFrame(right, columns=[f"correct[{k}]" for k in range(width)])
