"""Methods of ``arithmoscope ablate``: their catalogue entries, and options from flags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from app import calls
from app.calls import Sample
from interp.catalogue import entry
from interp.errors import InputError, nearest

if TYPE_CHECKING:
    from interp.ablation.replacements import Replacement
    from interp.ablation.schedule import Schedule
    from interp.models.model import Model
    from interp.results.result import Result

Options = dict[str, Any]
MakeOptions = Callable[["Model", Sample, "Flags"], Options]
Load = Callable[[str], "Model"]


@dataclass(frozen=True)
class Flags:
    """Flags of all methods; None for an omitted flag."""

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
    def drawn(self) -> bool:
        """Whether the flags specify a schedule."""
        return bool({"wait", "transfer", "compute"} & set(self.given))

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the given flags, in order."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) not in (None, []))

    def chosen(self, *names: str, **renamed: str) -> dict[str, Any]:
        """Given flags among `names` as options of a library call; renamed: option=flag."""
        options = {name: name for name in names} | renamed
        return {
            option: getattr(self, flag) for option, flag in options.items() if flag in self.given
        }


def schedule_of(flags: Flags, n_layers: int, *, wait: int = 0, transfer: str = "none") -> Schedule:
    """Schedule of --wait, --transfer, --compute and --mask; `wait` and `transfer` are the defaults.

    Layers after the transfer compute unless --compute differs; without transfer they are unchanged.
    """
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
    """--replacement and --table-n as an option of a library call; empty if both are omitted."""
    if flags.replacement is None and flags.table_n is None:
        return {}
    return {"replacement": _with_table(flags.replacement or "cama", flags.table_n, seed)}


def _with_table(text: str, n: int | None, seed: int) -> str | Replacement:
    from interp.ablation.replacements import Replacement

    return text if n is None else replace(Replacement.of(text, seed), n=n)


def _cama(model: Model, sample: Sample, flags: Flags) -> Options:
    n_layers = model.shape.n_layers
    schedule = schedule_of(flags, n_layers, wait=(n_layers + 1) // 2)
    return {"schedule": schedule} | flags.chosen("sink", "answers") | replaced(flags, sample.seed)


def _abp(model: Model, sample: Sample, flags: Flags) -> Options:
    schedule = schedule_of(flags, model.shape.n_layers, transfer="all")
    return {"schedule": schedule} | flags.chosen("sink", "answers")


def _search(model: Model, sample: Sample, flags: Flags) -> Options:
    options = flags.chosen("target", "sink", "heads", transfer_mask="mask")
    return options | replaced(flags, sample.seed)


def _removal(model: Model, sample: Sample, flags: Flags) -> Options:
    schedule = schedule_of(flags, model.shape.n_layers)
    return {"schedule": schedule} | flags.chosen("sink") | replaced(flags, sample.seed)


def _compare(model: Model, sample: Sample, flags: Flags) -> Options:
    """Options to score the given schedule under each alternative, or else search under each."""
    from interp.ablation._compare import replacements_for

    plain = Flags(wait=flags.wait, transfer=flags.transfer, compute=flags.compute)
    options = flags.chosen("target", "sink")
    options["schedule"] = schedule_of(plain, model.shape.n_layers) if flags.drawn else None
    if flags.mask:
        options["masks"] = tuple(flags.mask.split(","))
    if flags.replacement or flags.table_n is not None:
        batch = calls.prompts(model, sample)
        named = flags.replacement.split(",") if flags.replacement else replacements_for(batch)
        options["replacements"] = tuple(
            _with_table(name, flags.table_n, sample.seed) for name in named
        )
    return options


def _table(model: Model, sample: Sample, flags: Flags) -> Options:
    from interp.ablation.replacements import Replacement

    key = Replacement.of(flags.replacement or "cama").table_key
    if key is None:
        raise InputError(f"{flags.replacement!r} reads no table: choose cama, cama:value or mean")
    return {"given": key}


def transferred(model: Model, sample: Sample, flags: Flags, load: Load, **job: Any) -> Result:
    """Score a schedule on the prompts of every other style, task and model.

    The schedule is the given one, or else that of a search on the sample's prompts. `load` opens a
    model by name.
    """
    import interp

    targets: dict[str, Any] = {}
    for style in flags.style or ():
        targets[style] = calls.prompts(model, replace(sample, format=style))
    for task in flags.other_task or ():
        targets[task] = calls.prompts(model, replace(sample, task=task))
    for name in flags.other_model or ():
        other = load(name)
        targets[name] = (other, calls.prompts(other, sample))
    if not targets:
        raise InputError(
            "say where to: --style af1-verbal, --other-task sub:2 or --other-model NAME, each as "
            "often as you like"
        )
    shared = flags.chosen("sink") | replaced(flags, sample.seed) | {"seed": sample.seed} | job
    found: Any
    if flags.drawn:
        found = schedule_of(flags, model.shape.n_layers)
    else:
        own = flags.chosen("target", "heads", transfer_mask="mask")
        found = interp.ablation.af1(model, calls.prompts(model, sample), **own, **shared)
    return interp.ablation.transfer(model, found, targets, **shared)


FILLED = ("replacement", "table_n")
DRAWN = ("wait", "transfer", "compute", "mask")
TRANSFER = tuple(f.name for f in fields(Flags) if f.name != "answers")
# Method → catalogue entry, its options (None: `transferred`), and the flags that it takes.
METHODS: dict[str, tuple[str, MakeOptions | None, tuple[str, ...]]] = {
    "cama": ("ablation.evaluate", _cama, (*DRAWN, *FILLED, "sink", "answers")),
    "abp": ("ablation.evaluate", _abp, (*DRAWN[1:], "sink", "answers")),
    "af1": ("ablation.af1", _search, ("mask", *FILLED, "sink", "target", "heads")),
    "compare": ("ablation.compare", _compare, (*DRAWN, *FILLED, "sink", "target")),
    "grid": ("ablation.grid", _search, ("mask", *FILLED, "sink")),
    "removal": ("ablation.removal", _removal, (*DRAWN, *FILLED, "sink")),
    "transfer": ("ablation.transfer", None, TRANSFER),
    "table": ("ablation.cama", _table, ("replacement",)),
}


def check(method: str, flags: Flags) -> None:
    """Raise InputError for an unknown method, or a flag that the method does not take."""
    if method not in METHODS:
        raise InputError(f"there is no ablate {method}: choose {nearest(method, METHODS)}")
    for name in flags.given:
        if name not in METHODS[method][2]:
            owners = [other for other, (*_, names) in METHODS.items() if name in names]
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"ablate {method} takes no {flag}: it is for {', '.join(owners)}")


def ablated(
    method: str, model: Model, sample: Sample, flags: Flags, load: Load, **job: Any
) -> Result:
    """Run a method on a loaded model; without an n, on as many problems as the catalogue says."""
    name, options, _ = METHODS[method]
    sample = replace(sample, n=entry(name).n) if sample.n is None else sample
    if options is None:
        return transferred(model, sample, flags, load, **job)
    result: Result = calls.run(entry(name), model, sample, options(model, sample, flags), **job)
    return result
