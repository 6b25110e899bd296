"""Diagnosis of a model's prompt by trial: which of a list of templates does it answer best?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from interp.arithmetic import formats
from interp.arithmetic.tasks import Task
from interp.behaviour.candidates import Choices
from interp.behaviour.results.doctor import Diagnosis
from interp.behaviour.search import with_shots
from interp.behaviour.trials import Bench, Trial
from interp.behaviour.ways import NAMED, Way
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Resources
from interp.errors import InputError
from interp.models.asking import Asked, sample
from interp.models.model import Model

_CLOSE = 0.02  # gains that differ by less are equal: the more probable answers decide
_SHOWN = ("plain", "qa-short")  # formats also tried with few-shot examples
_OTHERS = ("af1-", "commas-", "random-")  # wordings and groupings, left to the prompt search
_ROUNDS = 3  # of a search field by field
_ABREAST = 2  # ways whose fields are changed in a round
_SMALL = 10_000_000  # parameters of a model that is asked in more ways at once
_ENDINGS = 8  # trials of equal gain whose end is looked at
_GENERATED = 4  # trials whose answers are generated as well


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
    """The digits that a model gets right in each of a list of prompts, and the best of those tried.

    Args:
        asked, n, seed, held_out: as in `accuracy`, of prompts only the problems; None means the
            task on the model's card. Half of the problems of a task are balanced by operand length,
            because padding matters for short operands only.
        formats: formats by name or template; None means the templates below and the formats of the
            task without the wordings of the AF1 paper and groupings by commas, those of a language
            model also with `shots` examples.
        longest: maximum tokens of an answer; formats with longer answers are skipped, except the
            model's own.
        memory, cancel, progress: as in `engine.generate`.

    Each prompt is scored by its forced accuracy per digit beside other problems' answers of the
    same length (`by_digit`); a format with steps before the answer by its generated digits, since
    the right steps give the answer away. The best gain on one half of the problems is chosen, of
    gains within 0.02 the one with the more probable answers, and measured on the other half; it
    fits if its p-value, times the number of trials, is at most 0.05.

    Templates are made from fields (`ways`), restricted to what the tokenizer can write: all orders
    and paddings of operands and answer, of a model below ten million parameters with all
    delimiters in front; then one field of the two best ways at a time (delimiters, blanks). With
    and without the BOS token are tried on the best and on the model's own format, on all without a
    delimiter in front if none fits; then the full product if still none does. What the model writes
    after right answers gives the end. While none fits, and in formats with steps, a prompt is first
    asked a share of the problems, and set aside where those show that it won't fit (of prompts that
    just would, at most 5 % are).

    Does not show: prompts outside this list.

    Raises:
        InputError: for no task, an unknown format, or fewer than two distinct problems.
    """
    drawn = sample(
        model, _task(model) if asked is None else asked, n=n, seed=seed, held_out=held_out,
        mixed=True,
    )  # fmt: skip
    if len(drawn.problems) < 2:
        raise InputError("a diagnosis needs at least two distinct problems: one for each half.")
    bench = Bench(model, drawn.problems, seed, longest, Resources(memory, cancel, progress))
    _search(bench, _names(model, drawn.problems.task, formats, shots, seed), formats is None)
    best = _ending(bench, _best(bench.trials))
    if formats is None:
        best = bench.with_end(best)
    shown = _generated(bench, best)
    examples = bench.examples([bench.trials[i] for i in dict.fromkeys([best, 0])])
    bench.finish()
    return Diagnosis(
        model=model.id,
        task=drawn.problems.task.name,
        n=len(drawn.problems),
        n_distinct=len(drawn.problems),
        seed=seed,
        settings={
            **drawn.settings,
            "n": n,
            "formats": None if formats is None else tuple(formats),
            "shots": tuple(shots),
            "longest": longest,
        },
        trials=pd.DataFrame([trial.row(shown, len(bench.asked)) for trial in bench.trials]),
        best=best,
        digits_per_token=bench.digits_per_token,
        n_reported=len(bench.reported),
        examples=examples,
        end_share=bench.end_share,
    )


def _task(model: Model) -> Task:
    if model.task is None:
        raise InputError(
            f"{model.name} was trained for no task that is known: say which, such as 'add:2', or "
            "have the tasks tried: interp.suggest(model)."
        )
    return model.task


def _names(
    model: Model, task: Task, given: Sequence[str] | None, shots: Sequence[int], seed: int
) -> list[str]:
    """The formats by name to try, the model's own first."""
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


