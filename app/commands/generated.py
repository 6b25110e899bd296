"""Generate commands from the catalogue: flags from the signature, help from the docstring."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter, getdoc, signature, unwrap
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from typer import Context, Option
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

from app.commands import options as shared
from app.commands.ablations import METHODS as ABLATIONS
from app.commands.finish import finish
from app.commands.watch import Watch
from interp import catalogue
from interp.catalogue import Entry
from interp.errors import InputError, nearest

METHODS = {
    "attribute": "--method",
    "behaviour": "--analysis",
    "heads": "--method",
}  # commands that take the second word
WRITTEN = {("ablate", method) for method in ABLATIONS}  # second words of a hand-written command
# Of every analysis.
OWN = {"n", "seed", "format", "held_out", "memory", "savings", "cancel", "progress"}
ASKED = {"prompts": 2, "problems": 2, "task": 1, "model": 1}  # leading arguments that are no flags


def entries(first: str) -> dict[str, Entry]:
    """Second word → entry, for commands that begin with `first`; a command without a second word is
    keyed by its function's name."""
    found = {}
    for entry in catalogue.CATALOGUE:
        word, _, second = entry.command.partition(" ")
        if word == first:
            found[second or entry.name.rpartition(".")[2]] = entry
    return found


def chosen(first: str, second: str) -> Entry:
    """Catalogue entry of a two-word command.

    Raises InputError with the nearest names.
    """
    known = entries(first)
    if second not in known:
        near = nearest(second, known)
        raise InputError(f"{first} has no analysis {second!r}; the nearest: {near}")
    return known[second]


