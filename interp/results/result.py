"""The contract of every Result: a frozen value that explains, draws, saves and displays itself."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Self

import pandas as pd

from interp.errors import InputError, StorageError
from interp.results import kinds, storage
from interp.results.display import number
from interp.results.identity import ModelId
from interp.results.versions import installed_versions

MIN_DISTINCT = 30  # fewest distinct prompts for a verdict
_ROWS = 8  # table rows in a notebook's card


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Result(ABC):
    """Base of every Result. A subclass is a dataclass decorated like this one, with an `analysis`,
    whose fields are arrays, `Grid`s, DataFrames or plain values. Its docstring names its figures
    beyond the main one.

    Args:
        model: name and weight hash; None where no model took part.
        task: the task's name, "add:5".
        n: number of measured prompts.
        n_distinct: distinct prompts among them; a repeated prompt is no new evidence.
        seed: of every random choice; None where nothing was drawn.
        settings: arguments of the analysis, as JSON values.
        versions: of Python and the packages that can change a number; defaults to this
            installation's.

    Raises:
        InputError: for an empty sample, or more distinct prompts than prompts.
    """

    analysis: ClassVar[str] = ""
    notes: ClassVar[tuple[str, ...]] = ()
    """What the numbers do not show: each ends the sentence 'It does not show …'."""
    meanings: ClassVar[Mapping[str, str]] = {}
    """Metric → its sentence, with the unit. `{…}` in a name stands for any text, and its sentence
    may repeat it: {"score[{target}]": "R² of the probe of {target}"}."""

    model: ModelId | None
    task: str
    n: int
    n_distinct: int
    seed: int | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=installed_versions)

    _types: ClassVar[dict[str, type[Result]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "analysis" in vars(cls):
            known = Result._types.setdefault(cls.analysis, cls)
            if known.__qualname__ != cls.__qualname__:
                raise TypeError(f"analysis {cls.analysis!r} belongs to {known.__qualname__}")
            Result._types[cls.analysis] = cls

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError("the sample is empty: draw at least one problem")
        if not 1 <= self.n_distinct <= self.n:
            raise InputError(f"n_distinct={self.n_distinct} must lie between 1 and n={self.n}")
        for item in dataclasses.fields(self):
            object.__setattr__(self, item.name, storage.frozen(getattr(self, item.name), item.name))

    @property
    @abstractmethod
    def frame(self) -> pd.DataFrame:
        """Tidy table of the numbers, one row per measurement."""

    @property
    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Headline numbers by name; NaN if undefined (null in result.json)."""

    @property
    @abstractmethod
    def code(self) -> str:
        """Python code that reproduces this Result."""

    @property
    def interval(self) -> str:
        """Description of the intervals for the caption; empty if there are none."""
        return ""

    @property
    def enough(self) -> bool:
        """Whether there are enough distinct prompts for a verdict."""
        return self.n_distinct >= MIN_DISTINCT

    @property
    def too_few(self) -> str:
        """The reason for no verdict, where there are not enough distinct prompts."""
        return "too few distinct prompts for a verdict"

    @property
    def verdict(self) -> str | None:
        """The conclusion in a sentence; None without one or with too few distinct prompts."""
        return self.conclusion() if self.enough else None

    def conclusion(self) -> str | None:
        """The conclusion in a sentence, for any number of prompts (unlike `verdict`)."""
        return None

    @property
    def caption(self) -> str:
        """Model, task, n, n_distinct, seed and interval in one line, and whether the prompts are
        too few for a verdict; belongs under every figure."""
        parts = [] if self.model is None else [self.model.name]
        parts += [self.task] if self.task else []
        parts += [f"n = {self.n:,} ({self.n_distinct:,} distinct)"]
        held_out = self.settings.get("held_out")
        fewer = ", all there are" if self.settings.get("wanted") else ""
        parts += [f"held out from {held_out}{fewer}"] if held_out else []
        parts += [] if self.seed is None else [f"seed {self.seed}"]
        parts += [self.interval] if self.interval else []
        if (floor := self.settings.get("noise_floor")) is not None:
            dtype = self.settings.get("dtype")
            parts.append(f"{dtype}: a patch that changes nothing moves a logit by {floor:.2g}")
        if not self.enough and self.conclusion() is not None:
            parts.append(self.too_few)
        return " · ".join(parts)

    @classmethod
    def meaning(cls, metric: str) -> str:
        """One-sentence definition of a metric, with its unit; "" if the type defines none."""
        if metric in cls.meanings:
            return cls.meanings[metric]
        for name, sentence in cls.meanings.items():
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(name))
            if "{" in name and (found := re.fullmatch(pattern, metric)):
                return sentence.format(**found.groupdict())
        return ""

    def describe(self) -> str:
        """Caption, verdict, and each metric with its value and definition, one per line."""
        lines = [self.caption, *filter(None, [self.verdict])]
        for name, value in self.metrics.items():
            meaning = self.meaning(name)
            lines.append(f"{name} = {number(value)}{': ' if meaning else ''}{meaning}")
        lines += [f"Does not show {note}." for note in self.notes]
        return "\n".join(lines)

    def figure(self, name: str | None = None) -> Any:
        """The main Plotly figure of this Result, or another one by name.

        Raises:
            InputError: if its type has no figure, or none of that name (the message lists them).
        """
        drawing = kinds.drawing(self.analysis)
        if drawing is None:
            raise InputError(
                f"no figure is known for a {type(self).__name__}: look at its .frame, or register "
                "a renderer with interp.figures.renders"
            )
        return drawing.draw(self, name)

    def save(self, folder: str | Path) -> Path:
        """Write result.json, table.parquet and data/ to `folder` atomically.

        Other files in the folder stay. Raises StorageError with the remedy if it cannot be written,
        and leaves no partial file.
        """
        fields = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return storage.write_folder(
            Path(folder), type(self).analysis, fields, self._summary(), self.frame
        )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load the Result saved in `folder`; every field equals the saved one.

        Raises:
            StorageError: if there is none or it is damaged.
            InputError: if it is of another type than the class it is loaded by.
        """
        name, fields = storage.read_folder(Path(folder))
        kinds.import_result(name)
        known = Result._types.get(name)
        if known is None:
            raise StorageError(
                f"{folder} holds an unknown analysis {name!r}: import the module that defines it "
                "first, or load it with the version named in its result.json"
            )
        if not issubclass(known, cls):
            raise InputError(f"{folder} holds a {known.__name__}: load it by Result.load")
        return known(**fields)

    def _summary(self) -> dict[str, Any]:
        return {
            "analysis": self.analysis,
            "model": None if self.model is None else self.model._asdict(),
            "task": self.task,
            "n": self.n,
            "n_distinct": self.n_distinct,
            "seed": self.seed,
            "settings": storage.thaw(self.settings),
            "metrics": {k: float(v) if math.isfinite(v) else None for k, v in self.metrics.items()},
            "versions": storage.thaw(self.versions),
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        names = [item.name for item in dataclasses.fields(self)]
        return type(self) is type(other) and all(
            storage.equal(getattr(self, name), getattr(other, name)) for name in names
        )

    def __hash__(self) -> int:
        return hash((self.analysis, self.model, self.task, self.n, self.seed, self.settings))

    def __repr__(self) -> str:
        about = {"model": None if self.model is None else self.model.name, "task": self.task}
        shown = [f"{name}={value!r}" for name, value in about.items() if value is not None]
        shown += [f"n={self.n}", f"n_distinct={self.n_distinct}"]
        shown += [f"{name}={number(value)}" for name, value in self.metrics.items()]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """HTML card: caption, verdict, headlines, first rows, limits ("Does not show"), call."""
        metrics = "".join(
            f"<tr title='{escape(self.meaning(name))}'><td>{escape(name)}</td>"
            f"<td style='text-align:right'>{number(value)}</td></tr>"
            for name, value in self.metrics.items()
        )
        frame = self.frame
        rows = frame.head(_ROWS).to_html(index=False, border=0, float_format=number)
        more = f"<p>… {len(frame) - _ROWS:,} more rows in <code>.frame</code></p>"
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        verdict = f"<p><b>{escape(self.verdict)}</b></p>" if self.verdict else ""
        return (
            f"<div><h4>{escape(self.analysis)}</h4><p>{escape(self.caption)}</p>{verdict}"
            f"<table>{metrics}</table>{rows}{more if len(frame) > _ROWS else ''}"
            f"{'<p>Does not show:</p><ul>' + notes + '</ul>' if notes else ''}"
            f"<pre>{escape(self.code)}</pre></div>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Text and card, and the Plotly figure if a renderer is registered."""
        bundle: dict[str, Any] = {"text/plain": repr(self), "text/html": self._repr_html_()}
        drawing = kinds.drawing(self.analysis)
        if drawing is not None and drawing.draws(type(self)):
            bundle["application/vnd.plotly.v1+json"] = json.loads(self.figure().to_json())
        return bundle


def load_result(folder: str | Path) -> Result:
    """Load a Result of any type from `folder`. Raises as `Result.load`."""
    return Result.load(folder)
