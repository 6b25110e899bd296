"""Measure published numbers again, each beside the published value, with a verdict by its rule."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from interp.engine.progress import shows_progress
from interp.errors import ArithmoscopeError, Cancelled, InputError, StorageError
from interp.published.measures import (
    MEASURES,
    WITHOUT_MODEL,
    Ours,
    Parts,
    Question,
    read_by,
)
from interp.published.rows import Row, chosen, rows
from interp.results.atomic import write_atomic
from interp.results.versions import installed_versions

if TYPE_CHECKING:
    from interp.engine.requests import Cancel, Progress

RECORDED = Path(__file__).with_name("recorded.json")
_MEASURES = Path(__file__).with_name("measures.py")
COLUMNS = ("key", "source", "arxiv", "quantity", "condition", "published", "unit", "ours", "low",
           "high", "n", "seed", "model", "verdict", "recorded", "rule", "basis", "reason", "note",
           "code", "seconds", "more")  # fmt: skip
_OF_OUR_MODELS = ("layers",)
"""Options that are sizes of our own models, and are left out with `model=`."""


@dataclass(frozen=True)
class Rerun:
    """Published numbers beside ours.

    Args:
        frame: a row a published number: key, source, arxiv, quantity, condition, published, unit;
            ours with low, high, n, seed and model; verdict ("holds", "differs", "open" or "not
            run"), recorded (the verdict of the last recorded run of our own models, "" where there
            is none), rule, basis (how its bounds were set), reason (why it was not run, or what
            failed), note, code, seconds (of the call, at the first of its rows), more (further
            numbers of the same call, by name).
        failed: keys of rows that were to be run and raised.
    """

    frame: pd.DataFrame
    failed: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return f"<p>{self.conclusion()}</p>{self.frame.to_html(index=False, border=0)}"

    @property
    def changed(self) -> pd.DataFrame:
        """Rows whose verdict is another than the recorded one."""
        known = self.frame[(self.frame["recorded"] != "") & (self.frame["verdict"] != "not run")]
        return known[known["verdict"] != known["recorded"]].reset_index(drop=True)

    @property
    def holds(self) -> bool:
        """Whether every recorded verdict stands, and no row failed."""
        return not len(self.changed) and not self.failed

    def conclusion(self) -> str:
        """How many numbers hold, differ, are open and were not run, and of how many papers."""
        counts = self.frame["verdict"].value_counts()
        told = [f"{counts.get(name, 0)} {name}" for name in ("holds", "differs", "open", "not run")]
        judged = self.frame[self.frame["verdict"].isin(["holds", "differs", "open"])]
        papers = judged.loc[judged["arxiv"] != "", "arxiv"].nunique()
        have = "paper has" if papers == 1 else "papers have"
        return (
            f"Of {len(self.frame)} published numbers {', '.join(told)}; {papers} {have} a verdict."
        )

    def save(self, path: str | Path) -> Path:
        """Write the rows as JSON, atomically. Raises StorageError where that is impossible."""
        body = {
            "command": "arithmoscope rerun",
            "versions": dict(installed_versions()),
            "rows": json.loads(self.frame.drop(columns="recorded").to_json(orient="records")),
        }
        try:
            return write_atomic(Path(path), (json.dumps(body, indent=1) + "\n").encode())
        except OSError as error:
            raise StorageError(f"{path} cannot be written ({error}): name another") from error


@shows_progress
def rerun(
    only: str | Sequence[str] = (),
    *,
    model: str | Path | None = None,
    quick: bool = False,
    seed: int = 0,
    keep: str | Path | None = None,
    on_row: Callable[[str], None] | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Rerun:
    """Run the calls behind the published numbers on our own models, or on weights of yours.

    Args:
        only: papers ("bai" or "2510.00184") or rows ("bai-icot-c2"); all by default.
        model: a model's name, folder, .gguf file or Hub id, or a file of published answers, that
            the rows in `only` are asked of instead; for those who own the published weights. Layers
            that a row names for our model are left out: all are tried. Rows that ask no model are
            not run.
        quick: leave out what asks a language model.
        seed: of every sample.
        keep: a folder of finished calls, from which a run that was cut goes on.
        on_row: called with the key of each row before it runs.
        cancel, progress: as in `engine.run`.

    Does not show: that a number of ours speaks about the published model: ours differ in size, data
    and training, and a row's condition says which model was published.

    Raises:
        InputError: for a name that no row has, a model without `only`, or with rows that ask none.
        Cancelled: on request.
    """
    names = (only,) if isinstance(only, str) else tuple(only)
    if model is not None and not names:
        raise InputError("name the rows that this model is to be asked: only='bai'")
    wanted = chosen(names, quick)
    if model is not None and all(row.measure in WITHOUT_MODEL for row in wanted):
        raise InputError(f"{', '.join(row.key for row in wanted)}: asks no model, leave model out")
    before = recorded() if model is None and seed == 0 else {}
    parts: dict[str, Parts | ArithmoscopeError] = {}
    seconds: dict[str, float] = {}
    out, failed = [], []
    for number, row in enumerate(wanted):
        question = _question(row, model, seed, cancel)
        found: Parts | ArithmoscopeError | None = None
        if question is not None:
            call = _call(row, question)
            if call not in parts:
                if on_row is not None:
                    on_row(row.key)
                parts[call], seconds[call] = _measured(row, question, call, keep)
            found = parts[call]
            if not isinstance(found, ArithmoscopeError) and row.part not in found:
                found = InputError(f"its measure has no {row.part!r} here: {', '.join(found)}")
            failed += [row.key] if isinstance(found, ArithmoscopeError) else []
        spent = seconds.pop(call, 0.0) if question is not None else 0.0
        out.append(_answered(row, question, found, before.get(row.key, ""), spent))
        if progress is not None:
            progress(number + 1, len(wanted))
    return Rerun(pd.DataFrame(out, columns=list(COLUMNS)), tuple(failed))


def recorded() -> dict[str, str]:
    """Key → verdict of the last recorded run; nothing where there is none."""
    if not RECORDED.is_file():
        return {}
    rows = json.loads(RECORDED.read_text(encoding="utf-8"))["rows"]
    return {row["key"]: row["verdict"] for row in rows if row["verdict"] != "not run"}


def judged_again(record: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The recorded rows with today's table and rules: numbers as measured, verdicts by the rule of
    each row. Rows that the table no longer runs, or no longer has, lose their number."""
    known = {one["key"]: one for one in record}
    out = []
    for row in rows():
        one = known.get(row.key)
        if one is None:
            continue
        asked = _question(row, None, int(one.get("seed") or 0), None)
        found = None
        if asked is not None and one["verdict"] != "not run":
            numbers = (one["ours"], one["low"], one["high"], one["n"], one["code"])
            found = {row.part: Ours(*numbers, one.get("more") or {})}
        told = _answered(row, asked, found, "", float(one.get("seconds") or 0))
        if asked is not None and found is None:  # it was to be run, and failed
            told["reason"] = one["reason"]
        out.append(told)
    return out


