"""Run the calls of a report again, and mark every number that no longer holds.

A report may come from anyone. No code in it is executed: its calls are data, of which only those
are run that a report could have made (an analysis of the catalogue, its sample, and the options
that reports use), of a model that is shipped or that the caller hands over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from interp.arithmetic.tasks import task as as_task
from interp.catalogue import Entry, entry
from interp.engine.progress import shows_progress
from interp.errors import ArithmoscopeError, Cancelled, InputError, StorageError
from interp.loading import load
from interp.many._report import run_call, section_of
from interp.many.calling import declares
from interp.many.comparing import TOLERANCE, Comparison
from interp.many.plan import Asking
from interp.models.fixtures import GEMMA3, MODELS_APART, SMOLLM2, fixture_folders
from interp.results.versions import installed_versions

if TYPE_CHECKING:
    from interp.engine.requests import Cancel, Progress
    from interp.models.model import Model

Holds = Literal["yes", "no", "could not be run"]
LARGEST = 200e6  # bytes of a report
_LONGEST = 200  # characters of a format
_MOST = 10  # times an analysis's own n
_CALL = {"analysis": str, "model": str, "dtype": str, "asked": str, "options": dict}
_CONTENTS = {
    "title": str,
    "lead": str,
    "script": str,
    "machine": str,
    "models": list,
    "versions": dict,
    "sections": list,
    "left_out": dict,
}
_SECTION = {
    "title": str,
    "group": str,
    "text": str,
    "caption": str,
    "no_verdict": str,
    "notes": list,
    "metrics": list,
    "table": dict,
    "figures": dict,
    "code": str,
    "settings": str,
}
_SAME = ("title", "text", "caption", "verdict", "no_verdict", "notes", "code", "settings")
_TAGS = re.compile(r"<script.*?</script>|<[^>]*>", re.DOTALL)


@dataclass(frozen=True)
class Verification:
    """What of a report holds.

    Args:
        frame: a row for each number that moved and for each analysis that could not be run, and one
            for the numbers of an analysis that hold: analysis, number, reported, now, holds ("yes",
            "no" or "could not be run").
    """

    frame: pd.DataFrame

    def _repr_html_(self) -> str:
        return f"<p>{self.conclusion()}</p>{self.frame.to_html(index=False, border=0)}"

    @property
    def holds(self) -> bool:
        """Whether every number holds, and every analysis could be run."""
        return bool((self.frame["holds"] == "yes").all())

    def conclusion(self) -> str:
        """How many analyses hold, moved, and could not be run, in a sentence."""
        worst = self.frame.groupby("analysis", sort=False)["holds"].agg(
            lambda found: max(found, key=["yes", "could not be run", "no"].index)
        )
        counts = [(worst == name).sum() for name in ("yes", "no", "could not be run")]
        held, moved, stuck = counts
        return f"{held} of {len(worst)} parts hold, {moved} moved, {stuck} could not be run."


@shows_progress
def verify(
    path: str | Path,
    model: Model | None = None,
    *,
    only: Sequence[str] = (),
    on_analysis: Callable[[str], None] | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Run the calls of a report again and compare what they give with what it shows.

    First the page is compared with the numbers that it holds as data, which finds a text changed by
    hand; then the data with a new run: headlines, tables, sentences and every number of every
    figure, within 1e-4 of the largest number beside it. The hash of the model's weights is compared
    too.

    Args:
        path: an HTML file of `interp.report` or `arithmoscope report`.
        model: the model of the report, needed if it is not shipped: a report cannot make this
            machine open a folder or fetch a model.
        only: public names of the analyses to run; all by default.
        on_analysis: called with the public name of each analysis before it runs.
        cancel, progress: as in `engine.run`.

    Raises:
        InputError: for a file that is no report, or a name in `only` that it has not.
        StorageError: if the file cannot be read.
        Cancelled: on request.

    Does not show: whether the code of this installation is right: a mistake in an analysis gives
    the same wrong number twice.
    """
    text = _read(Path(path))
    contents = _checked(_contents_of(text))
    sections = contents["sections"]
    names = [_name(section) for section in sections]
    if unknown := [name for name in only if name not in names]:
        raise InputError(
            f"the report has no analysis {unknown[0]}; it has {', '.join(filter(None, names))}"
        )
    page = _Page(text, contents)
    rows = [] if only else list(page.outside())
    models = _Models(model, contents["models"])
    asked = [i for i, name in enumerate(names) if name and (not only or name in only)]
    for done, i in enumerate(asked):
        if on_analysis is not None:
            on_analysis(names[i])
        rows += page.section(i, names[i])
        rows += _again(sections[i], models, cancel)
        if progress is not None:
            progress(done + 1, len(asked))
    rows = [*models.rows(), *rows]
    columns = ["analysis", "number", "reported", "now", "holds"]
    return Verification(pd.DataFrame(rows, columns=columns, dtype=object))


