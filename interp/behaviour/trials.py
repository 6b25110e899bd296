"""One model, one set of problems, and the prompts that are tried on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic import formats
from interp.arithmetic.problems import Problems
from interp.arithmetic.scoring import score
from interp.behaviour.by_digit import ByDigit, Choices, by_digit, forced_choices
from interp.behaviour.results.doctor import SURE
from interp.behaviour.ways import Way
from interp.engine import answers
from interp.engine.answers import MARGIN
from interp.engine.requests import Resources
from interp.errors import ArithmoscopeError, Cancelled, InputError
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in
from interp.results.intervals import wilson

_PROSE = 16  # further tokens, for a number after words
_GLANCE = 16  # problems of the selection half that a prompt is first tried on
_MISSED = 0.05  # the largest share of prompts, of those that just fit, that a glance sets aside
_ENDS = ("\n", "$", ".", ";", "#", " ")  # texts that may stand behind an answer, for one role there
_UNKNOWN = ByDigit(np.nan, np.nan, np.nan, 0)
_NUMBERS = ("accuracy", "low", "high", "readable", "anywhere", "anywhere_low", "shuffled")


@dataclass(eq=False)
class Trial:
    """A prompt and what the model does with it; `first` on the half that chooses, `second` on the
    half that reports. `generated` holds shares of the second half's generated answers. `set_aside`:
    `first` is a glance at some problems, which showed that the prompt does not fit."""

    format: str
    start: str
    way: Way | None
    also: list[str] = field(default_factory=list)
    refusal: str = ""
    set_aside: bool = False
    first: ByDigit = _UNKNOWN
    second: ByDigit = _UNKNOWN
    log_probability: float = -np.inf
    prompt: str = ""
    expected: str = ""
    emitted: str = ""
    generated: dict[str, float] = field(default_factory=dict)

    def row(self, shown: Sequence[Trial], tried: int) -> dict[str, Any]:
        """One row of `Diagnosis.trials`."""
        low: Any = np.nan
        high: Any = np.nan
        if self.second.n:
            low, high = wilson(self.second.own * self.second.n, self.second.n)
        numbers = self.generated if self in shown else {}
        return {
            "format": self.format,
            "start": self.start,
            "also": ", ".join(map(repr, self.also)),
            "refusal": self.refusal,
            "set_aside": self.set_aside,
            **(dict.fromkeys(Way._fields, "") if self.way is None else self.way._asdict()),
            "gain_chosen_on": self.first.gain,
            "log_probability_chosen_on": self.log_probability if not self.refusal else np.nan,
            "digits": self.second.own,
            "digits_low": float(low),
            "digits_high": float(high),
            "digits_of_others": self.second.others,
            "gain": np.nan if self.set_aside else self.second.gain,
            "p": np.nan if self.refusal or self.set_aside else min(1.0, tried * self.second.p),
            "prompt": self.prompt,
            "expected": self.expected,
            "emitted": self.emitted,
            **{name: numbers.get(name, np.nan) for name in _NUMBERS},
        }


@dataclass(eq=False)
class Bench:
    """The problems, shared by all trials, and the trials so far. `chosen_on` and `reported` are the
    rows of the two halves."""

    model: Model
    problems: Problems
    seed: int
    longest: int
    resources: Resources
    trials: list[Trial] = field(default_factory=list)
    digits_per_token: int = 0
    end_share: float = np.nan

    def __post_init__(self) -> None:
        self._smallest = np.inf  # p-value of the trials that were asked all problems
        self._written: dict[Any, list[list[int]]] = {}
        self._texts: dict[tuple[str, tuple[str, ...]], Trial] = {}
        order = np.random.default_rng(self.seed).permutation(len(self.problems))
        half = len(order) // 2
        self.glance = np.sort(order[:_GLANCE]) if half >= 2 * _GLANCE else order[:0]
        self.chosen_on, self.reported = np.sort(order[:half]), np.sort(order[half:])
        shift = np.random.default_rng(0).permutation(len(self.problems))
        other = np.empty_like(shift)
        other[shift] = np.roll(shift, 1)  # another problem for each
        self.others = self.problems[other]
        self.told_rows = self._telling_rows()

    def _telling_rows(self) -> list[int]:
        """Two rows of the reported half, with answers that are no palindromes if there are some."""
        texts = [str(abs(int(value))) for value in self.problems.answers()[self.reported]]
        turned = [text != text[::-1] for text in texts]
        order = np.argsort([not one for one in turned], kind="stable")
        return [int(self.reported[i]) for i in order[:2]]

    @property
    def starts(self) -> list[str]:
        """The tokens in front to try: the tokenizer's own, none, and its BOS token."""
        tokens = self.model.tokens
        return list(dict.fromkeys([self._own_start, "", tokens.tokenizer.bos_token or ""]))

    @property
    def _own_start(self) -> str:
        return str(self.model.tokens.tokenizer.decode(list(self.model.tokens.bos)))

    @property
    def asked(self) -> list[Trial]:
        """The trials that could be asked."""
        return [trial for trial in self.trials if not trial.refusal]

    @property
    def whole(self) -> list[Trial]:
        """The trials that were asked all problems."""
        return [trial for trial in self.asked if not trial.set_aside]

    def fits(self, trial: Trial) -> bool:
        """True if the digits on the selection half are above chance, corrected for the trials."""
        return trial.first.p * len(self.asked) <= SURE

    def try_ways(self, ways: Iterable[Way], start: str) -> None:
        """Try the templates of some ways."""
        for way in ways:
            name = way.template(self.problems.task)
            if formats.format(name).accepts(self.problems.task):
                self.try_format(name, start, way)

    def try_format(self, name: str, start: str, way: Way | None) -> None:
        """Try a format, unless the same texts were tried; then it is another name of that trial."""
        if self.resources.cancel is not None:
            self.resources.cancel.check()
        page = formats.format(name).render(self.problems)
        texts = tuple(written.text for written in page)
        known = self._texts.get((start, texts))
        if known is not None:
            if name != known.format and name not in known.also and "{" not in name:
                known.also.append(name)
            known.way = known.way or way
            return
        trial = self._texts[start, texts] = Trial(name, start, way)
        self.trials.append(trial)
        one = page[self.told_rows[0]]
        trial.prompt, trial.expected = one.prompt, one.text[one.answer_start :]
        try:
            self._measure(trial)
        except Cancelled:
            raise
        except ArithmoscopeError as error:  # a format that cannot be asked is a finding
            trial.refusal = str(error)
        if self.resources.progress is not None:
            self.resources.progress(len(self.trials), max(_EXPECTED, len(self.trials) + 1))

    def finish(self) -> None:
        """Report the last step."""
        if self.resources.progress is not None:
            total = max(_EXPECTED, len(self.trials) + 1)
            self.resources.progress(total, total)

    def _begun(self, start: str) -> Model:
        return self.model if start == self._own_start else self.model.starting_with(start)

    def _measure(self, trial: Trial) -> None:
        model = self._begun(trial.start)
        glances = len(self.glance) > 0 and np.isfinite(self._smallest)  # the first is asked all
        fitted = self._smallest * len(self.asked) <= SURE
        if glances and not fitted:
            few = self._told(model, trial, self.problems[self.glance])
            trial.set_aside = self._hopeless(model, trial, few)
            if trial.set_aside:
                return
        told = self._told(model, trial, self.problems)
        if glances and fitted and _writes_steps(told):
            trial.set_aside = self._hopeless(model, trial, told[self.glance])
            if trial.set_aside:
                return
        choices = self._choices(model, trial, told)
        trial.first, trial.second = (
            by_digit(choices, rows) for rows in (self.chosen_on, self.reported)
        )
        trial.log_probability = float(choices.log_probability[self.chosen_on].mean())
        self._smallest = min(self._smallest, trial.first.p)

    def _told(self, model: Model, trial: Trial, problems: Problems) -> PromptBatch:
        """The prompts with their right answers. Raises InputError if those are too long."""
        told = model.prompts(problems, format=trial.format)
        widths = [len(d[1]) for role in told.roles if (d := digits_in(role))]
        self.digits_per_token = max(self.digits_per_token, *widths)
        need = int((told.lengths - told.prompt_lengths).max())
        if need > self.longest and trial.format != self.model.formats[0]:
            raise InputError(
                f"its answers take {need} tokens, more than longest={self.longest}: ask for it "
                f"alone, formats=[{trial.format!r}], with a larger one."
            )
        return told

    def _hopeless(self, model: Model, trial: Trial, few: PromptBatch) -> bool:
        """True if a share f of the selection half shows that the prompt won't fit.

        A prompt that just fits ends with the z of the smallest significant p-value. On the way, its
        z at f is normal with mean z √f and variance 1 − f (a Brownian bridge), so one below the
        quantile `_MISSED` of that is set aside. Where something fits already, all prompts are
        compared on the same problems, but for those with steps, which are long to generate.
        """
        choices = self._choices(model, trial, few)
        found = by_digit(choices, np.arange(len(self.glance)))
        normal, share = NormalDist(), len(self.glance) / len(self.chosen_on)
        just = normal.inv_cdf(1 - SURE / len(self.asked))
        least = just * share**0.5 + normal.inv_cdf(_MISSED) * (1 - share) ** 0.5
        if found.z >= least:
            return False
        trial.first, trial.log_probability = found, float(choices.log_probability.mean())
        return True

    def _choices(self, model: Model, trial: Trial, told: PromptBatch) -> Choices:
        """Forced choices; of a format with steps before the answer the digits that it writes."""
        if not _writes_steps(told):
            return forced_choices(model, told, self.resources)
        problems = told.problems
        question = model.prompts(problems, format=trial.format, answer="none")
        texts, _ = self._said(model, trial, told, question)
        task = problems.task
        width = task.answer_digits
        right = problems.answer.astype(np.int64)
        form = formats.format(trial.format)
        if form.answer_width(task) is None:
            lengths = np.array([len(str(abs(int(value)))) for value in problems.answers()])
            right = np.where(np.arange(width) < lengths[:, None], right, -1)
        read = [form.read_answer(text, task).digits or "" for text in texts]
        chosen = np.array([[int(d) for d in one[::-1][:width].ljust(width, "0")] for one in read])
        chosen[[not one for one in read]] = -2
        return Choices(np.where(right >= 0, chosen, -1), right, np.full(len(read), -np.inf))

    def generate(self, trial: Trial) -> None:
        """Generate the answers of a trial and score them on the reported half."""
        model = self._begun(trial.start)
        told = model.prompts(self.problems, format=trial.format)
        question = model.prompts(self.problems, format=trial.format, answer="none")
        try:
            texts, prose = self._said(model, trial, told, question)
        except Cancelled:
            raise
        except ArithmoscopeError as error:  # answers that cannot be spelt
            trial.emitted = f"(unreadable: {error})"
            return
        trial.emitted = prose[self.told_rows[0]]
        trial.generated = self._scores(texts, prose, trial.format)

    def _said(
        self, model: Model, trial: Trial, told: PromptBatch, question: PromptBatch
    ) -> tuple[list[str], list[str]]:
        """The generated answers, as long as right ones, and with room for words before a number."""
        right = answers.right_texts(question, told)
        need = int((told.lengths - question.lengths).max())
        room = model.room(int(question.lengths.max()))
        if not formats.format(trial.format).fixed_width(self.problems.task):
            need += MARGIN
        one_line = not any("\n" in text.rstrip("\n") for text in right)
        spelling = answers.spelling_of(model, question, told)
        rows = self._continued(model, question, min(need + _PROSE, room), one_line)
        end = trial.way.end if trial.way is not None else ""
        return tuple(  # type: ignore[return-value]
            [_until(spelling.text(row[:length]), end).rstrip("\n") for row in rows]
            for length in (need, None)
        )

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
        told = self.reported
        strict = score(self.problems, texts, format)
        loose = score(self.problems, prose, format, anywhere=True)["exact"].to_numpy(bool)
        shuffled = score(self.others, texts, format)["exact"].to_numpy(bool)
        exact = strict["exact"].to_numpy(bool)
        low, high = wilson(exact[told].sum(), len(told))
        return {
            "accuracy": float(exact[told].mean()),
            "low": float(low),
            "high": float(high),
            "readable": float(strict["parsed"].to_numpy(bool)[told].mean()),
            "anywhere": float(loose[told].mean()),
            "anywhere_low": float(wilson(loose[told].sum(), len(told)).low),
            "shuffled": float(shuffled.mean()),
        }

    def with_end(self, best: int) -> int:
        """The index of the best trial with the text that the model writes after right answers of
        the selection half, a new trial if that is no line break; sets `end_share`, the share of the
        reported half after which it does."""
        trial = self.trials[best]
        if trial.refusal or trial.way is None or not self.fits(trial):
            return best
        found = self._after_the_answer(trial, self.chosen_on)
        if not found:
            return best
        token, count = Counter(found).most_common(1)[0]
        self.end_share = float(
            np.mean([one == token for one in self._after_the_answer(trial, self.reported)])
        )
        text = self.model.tokens.decode([token])
        if count < len(found) / 2 or token in answers.stops(self.model, True) or not text:
            return best
        if text.isalnum() or not text.isascii():
            return best
        way = trial.way._replace(end=text)
        self.try_format(way.template(self.problems.task), trial.start, way)
        return best if self.trials[-1].refusal else len(self.trials) - 1

    def ends(self, trial: Trial) -> float:
        """The share of right answers of the selection half that no digit is written behind; 1 if
        unknown."""
        found = self._after_the_answer(trial, self.chosen_on)
        texts = [self.model.tokens.decode([token]).strip() for token in found]
        return float(np.mean([not text[:1].isdigit() for text in texts])) if texts else 1.0

    def _after_the_answer(self, trial: Trial, rows: npt.NDArray[np.intp]) -> list[int]:
        """The first choice after the right answer of each row; [] if unknown."""
        assert trial.way is not None
        for text in _ENDS:
            name = trial.way._replace(end=text).template(self.problems.task)
            try:
                model = self._begun(trial.start)
                told = model.prompts(self.problems[rows], format=name)
                choices = forced_choices(model, told, self.resources, ["eos"])
            except Cancelled:
                raise
            except ArithmoscopeError:  # no such token, or no room for one
                continue
            return [int(one) for one in choices.chosen[:, 0] if one >= 0]
        return []

    def examples(self, trials: Sequence[Trial]) -> pd.DataFrame:
        """Two problems in each of some prompts, with the right and the model's answer."""
        rows = []
        for trial in trials:
            if trial.refusal or not trial.generated:
                continue
            model = self._begun(trial.start)
            told = model.prompts(self.problems, format=trial.format)
            question = model.prompts(self.problems, format=trial.format, answer="none")
            texts, _ = self._said(model, trial, told, question)
            for row in self.told_rows:
                prompt = question.texts[row]
                rows.append(
                    (trial.format, trial.start, prompt, told.texts[row][len(prompt) :], texts[row])
                )
        return pd.DataFrame(rows, columns=["format", "start", "prompt", "expected", "emitted"])


def _writes_steps(told: PromptBatch) -> bool:
    """True of a format that writes steps before the answer."""
    return any(role[0] == "t" and role[1:].isdigit() for role in told.roles)


def _until(text: str, end: str) -> str:
    """The text up to its first `end`, included."""
    before, found, _ = text.partition(end) if end else (text, "", "")
    return before + found


_EXPECTED = 40  # trials, for the progress; more are announced as they come