class Commands(TyperGroup):
    """Command group: hand-written commands, and a generated one for every other catalogue entry."""

    def list_commands(self, ctx: Any = None) -> list[str]:
        """Names of all commands, without methods that another command takes by name."""
        words = [entry.command.split() for entry in catalogue.CATALOGUE if entry.command]
        known = {*self.commands, *(first for first, *second in words if not second)}
        names = [*self.commands]
        for first, *second in words:
            taken = first in METHODS or (first, *second) in WRITTEN
            names += [first] if first not in known else []
            if second and first in known and not taken:
                names.append(f"{first} {second[0]}")
            if not second:
                names.append(first)
        return list(dict.fromkeys(names))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The hand-written command, the generated one, or a group of that name."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        first, _, second = cmd_name.partition(" ")
        known = entries(first)
        if second:
            return Generated(cmd_name, [known[second]]) if second in known else None
        if any(entry.command == first for entry in known.values()):
            methods = sorted(known.values(), key=lambda entry: entry.command != first)
            return Generated(first, methods)
        if not known:
            return None
        parts: dict[str, Any] = {word: Generated(word, [one]) for word, one in known.items()}
        return TyperGroup(
            name=first, commands=parts, help=f"{', '.join(known)}.", no_args_is_help=True
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Resolve two words to one entry, unless a hand-written command takes the second."""
        both = tuple(args[:2])
        if len(both) == 2 and not both[1].startswith("-") and both not in WRITTEN:
            command = self.get_command(ctx, " ".join(both))
            if command is not None:
                return " ".join(both), command, args[2:]
        return super().resolve_command(ctx, args)


class Generated(TyperCommand):
    """Command of an entry and its sibling methods. Flags are built on first use, since reading a
    signature imports torch."""

    def __init__(self, name: str, methods: Sequence[Entry]) -> None:
        self._methods = methods
        self._made: TyperCommand | None = None
        super().__init__(name=name, help=methods[0].question)

    @property
    def params(self) -> Any:
        """Flags built from the signatures."""
        if self._made is None:
            info = CommandInfo(name=self.name, callback=_callback(self._methods))
            made: Any = get_command_from_info(
                info, pretty_exceptions_short=False, rich_markup_mode="rich"
            )
            self._made, self.callback = made, made.callback
        return self._made.params

    @params.setter
    def params(self, value: object) -> None:
        pass


def _callback(methods: Sequence[Entry]) -> Callable[..., None]:
    """Function whose signature gives the flags to Typer."""
    plain: dict[str, Parameter] = {}
    for entry in methods:
        plain = {**{p.name: p for p in plain_options(entry)}, **plain}
    flags = [*_before(methods), *plain.values(), *_after(methods[0])]
    names = [flag.name for flag in plain.values()]

    def command(context: Context, **given: Any) -> None:
        entry = methods[0]
        if "method" in given:
            entry = chosen(str(methods[0].command), given["method"])
        texts = {name: given[name] for name in names if _said(context, name)}
        if not _said(context, "sampler"):
            given["sampler"] = None  # the library draws
        finish(run(entry, given, texts), given["out"])

    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=Context), *flags]
    parameters.sort(key=lambda flag: flag.default is not Parameter.empty)
    command.__signature__ = signature(command).replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=None
    )
    command.__annotations__ = {flag.name: flag.annotation for flag in parameters}
    command.__doc__ = methods[0].question
    return command


def _said(context: Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def run(entry: Entry, given: Mapping[str, Any], texts: Mapping[str, Any]) -> Any:
    """Run an entry: `given` holds model, task, n, …; `texts` the function's own options."""
    model = given.get("model")
    with Watch(f"loading {model}" if model else entry.question) as watch:
        from app import calls

        options = converted(entry, texts)
        sampler = given.get("sampler")
        names = ("task", "n", "seed", "format", "held_out")
        drawn = {name: given[name] for name in names if name in given}
        sample = calls.Sample(**drawn, sampler=sampler)
        loaded = None
        if model is not None:
            import interp

            loaded = interp.load(model, device=given["device"], dtype=given["dtype"])
            if entry.asks in ("prompts", "problems"):
                loaded, sample = calls.proposed(
                    loaded, sample, watch.say, writes="format" in drawn, cancel=watch.cancel
                )
        what = entry.name.rpartition(".")[2].replace("_", " ")
        watch.step(f"{what} of {model or sample.task or 'a file'}")
        return calls.run(
            entry, loaded, sample, options, progress=watch.progress, cancel=watch.cancel
        )


def converted(entry: Entry, texts: Mapping[str, Any]) -> dict[str, Any]:
    """Convert flag texts to the function's argument types.

    Raises InputError for a flag without an argument, or a text of the wrong type.
    """
    kinds = _kinds(entry)
    if unknown := [name for name in texts if name not in kinds]:
        flags = ", ".join("--" + name.replace("_", "-") for name in unknown)
        raise InputError(f"{entry.public} has no argument for {flags}: leave it out")
    return {name: _value(entry, name, kinds[name], value) for name, value in texts.items()}


def _value(entry: Entry, name: str, kind: Any, value: Any) -> Any:
    flag = "--" + name.replace("_", "-")
    if not isinstance(value, str):
        return value
    if kind == Sequence[int]:
        return shared.whole_numbers(flag, value)
    if kind == Sequence[str]:
        return shared.names(value)
    if kind is int:
        numbers = shared.whole_numbers(flag, value)
        if len(numbers) > 1:
            raise InputError(f"{entry.public} takes one number of {flag}, not {value!r}")
        return numbers[0]
    return value


def plain_options(entry: Entry) -> list[Parameter]:
    """The function's own options as flags, without those of types that flags cannot express."""
    takes, helps = signature(entry.load()).parameters, _helps(getdoc(entry.load()) or "")
    found = []
    for name, kind in _kinds(entry).items():
        default = takes[name].default
        listed = get_origin(kind) is Sequence
        if listed:
            default = None if default is None else ",".join(map(str, default))
        annotation: Any = str if listed else kind
        required = default is Parameter.empty
        if kind is not bool and not required:
            annotation = annotation | None
        text = helps.get(name, "") + (" By commas." if listed else "")
        switch = name.replace("_", "-")
        names = f"--{switch}/--no-{switch}" if kind is bool else f"--{switch}"
        flag: Any = Annotated[annotation, Option(names, help=text.strip())]
        found.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=flag))
    return found


