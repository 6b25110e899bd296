"""What ``arithmoscope ablate METHOD`` can be, a function each; and how flags become layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from app.commands.options import task_of
from interp.errors import InputError

if TYPE_CHECKING:
    from app.commands.watch import Watch
    from interp.ablation.replacements import Replacement
    from interp.ablation.schedule import Schedule
    from interp.models.model import Model
    from interp.models.prompts import PromptBatch
    from interp.results.result import Result

Run = dict[str, Any]  # seed=, progress= and cancel=
Named = dict[str, Any]  # name → prompts, or (model, prompts)


@dataclass(frozen=True)
class Flags:
    """The flags of one method or another; None where one was left out."""

    wait: int | None = None
    transfer: str | None = None
    compute: str | None = None
    mask: str | None = None
    replacement: str | None = None
    table_n: int | None = None
    sink: str | None = None
    answers: str | None = None
    target: float | None = None
    heads: bool | None = None
    style: list[str] | None = None
    other_task: list[str] | None = None
    other_model: list[str] | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """Those that were not left out, in order."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) not in (None, []))

    def chosen(self, *names: str, **renamed: str) -> dict[str, Any]:
        """These as options of a library call, without those left out; renamed: option=flag."""
        options = {name: name for name in names} | renamed
        return {
            option: getattr(self, flag) for option, flag in options.items() if flag in self.given
        }


@dataclass(frozen=True)
class Asked:
    """The sample and the device, as the other commands have them."""

    task: str | None
    n: int
    seed: int
    format: str | None
    sampler: str
    device: str
    dtype: str

    def prompts(
        self, model: Model, *, task: str | None = None, format: str | None = None
    ) -> PromptBatch:
        """The sample written for a model; of another task or in another format where named."""
        from app.sample import problems

        name = task or task_of(model, self.task)
        sample = problems(name, self.n, seed=self.seed, sampler=self.sampler)
        return model.prompts(sample, format=format or self.format)


def schedule_of(flags: Flags, n_layers: int, *, wait: int = 0, transfer: str = "none") -> Schedule:
    """The schedule that --wait, --transfer, --compute and --mask draw; `wait` and `transfer` are
    what it is where they are left out. Layers behind the transfer compute unless --compute says
    otherwise; without transfer they stay as they are."""
    from interp.ablation.schedule import Schedule

    waits = wait if flags.wait is None else flags.wait
    moving = layers("--transfer", flags.transfer or transfer, waits, n_layers)
    rest = "rest" if moving else "none"
    computing = layers("--compute", flags.compute or rest, waits, n_layers, but=moving)
    named = flags.chosen(transfer_mask="mask")
    return Schedule(wait=waits, transfer=moving, compute=computing, **named)


def layers(
    flag: str, text: str, first: int, n_layers: int, *, but: Sequence[int] = ()
) -> tuple[int, ...]:
    """Layer indices from text: 14-16,18 or none, or, from `first` on, all or the rest.

    Raises:
        InputError: for anything else, and for a range that runs backwards.
    """
    if text == "none":
        return ()
    if text in ("all", "rest"):
        return tuple(layer for layer in range(first, n_layers) if layer not in but)
    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        try:
            first, last = int(low), int(high if dash else low)
        except ValueError:
            raise InputError(
                f"{flag} takes layer indices such as 14-16,18, or all, rest or none, not {text!r}"
            ) from None
        if last < first:
            raise InputError(f"{flag} {part} runs backwards: write {last}-{first}")
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def replaced(flags: Flags, seed: int) -> dict[str, Any]:
    """--replacement and --table-n as the option of a library call; nothing where both are left
    out."""
    if flags.replacement is None and flags.table_n is None:
        return {}
    return {"replacement": _with_table(flags.replacement or "cama", flags.table_n, seed)}


def _with_table(text: str, n: int | None, seed: int) -> str | Replacement:
    from interp.ablation.replacements import Replacement

    return text if n is None else replace(Replacement.of(text, seed), n=n)


