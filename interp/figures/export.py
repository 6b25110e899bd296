"""Write figures as offline HTML, and as PNG and SVG if a browser is found.

`page` is one file with Plotly's script inside; `write_figure` writes the script once beside the
figures of a folder, which load it from there.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from typing import Literal, NamedTuple, get_args

import plotly.graph_objects as go

from interp.errors import InputError
from interp.figures.registry import closer, draw
from interp.results.atomic import write_atomic
from interp.results.result import Result

Kind = Literal["html", "png", "svg"]
SCALE = 2  # PNG pixels per screen pixel
_PATIENCE = 20  # seconds for a picture, and for the start of the browser
SCRIPT = "plotly.min.js"  # Plotly's script, beside the figures that load it

_importing = Lock()

NO_BROWSER = (
    "no PNG or SVG: they need a Chromium or Chrome. Install one (apt install chromium), or set "
    "BROWSER_PATH to it; the HTML holds the same figure and saves a PNG from its toolbar"
)


class Export(NamedTuple):
    """Written files, and one line for each file that could not be written."""

    files: tuple[Path, ...]
    missing: tuple[str, ...]


def write_figure(
    result: Result | go.Figure,
    folder: str | Path,
    formats: Sequence[Kind] = get_args(Kind),
    *,
    name: str = "figure",
    shared: str | Path | None = None,
) -> Export:
    """Write the figure of a Result to `folder` as NAME.html, NAME.png and NAME.svg.

    NAME.html loads Plotly's script from plotly.min.js, one file for all figures of the folder; it
    is written too. A missing or failing browser never fails the call: the pictures are left out,
    and `missing` says why and what to do.

    Args:
        shared: a folder above `folder` that has plotly.min.js for all its folders; `folder` itself
            if None.

    Raises:
        InputError: for an unknown format.
        StorageError: where the folder cannot be written; nothing half-written is left.
    """
    for kind in formats:
        if kind not in get_args(Kind):
            raise InputError(f"unknown format {kind!r}: choose among {', '.join(get_args(Kind))}")
    figure = draw(result) if isinstance(result, Result) else result
    contents: dict[str, bytes] = {}
    if "html" in formats:
        script = write_script(folder if shared is None else shared)
        contents["html"] = linked_page(figure, os.path.relpath(script, folder))
    missing: list[str] = []
    wanted = [kind for kind in formats if kind != "html"]
    if wanted:
        try:
            contents |= pictures(figure, wanted)
        except BrowserError as error:
            missing.append(str(error))
    files = [
        write_atomic(Path(folder) / f"{name}.{kind}", contents[kind])
        for kind in formats
        if kind in contents
    ]
    return Export(tuple(files), tuple(missing))


def write_closer(result: Result, folder: str | Path) -> Export:
    """Write the further figures of a Result to `folder`, as PNG and SVG.

    As with `write_figure`, a missing browser never fails the call.

    Raises:
        StorageError: where the folder cannot be written.
    """
    figures = closer(result)
    if not figures:
        return Export((), ())
    try:
        drawn = every_picture(figures)
    except BrowserError as error:
        return Export((), (str(error),))
    files = [write_atomic(Path(folder) / name, content) for name, content in drawn.items()]
    return Export(tuple(files), ())


def file_name(*words: object) -> str:
    """Join words into a file name: `("layers", "product[0,1]")` gives `layers-product-0-1`."""
    return "-".join(re.sub(r"[^\w.]+", "-", str(word)).strip("-") for word in words)


class BrowserError(RuntimeError):
    """A picture could not be drawn; the message gives the cause and the remedy."""


def page(figure: go.Figure) -> bytes:
    """The figure as one offline HTML file with Plotly's script included."""
    return str(figure.to_html(include_plotlyjs=True, full_html=True)).encode()


