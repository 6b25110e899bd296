"""Escape text for Streamlit's Markdown."""

from __future__ import annotations

import re

# What begins or ends something in Markdown, in Streamlit's own additions ($math$, :emoji:,
# :red[text]) or in HTML; marks of lists, headings and quotes only where a line begins.
_MARKS = re.compile(
    r"[\\`*<>$~|]|(?<![^\W_])_|_(?![^\W_])"  # an underscore inside a word marks nothing
    r"|\](?=[(\[:])|:[a-z][a-z0-9-]*\["  # brackets that make a link or a directive, not carry[1]
    r"|&(?=[#\w]+;)|:(?=[\w+/-]+:)|^[ \t]*(?:#+|[-+=]+|\d+[.)])",
    re.MULTILINE,
)


def plain(text: str) -> str:
    """Return Markdown that displays `text` literally.

    >>> plain("cannot read 'A*B*C'")
    "cannot read 'A\\\\*B\\\\*C'"
    """
    return _MARKS.sub(_escaped, text).replace("\n", "  \n")


def counted(n: int, what: str) -> str:
    """A number of things in words.

    >>> counted(1, "wrong answer"), counted(1200, "wrong answer")
    ('1 wrong answer', '1,200 wrong answers')
    """
    return f"{n:,} {what}" + "s" * (n != 1)


def _escaped(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}\\{found[0][-1]}"