Row = tuple[str, str, Any, Any, Holds]


class _Models:
    """The models of a report, each opened once: the caller's, else shipped ones by name."""

    def __init__(self, given: Model | None, reported: Sequence[Any]) -> None:
        self._given = given
        # A training log names its weights by the card's hash; of an adapter that is the adapter's.
        self._hashes: dict[str, list[str]] = {}
        for one in reported:
            self._hashes.setdefault(str(one["name"]), []).append(str(one["hash"]))
        self._open: dict[tuple[str, str, str | None], Model] = {}

    def of(self, call: Mapping[str, Any]) -> Model:
        """The model of a call. Raises InputError for one that is not shipped."""
        name, dtype, start = call["model"], call["dtype"], call["start"]
        if self._given is not None:
            return self._given
        if name not in (*fixture_folders(), *MODELS_APART, SMOLLM2, GEMMA3):
            raise InputError(
                f"the model {name} is not shipped; open it yourself: --model {name} in the command,"
                f" interp.verify(path, interp.load({name!r})) in Python"
            )
        key = (name, dtype, start)
        if key not in self._open:
            model = load(name, dtype=dtype)
            self._open[key] = model if start is None else model.starting_with(start)
        return self._open[key]

    def rows(self) -> Iterator[Row]:
        """The hash of each model that was used, reported and now."""
        given = [] if self._given is None else [self._given]
        for model in {one.id.name: one for one in [*self._open.values(), *given]}.values():
            known = self._hashes.get(model.id.name, [])
            was = model.hash if model.hash in known else ", ".join(known) or None
            yield "model", model.id.name, was, model.hash, "yes" if was == model.hash else "no"


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} has more than {LARGEST / 1e6:.0f} MB: it is no report")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}): name a report") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no report: arithmoscope report writes one") from error


def _contents_of(text: str) -> Any:
    from interp.figures.report_page import LAYOUT, contents_of

    contents = contents_of(text)
    if not isinstance(contents, dict) or contents.get("layout") != LAYOUT:
        raise InputError(
            f"the report is written in another layout than {LAYOUT}, which this version reads: use "
            "the version named at its end"
        )
    return contents


def _checked(contents: Any) -> dict[str, Any]:
    """The contents, if they have the parts of a report. Raises InputError."""
    _require(contents, _CONTENTS, "the report")
    for where, section in enumerate(contents["sections"]):
        name = f"section {where} of the report"
        if isinstance(section, dict) and "error" in section:
            _require(section, {"title": str, "group": str, "error": str}, name)
            continue
        _require(section, _SECTION, name)
        _require(section["table"], {"columns": list, "rows": list, "total": int}, name)
        for drawn in section["figures"].values():
            _require(drawn, {"caption": str, "figure": dict}, name)
    for one in contents["models"]:
        _require(one, {"name": str, "hash": str}, "a model of the report")
    return dict(contents)


def _require(value: Any, parts: Mapping[str, type], what: str) -> None:
    if not isinstance(value, dict):
        raise InputError(f"{what} is damaged: it is no mapping")
    for name, kind in parts.items():
        if not isinstance(value.get(name), kind) or (kind is int and isinstance(value[name], bool)):
            raise InputError(f"{what} is damaged: its {name!r} is no {kind.__name__}")


def _name(section: Mapping[str, Any]) -> str:
    """Public name of the analysis of a section; "" for one without a call."""
    call = section.get("call")
    return str(call.get("analysis", "")) if isinstance(call, dict) else ""


