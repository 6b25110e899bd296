"""Measure published numbers again, each beside the published value, with a verdict by its rule."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from interp.engine.progress import shows_progress
from interp.errors import ArithmoscopeError, Cancelled, InputError, StorageError
from interp.published.measures import MEASURES, WITHOUT_MODEL, Ours, Parts, Question
from interp.published.rows import Row, chosen
from interp.results.atomic import write_atomic
from interp.results.versions import installed_versions

if TYPE_CHECKING:
    from interp.engine.requests import Cancel, Progress

RECORDED = Path(__file__).with_name("recorded.json")
COLUMNS = ("key", "source", "arxiv", "quantity", "condition", "published", "unit", "ours", "low",
           "high", "n", "seed", "model", "verdict", "recorded", "rule", "reason", "note", "code",
           "seconds")  # fmt: skip


@dataclass(frozen=True)
class Rerun:
    """Published numbers beside ours.

    Args:
        frame: a row a published number: key, source, arxiv, quantity, condition, published, unit;
            ours with low, high, n, seed and model; verdict ("holds", "differs", "open" or "not
            run"), recorded (the verdict of the last recorded run of our own models, "" where there
            is none), rule, reason (why it was not run, or what failed), note, code, seconds.
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
        return (
            f"Of {len(self.frame)} published numbers {', '.join(told)}; "
            f"{judged['arxiv'].nunique()} papers have a verdict."
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
            the rows in `only` are asked of instead; for those who own the published weights.
        quick: leave out what asks a language model.
        seed: of every sample.
        keep: a folder of finished calls, from which a run that was cut goes on.
        on_row: called with the key of each row before it runs.
        cancel, progress: as in `engine.run`.

    Does not show: that a number of ours speaks about the published model: ours differ in size, data
    and training, and a row's condition says which model was published.

    Raises:
        InputError: for a name that no row has, or a model without `only`.
        Cancelled: on request.
    """
    names = (only,) if isinstance(only, str) else tuple(only)
    if model is not None and not names:
        raise InputError("name the rows that this model is to be asked: only='bai'")
    wanted = chosen(names, quick)
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
                began = time.perf_counter()
                parts[call] = _measured(row, question, call, keep)
                seconds[call] = time.perf_counter() - began
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


def _question(
    row: Row, model: str | Path | None, seed: int, cancel: Cancel | None
) -> Question | None:
    """What the row's measure is asked; None where it cannot be run."""
    source = str(model) if model is not None else row.model
    if not row.measure or (not source and row.reason):
        return None
    return Question(source, row.options, seed, cancel)


def _call(row: Row, question: Question) -> str:
    """Rows with the same call share it."""
    return json.dumps([row.measure, question.source, dict(row.options), question.seed])


def _measured(
    row: Row, question: Question, call: str, keep: str | Path | None
) -> Parts | ArithmoscopeError:
    """The measure's numbers, kept in a folder; an error of the kind that names its remedy."""
    path = None
    try:
        if keep is not None:
            path = Path(keep) / f"{_key(row, question, call)}.json"
        if path is not None and path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))["parts"]
            return {name: Ours(*one) for name, one in kept.items()}
        found = MEASURES[row.measure](question)
    except Cancelled:
        raise
    except ArithmoscopeError as error:
        return error
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({"call": call, "parts": found}).encode())
    return found


def _key(row: Row, question: Question, call: str) -> str:
    """Name of a kept call: the call, and the weights that it was asked of."""
    weights = "" if row.measure in WITHOUT_MODEL else question.model.hash
    return hashlib.sha256(f"{call} {weights}".encode()).hexdigest()[:24]


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
        "note": row.note, "recorded": before, "verdict": "not run", "reason": row.reason,
    }  # fmt: skip
    if question is None or found is None:
        return {**told, "rule": "" if not row.measure else row.rule}
    if isinstance(found, ArithmoscopeError):
        return {**told, "reason": f"failed: {found}"}
    ours = found[row.part]
    return {
        **told, "ours": ours.value, "low": ours.low, "high": ours.high, "n": ours.n,
        "seed": question.seed, "model": question.source, "verdict": row.verdict(*ours[1:3]),
        "reason": "", "code": ours.code, "seconds": round(spent, 1),
    }  # fmt: skip