def _question(
    row: Row, model: str | Path | None, seed: int, cancel: Cancel | None
) -> Question | None:
    """What the row's measure is asked; None where it cannot be run."""
    source = str(model) if model is not None else row.model
    if not row.measure or (not source and row.reason):
        return None
    if model is None:
        return Question(source, row.options, seed, cancel)
    if row.measure in WITHOUT_MODEL:
        return None
    kept = {name: value for name, value in row.options.items() if name not in _OF_OUR_MODELS}
    return Question(source, kept, seed, cancel)


def _call(row: Row, question: Question) -> str:
    """Rows with the same call share it."""
    return json.dumps([row.measure, question.source, dict(question.options), question.seed])


def _measured(
    row: Row, question: Question, call: str, keep: str | Path | None
) -> tuple[Parts | ArithmoscopeError, float]:
    """The measure's numbers and the seconds that they took, both kept in a folder; or an error of
    the kind that names its remedy."""
    path, began = None, time.perf_counter()
    try:
        if keep is not None:
            path = Path(keep) / f"{_key(row, question, call)}.json"
        if path is not None and path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            return {name: Ours(*one) for name, one in kept["parts"].items()}, kept["seconds"]
        found = MEASURES[row.measure](question)
    except Cancelled:
        raise
    except ArithmoscopeError as error:
        return error, time.perf_counter() - began
    spent = time.perf_counter() - began
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"call": call, "parts": found, "seconds": spent}
        write_atomic(path, json.dumps(kept).encode())
    return found, spent


def _key(row: Row, question: Question, call: str) -> str:
    """Name of a kept call: the call, the files and weights that it is asked of, and the version of
    the package and of its measures, so that nothing stale is read."""
    parts = [call, installed_versions().get("arithmoscope", ""), _MEASURES.read_text("utf-8")]
    parts += read_by(row.measure, question)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _answered(
    row: Row,
    question: Question | None,
    found: Parts | ArithmoscopeError | None,
    before: str,
    spent: float,
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "key": row.key, "source": row.source, "arxiv": row.arxiv, "quantity": row.quantity,
        "condition": row.condition, "published": row.value, "unit": row.unit, "rule": row.rule,
        "basis": row.basis, "note": row.note, "recorded": before, "verdict": "not run",
        "reason": row.reason,
    }  # fmt: skip
    if question is None or found is None:
        reason = row.reason or ("it asks no model" if row.measure in WITHOUT_MODEL else "")
        return {**told, "reason": reason, "rule": "" if not row.measure else row.rule}
    if isinstance(found, ArithmoscopeError):
        return {**told, "reason": f"failed: {found}"}
    ours = found[row.part]
    return {
        **told, "ours": ours.value, "low": ours.low, "high": ours.high, "n": ours.n,
        "seed": question.seed, "model": question.source, "verdict": row.verdict(*ours[:3]),
        "reason": "", "code": ours.code, "seconds": round(spent, 1), "more": dict(ours.more),
    }  # fmt: skip