def _search(bench: Bench, names: Sequence[str], generated: bool) -> None:
    """Fill `bench.trials`: the named formats, then templates, then other beginnings."""
    own = bench.starts[0]
    for name in names:
        bench.try_format(name, own, NAMED.get(name))
    choices = Choices(bench.model, bench.problems.task)
    if generated:
        small = bench.model.n_parameters <= _SMALL
        bench.try_ways(_begun(choices) if small else choices.core(), own)
        _by_field(bench, choices, own)
    _other_starts(bench, bench.starts if generated else [*bench.starts, *_newline(bench)])
    if generated and not bench.fits(bench.trials[_best(bench.trials)]):
        bench.try_ways(choices.all() if small else _begun(choices), own)
        _by_field(bench, choices, own)


def _newline(bench: Bench) -> list[str]:
    """A line break, if the tokenizer has one: where it is dropped, nothing stands in front."""
    tokenizer = bench.model.tokens.tokenizer
    ids = tokenizer("\n", add_special_tokens=False)["input_ids"]
    return ["\n"] if ids and tokenizer.unk_token_id not in ids else []


def _by_field(bench: Bench, choices: Choices, start: str) -> None:
    """Change one field at a time of the best ways, until none is better."""
    for _ in range(_ROUNDS):
        best = bench.trials[_best(bench.trials)]
        ways = [trial for trial in bench.whole if trial.way is not None]
        for trial in sorted(ways, key=lambda trial: -trial.first.gain)[:_ABREAST]:
            assert trial.way is not None
            bench.try_ways(choices.around(trial.way), start)
        if bench.trials[_best(bench.trials)] is best:
            return


def _begun(choices: Choices) -> Iterable[Way]:
    for way in choices.core():
        yield from (way._replace(begin=begin) for begin in choices.begins)


def _other_starts(bench: Bench, starts: Sequence[str]) -> None:
    """The tokens in front: on the best and the model's own format; if none fits, on all without
    text of their own in front."""
    asked = bench.asked
    if not asked:
        return
    best = bench.trials[_best(bench.trials)]
    asked = [trial for trial in asked if trial.way is None or not trial.way.begin]
    if bench.fits(best):
        asked = [trial for trial in (bench.trials[0], best) if not trial.refusal]
    for start in list(dict.fromkeys(starts))[1:]:
        for trial in asked:
            bench.try_format(trial.format, start, trial.way)


def _best(trials: Sequence[Trial]) -> int:
    """The index of the best trial on the selection half; the first of equals."""
    out = [bool(trial.refusal) or trial.set_aside for trial in trials]
    gains = np.array([-np.inf if o else t.first.gain for o, t in zip(out, trials, strict=True)])
    gains = np.nan_to_num(gains, nan=-np.inf)
    if not np.isfinite(gains).any():
        return 0
    close = [int(i) for i in np.flatnonzero(gains >= gains.max() - _CLOSE)]
    return max(close, key=lambda i: (trials[i].log_probability, -i))


def _ending(bench: Bench, best: int) -> int:
    """Of the trials as good as the best, one whose right answers the model does not continue with a
    digit: an answer without its zeros is the beginning of one with them."""
    gain = bench.trials[best].first.gain
    close = [i for i, one in enumerate(bench.trials) if one.first.gain >= gain - _CLOSE]
    close = [i for i in close if bench.trials[i].way and not bench.trials[i].refusal][:_ENDINGS]
    if len(close) < 2 or bench.trials[best].way is None or not bench.fits(bench.trials[best]):
        return best
    shares = {i: bench.ends(bench.trials[i]) for i in {best, *close}}
    if shares[best] >= max(shares.values()) - _CLOSE:
        return best
    most = [i for i in shares if shares[i] >= max(shares.values()) - _CLOSE]
    return max(most, key=lambda i: (bench.trials[i].log_probability, -i))


def _generated(bench: Bench, best: int) -> list[Trial]:
    """Generate the answers of the default, the best and the runners-up."""
    order = sorted(bench.whole, key=lambda trial: -trial.first.gain)
    chosen = [bench.trials[0], bench.trials[best], *order]
    shown: list[Trial] = []
    for trial in chosen:
        if not trial.refusal and trial not in shown and len(shown) < _GENERATED:
            bench.generate(trial)
            shown.append(trial)
    return shown
