"""Run a plan: save every Result with its figures and tables, and write one HTML report.

OUT/parts/            finished hooks, from which a stopped run goes on
OUT/sweep/            result.json, table.parquet, data/ and the figures; likewise the others
OUT/shard-I-of-N/     a shard's part; the last one to finish merges them into sweep/
OUT/use-K/  OUT/baseline/  OUT/running_sums/
OUT/report.html
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.loading import load as load_and_check
from interp.models.asking import asked_problems
from interp.models.model import Model
from interp.results.result import Result
from probes.assemble import merge
from probes.baseline import one_hot_baseline
from probes.causal_test import intervene
from probes.fitted import fit
from probes.plan import Plan, baseline_arguments, fit_arguments, use_arguments
from probes.results.sweep import ProbeSweep
from probes.running import running_sums
from probes.sweep import probe

Load = Callable[[str], Model]
Named = tuple[str, str, Result]  # folder, title, what was found


def run_file(
    path: str | Path,
    out: str | Path,
    *,
    resume: bool = True,
    shard: tuple[int, int] | None = None,
    jobs: int = -1,
    load: Load | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Path:
    """Run the plan of a YAML file (`probes.plan`) and write all Results to the folder `out`.

    Args:
        resume: keep finished hooks in `out`/parts and use those that are there.
        shard: (i, of): only that part of the sweep. The call that finds every other shard finished
            merges the sweep and runs the rest.
        jobs: of joblib, over hooks; -1 is one a core.
        load: opens a model by name; `interp.load`.

    Returns:
        The report, or the shard's folder while others are missing.

    Raises InputError for a plan that makes no sense, and whatever its parts raise.
    """
    plan, folder = Plan.read(path), Path(out)
    load = load or load_and_check
    model = load(plan.model)
    sweep = probe(
        model,
        _task(plan, model),
        n=plan.n,
        seed=plan.seed,
        resume=folder / "parts" if resume else None,
        shard=shard,
        jobs=jobs,
        progress=progress,
        cancel=cancel,
        **plan.probe,
    )
    if shard is not None:
        mine = sweep.save(folder / f"shard-{shard[0]}-of-{shard[1]}")
        every = [folder / f"shard-{i}-of-{shard[1]}" for i in range(shard[1])]
        if not all((part / "result.json").is_file() for part in every):
            return mine
        sweep = merge([ProbeSweep.load(part) for part in every])
    found = [("sweep", "Probes at every site", sweep), *_others(plan, model, load, cancel)]
    for name, _, result in found:
        write(result, folder / name)
    return _report(plan, found, folder / "report.html", Path(path).read_text(encoding="utf-8"))


def _task(plan: Plan, model: Model) -> Any:
    if plan.task is not None:
        return plan.task
    if model.task is None:
        raise InputError(f"{plan.model} has no task of its own: write 'task: add:2' in the plan")
    return model.task


def _others(plan: Plan, model: Model, load: Load, cancel: Cancel | None) -> list[Named]:
    task: Any = _task(plan, model)
    found: list[Named] = []
    for number, wanted in enumerate(plan.use):
        cell = fit_arguments(plan, wanted)
        fitted = fit(model, task, wanted["target"], cancel=cancel, **cell)
        done = intervene(model, fitted, seed=plan.seed, cancel=cancel, **use_arguments(wanted))
        found.append((f"use-{number}", f"Does the model use {wanted['target']}?", done))
    if plan.baseline:
        held_out = plan.probe.get("held_out", True)
        asked = asked_problems(model, task, n=plan.n, seed=plan.seed, held_out=held_out)
        alone = one_hot_baseline(asked, cancel=cancel, **baseline_arguments(plan))
        found.append(("baseline", "What the question alone tells", alone))
    if plan.running_sums:
        models = {name: load(source) for name, source in plan.running_sums.items()}
        spent = {"memory": plan.probe["memory"]} if "memory" in plan.probe else {}
        sums = running_sums(models, task, n=plan.n, seed=plan.seed, cancel=cancel, **spent)
        found.append(("running_sums", "Running sums, true against predicted", sums))
    return found


def write(result: Result, folder: Path) -> None:
    """Write a Result to a folder of a run, with its table as CSV and all its figures."""
    result.save(folder)
    result.frame.to_csv(folder / "table.csv", index=False)
    from interp.figures.export import write_closer, write_figure
    from interp.figures.registry import gallery

    for name, figure in gallery(result).items():
        write_figure(figure, folder, ("html",), name=name, shared=folder.parent)
    # A start of the browser takes seconds: one for the main figure, one for all the others.
    write_figure(result, folder, ("png", "svg"))
    write_closer(result, folder)


def _report(plan: Plan, found: Sequence[Named], path: Path, script: str) -> Path:
    from interp.figures.report import Section, write_report

    sections = [Section(title, result) for _, title, result in found]
    lead = f"Probes of {plan.model}, each beside what the question alone tells."
    written: Path = write_report(
        sections, path, title=f"Probes of {plan.model}", lead=lead, script=script
    )
    return written
