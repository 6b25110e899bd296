"""Baseline without a model: linear probes of the one-hot operand digits."""

from collections.abc import Sequence

import pandas as pd

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.models.asking import asked_problems
from interp.models.prompts import PromptBatch
from interp.results.calls import problems_call
from interp.results.resampling import resampling
from probes.design import Design, LeftOut, Scheme, designs_of, judged, varying
from probes.fitting import Found, constants, fit_design
from probes.references import one_hot_operands
from probes.resample import resamples
from probes.results.baseline import OneHotBaseline
from probes.scores import mean_absolute_error, quality, score, size
from probes.splits import Split, each_once, split_settings, turns_setting
from probes.targets import Target, computed, resolve


@shows_progress
def one_hot_baseline(
    asked: Problems | Task | str,
    targets: Sequence[str | Target] | None = None,
    *,
    n: int = 20_000,
    seed: int = 0,
    split: str | Split = "problem",
    test: float = 0.25,
    folds: int = 5,
    turns: int = 1,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> OneHotBaseline:
    """Score linear probes of the one-hot operand digits for each target.

    Args:
        asked: Problems; or a task (or its name), of which `n` problems are drawn with `seed`.
        targets: as `probes.probe`.
        split, test, folds: as `probes.split`; `turns` as `probes.probe`.

    Raises InputError as `probes.probe`.
    """
    if isinstance(asked, PromptBatch):
        raise InputError("no model answers here: give a task or batch.problems, not prompts")
    drawn = asked_problems(None, asked, n=n, seed=seed)
    problems = each_once(drawn, split)
    every = resolve(problems.task, computed(problems.task) if targets is None else targets)
    wanted = varying(problems, every) if targets is None else every
    scheme = Scheme(split, test, folds, seed, wrong=(), turns=turns)
    X = one_hot_operands(problems)
    left_out: LeftOut = {}
    groups = designs_of(problems, wanted, scheme, left_out=left_out)
    probed = judged(problems, wanted, [groups], left_out)
    rows: dict[str, dict[str, object]] = {}
    for done, design in enumerate(groups):
        if cancel is not None:
            cancel.check()
        rows |= _rows(problems, design, fit_design(X, design), seed)
        if progress is not None:
            progress(done + 1, len(groups))
    return OneHotBaseline(
        model=None,
        task=problems.task.name,
        n=len(problems),
        n_distinct=problems.n_distinct,
        seed=seed,
        settings={
            "problems": problems_call(drawn, (0, seed)),
            "targets": None if targets is None else [t.spec(problems.task) for t in wanted],
            **split_settings(split),
            "test": test,
            "folds": folds,
            **turns_setting(turns),
            **({"left_out": left_out} if left_out else {}),
        },
        cells=pd.DataFrame([rows[target.name] for target in probed]),
        resampled=resampling(problems).over,
    )


def _rows(
    problems: Problems, design: Design, found: Sequence[Found], seed: int
) -> dict[str, dict[str, object]]:
    groups = resampling(problems[design.test]).groups
    again = resamples(groups, seed=seed)
    rows: dict[str, dict[str, object]] = {}
    for i, target in enumerate(design.targets):
        true, said = design.test_values[:, i], found[i].predicted
        constant, median = constants(design, i)
        bounds = again.ratio(quality(target, true, said)[:, None], size(target, true)[:, None])
        rows[target.name] = {
            "target": target.name,
            "kind": target.kind,
            "metric": target.metric,
            "score": score(target, true, said),
            "low": float(bounds.low[0]),
            "high": float(bounds.high[0]),
            "mae": mean_absolute_error(target, true, said),
            "constant": score(target, true, constant),
            "constant_mae": mean_absolute_error(target, true, median),
            "n_train": design.n_train,
            "n_test": len(true),
        }
    return rows