def _cama(model: Model, asked: Asked, flags: Flags, run: Run) -> Result:
    import interp

    n_layers = model.shape.n_layers
    schedule = schedule_of(flags, n_layers, wait=(n_layers + 1) // 2)
    options = flags.chosen("sink", "answers") | replaced(flags, asked.seed)
    return interp.ablation.evaluate(model, asked.prompts(model), schedule, **options, **run)


def _abp(model: Model, asked: Asked, flags: Flags, run: Run) -> Result:
    import interp

    schedule = schedule_of(flags, model.shape.n_layers, transfer="all")
    options = flags.chosen("sink", "answers")
    return interp.ablation.evaluate(model, asked.prompts(model), schedule, **options, **run)


def _af1(model: Model, asked: Asked, flags: Flags, run: Run) -> Result:
    import interp

    options = flags.chosen("target", "sink", "heads", transfer_mask="mask")
    options |= replaced(flags, asked.seed)
    return interp.ablation.af1(model, asked.prompts(model), **options, **run)


def _grid(model: Model, asked: Asked, flags: Flags, run: Run) -> Result:
    import interp

    options = flags.chosen("sink", transfer_mask="mask") | replaced(flags, asked.seed)
    return interp.ablation.grid(model, asked.prompts(model), **options, **run)


def _removal(model: Model, asked: Asked, flags: Flags, run: Run) -> Result:
    import interp

    schedule = schedule_of(flags, model.shape.n_layers)
    options = flags.chosen("sink") | replaced(flags, asked.seed)
    return interp.ablation.removal(model, asked.prompts(model), schedule, **options, **run)


def _compare(model: Model, asked: Asked, flags: Flags, run: Run) -> Result:
    """The schedule drawn under each alternative, or a search under each where none is drawn."""
    import interp
    from interp.ablation._compare import replacements_for

    drawn = {"wait", "transfer", "compute"} & set(flags.given)
    plain = Flags(wait=flags.wait, transfer=flags.transfer, compute=flags.compute)
    schedule = schedule_of(plain, model.shape.n_layers) if drawn else None
    options = flags.chosen("target", "sink")
    if flags.mask:
        options["masks"] = tuple(flags.mask.split(","))
    batch = asked.prompts(model)
    if flags.replacement or flags.table_n is not None:
        names = flags.replacement.split(",") if flags.replacement else replacements_for(batch)
        named = tuple(_with_table(name, flags.table_n, asked.seed) for name in names)
        options["replacements"] = named
    return interp.ablation.compare(model, batch, schedule, **options, **run)


def _transfer(model: Model, asked: Asked, flags: Flags, run: Run) -> Result:
    """The schedule drawn, or else the one that a search finds on the prompts asked for, on those
    of every other style, task and model."""
    import interp

    targets: Named = {style: asked.prompts(model, format=style) for style in flags.style or ()}
    targets |= {task: asked.prompts(model, task=task) for task in flags.other_task or ()}
    for name in flags.other_model or ():
        other = interp.load(name, device=asked.device, dtype=asked.dtype)
        targets[name] = (other, asked.prompts(other))
    if not targets:
        raise InputError(
            "say where to: --style af1-verbal, --other-task sub:2 or --other-model NAME, each as "
            "often as you like"
        )
    shared = flags.chosen("sink") | replaced(flags, asked.seed)
    found: Any
    if {"wait", "transfer", "compute"} & set(flags.given):
        found = schedule_of(flags, model.shape.n_layers)
    else:
        own = flags.chosen("target", "heads", transfer_mask="mask")
        found = interp.ablation.af1(model, asked.prompts(model), **own, **shared, **run)
    return interp.ablation.transfer(model, found, targets, **shared, **run)


def _table(model: Model, asked: Asked, flags: Flags, run: Run) -> Result:
    import interp
    from interp.ablation.replacements import Replacement

    key = Replacement.of(flags.replacement or "cama").table_key
    if key is None:
        raise InputError(f"{flags.replacement!r} reads no table: choose cama, cama:value or mean")
    name = task_of(model, asked.task)
    return interp.ablation.cama(model, name, format=asked.format, given=key, n=asked.n, **run)


FILLED = ("replacement", "table_n")
DRAWN = ("wait", "transfer", "compute", "mask")
METHODS: dict[str, tuple[Callable[[Model, Asked, Flags, Run], Result], tuple[str, ...]]] = {
    "cama": (_cama, (*DRAWN, *FILLED, "sink", "answers")),
    "abp": (_abp, (*DRAWN[1:], "sink", "answers")),
    "af1": (_af1, ("mask", *FILLED, "sink", "target", "heads")),
    "compare": (_compare, (*DRAWN, *FILLED, "sink", "target")),
    "grid": (_grid, ("mask", *FILLED, "sink")),
    "removal": (_removal, (*DRAWN, *FILLED, "sink")),
    "transfer": (_transfer, tuple(f.name for f in fields(Flags) if f.name != "answers")),
    "table": (_table, ("replacement",)),
}


def check(method: str, flags: Flags) -> None:
    """Raises InputError for a flag that the method does not take."""
    _, takes = METHODS[method]
    for name in flags.given:
        if name not in takes:
            owners = [other for other, (_, names) in METHODS.items() if name in names]
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"ablate {method} takes no {flag}: it is for {', '.join(owners)}")


def ablated(method: str, model: Model, asked: Asked, flags: Flags, watch: Watch) -> Result:
    """The Result of a method on a loaded model."""
    run = {"seed": asked.seed, "progress": watch.progress, "cancel": watch.cancel}
    return METHODS[method][0](model, asked, flags, run)
