"""Diagnosis of a model's prompt by trial: format, digit order, padding and BOS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic import formats
from interp.arithmetic.problems import Problems
from interp.arithmetic.scoring import score
from interp.arithmetic.tasks import Task
from interp.behaviour.results.doctor import Diagnosis
from interp.behaviour.search import with_shots, written_alike
from interp.engine import answers
from interp.engine.answers import MARGIN
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.errors import ArithmoscopeError, Cancelled, InputError
from interp.models.asking import Asked, sample
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in
from interp.results.intervals import wilson

_PROSE = 16  # further tokens, for a number after words
_SHOWN = ("plain", "qa-short")  # formats also tried with few-shot examples
_OTHERS = ("af1-", "commas-")  # wordings and groupings, left to the prompt search
_NUMBERS = (
    "accuracy_chosen_on",
    "low_chosen_on",
    "accuracy",
    "low",
    "high",
    "readable",
    "anywhere",
    "anywhere_low",
    "shuffled",
)


@shows_progress
def doctor(
    model: Model,
    asked: Asked | None = None,
    *,
    n: int = 80,
    seed: int = 0,
    held_out: bool = True,
    formats: Sequence[str] | None = None,
    shots: Sequence[int] = (2,),
    longest: int = 32,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """The accuracy of a model on the same problems in every format, and the format that it reads.

    Args:
        asked, n, seed, held_out: as in `accuracy`, of prompts only the problems; None means the
            task on the model's card. Half of the problems of a task are balanced by operand length,
            because padding matters for short operands only.
        formats: formats by name; None means those of the task without the wordings of the AF1
            paper and groupings by commas, and few-shot ones with `shots` examples.
        longest: maximum tokens of an answer; formats with longer answers are skipped, except the
            model's own.
        memory, cancel, progress: as in `engine.generate`.

    Prompts begin with the tokenizer's own prefix. A prompt with and without the BOS token (a line
    break, if it has none) is tried on the best format so far and on the model's own, and on all
    formats if none is answered better than chance. Formats with identical text for these problems
    and answers count as one.

    Does not show: formats that the project does not have.

    Raises:
        InputError: for no task, an unknown format, or fewer than two distinct problems.
    """
    drawn = sample(
        model, _task(model) if asked is None else asked, n=n, seed=seed, held_out=held_out,
        mixed=True,
    )  # fmt: skip
    problems = drawn.problems
    if len(problems) < 2:
        raise InputError("a diagnosis needs at least two distinct problems: one for each half.")
    names = _names(model, problems.task, formats, shots, seed)
    alike = written_alike(problems, names, names[0])
    chosen_on = np.random.default_rng(seed).permutation(len(problems)) < len(problems) // 2
    bench = _Bench(model, problems, chosen_on, longest, Resources(memory, cancel, None))
    starts = _starts(model)
    steps, total = 0, len(alike) * len(starts)
    trials: list[dict[str, Any]] = []
    for name, start in _ways(list(alike), starts, trials):
        if cancel is not None:
            cancel.check()
        also = ", ".join(map(repr, alike[name]))
        trials.append(bench.trial(name, start) | {"also": also})
        steps += 1
        if progress is not None:
            progress(steps, total)
    if progress is not None and steps < total:
        progress(total, total)
    return Diagnosis(
        model=model.id,
        task=problems.task.name,
        n=len(problems),
        n_distinct=len(problems),
        seed=seed,
        settings={
            **drawn.settings,
            "n": n,
            "formats": None if formats is None else tuple(formats),
            "shots": tuple(shots),
            "longest": longest,
        },
        trials=pd.DataFrame(trials),
        best=_best(trials),
        digits_per_token=bench.digits_per_token,
        n_reported=int((~chosen_on).sum()),
    )


def _task(model: Model) -> Task:
    if model.task is None:
        raise InputError(
            f"{model.name} was trained for no task that is known: say which, such as 'add:2'."
        )
    return model.task


def _names(
    model: Model, task: Task, given: Sequence[str] | None, shots: Sequence[int], seed: int
) -> list[str]:
    """The formats to try, the model's own first."""
    own = [name for name in model.formats[:1] if formats.format(name).accepts(task)]
    if given is not None:
        if isinstance(given, str) or not given:
            raise InputError(f"formats={given!r} names none: give a list, such as ['padded'].")
        for name in given:
            formats.format(name).require(task)
        return list(dict.fromkeys([*own, *given]))
    styles = [name for name in formats.format_names(task) if not name.startswith(_OTHERS)]
    shown = [with_shots(style, k, seed) for style in _SHOWN if style in styles for k in shots]
    return list(dict.fromkeys([*own, *styles, *shown]))


def _starts(model: Model) -> list[str]:
    """The prompt prefixes to try, the tokenizer's own first."""
    tokens = model.tokens
    own = tokens.tokenizer.decode(list(tokens.bos))
    other = tokens.tokenizer.bos_token
    if other is None:
        line = tokens.tokenizer("\n", add_special_tokens=False)["input_ids"]
        other = "\n" if len(line) == 1 and line[0] != tokens.tokenizer.unk_token_id else ""
    return list(dict.fromkeys([own, "", other]))


