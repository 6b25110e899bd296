"""Replication of the running-sum figure: each model probed on its own activations.

Fig. 3 of "Why can't transformers learn multiplication?" (arXiv 2510.00184) reads ĉ_k off the stream
after the second layer's attention at the token c_k. Its errors for plain fine-tuning are 1.6 to 3.4
times those of a constant. Its probe has no bias, so its floor is the error of 0: at c2, c3 and c5
the published errors exceed that, and the root mean square of ĉ_k too, which bounds least squares on
the activations it is fitted on; at c4 and c6 they do not (docs/doubtful-claims.md).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.problems import Problems
from interp.arithmetic.tasks import Task
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.models.asking import asked_problems, expression, settings_of
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results.calls import model_call
from interp.results.intervals import mean_interval
from interp.results.resampling import resampling
from probes.results.baseline import RunningSums
from probes.results.sweep import ProbeSweep
from probes.splits import Split
from probes.sweep import CONTROLS, probe
from probes.targets import resolve

PUBLISHED: Mapping[str, Mapping[int, float]] = {
    "icot": {2: 2.00, 3: 1.89, 4: 1.74, 5: 0.97, 6: 0.56},
    "sft": {2: 93.69, 3: 113.27, 4: 74.47, 5: 79.40, 6: 28.22},
}
"""Mean absolute errors of Fig. 3 for 4×4 digits, by the model's kind."""

SITE = "resid_mid"


