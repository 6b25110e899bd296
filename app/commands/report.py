"""``arithmoscope report``: every analysis of a model, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.markup import escape
from typer import Exit, Option

from app.commands.options import Device, Dtype, FormatName, ModelName, Seed, TaskName
from app.commands.screen import screen
from app.commands.watch import Watch
from interp.errors import Cancelled

Page = Annotated[Path, Option("--out", "-o", help="HTML file of the report.")]
Only = Annotated[
    list[str] | None,
    Option("--only", help="Public name of an analysis, attribution.direct; may be repeated."),
]


def report(
    model: ModelName,
    task: TaskName = None,
    seed: Seed = 0,
    format: FormatName = None,
    only: Only = None,
    budget: Annotated[
        float | None,
        Option(
            "--budget",
            metavar="SECONDS",
            help="Analyses run cheapest first; those for which no time is left are left out. "
            "[default: 270, and 1800 for a language model]",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        Option("--keep", help="Folder of finished analyses; the same command goes on from them."),
    ] = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    out: Page = Path("report.html"),
) -> None:
    """Every analysis that suits a model, on one page. Exit code 1 if one of them fails."""
    with Watch(f"loading {model}") as watch:
        import interp
        from app.calls import Sample, proposed

        loaded = interp.load(model, device=device, dtype=dtype)
        asked = Sample(task=task, seed=seed, format=format)
        loaded, asked = proposed(loaded, asked, watch.say, cancel=watch.cancel)
        watch.step(f"report of {model}")
        try:
            made = interp.report(
                loaded,
                asked.task,
                only=only or (),
                seed=seed,
                format=asked.format,
                budget=budget,
                out=out,
                keep=keep,
                on_analysis=watch.describe,
                cancel=watch.cancel,
                progress=watch.progress,
            )
        except Cancelled as error:
            more = "the same command goes on" if keep else "with --keep FOLDER it would go on"
            raise Cancelled(f"{error}; {more} from there") from error
    console = screen()
    for name, why in made.left_out.items():
        console.print(f"[dim]left out {escape(name)}: {escape(why)}[/dim]")
    for name, why in made.failed.items():
        console.print(f"[red]failed {escape(name)}: {escape(why)}[/red]")
    seconds = made.frame["seconds"].sum()
    console.print(f"{len(made.done)} analyses in {seconds:,.0f} s. Saved in {escape(str(out))}")
    if made.failed:
        raise Exit(1)
