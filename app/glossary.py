"""Terms of the glossary, for words that explain themselves where the pointer rests on them."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path

_HERE = Path(__file__).resolve().parent
SOURCES = (_HERE / "glossary.md", _HERE.parent / "docs" / "glossary.md")  # installed; a checkout
_ROW = re.compile(r"^\|\s*\*\*(?P<names>[^*|]+)\*\*[^|]*\|(?P<meaning>[^|]*)\|", re.MULTILINE)


@cache
def terms() -> dict[str, str]:
    """Each term of docs/glossary.md with its meaning, in plain words."""
    source = next(path for path in SOURCES if path.is_file())
    text = source.read_text(encoding="utf-8")
    return {
        name.strip(): re.sub(r"[`*]", "", found["meaning"]).strip()
        for found in _ROW.finditer(text)
        for name in found["names"].split(",")
    }


def explained(text: str) -> str:
    """The text, with the first use of each term marked by its meaning (HTML)."""
    known = {name.lower(): meaning for name, meaning in terms().items()}
    names = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    seen: set[str] = set()

    def mark(found: re.Match[str]) -> str:
        name = found["name"].lower()
        if name in seen:
            return found[0]
        seen.add(name)
        return f'<abbr title="{escape(known[name], quote=True)}">{found[0]}</abbr>'

    return re.sub(rf"\b(?P<name>{names})(?:s|es)?\b", mark, text, flags=re.IGNORECASE)
