"""Formats written as a template: `${a}+{b}={c:reversed}$`.

A template is a line of the training text with its numbers in braces:

    {a} {b} {d} …   the operands, in any order, each once
    {op}            an operator that depends on the problem (`addsub:2`); else write it as text
    {c}             the answer, behind everything else that the prompt holds
    everything else is text: `{{` and `}}` are braces, `\\n` a line break, `\\\\` a backslash

and options after a colon, by commas: `{c:reversed,pad}`.

    reversed        least significant digit first
    pad, pad=10     zeros up to the task's width, or up to ten digits
    spaced, sep=,   a blank, or another text, between the digits
    whole           one token a number: its role is `a[0:3]` however long the number is

Roles come from the template and the problem, never from the text: `c0` is the least significant
digit in any order, a delimiter that is a digit is no operand digit, and zeros beyond the task's
width are template text. `+`, `-` or `*` between the operands is `op`, `=` behind them `eq`, what
stands behind the answer `eos`. A blank in front of the answer goes with the answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, NoReturn

from interp.arithmetic.formats.layout import Fixed
from interp.arithmetic.formats.numbers import NumberStyle
from interp.arithmetic.formats.standard import operator_role
from interp.arithmetic.formats.templates import Parts, TemplateFormat
from interp.arithmetic.specification import OPERAND_NAMES
from interp.arithmetic.tasks import Task
from interp.errors import InputError

EXAMPLE = "${a}+{b}={c:reversed}$"
_TOKEN = re.compile(r"\{\{|\}\}|\\.|\{(?P<name>\w*)(?::(?P<options>[^{}]*))?\}|[{}\\]", re.DOTALL)
_ESCAPES = {"{{": "{", "}}": "}", "\\n": "\n", "\\t": "\t", "\\\\": "\\", "\\@": "@"}
_OPTIONS = "reversed, pad, pad=10, spaced, sep=TEXT, whole"
_NAMES = f"{', '.join(OPERAND_NAMES[:3])}, …, op, c"


class Field(NamedTuple):
    """A number or operator of a template, and the character where it begins."""

    name: str
    style: NumberStyle
    at: int


Piece = Field | str


@dataclass(frozen=True, repr=False)
class Template(TemplateFormat):
    """The format that a template describes; `name` is the template."""

    def why_not(self, task: Task) -> str:
        assert isinstance(self.wording, _Words)
        return self.wording.why_not(task)


@lru_cache(maxsize=1024)
def template(text: str) -> Template:
    """The format of a template.

    >>> from interp.arithmetic.tasks import Addition
    >>> form = template("${a}+{b}={c:reversed}$")
    >>> form.render(Addition(2).problems([12], [95]))[0].text
    '$12+95=701$'

    Raises InputError, naming the place, for a template that cannot be read or written both ways.
    """
    pieces = _abutting(text, _pieces(text))
    places = [i for i, piece in enumerate(pieces) if isinstance(piece, Field) and piece.name == "c"]
    if len(places) != 1:
        at = pieces[places[1]].at if places else len(text)  # type: ignore[union-attr]
        _refuse(text, at, "the answer {c} must stand in a template once")
    *question, answer = pieces[: places[0] + 1]
    assert isinstance(answer, Field)
    behind = pieces[places[0] + 1 :]
    if late := next((piece for piece in behind if isinstance(piece, Field)), None):
        _refuse(text, late.at, f"{{{late.name}}} must stand before the answer {{c}}")
    lead = " " if question and isinstance(question[-1], str) and question[-1][-1] == " " else ""
    if lead:
        question[-1] = str(question[-1])[:-1]
    words = _Words(text, tuple(question))
    if not words.operands:
        _refuse(text, answer.at, "the operands are missing: {a}, {b}")
    return Template(
        text,
        words,
        words.suits,
        answer_style=answer.style,
        lead=lead,
        styles=tuple((field.name, field.style) for field in words.operands),
        end="".join(map(str, behind)),
    )


@dataclass(frozen=True)
class _Words:
    """The question of a template; called with the operators of a problem, its parts."""

    text: str
    question: tuple[Piece, ...]

    @property
    def operands(self) -> list[Field]:
        return [x for x in self.question if isinstance(x, Field) and x.name != "op"]

    @property
    def _named(self) -> int:
        """How many {op} there are."""
        return sum(isinstance(x, Field) and x.name == "op" for x in self.question)

    @property
    def _signs(self) -> str:
        """The operators among the texts, in order."""
        return "".join(
            char for x in self.question if isinstance(x, str) for char in x if char in "+-*"
        )

    def suits(self, task: Task) -> bool:
        return not self.why_not(task)

    def why_not(self, task: Task) -> str:
        names = {field.name for field in self.operands}
        if names != set(task.operand_names):
            return f"its operands are {', '.join(task.operand_names)}"
        for field in self.operands:
            width = task.operand_digits[task.operand_names.index(field.name)]
            if 0 < field.style.pad_to < width:
                return f"operand {field.name} has up to {width} digits, more than its pad"
        gaps = len(task.operators)
        if self._named:
            return "" if self._named == gaps else f"it takes {{op}} {gaps} times"
        if any(len(gap) > 1 for gap in task.operators):
            return "its operator depends on the problem: write {op}"
        signs = "".join(gap[0] for gap in task.operators)
        if len(self._signs) == gaps and self._signs != signs:
            return f"the template writes {self._signs!r} where the task has {signs!r}"
        return ""

    def __call__(self, operators: tuple[str, ...]) -> Parts:
        named = self._named > 0 or len(self._signs) != len(operators)
        parts: list[Fixed | str] = []
        gap = 0
        last = max(i for i, x in enumerate(self.question) if x in self.operands)
        for i, piece in enumerate(self.question):
            if isinstance(piece, str):
                for text in re.split(r"([-+*=])" if i > last else r"([-+*])", piece):
                    if text == "=" and i > last and piece.count("=") == 1:
                        parts.append(Fixed(text, "eq"))
                    elif text and text in "+-*" and not named:
                        parts.append(Fixed(text, operator_role(gap)))
                        gap += 1
                    else:
                        parts.append(Fixed(text))
            elif piece.name == "op":
                parts.append(Fixed(operators[gap], operator_role(gap)))
                gap += 1
            else:
                parts.append(piece.name)
        return tuple(parts)


def _pieces(text: str) -> list[Piece]:
    """Texts and fields in order; neighbouring texts are one."""
    pieces: list[Piece] = []

    def say(words: str, at: int) -> None:
        if not words.isascii():
            at += next(i for i, char in enumerate(words) if not char.isascii())
            _refuse(text, at, "a template can hold only ASCII characters")
        if words and pieces and isinstance(pieces[-1], str):
            pieces[-1] += words
        elif words:
            pieces.append(words)

    at = 0
    for found in _TOKEN.finditer(text):
        say(text[at : found.start()], at)
        at = found.end()
        if found["name"] is not None:
            field = _field(text, found)
            names = [x.name for x in pieces if isinstance(x, Field)]
            if field.name in names and field.name != "op":
                _refuse(text, field.at, f"{{{field.name}}} stands here a second time")
            pieces.append(field)
        elif found[0] in _ESCAPES:
            say(_ESCAPES[found[0]], found.start())
        elif found[0][0] == "\\":
            _refuse(text, found.start(), r"\n, \t, \\ and \@ are the escapes")
        else:
            _refuse(text, found.start(), f"a single brace: {found[0] * 2} writes one")
    say(text[at:], at)
    return pieces


def _field(text: str, found: re.Match[str]) -> Field:
    name, options, at = found["name"], found["options"], found.start()
    if name != "op" and name != "c" and (len(name) != 1 or name not in OPERAND_NAMES):
        _refuse(text, at + 1, f"no field {name!r}; the fields are {_NAMES}")
    if name == "op" and options:
        _refuse(text, at, "{op} takes no options")
    style = NumberStyle()
    place = at + len(name) + 2
    for option in _split(options or ""):
        changed = _option(style, option)
        if changed is None:
            _refuse(text, place, f"no option {option!r}; the options are {_OPTIONS}")
        style = changed
        place += len(option) + 1
    if style.whole and (style.separator or style.least_first):
        _refuse(text, at, "a whole number has no order of digits and nothing between them")
    return Field(name, style, at)


def _split(options: str) -> list[str]:
    """The options; `sep=,` holds a comma of its own."""
    return re.findall(r"sep=,(?=,|$)|[^,]+", options)


def _option(style: NumberStyle, option: str) -> NumberStyle | None:
    word, equals, value = option.partition("=")
    if word == "pad" and (not equals or (value.isdecimal() and value.isascii() and int(value))):
        return replace(style, padded=True, pad_to=int(value or 0))
    if word == "sep" and value and not any(char.isalnum() for char in value):
        return replace(style, separator=value, group=1)
    if equals:
        return None
    if word == "spaced":
        return replace(style, separator=" ", group=1)
    if word == "reversed":
        return replace(style, least_first=True)
    return replace(style, whole=True) if word == "whole" else None


def _abutting(text: str, pieces: Sequence[Piece]) -> list[Piece]:
    """Mark the numbers that a digit or another field follows; these must be padded."""
    found: list[Piece] = []
    for piece, after in zip(pieces, [*pieces[1:], ""], strict=True):
        if isinstance(piece, Field) and piece.name != "op" and _digit_may_begin(after):
            if not piece.style.padded:
                _refuse(
                    text,
                    piece.at,
                    f"where {{{piece.name}}} ends cannot be seen, since a digit may follow: pad "
                    f"it, {{{piece.name}:pad}}",
                )
            piece = piece._replace(style=replace(piece.style, abuts=True))
        found.append(piece)
    return found


def _digit_may_begin(piece: Piece) -> bool:
    if isinstance(piece, Field):
        return piece.name != "op"
    return piece[:1].isdigit()


def _refuse(text: str, at: int, why: str) -> NoReturn:
    here = repr(text[at : at + 12]) if at < len(text) else "the end"
    raise InputError(f"template {text!r}, character {at} ({here}): {why}. Such as {EXAMPLE!r}.")