def _kinds(entry: Entry) -> dict[str, Any]:
    """Option → its type: a plain one, a Literal, Sequence[int] or Sequence[str]."""
    takes = signature(entry.load()).parameters
    space = unwrap(entry.load()).__globals__
    kinds = {}
    for name in list(takes)[ASKED.get(entry.asks, 0) :]:
        if name not in OWN and takes[name].kind is not Parameter.VAR_KEYWORD:
            try:
                written = takes[name].annotation
                kind = _plain(eval(written, dict(space)) if isinstance(written, str) else written)
            except NameError:  # a type imported for mypy only
                kind = None
            if kind is not None:
                kinds[name] = kind
    return kinds


def _plain(annotation: Any) -> Any:
    """The type as a flag type; None if a flag cannot express it."""
    if get_origin(annotation) in (Union, UnionType):
        found = [_plain(one) for one in get_args(annotation) if one is not NoneType]
        return next((one for one in found if one is not None), None)
    if get_origin(annotation) is Literal:
        return annotation if all(isinstance(one, str) for one in get_args(annotation)) else None
    inner = get_args(annotation)
    if getattr(get_origin(annotation), "__name__", "") == "Sequence" and inner:
        kind = _plain(inner[0])
        return Sequence[kind] if kind in (int, str) else None  # type: ignore[valid-type]
    return annotation if annotation in (bool, int, float, str, Path) else None


def _helps(doc: str) -> dict[str, str]:
    """Argument → its text in a docstring's Args section."""
    part = re.search(r"^Args:\n(.*?)(?:\n\n|\Z)", doc, re.DOTALL | re.MULTILINE)
    found: dict[str, str] = {}
    names: list[str] = []
    for line in (part[1] if part else "").splitlines():
        head = re.match(r"    (\w[\w, ]*): (.*)", line)
        if head:
            names = head[1].split(", ")
        text = head[2] if head else line.strip()
        found |= {name: f"{found.get(name, '')} {text}".strip() for name in names}
    return {name: text[:1].upper() + text[1:] for name, text in found.items()}


def _before(methods: Sequence[Entry]) -> Iterable[Parameter]:
    """Flags of model, method and sample."""
    entry = methods[0]
    takes = signature(entry.load()).parameters
    if entry.asks in ("prompts", "problems", "model"):
        yield _flag("model", shared.ModelName)
    if len(methods) > 1:
        names = entries(entry.command)
        own = next(name for name, one in names.items() if one is entry)
        text = " ".join(f"{name}: {one.question}" for name, one in names.items())
        yield _flag("method", Annotated[str, Option("--method", help=text)], own)
    if entry.asks == "task":
        yield _flag("task", Annotated[str, Option("--task", "-t", help="add:5, mul:4x4, …")])
    elif entry.asks in ("prompts", "problems"):
        yield _flag("task", shared.TaskName, None)
    if entry.n is not None:
        yield _flag("n", shared.Count, entry.n)
    yield _flag("seed", shared.Seed, 0)
    if entry.asks == "prompts" or "format" in takes:
        yield _flag("format", shared.FormatName, None)
    if entry.asks in ("prompts", "problems", "task"):
        yield _flag("sampler", shared.SamplerName, "uniform")
    if "held_out" in takes:
        yield _flag("held_out", shared.HeldOut, True)


def _after(entry: Entry) -> Iterable[Parameter]:
    if entry.asks in ("prompts", "problems", "model"):
        yield _flag("device", shared.Device, "cpu")
        yield _flag("dtype", shared.Dtype, "float32")
    yield _flag("out", shared.Out, None)


def _flag(name: str, annotation: Any, default: Any = Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
