"""Every analysis of the catalogue on one model, on one page."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from interp.arithmetic.tasks import Task
from interp.arithmetic.tasks import task as as_task
from interp.catalogue import CATALOGUE, entry
from interp.engine.progress import shows_progress
from interp.errors import ArithmoscopeError, Cancelled, InputError, StorageError
from interp.many.calling import apply, declares
from interp.many.plan import Planned, default_budget, planned
from interp.results.atomic import write_atomic
from interp.results.calls import call, model_call
from interp.results.identity import ModelId
from interp.results.result import Result
from interp.results.versions import installed_versions

if TYPE_CHECKING:
    from interp.engine.requests import Cancel, Progress
    from interp.figures.report import Section
    from interp.models.model import Model

Call = Mapping[str, Any]
_STEPS = 1000  # of the progress


@dataclass(frozen=True)
class Done:
    """A Result of a report, the call that made it as JSON values, and its seconds."""

    result: Result
    call: Call
    seconds: float

    @cached_property
    def section(self) -> Section:
        """The part of the page, with its figures; drawn once."""
        return section_of(self.call["analysis"], self.result, self.call, self.seconds)


@dataclass(frozen=True, repr=False)
class Report:
    """Results of many analyses of one model.

    Args:
        model: its name and weight hash.
        task: name of the task.
        code: the call that makes the report again.
        done: public name of an analysis → its Result, call and seconds.
        failed: public name → error, of analyses that stopped with an error of the program.
        left_out: public name → reason, of analyses that do not suit the model, the task or the
            budget.
    """

    model: ModelId
    task: str
    code: str
    done: Mapping[str, Done] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def results(self) -> dict[str, Result]:
        """Public name of an analysis → its Result."""
        return {name: one.result for name, one in self.done.items()}

    @property
    def frame(self) -> pd.DataFrame:
        """One row an analysis: n, seconds and verdict."""
        rows = [
            (name, one.result.n, one.seconds, one.result.verdict or "")
            for name, one in self.done.items()
        ]
        return pd.DataFrame(rows, columns=["analysis", "n", "seconds", "verdict"])

    def __repr__(self) -> str:
        counts = [("done", self.done), ("failed", self.failed), ("left out", self.left_out)]
        told = ", ".join(f"{len(names)} {what}" for what, names in counts)
        return f"Report({self.model.name}, {self.task}: {told})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.frame.to_html(index=False, border=0)}"

    def page(self) -> bytes:
        """The report as one HTML file that needs no network.

        Raises:
            InputError: if it has no Result and no failure.
        """
        from interp.figures.report import Failure, report

        sections: list[Section | Failure] = []
        for name in in_order([*self.done, *self.failed]):
            if name in self.failed:
                failure = Failure(entry(name).question, self.failed[name], group_of(name))
                sections.append(failure)
            else:
                sections.append(self.done[name].section)
        model = self.model.name
        lead = (
            f"{len(self.done)} analyses of {model} on {self.task}, each with its sample, interval "
            f"and control. arithmoscope verify runs them again."
        )
        return report(
            sections,
            title=f"{model}: {self.task}",
            lead=lead,
            script=self.code,
            left_out={name: self.left_out[name] for name in in_order(self.left_out)},
            machine=_machine(),
        )

    def save(self, path: str | Path) -> Path:
        """Write `page` to a file atomically.

        Raises:
            InputError: as `page`.
            StorageError: if the file cannot be written.
        """
        return write_atomic(Path(path), self.page())


def section_of(name: str, result: Result, call: Call, seconds: float | None) -> Section:
    """The section of an analysis, with the catalogue's question as its title."""
    from interp.figures.report import Section

    question = entry(name).question
    return Section(question, result, group=group_of(name), call=call, seconds=seconds)


def group_of(name: str) -> str:
    """Heading of an analysis in the table of contents: its family."""
    return name.partition(".")[0].capitalize() if "." in name else "Other"