def _ways(
    names: list[str], starts: list[str], trials: list[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Every format with the first prefix; then, given these results, the other prefixes."""
    for name in names:
        yield name, starts[0]
    names = [trial["format"] for trial in trials if not trial["refusal"]]
    best = trials[_best(trials)]
    if best["low_chosen_on"] > best["shuffled"]:  # NaN if no format could be asked
        names = [name for name in names if name in (trials[0]["format"], best["format"])]
    for start in starts[1:]:
        for name in names:
            yield name, start


def _best(trials: Sequence[dict[str, Any]]) -> int:
    """The index of the best trial on the selection half; the first of equals."""
    shares = [-1.0 if trial["refusal"] else trial["accuracy_chosen_on"] for trial in trials]
    return int(np.argmax(shares))


@dataclass(eq=False)
class _Bench:
    """The problems, shared by all trials."""

    model: Model
    problems: Problems
    chosen_on: npt.NDArray[np.bool_]
    longest: int
    resources: Resources
    digits_per_token: int = 0

    def __post_init__(self) -> None:
        self._written: dict[Any, list[list[int]]] = {}
        self.row = self._telling_row()
        order = np.random.default_rng(0).permutation(len(self.problems))
        other = np.empty_like(order)
        other[order] = np.roll(order, 1)  # another problem for each
        self.others = self.problems[other]

    def _telling_row(self) -> int:
        """The row of a problem in the reported half whose answer is no palindrome."""
        rows = np.flatnonzero(~self.chosen_on)
        texts = [str(abs(int(value))) for value in self.problems.answers()[rows]]
        told = (row for row, text in zip(rows, texts, strict=True) if text != text[::-1])
        return int(next(told, rows[0]))

    def trial(self, format: str, start: str) -> dict[str, Any]:
        """One row of `Diagnosis.trials`."""
        row: dict[str, Any] = {"format": format, "start": start, "refusal": ""}
        try:
            model = self.model
            if start != model.tokens.tokenizer.decode(list(model.tokens.bos)):
                model = model.starting_with(start)
            return row | self._asked(model, format)
        except Cancelled:
            raise
        except ArithmoscopeError as error:  # a format that cannot be asked is a finding
            blank = dict.fromkeys(("prompt", "expected", "emitted"), "")
            return row | {"refusal": str(error)} | blank | dict.fromkeys(_NUMBERS, np.nan)

    def _asked(self, model: Model, format: str) -> dict[str, Any]:
        question = model.prompts(self.problems, format=format, answer="none")
        told = model.prompts(self.problems, format=format)
        widths = [len(d[1]) for role in told.roles if (d := digits_in(role))]
        self.digits_per_token = max(self.digits_per_token, *widths)
        right = answers.right_texts(question, told)
        need = int((told.lengths - question.lengths).max())
        room = model.room(int(question.lengths.max()))
        if need > self.longest and format != self.model.formats[0]:
            raise InputError(
                f"its answers take {need} tokens, more than longest={self.longest}: ask for it "
                f"alone, formats=[{format!r}], with a larger one."
            )
        if not formats.format(format).fixed_width(self.problems.task):
            need += MARGIN
        one_line = not any("\n" in text for text in right)
        spelling = answers.spelling_of(model, question, told)
        rows = self._continued(model, question, min(need + _PROSE, room), one_line)
        texts = [spelling.text(row[:need]).rstrip("\n") for row in rows]
        prose = [spelling.text(row).rstrip("\n") for row in rows]
        return {
            "prompt": question.texts[self.row],
            "expected": right[self.row],
            "emitted": prose[self.row],
            **self._scores(texts, prose, format),
        }

    def _continued(
        self, model: Model, question: PromptBatch, new: int, one_line: bool
    ) -> list[list[int]]:
        """The model's continuations; formats with the same prompts are generated once."""
        key = (model.tokens.bos, question.texts, one_line)
        known = self._written.get(key)
        if known is None or len(known[0]) < new:
            known = self._written[key] = answers.generate(
                model,
                question,
                max_new_tokens=new,
                stop_tokens=answers.stops(model, one_line),
                memory=self.resources.memory,
                cancel=self.resources.cancel,
            ).tolist()
        return [row[:new] for row in known]

    def _scores(self, texts: list[str], prose: list[str], format: str) -> dict[str, float]:
        told = ~self.chosen_on
        strict = score(self.problems, texts, format)
        loose = score(self.problems, prose, format, anywhere=True)["exact"].to_numpy(bool)
        shuffled = score(self.others, texts, format)["exact"].to_numpy(bool)
        exact = strict["exact"].to_numpy(bool)
        low, high = wilson(exact[told].sum(), told.sum())
        return {
            "accuracy_chosen_on": float(exact[self.chosen_on].mean()),
            "low_chosen_on": float(wilson(exact[self.chosen_on].sum(), self.chosen_on.sum()).low),
            "accuracy": float(exact[told].mean()),
            "low": float(low),
            "high": float(high),
            "readable": float(strict["parsed"].to_numpy(bool)[told].mean()),
            "anywhere": float(loose[told].mean()),
            "anywhere_low": float(wilson(loose[told].sum(), told.sum()).low),
            "shuffled": float(shuffled.mean()),
        }
