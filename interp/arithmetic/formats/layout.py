"""Text layouts: character positions computed once and filled in for many problems.

A layout is a row of pieces: text that is the same for every problem, and cells that are filled from
digit arrays. All problems of one layout share one spans tuple and are written by column assignments
into one [n, characters] byte array, so that a training step's 512 problems cost well under a
millisecond.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Spans = tuple[tuple[str, int, int], ...]  # (role, first character, one past the last)
Codes = npt.NDArray[np.uint8]  # character codes, [n, columns]
Key = tuple[int, ...]

_LARGEST_KEY = 2**62


class Written(NamedTuple):
    """One problem as text.

    `spans` cover every character exactly once, in order of print. Roles: operand digits `a0`,
    `b0`, `d0`, … (index 0 least significant), `op` (`op2`, … for further gaps), `eq`, `sign`,
    answer digits `c0`, …, thoughts `t0`, `t1`, … in order of print, text that every problem shares
    `x0`, `x1`, …, text behind the answer `eos`, and few-shot examples `shot0`, …. A role's span
    holds the characters it names and no blanks; blanks are template text. A number that is one
    token has one role for all its digits, `a[0:3]`.

    `answer_start` is where the answer begins (its sign, where there is one; a blank that separates
    it from the prompt goes with the answer): everything before is the prompt. It equals
    `len(text)` when no answer was written.
    """

    text: str
    spans: Spans
    answer_start: int

    @property
    def prompt(self) -> str:
        """The text before the answer."""
        return self.text[: self.answer_start]

    def role_at(self, character: int) -> str:
        """The role of one character; `end` just behind the last one."""
        return next((r for r, start, stop in self.spans if start <= character < stop), "end")


class Fixed(NamedTuple):
    """The same characters for every problem. An empty role makes it template text (`x0`, …)."""

    text: str
    role: str = ""


class Cells(NamedTuple):
    """One character a column: `columns` of the array named `source`, in order of print."""

    source: str
    columns: tuple[int, ...]
    roles: tuple[str, ...]


Piece = Fixed | Cells


@dataclass(frozen=True)
class Layout:
    """A text with holes: `blank` holds the fixed characters, `cells` say what fills the others."""

    blank: bytes
    spans: Spans
    cells: tuple[tuple[int, Cells], ...]  # (first character, what to write from there)
    answer_start: int


def lay_out(prompt: Iterable[Piece], answer: Iterable[Piece] = ()) -> Layout:
    """Place the pieces one after the other; neighbouring template texts become one."""
    blank = ""
    spans: list[tuple[str, int, int]] = []
    cells: list[tuple[int, Cells]] = []
    template = 0
    answer_start = 0
    for part in (prompt, answer):
        for piece in _merged(part):
            start = len(blank)
            if isinstance(piece, Cells):
                cells.append((start, piece))
                spans.extend((role, start + i, start + i + 1) for i, role in enumerate(piece.roles))
                blank += " " * len(piece.columns)
                continue
            role = piece.role or f"x{template}"
            template += not piece.role
            blank += piece.text
            spans.append((role, start, len(blank)))
        answer_start = answer_start or len(blank)
    return Layout(blank.encode("ascii"), tuple(spans), tuple(cells), answer_start)


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Fixed) and not piece.text:
            continue
        last = merged[-1] if merged else None
        if isinstance(last, Fixed) and isinstance(piece, Fixed) and not last.role + piece.role:
            merged[-1] = Fixed(last.text + piece.text)
        else:
            merged.append(piece)
    return merged


def write(layout: Layout, sources: Mapping[str, Codes], n: int) -> list[Written]:
    """Fill one layout for `n` problems. `sources` maps a name to character codes [n, columns]."""
    width = len(layout.blank)
    page = np.empty((n, width), dtype=np.uint8)
    page[:] = np.frombuffer(layout.blank, dtype=np.uint8)
    for start, cells in layout.cells:
        page[:, start : start + len(cells.columns)] = sources[cells.source][:, cells.columns]
    text = page.tobytes().decode("ascii")
    spans, answer_start = layout.spans, layout.answer_start
    return [
        Written(text[at : at + width], spans, answer_start) for at in range(0, n * width, width)
    ]


def write_by_shape(
    shapes: npt.NDArray[np.int64],
    layout_of: Callable[[Key], Layout],
    sources: Mapping[str, Codes],
) -> list[Written]:
    """Write problems whose layouts differ: those of equal shape (row of `shapes`) at once."""
    n = len(shapes)
    first, group_of = _distinct_rows(shapes)
    if len(first) == 1:
        return write(layout_of(tuple(shapes[0].tolist())), sources, n)
    page: list[Written | None] = [None] * n
    order = np.argsort(group_of, kind="stable")
    stops = np.cumsum(np.bincount(group_of))
    for group, stop in enumerate(stops):
        rows = order[(stops[group - 1] if group else 0) : stop]
        part = {name: codes[rows] for name, codes in sources.items()}
        layout = layout_of(tuple(shapes[first[group]].tolist()))
        for row, written in zip(rows.tolist(), write(layout, part, len(rows)), strict=True):
            page[row] = written
    return [written for written in page if written is not None]


def _distinct_rows(
    shapes: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """(a row index for each distinct shape, the group of each row).

    Mixed-radix keys: np.unique on integers is many times faster than on rows.
    """
    key = np.zeros(len(shapes), dtype=np.int64)
    bound = 1
    for column in shapes.T:
        radix = int(column.max(initial=0)) + 1
        if bound * radix > _LARGEST_KEY:  # renumber the keys in use before they overflow
            key = np.unique(key, return_inverse=True)[1]
            bound = len(key)
        key = key * radix + column
        bound *= radix
    _, first, group_of = np.unique(key, return_index=True, return_inverse=True)
    return first, group_of


def cells(source: str, columns: Sequence[int], prefix: str | None = None) -> Cells:
    """Cells whose roles are the prefix (by default the source's name) and the column's index."""
    prefix = source if prefix is None else prefix
    return Cells(source, tuple(columns), tuple(f"{prefix}{k}" for k in columns))
