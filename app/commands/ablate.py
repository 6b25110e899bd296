"""``arithmoscope ablate``: until when tokens may wait, in which layers information must move."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from app.calls import Sample, proposed
from app.commands.ablations import Flags, ablated, check
from app.commands.finish import finish
from app.commands.options import (
    CountOrNone,
    Device,
    Dtype,
    FormatName,
    HeldOut,
    ModelName,
    Out,
    SamplerName,
    Seed,
    TaskName,
)
from app.commands.watch import Watch

if TYPE_CHECKING:
    from interp.results.result import Result

Method = Annotated[
    str,
    Argument(
        help="cama: tokens wait, and what is left of the answers. abp: attention cut in layers. "
        "af1: search the sparsest schedule. compare: every replacement and mask. grid: every wait "
        "with every width of transfer. removal: one layer's transfer cut at a time. transfer: a "
        "schedule on other prompts. table: what a token's own identity says of its state.",
    ),
]
Wait = Annotated[
    int | None,
    Option("--wait", help="How many layers wait; left out, cama takes half of them."),
]
Transfer = Annotated[
    str | None,
    Option("--transfer", help="Layer indices where the last tokens look: 14-16,18, all or none."),
]
Compute = Annotated[
    str | None,
    Option(
        "--compute",
        help="Layer indices where every token sees itself and the sink: 17-29, rest or none.",
    ),
]
Mask = Annotated[
    str | None,
    Option(
        "--mask",
        help="Of the transfer layers: full-peek, self-peek, operands, window:3, open; for compare "
        "several, by commas.",
    ),
]
Replaced = Annotated[
    str | None,
    Option(
        "--replacement",
        help="cama, cama:value, zero, mean, role-mean, resample, resample:token, own; for compare "
        "several, by commas.",
    ),
]
TableN = Annotated[
    int | None,
    Option("--table-n", help="Prompts behind the table of means, where a task has over 1024."),
]
Sink = Annotated[
    str | None,
    Option("--sink", help="What all may see: first, shots (and the solved examples) or none."),
]
Answers = Annotated[
    Literal["forced", "generated"] | None,
    Option("--answers", help="Each answer token after the true ones, or after the model's own."),
]
Target = Annotated[
    float | None, Option("--target", help="Faithfulness that a search may not fall below.")
]
Heads = Annotated[
    bool | None, Option("--heads/--no-heads", help="Prune heads in the layers found, or not.")
]
Style = Annotated[
    list[str] | None, Option("--style", help="For transfer: another format; more than once.")
]
OtherTask = Annotated[
    list[str] | None, Option("--other-task", help="For transfer: another task; more than once.")
]
OtherModel = Annotated[
    list[str] | None, Option("--other-model", help="For transfer: another model; more than once.")
]


def ablate(
    method: Method,
    model: ModelName,
    task: TaskName = None,
    n: CountOrNone = None,
    seed: Seed = 0,
    format: FormatName = None,
    sampler: SamplerName = "uniform",
    held_out: HeldOut = True,
    wait: Wait = None,
    transfer: Transfer = None,
    compute: Compute = None,
    mask: Mask = None,
    replacement: Replaced = None,
    table_n: TableN = None,
    sink: Sink = None,
    answers: Answers = None,
    target: Target = None,
    heads: Heads = None,
    style: Style = None,
    other_task: OtherTask = None,
    other_model: OtherModel = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    out: Out = None,
) -> None:
    """Until which layer may tokens wait, in which must information move, where is it computed?"""
    flags = Flags(
        wait=wait,
        transfer=transfer,
        compute=compute,
        mask=mask,
        replacement=replacement,
        table_n=table_n,
        sink=sink,
        answers=answers,
        target=target,
        heads=heads,
        style=style,
        other_task=other_task,
        other_model=other_model,
    )
    check(method, flags)
    sample = Sample(task, n, seed, format, None if sampler == "uniform" else sampler, held_out)
    with Watch(f"loading {model}") as watch:
        import interp

        load = partial(interp.load, device=device, dtype=dtype)
        loaded = load(model)
        loaded, sample = proposed(loaded, sample, watch.say, cancel=watch.cancel)
        watch.step(f"{method} of {model}")
        job = {"progress": watch.progress, "cancel": watch.cancel}
        result = ablated(method, loaded, sample, flags, load, **job)
    finish(result, out)
    if out is not None:
        _closer(result, out)


def _closer(result: Result, out: Path) -> None:
    """Write the other figures: a grid has one per answer token."""
    from interp.figures.export import write_figure
    from interp.figures.registry import gallery

    for name, figure in list(gallery(result).items())[1:]:
        write_figure(figure, out, name=name)
