"""``arithmoscope probe``: what is represented, where, beyond what the digits give for free."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.markup import escape
from typer import Context, Option

from app.commands.finish import finish
from app.commands.options import (
    Count,
    Device,
    Dtype,
    FormatName,
    HeldOut,
    Out,
    SamplerName,
    Seed,
    TaskName,
    names,
    whole_numbers,
)
from app.commands.screen import screen
from app.commands.watch import Watch
from interp.errors import Cancelled, InputError

if TYPE_CHECKING:
    from interp.arithmetic.problems import Problems
    from probes.results.sweep import ProbeSweep

UNFINISHED = ".unfinished"  # in --out, where a stopped sweep keeps the sites that are done

ModelOrNone = Annotated[
    str | None,
    Option("--model", "-m", help="A fixture's name, a folder, a .gguf file or a Hub id."),
]
Targets = Annotated[
    str | None,
    Option(
        "--targets",
        help="By commas: carry[1], product[0,1], parity(a), near(b,5), or a whole family, carry. "
        "Left out: every column that has to be worked out.",
    ),
]
Sites = Annotated[
    str,
    Option(
        "--sites",
        help="By commas: resid_pre, resid_mid, resid_post, attn_out, mlp_out, z, mlp_post.",
    ),
]
Layers = Annotated[str | None, Option("--layers", help="By commas; left out: all.")]
Heads = Annotated[str | None, Option("--heads", help="Of the site z, by commas; left out: all.")]
Roles = Annotated[
    str | None,
    Option(
        "--roles",
        help="By commas: c2 for the token itself, predicts(c2) for the position before it. "
        "Left out: the prompt's end and every answer digit.",
    ),
]
SplitBy = Annotated[
    str,
    Option("--split", help="What is held out: operand (values), operand:a, problem, combination."),
]
Turns = Annotated[
    int,
    Option("--turns", help="How often a quarter is held out, each time of others; 4: all, once."),
]
Store = Annotated[
    Path | None, Option("--store", help="Folder for activations that exceed the memory.")
]
Memory = Annotated[float, Option("--memory", help="GiB that activations may take.")]
Resume = Annotated[
    Path | None,
    Option("--resume", help="Folder of finished sites to go on from; left out: one in --out."),
]
Shard = Annotated[
    str | None, Option("--shard", help="i/n: only every n-th site, from the i-th (0/4 to 3/4).")
]
Jobs = Annotated[
    int, Option("--jobs", "-j", help="Threads or processes that fit probes; -1: one a core.")
]
Backend = Annotated[
    Literal["threading", "loky", "multiprocessing"],
    Option("--backend", help="Of --jobs: how joblib runs them."),
]
PlanFile = Annotated[
    Path | None,
    Option(
        "--plan",
        help="A YAML file that describes a run; goes with --out, --shard and --jobs alone.",
    ),
]
Merge = Annotated[
    list[Path] | None,
    Option("--merge", help="Folders of finished shards, to be joined; goes with --out alone."),
]


def probe(
    context: Context,
    model: ModelOrNone = None,
    task: TaskName = None,
    targets: Targets = None,
    sites: Sites = "resid_post",
    layers: Layers = None,
    heads: Heads = None,
    roles: Roles = None,
    n: Count = 2000,
    seed: Seed = 0,
    format: FormatName = None,
    sampler: SamplerName = "uniform",
    held_out: HeldOut = True,
    split: SplitBy = "operand",
    turns: Turns = 1,
    store: Store = None,
    memory: Memory = 1.0,
    resume: Resume = None,
    shard: Shard = None,
    jobs: Jobs = -1,
    backend: Backend = "threading",
    plan: PlanFile = None,
    merge: Merge = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    out: Out = None,
) -> None:
    """What is represented, where, beyond what the digits give for free?

    --plan runs a YAML file instead; --merge joins shards.
    """
    ways = [name for name, given in (("model", model), ("plan", plan), ("merge", merge)) if given]
    if len(ways) != 1:
        raise InputError(
            "say what to probe, in one way: --model NAME, --plan FILE.yaml, or --merge FOLDER "
            "for each shard"
        )
    _check_beside(context, ways[0])
    if plan is not None:
        run_plan(plan, out, shard, jobs)
        return
    if merge is not None:
        report(_merged(merge), out)
        return
    kept = _unfinished(resume, out)
    with Watch(f"loading {model}") as watch:
        import interp
        import probes
        from app.calls import Sample, problems_of, proposed

        options: dict[str, Any] = {
            "sites": names(sites),
            "layers": whole_numbers("--layers", layers) if layers else None,
            "heads": whole_numbers("--heads", heads) if heads else None,
            "roles": names(roles) if roles else None,
            "shard": shard_of(shard),
        }
        loaded = interp.load(str(model), device=device, dtype=dtype)
        drawn = None if sampler == "uniform" else sampler
        sample = Sample(task, n, seed, format, drawn, held_out)
        loaded, sample = proposed(loaded, sample, watch.say, cancel=watch.cancel)
        chosen = problems_of(loaded, sample)
        wanted = target_names(chosen, targets) if targets else None
        watch.step(f"probing {loaded.name} on {len(chosen):,} problems")
        try:
            result = probes.probe(
                loaded, chosen, targets=wanted, seed=seed, format=sample.format, split=split,
                turns=turns, memory=int(memory * 2**30), store=store, resume=kept, jobs=jobs,
                backend=backend,
                progress=watch.progress, cancel=watch.cancel, **options,
            )  # fmt: skip
        except Cancelled as error:
            where = f": {kept} keeps the sites that are done" if kept else ""
            raise Cancelled(f"{error}. The same command goes on{where}") from error
    report(result, out)
    if kept is not None and resume is None:
        shutil.rmtree(kept, ignore_errors=True)


def _check_beside(context: Context, way: str) -> None:
    """Raise InputError for a flag that a plan or a merge ignores."""
    beside = {"plan": ("out", "shard", "jobs"), "merge": ("out",)}.get(way)
    if beside is None:
        return
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        given = source is not None and source.name == "COMMANDLINE"
        if given and name not in (way, *beside):
            other = "write it in the file" if way == "plan" else "the shards have theirs"
            raise InputError(
                f"--{way} takes no {parameter.opts[0]}: {other}; beside --{way} go "
                + " and ".join(f"--{each}" for each in beside)
            )


def report(result: ProbeSweep, out: Path | None) -> None:
    """Print the headlines; write the usual files, the figures of each target and report.html to
    `out`.

    Raises:
        StorageError: where `out` cannot be written.
    """
    finish(result, out)
    if out is None:
        return
    from interp.figures.export import write_closer
    from interp.figures.report import Section, write_report

    write_closer(result, out)  # `finish` has reported a missing browser
    name = result.model.name if result.model else result.task
    section = Section("Every target, at every site", result)
    write_report([section], out / "report.html", title=f"Probes of {name}, {result.task}")


def run_plan(plan: Path, out: Path | None, shard: str | None, jobs: int) -> None:
    """A run that a YAML file describes; the library writes everything to `out`.

    Raises:
        InputError: without `out`, or for a file that is no plan.
    """
    if out is None:
        raise InputError("a plan writes figures, tables and a report: say where, with --out FOLDER")
    with Watch(f"running {plan}") as watch:
        import probes

        try:
            written = probes.run_file(
                plan, out, shard=shard_of(shard), jobs=jobs, progress=watch.progress,
                cancel=watch.cancel,
            )  # fmt: skip
        except Cancelled as error:
            raise Cancelled(f"{error}. The same command goes on from what is in {out}") from error
    screen().print(f"Saved in {escape(str(written))}")


def _merged(folders: list[Path]) -> ProbeSweep:
    import probes
    from probes.results.sweep import ProbeSweep

    return probes.merge([ProbeSweep.load(folder) for folder in folders])


def _unfinished(resume: Path | None, out: Path | None) -> Path | None:
    """Folder of finished sites until the sweep is complete."""
    return resume if resume is not None or out is None else out / UNFINISHED


def target_names(problems: Problems, text: str) -> tuple[str, ...]:
    """Targets by name, `carry[1]:real` for another kind than the usual; a family, such as `carry`,
    stands for those of its columns that vary.

    Raises:
        InputError: where none is named, or a name is neither a target nor a family.
    """
    import probes
    from probes.design import varying

    known = probes.target_names(problems.task)
    found: list[str] = []
    for name in names(text):
        family = [probes.target(problems.task, x) for x in known if x.startswith(f"{name}[")]
        one = () if family else (probes.target(problems.task, name),)
        found += [target.spec(problems.task) for target in (*varying(problems, family), *one)]
    if not found:
        raise InputError(f"--targets names none: take some of {', '.join(known[:8])}, …")
    return tuple(dict.fromkeys(found))


def shard_of(text: str | None) -> tuple[int, int] | None:
    """Parse `i/n` into a pair; None if the flag is omitted.

    Raises:
        InputError: for anything else.
    """
    if text is None:
        return None
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise InputError(f"--shard takes i/n, such as 0/4 for the first of four, not {text!r}")
    return int(number), int(of)
