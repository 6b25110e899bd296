"""Parse a text piece by piece; errors quote the exact place of the first deviation."""

import re
from collections.abc import Sequence
from typing import NoReturn

from interp.arithmetic.formats.layout import Written
from interp.errors import FormatError


class Cursor:
    """A place in a text that is being read as `format_name`."""

    def __init__(self, text: str, format_name: str) -> None:
        self.text = text
        self.format_name = format_name
        self.at = 0

    def literal(self, expected: str) -> None:
        """Step over exactly this text."""
        if not self.text.startswith(expected, self.at):
            # Point at the first character that differs, not at the start of a long literal.
            agree = 0
            while self.text[self.at + agree : self.at + agree + 1] == expected[agree]:
                agree += 1
            self.at += agree
            self.fail(repr(expected[agree:]))
        self.at += len(expected)

    def take(self, pattern: str, what: str) -> str:
        """Step over and return what matches the pattern here."""
        found = re.compile(pattern, re.ASCII).match(self.text, self.at)
        if found is None:
            self.fail(what)
        self.at = found.end()
        return found[0]

    def fail(self, expected: str) -> NoReturn:
        """Raise FormatError: what was expected here, and what stands here."""
        raise NotInFormat(self.text, self.at, self.format_name, expected)


class NotInFormat(FormatError):
    """A FormatError with the position reached, to name the nearest wording."""

    def __init__(self, text: str, at: int, format_name: str, expected: str) -> None:
        self.at = at
        self.expected = expected
        found = repr(_around(text, at)) if at < len(text) else "the end of the text"
        super().__init__(
            f"not in format {format_name!r}: at character {at} expected {expected}, found {found} "
            f"in {_shown(text, at)}."
        )


def check_same(texts: Sequence[str], written: Sequence[Written], format_name: str) -> None:
    """Raise FormatError at the first text that the format would not have written."""
    for line, (text, right) in enumerate(zip(texts, written, strict=True)):
        if text == right.text:
            continue
        at = next(
            (i for i, (x, y) in enumerate(zip(text, right.text, strict=False)) if x != y),
            min(len(text), len(right.text)),
        )
        where = f"line {line}, " if len(texts) > 1 else ""
        found = repr(_around(text, at)) if at < len(text) else "the end of the text"
        expected = repr(_around(right.text, at)) if at < len(right.text) else "the end of the text"
        raise FormatError(
            f"not in format {format_name!r}: {where}character {at} ({_part(text, right, at)}): "
            f"expected {expected}, found {found} in {_shown(text, at)}."
        )


def _part(text: str, right: Written, at: int) -> str:
    if at == len(right.text) and not text[at].isdigit():
        return "after the answer"
    if at >= right.answer_start:
        return "the answer is wrong"
    return f"in role {right.role_at(at)}"


def _around(text: str, at: int, characters: int = 16) -> str:
    return text[at : at + characters]


def _shown(text: str, at: int, characters: int = 60) -> str:
    start, stop = max(at - characters, 0), at + characters
    before, after = "…" * (start > 0), "…" * (stop < len(text))
    return repr(before + text[start:stop] + after)
