"""Number styles: digit order, padding and separators, for writing and reading."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from interp.arithmetic.formats.layout import Cells, Fixed, Piece, cells
from interp.arithmetic.formats.reading import Cursor

MAX_DIGITS = 1000  # a model that repeats one digit for ever has not answered


class ReadAnswer(NamedTuple):
    """A number read from generated text.

    `digits` are most significant first, separators dropped, leading zeros kept; None where no
    number could be read, and then `reason` says why. `well_formed` is False where the number can
    be read but is not written as the format writes it (wrong width, missing sign, wrong grouping).
    """

    digits: str | None
    negative: bool = False
    well_formed: bool = False
    reason: str = ""

    @property
    def value(self) -> int | None:
        """The signed number, or None."""
        if self.digits is None:
            return None
        return -int(self.digits) if self.negative else int(self.digits)


@dataclass(frozen=True)
class NumberStyle:
    """One way to write a non-negative number.

    padded        zero-padded to the task's width, or as long as it is
    least_first   least significant digit first
    separator     between groups of `group` digits ("" for none)
    groups_from   "right": the last group is full (12,345); "left": the first is (123,45)
    pad_to        padded to so many digits, more than the task's; what is added is template text
    whole         one token a number: one role for all its digits, a[0:3], however long it is
    abuts         a digit that belongs to the template may stand next to it, so that exactly the
                  padded width is read
    """

    padded: bool = False
    least_first: bool = False
    separator: str = ""
    group: int = 3
    groups_from: Literal["right", "left"] = "right"
    pad_to: int = 0
    whole: bool = False
    abuts: bool = False

    def pieces(self, source: str, width: int, most: int | None = None) -> list[Piece]:
        """The pieces of a number of `width` digits taken from the array `source`; a whole one has
        the role of `most` digits."""
        if self.whole:
            return [_whole(source, self._columns(width), most or width)]
        total = self.padded_width(width)
        columns = self._columns(total)
        pieces: list[Piece] = []
        for start, stop in self._groups(total) if self.separator else [(0, total)]:
            pieces.append(Fixed(self.separator if start else ""))
            for real, group in groupby(columns[start:stop], key=lambda column: column < width):
                some = list(group)
                pieces.append(cells(source, some) if real else Fixed("0" * len(some)))
        return pieces

    def padded_width(self, width: int) -> int:
        """Digits written of a number of `width` digits, the task's width if padded."""
        return max(width, self.pad_to) if self.padded else width

    def _columns(self, width: int) -> list[int]:
        return list(range(width) if self.least_first else range(width - 1, -1, -1))

    def _groups(self, width: int) -> list[tuple[int, int]]:
        first = (width % self.group or self.group) if self.groups_from == "right" else self.group
        stops = [*range(first, width, self.group), width]
        return list(zip([0, *stops[:-1]], stops, strict=True))

    def take(self, cursor: Cursor, width: int, what: str) -> str:
        """Read an operand of at most `width` digits at the cursor; most significant digit first.

        Raises FormatError where there is no number or it has too many or too few digits. How it is
        grouped is left to the comparison with the rendered text.
        """
        width = self.padded_width(width)
        run = self._at_most(width) if self.abuts else self._run
        text = cursor.take(run, f"{what}, a number of {self._length(width)}")
        digits = self.ordered(text)
        if len(digits) > width or (self.padded and len(digits) < width):
            cursor.at -= len(text)
            cursor.fail(f"{what}, a number of {self._length(width)}")
        return digits

    def _length(self, width: int) -> str:
        return f"{width} digits" if self.padded else f"at most {width} digits"

    @property
    def _run(self) -> str:
        return rf"\d(?:(?:{re.escape(self.separator)})?\d)*" if self.separator else r"\d+"

    def _at_most(self, width: int) -> str:
        between = f"(?:{re.escape(self.separator)})?" if self.separator else ""
        return rf"\d(?:{between}\d){{0,{width - 1}}}"

    def ordered(self, text: str) -> str:
        """The digits of a written number, most significant first."""
        digits = text.replace(self.separator, "") if self.separator else text
        return digits[::-1] if self.least_first else digits

    def separated(self, digits: str) -> str:
        """`digits` (in order of print) with the separators of this style."""
        if not self.separator or not digits:
            return digits
        return self.separator.join(digits[start:stop] for start, stop in self._groups(len(digits)))

    def read(self, text: str, width: int, signed: bool, anywhere: bool = False) -> ReadAnswer:
        """The number that `text` starts with (after blanks), or the first one in it.

        Never raises: a model may write anything. A number that goes on in a notation this style
        does not have ("4,600" or "46.5" read as 4 or 46), or in a token whose text is not known
        ("4⁇"), is refused, not cut.
        """
        width = self.padded_width(width)
        pattern = rf"([+-]?)({self._at_most(width) if self.abuts else self._run})"
        look = re.search if anywhere else re.match
        found = look(pattern if anywhere else rf"\s*{pattern}", text, re.ASCII)
        if found is None:
            return ReadAnswer(None, reason=self._no_number(text))
        sign, run = found[1], found[2]
        if len(run) > MAX_DIGITS:
            return ReadAnswer(None, reason=f"a number of {len(run)} characters: it never ended")
        rest = text[found.end() :]
        if notation := re.match(r",\d{3}(?!\d)|\.\d|/\d|[eE][+-]?\d|⁇", rest, re.ASCII):
            return ReadAnswer(
                None, reason=f"{run + rest[:12]!r} goes on with {notation[0]!r}: another notation"
            )
        return ReadAnswer(self.ordered(run), sign == "-", self._fits(sign, run, width, signed))

    def _no_number(self, text: str) -> str:
        shown = text.strip()[:24]
        if not shown:
            return "the text is empty"
        later = re.search(r"\d+", text, re.ASCII)
        hint = f"; {later[0]!r} stands further on (anywhere=True finds it)" if later else ""
        return f"{shown!r} does not start with a number{hint}"

    def _fits(self, sign: str, run: str, width: int, signed: bool) -> bool:
        printed = run.replace(self.separator, "") if self.separator else run
        if run != self.separated(printed):
            return False
        if self.padded:
            return len(printed) == width and bool(sign) == signed
        top = printed[-1] if self.least_first else printed[0]
        return (top != "0" or len(printed) == 1) and (not sign or (sign == "-" and signed))


def _whole(source: str, columns: Sequence[int], most: int) -> Cells:
    """All digits under one role: `a0` of one digit at most, else `a[0:most]`."""
    role = f"{source}0" if most == 1 else f"{source}[0:{most}]"
    return Cells(source, tuple(columns), (role,) * len(columns))