@shows_progress
def running_sums(
    models: Mapping[str, Model],
    asked: Problems | Task | str | None = None,
    *,
    digits: Sequence[int] | None = None,
    n: int = 2000,
    seed: int = 0,
    held_out: bool = True,
    split: str | Split = "problem",
    test: float = 0.25,
    folds: int = 5,
    memory: int = 2**30,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> RunningSums:
    """True against predicted ĉ_k for several models, before and after c_k is written.

    Args:
        models: by name; one whose name holds "icot" or "sft" gets the published error beside it.
        asked: a task's name, a Task or Problems, the same for every model; None means the models'
            own task.
        n, seed, held_out: how problems of a task are drawn, from what was held out of training
            where that is the same for all models, else from the whole task.
        digits: which k; None means all whose sum varies.
        split, test, folds, memory: as `probes.probe`.

    Raises InputError for models of different tasks and as `probes.probe`.
    """
    if not isinstance(models, Mapping) or not models:
        raise InputError("there is no model: give some by name, {'aux': interp.load(…)}")
    if isinstance(asked, PromptBatch):
        raise InputError("prompts are one model's: give problems, batch.problems")
    splits = [model.split for model in models.values()]
    alike = held_out and all(split == splits[0] for split in splits)
    first = next(iter(models.values()))
    problems = asked_problems(
        first, _task(models) if asked is None else asked, n=n, seed=seed, held_out=alike
    ).distinct()
    wanted = _digits(problems, digits)
    parts, true, predicted = [], [], []
    left_out: dict[str, str] = {}
    for number, (name, model) in enumerate(models.items()):
        sweep = _sweep(model, problems, wanted, seed, split, test, folds, memory, cancel)
        left_out |= _left_out(name, sweep, wanted)
        for row, y, said in _cells(name, model, sweep, problems, wanted, seed):
            parts.append(row)
            true.append(y)
            predicted.append(said)
        if progress is not None:
            progress(number + 1, len(models))
    if not parts:
        told = "; ".join(f"{place}: {reason}" for place, reason in left_out.items())
        raise InputError(f"no running sum can be judged on these prompts ({told}): give more n")
    return RunningSums(
        model=None,
        task=problems.task.name,
        n=len(problems),
        n_distinct=problems.n_distinct,
        seed=seed,
        settings=dict(sweep.settings)
        | settings_of(first, problems, seed)
        | {
            "problems": expression(
                first, problems, (0, seed), name=model_call(first.id.name, first.tokens.start)
            ),
            "digits": None if digits is None else list(wanted),
            "starting_with": {name: model.tokens.start for name, model in models.items()},
            "left_out": left_out,
        },
        cells=pd.DataFrame(parts),
        true=np.stack(true),
        predicted=np.stack(predicted),
        resampled=resampling(problems).over,
    )


def _task(models: Mapping[str, Model]) -> Task:
    tasks = {model.task.name: model.task for model in models.values() if model.task is not None}
    if len(tasks) != 1:
        raise InputError(
            f"the models' tasks are {', '.join(tasks) or 'unknown'}: give the problems that all of "
            "them are asked"
        )
    return next(iter(tasks.values()))


def _digits(asked: Problems, digits: Sequence[int] | None) -> tuple[int, ...]:
    sums = asked.columns("running_sum")
    if digits is None:
        return tuple(int(k) for k in np.flatnonzero(np.ptp(sums, axis=0) > 0))
    if wrong := [k for k in digits if not 0 <= k < sums.shape[1]]:
        raise InputError(f"there is no running sum {wrong[0]}: they go to {sums.shape[1] - 1}")
    return tuple(digits)


def _sweep(
    model: Model,
    asked: Problems,
    digits: Sequence[int],
    seed: int,
    split: str | Split,
    test: float,
    folds: int,
    memory: int,
    cancel: Cancel | None,
) -> ProbeSweep:
    return probe(
        model,
        asked,
        targets=resolve(asked.task, [f"running_sum[{k}]" for k in digits]),
        sites=(SITE,),
        layers=(model.shape.n_layers - 1,),
        roles=[place for k in digits for place in _places(k).values()],
        seed=seed,
        split=split,
        test=test,
        folds=folds,
        controls=CONTROLS,
        memory=memory,
        cancel=cancel,
    )


def _places(k: int) -> dict[str, str]:
    return {"before": f"predicts(c{k})", "after": f"c{k}"}


def _left_out(name: str, sweep: ProbeSweep, digits: Sequence[int]) -> dict[str, str]:
    """Sum, place and model of what was not probed → why."""
    probed = set(zip(sweep.frame["target"], sweep.frame["role"], strict=True))
    return {
        f"{target} at {place}, {name}": sweep.left_out.get(target, {}).get(
            place, "the same on every prompt that has it"
        )
        for target, place in ((f"running_sum[{k}]", p) for k in digits for p in _places(k).values())
        if (target, place) not in probed
    }


Row = tuple[dict[str, object], npt.NDArray[np.float32], npt.NDArray[np.float32]]


def _cells(
    name: str,
    model: Model,
    sweep: ProbeSweep,
    asked: Problems,
    digits: Sequence[int],
    seed: int,
) -> list[Row]:
    """Rows of one model, one per digit and moment, with true and predicted sums."""
    frame = sweep.frame
    published = next((known for kind, known in PUBLISHED.items() if kind in name.lower()), {})
    out = []
    for k in digits:
        for when, place in _places(k).items():
            here = (frame["target"] == f"running_sum[{k}]") & (frame["role"] == place)
            if not here.any():  # told in `left_out`
                continue
            cell = int(np.flatnonzero(here)[0])
            row, target = frame.iloc[cell], sweep.names.index(f"running_sum[{k}]")
            points = sweep.scatter(cell)
            wrong = (points["true"] - points["predicted"]).abs().to_numpy(dtype=np.float64)
            groups = resampling(asked[points["row"].to_numpy()]).groups
            bounds = mean_interval(wrong, groups, seed=seed)
            own: dict[str, object] = {
                "model": name, "source": model.id.name, "hash": model.hash, "digit": k,
                "when": when, "role": place,
                "r2": row["score"], "mae": row["mae"], "mae_low": float(bounds.low),
                "mae_high": float(bounds.high), "constant_mae": row["constant_mae"],
                "one_hot_r2": row["one_hot"], "one_hot_mae": row["one_hot_mae"],
                "shown_r2": row["shown"], "shown_mae": row["shown_mae"],
                "gain": row["gain"], "gain_low": row["gain_low"], "gain_high": row["gain_high"],
                "p": row["p"], **{f"{control}_r2": row[control] for control in CONTROLS},
                "published_mae": _published(asked, published, k),
                "trained_in": row["trained_in"], "n_train": row["n_train"],
                "n_test": row["n_test"],
            }  # fmt: skip
            out.append((own, sweep.true[target], sweep.predicted[cell]))
    return out


def _published(asked: Problems, known: Mapping[int, float], k: int) -> float:
    return known.get(k, float("nan")) if asked.task.name == "mul:4x4" else float("nan")