class _Page:
    """A page as it stands, beside the page that its contents give."""

    def __init__(self, text: str, contents: Mapping[str, Any]) -> None:
        from interp.figures.report_page import page, shown_sections

        self._was, self._now = contents["versions"].get("arithmoscope"), installed_versions()
        try:
            self._pages = (text, page(contents).decode())
        except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
            raise InputError(f"the numbers of this report are damaged ({error!r})") from error
        self._sections = [shown_sections(each) for each in self._pages]

    def outside(self) -> Iterator[Row]:
        """Whether the page outside its sections is the one that its contents give."""
        now = self._now["arithmoscope"]
        if self._was != now:
            yield "page", "version that wrote it", self._was, now, "could not be run"
            return
        shown, held = self._pages
        for here, there in zip(*(list(some.values()) for some in self._sections), strict=False):
            shown, held = shown.replace(here, "", 1), held.replace(there, "", 1)
        yield from _differing("page", shown, held)
        if shown == held:
            yield "page", "findings, settings and script", "", "", "yes"

    def section(self, i: int, name: str) -> Iterator[Row]:
        """Where a section shows something else than the contents hold."""
        if self._was == self._now["arithmoscope"]:
            shown, held = (some.get(f"s{i}", "") for some in self._sections)
            yield from _differing(name, shown, held)


def _differing(name: str, shown: str, held: str) -> Iterator[Row]:
    """The texts in which two pieces of HTML differ."""
    if shown == held:
        return
    pairs = zip_longest(_words(shown), _words(held), fillvalue="")
    differ = [pair for pair in pairs if pair[0] != pair[1]]
    for was, now in differ[:20] or [("another script, style or markup", "the page's own")]:
        yield name, "shown in the page, and held", was, now, "no"


def _words(html: str) -> list[str]:
    """The texts of a page between its tags."""
    return [unescape(part).strip() for part in _TAGS.split(html) if part.strip()]


def _again(section: Mapping[str, Any], models: _Models, cancel: Cancel | None) -> list[Row]:
    """Rows of an analysis run again."""
    name = _name(section)
    try:
        found = _compared(section, models, cancel)
    except Cancelled:
        raise
    except Exception as error:  # whatever a report asks for that no report would ask for
        said = str(error) if isinstance(error, ArithmoscopeError) else repr(error)
        return [(name, "every number", "", said, "could not be run")]
    rows: list[Row] = [(name, one.number, one.reported, one.now, "no") for one in found.moved]
    if found.held:
        rows.append((name, f"{found.held:,} numbers and texts", "", "", "yes"))
    return rows


def _compared(section: Mapping[str, Any], models: _Models, cancel: Cancel | None) -> Comparison:
    """A section beside a new run of its call. Raises InputError for one that no report holds."""

    call = _allowed(section["call"])
    model = models.of(call)
    _check_options(entry(call["analysis"]), call, model)
    result = run_call(model, call, None, cancel)
    now = section_of(call["analysis"], result, call, None).contents
    found = Comparison(TOLERANCE if call["analysis"] == "engine.selfcheck" else 0.0)
    for part in _SAME:
        found.add(part, section.get(part), now[part])
    found.add("headline", _by_name(section["metrics"]), _by_name(now["metrics"]))
    found.add_table("table", section["table"], now["table"])
    found.add("figure", section["figures"], now["figures"])
    return found


def _by_name(metrics: Sequence[Any]) -> dict[str, Any]:
    return {f"{row[0]}": row[1] for row in metrics if isinstance(row, list) and len(row) == 3}


def _allowed(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The call, if it is one that a report could hold.

    Raises:
        InputError: naming what it is not.
    """
    _require(call, _CALL, "the call")
    if not isinstance(call.get("start"), str | None):
        raise InputError("the call is damaged: its 'start' is no text")
    entry(call["analysis"])
    as_task(call["asked"])
    if call["dtype"] not in ("float32", "float64", "bfloat16", "float16"):
        raise InputError(f"no report has a model in {call['dtype']!r}")
    return call


def _check_options(one: Entry, call: Mapping[str, Any], model: Model) -> None:
    """Raise InputError for an option that no report sets, or a sample beyond its size."""
    options = call["options"]
    format = options.get("format")
    if not isinstance(format, str | None) or len(format or "") > _LONGEST:
        raise InputError(f"the format of {one.name} is no name")
    own = Asking(model, as_task(call["asked"]), format).own_options(one.name)
    for name, value in options.items():
        if name == "n":
            limit = _MOST * (one.n or 0)
            if type(value) is not int or not 1 <= value <= limit:
                raise InputError(f"n = {value!r} of {one.name} is not between 1 and {limit:,}")
        elif name == "seed":
            if type(value) is not int or not 0 <= value < 2**32:
                raise InputError(f"the seed {value!r} of {one.name} is no whole number")
        elif name != "format" and (name not in own or value != own[name]):
            raise InputError(f"no report sets {name} = {value!r} of {one.name}")
        if not declares(one.load(), name):
            raise InputError(f"{one.public} has no argument {name}")
