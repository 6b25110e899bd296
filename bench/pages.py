"""Pages of the docs that take their tables from records, and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from interp.errors import InputError


def filled(page: str, content: Mapping[str, str]) -> str:
    """The page with each part between its marks, `<!-- name -->` and `<!-- /name -->`."""
    for name, text in content.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = page.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            raise InputError(f"the page has no place {start.strip()} … {end}")
        page = f"{before}{start}\n{text}\n\n{end}{after}"
    return page


def table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table as Markdown; rows shorter than the heads end with empty cells."""
    padded = ([*row, *[""] * (len(heads) - len(row))] for row in rows)
    lines = [f"| {' | '.join(map(str, line))} |" for line in (heads, *padded)]
    return "\n".join([lines[0], f"|{'---|' * len(heads)}", *lines[1:]])