def linked_page(figure: go.Figure, script: str = SCRIPT) -> bytes:
    """The figure as an HTML file that loads Plotly from the file `script`, a relative path."""
    link = escape(Path(script).as_posix(), quote=True)
    drawn = figure.to_html(include_plotlyjs=False, full_html=False)
    return (
        f"<!doctype html><html><head><meta charset='utf-8'><script src='{link}'></script></head>"
        f"<body><script>if (!window.Plotly) document.body.append('This figure is drawn by the file "
        f"{link}, which is not in its place: copy both.')</script>{drawn}</body></html>"
    ).encode()


def write_script(folder: str | Path) -> Path:
    """Write Plotly's script to `folder` as plotly.min.js, unless it is there.

    Raises:
        StorageError: where the folder cannot be written.
    """
    from plotly.offline import get_plotlyjs

    path, script = Path(folder) / SCRIPT, get_plotlyjs().encode()
    with suppress(OSError):
        if path.read_bytes() == script:
            return path
    return write_atomic(path, script)


def pictures(figure: go.Figure, formats: Sequence[str]) -> dict[str, bytes]:
    """The figure as PNG and SVG, by format.

    Raises:
        BrowserError: without a browser, or where it fails.
    """
    drawn = every_picture({"figure": figure}, formats)
    return {kind: drawn[f"figure.{kind}"] for kind in formats}


def every_picture(
    figures: Mapping[str, go.Figure], formats: Sequence[str] = ("png", "svg")
) -> dict[str, bytes]:
    """Pictures of named figures, by file name, with a single browser start.

    Raises:
        BrowserError: without a browser, or where it fails.
    """
    path = browser()
    if path is None:
        raise BrowserError(NO_BROWSER)
    os.environ.setdefault("BROWSER_PATH", path)  # where plotly's renderer looks first
    from asyncio import InvalidStateError  # raised by the renderer if the browser exits on start

    with no_command_line():
        from kaleido.errors import KaleidoError
        from plotly.io import write_images

    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        pairs = [(name, figure, kind) for name, figure in figures.items() for kind in formats]
        files = [Path(folder) / f"{name}.{kind}" for name, _, kind in pairs]
        every = [figure for _, figure, _ in pairs]
        size = {side: [f.layout[side] for f in every] for side in ("width", "height")}

        def drawn() -> dict[str, bytes]:
            _within(
                _PATIENCE * (1 + len(files)),
                lambda: write_images(every, files, scale=SCALE, **size),
            )
            return {file.name: file.read_bytes() for file in files}

        failures = (RuntimeError, OSError, KaleidoError, InvalidStateError)
        with suppress(*failures):  # on a busy machine the first one sometimes never answers
            return drawn()
        try:
            return drawn()
        except failures as error:
            raise BrowserError(f"the browser {path} could not draw the figure: {error}") from error


def _within(seconds: float, work: Callable[[], object]) -> None:
    """Do some work, or raise TimeoutError after so long. The thread then stays behind, and ends
    with the program."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:.0f} s; try again when less else is running")
    if raised:
        raise raised[0]


def browser() -> str | None:
    """Path of the Chromium or Chrome to use: BROWSER_PATH, an installed one, or Playwright's."""
    with no_command_line():
        from choreographer.browsers import Chromium

    found = os.environ.get("BROWSER_PATH") or Chromium.find_browser(skip_local=False)
    if found:
        return str(found)
    caches = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "~/.cache/ms-playwright")).expanduser()
    return next(
        (str(path) for path in sorted(caches.glob("chromium-*/chrome-linux*/chrome"))), None
    )


@contextmanager
def no_command_line() -> Iterator[None]:
    """Hide the arguments of the process while kaleido, choreographer and logistro are imported.

    logistro, a dependency of the other two, parses `sys.argv` on import and takes our `--log FILE`
    for an abbreviation of two of its own options: it ends the process with exit code 2. After the
    first import it does not parse again, and nothing is hidden.
    """
    with _importing:
        if "logistro" in sys.modules:
            yield
            return
        ours = sys.argv
        sys.argv = ours[:1]
        try:
            yield
        finally:
            sys.argv = ours