def in_order(names: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """The public names in the catalogue's order."""
    known = [one.name for one in CATALOGUE]
    return sorted(names, key=known.index)


@shows_progress
def report(
    model: Model,
    asked: Task | str | None = None,
    *,
    only: Sequence[str] = (),
    seed: int = 0,
    format: str | None = None,
    budget: float | None = None,
    out: str | Path | None = None,
    keep: str | Path | None = None,
    on_analysis: Callable[[str], None] | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Report:
    """Every analysis of the catalogue that suits a model, the cheapest first.

    Each takes its own number of problems, fewer where that would take more than a 36th of the
    budget; the counts depend on model, task and budget only, not on the speed of the machine.

    Args:
        asked: a task's name or a Task; None means the model's own.
        only: public names of the analyses to run; all by default.
        seed, format: of every analysis.
        budget: seconds; analyses for which no time is left are left out, with the reason. None
            means 270, and 1,800 for a language model.
        out: file that receives the page, also the page of what is finished when the run is
            cancelled or stopped by an error.
        keep: folder that keeps finished analyses: a call with the same folder, model, task, seed,
            format, sample and versions loads them.
        on_analysis: called with the public name of each analysis before it runs.
        cancel, progress: as in `engine.run`.

    Raises:
        InputError: for an unknown name in `only`, a budget of nothing, or no task.
        StorageError: where `out` or `keep` cannot be written.
        Cancelled: on request, after `out` is written.

    Does not show: what other sizes, seeds, formats and options give; each analysis has more.
    """
    task = _task(model, asked)
    for name in only:
        entry(name)
    seconds = default_budget(model) if budget is None else budget
    if not seconds > 0:
        raise InputError(f"a budget of {seconds} seconds leaves no time: give more, such as 300")
    plan, left_out = planned(model, task, format, seed, seconds, only)
    done: dict[str, Done] = {}
    failed: dict[str, str] = {}
    own = {"only": list(only) or None, "seed": seed, "format": format, "budget": budget}
    code = call("interp.report", "model", repr(task.name), **own)
    code = f"import interp\n\nmodel = {_model_code(model)}\nreport = {code}"
    made = Report(model.id, task.name, code, done, failed, left_out)
    clock = _Clock(seconds, sum(one.seconds for one in plan), progress)
    try:
        for one in plan:
            name = one.entry.name
            if why := clock.refuses(one.seconds):
                left_out[name] = why
                continue
            if on_analysis is not None:
                on_analysis(name)
            if cancel is not None:
                cancel.check()
            asking = _call(model, task, one)
            try:
                found = _kept(model, asking, keep, clock.within(one.seconds), cancel)
                if out is not None:
                    found.section.contents  # noqa: B018  a figure that fails costs its analysis alone
                done[name] = found
            except (Cancelled, StorageError):
                raise
            except ArithmoscopeError as error:
                left_out[name] = str(error)
            except Exception as error:  # of the program: the others still run
                failed[name] = f"{type(error).__name__}: {error}"
            clock.ends(one.seconds)
    except Cancelled as error:
        where = f"; they are in {out}" if out is not None and (done or failed) else ""
        raise Cancelled(f"stopped after {len(done)} of {len(plan)} analyses{where}") from error
    finally:
        if out is not None and (done or failed):
            made.save(out)
    return made


def run_call(
    model: Model, asking: Call, progress: Progress | None, cancel: Cancel | None
) -> Result:
    """The Result of a call given as data.

    Raises:
        ArithmoscopeError: as the analysis.
    """
    one = entry(asking["analysis"])
    function = one.load()
    options = {name: value for name, value in asking["options"].items() if value is not None}
    if progress is not None and declares(function, "progress"):
        options["progress"] = progress
    first: Any = model
    if one.asks == "log":
        first = model.name
    elif one.asks == "task":
        first = asking["asked"]
    elif one.asks == "models":
        first = {model.name: model}
    second = asking["asked"] if one.asks in ("prompts", "problems", "models") else None
    return apply(function, first, second, options, cancel)


class _Clock:
    """Time of a run: how much of the budget is left, and the share that is done."""

    def __init__(self, budget: float, planned: float, progress: Progress | None) -> None:
        self._budget, self._planned, self._progress = budget, max(planned, 1e-9), progress
        self._began = time.monotonic()
        self._promised = self._passed = 0.0

    def refuses(self, seconds: float) -> str:
        """Why an analysis of that many seconds is not begun; "" if it is."""
        if time.monotonic() - self._began > self._budget:
            why = f"the budget of {self._budget:,.0f} s was used up before it"
        elif self._promised + seconds > self._budget:
            why = f"takes about {seconds:,.0f} s, more than is left of {self._budget:,.0f} s"
        else:
            self._promised += seconds
            return ""
        self._passed += seconds
        return f"{why}: give a larger budget"

    def within(self, seconds: float) -> Progress:
        """Progress of one analysis as a part of the whole."""

        def step(done: int, total: int) -> None:
            self._say(self._passed + seconds * done / max(total, 1))

        return step

    def ends(self, seconds: float) -> None:
        """Note that an analysis of that many seconds has ended."""
        self._passed += seconds
        self._say(self._passed)

    def _say(self, passed: float) -> None:
        if self._progress is not None:
            self._progress(round(_STEPS * min(passed / self._planned, 1.0)), _STEPS)


def _task(model: Model, asked: Task | str | None) -> Task:
    if isinstance(asked, Task):
        return asked
    if isinstance(asked, str):
        return as_task(asked)
    if asked is not None:
        raise InputError(
            f"a report draws its own problems, so it asks a task's name or a Task, not a "
            f"{type(asked).__name__}"
        )
    if model.task is None:
        raise InputError(f"{model.name} was trained for no one task: name one, such as 'add:1'")
    return model.task


def _call(model: Model, task: Task, one: Planned) -> dict[str, Any]:
    """The call of a planned analysis as JSON values, without options that it does not take."""
    takes = one.entry.load()
    options = {k: v for k, v in one.options.items() if v is not None and declares(takes, k)}
    return {
        "analysis": one.entry.name,
        "model": model.id.name,
        "dtype": _dtype(model),
        "start": model.tokens.start,
        "asked": task.name,
        "options": options,
    }


def _kept(
    model: Model, asking: Call, keep: str | Path | None, progress: Progress, cancel: Cancel | None
) -> Done:
    """The Result of a call: from the folder `keep` if it is there, else computed and kept there."""
    if keep is None:
        return _timed(model, asking, progress, cancel)
    told = {"call": asking, "hash": model.hash, "versions": dict(installed_versions())}
    key = sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(keep) / f"{asking['analysis']}-{key}"
    record = folder / "report.json"
    if record.is_file():  # written last
        try:
            return Done(Result.load(folder), asking, json.loads(record.read_text())["seconds"])
        except (StorageError, ValueError, KeyError):
            pass  # damaged: computed again
    done = _timed(model, asking, progress, cancel)
    done.result.save(folder)
    write_atomic(record, json.dumps({**told, "seconds": done.seconds}, indent=1).encode())
    return done


def _timed(model: Model, asking: Call, progress: Progress, cancel: Cancel | None) -> Done:
    began = time.perf_counter()
    result = run_call(model, asking, progress, cancel)
    return Done(result, asking, round(time.perf_counter() - began, 2))


def _model_code(model: Model) -> str:
    """The expression that loads the model again."""
    dtype = _dtype(model)
    return model_call(model.id.name, model.tokens.start, None if dtype == "float32" else dtype)


def _dtype(model: Model) -> str:
    return str(model.dtype).removeprefix("torch.")


def _machine() -> str:
    cores, threads = os.cpu_count(), torch.get_num_threads()
    return f"{platform.machine()}, {platform.system()}, {cores} cores, {threads} threads of torch"
