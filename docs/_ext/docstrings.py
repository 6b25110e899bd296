"""Docstrings as reStructuredText: code in backticks, formulas and aligned lists kept as they stand.

Docstrings here are read in an editor or by `help`: names stand in single backticks, formulas are
indented, and a star or a bar is a star or a bar. They become valid markup before napoleon reads the
Google sections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sphinx.application import Sphinx

_CODE = re.compile(r"(`+)(.+?)\1", re.S)
_MARKUP = re.compile(r"[\\*|_]")
_SECTION = re.compile(
    r"\s*(Args|Arguments|Attributes|Example|Examples|Raises|Returns|Yields|Note):\s*$"
)
_ALIGNED = re.compile(r"\s*\S+( \S+)*\s{2,}\S")


def marked_up(lines: Iterable[str]) -> list[str]:
    """Lines of a docstring as lines of reStructuredText.

    >>> marked_up(["R² of `a*b`, by c_", "", "    x * y"])
    ['R² of ``a*b``, by c\\\\_', '', '::', '', '    x * y']
    """
    result: list[str] = []
    for block in _blocks(list(lines)):
        first = block[0]
        indent = len(first) - len(first.lstrip())
        before = next((line for line in reversed(result) if line.strip()), "")
        if first.lstrip().startswith(">>>"):
            result += block
        elif _is_formula(block, before, indent) or _is_aligned(block):
            margin = " " * (indent if _is_aligned(block) else _margin(before))
            result += [
                f"{margin}::",
                "",
                *(f"{'    ' if _is_aligned(block) else ''}{line}" for line in block),
            ]
        else:
            result += _escaped("\n".join(block)).split("\n")
        result.append("")
    return result[:-1]


def _blocks(lines: list[str]) -> list[list[str]]:
    """Paragraphs: runs of lines that are not empty."""
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_formula(block: list[str], before: str, indent: int) -> bool:
    """An indented paragraph that no Google section or list opens."""
    return indent > _margin(before) and bool(before) and not _SECTION.match(before)


def _is_aligned(block: list[str]) -> bool:
    """A list in columns: two lines or more with a gap of two blanks."""
    return sum(bool(_ALIGNED.match(line)) for line in block) >= 2


def _escaped(text: str) -> str:
    """The text with code in double backticks, and stars, bars and underscores as themselves."""
    parts, at = [], 0
    for code in _CODE.finditer(text):
        parts += [_MARKUP.sub(r"\\\g<0>", text[at : code.start()]), f"``{code.group(2)}``"]
        at = code.end()
        if text[at : at + 1].isalnum():
            parts.append("\\ ")  # `Grid`s: nothing but a separator may follow markup
    return "".join([*parts, _MARKUP.sub(r"\\\g<0>", text[at:])])


def _process(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    lines[:] = marked_up(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Run before napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True}
