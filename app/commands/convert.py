"""``arithmoscope convert``: another toolkit's checkpoint as a standard folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from rich.markup import escape
from typer import Argument, Option

from app.commands.screen import screen
from app.commands.watch import Watch

Source = Annotated[Path, Argument(help="A torch checkpoint or a .safetensors file.")]
Folder = Annotated[Path, Argument(help="The folder to write; it must not exist yet.")]
Kind = Annotated[
    Literal["nanogpt", "transformerlens", "mapping"],
    Option("--kind", help="Who wrote it; any other state dict goes by a mapping."),
]
Tokenizer = Annotated[
    Path | None, Option("--tokenizer", help="A folder with the model's (fast) tokenizer; or")
]
Characters = Annotated[
    str | None,
    Option(
        "--characters",
        help=r"its characters in the order of their ids, '0123456789+=\n'; or pieces as a JSON "
        """list, '["00", "01", "="]'.""",
    ),
]
Heads = Annotated[int | None, Option("--heads", help="Attention heads, where nothing tells.")]
Activation = Annotated[
    str | None, Option("--activation", help="gelu, gelu_new (the tanh formula), relu or silu.")
]
Normalization = Annotated[
    str | None,
    Option("--normalization", help="LNPre, for layer norms without weights; none, for no norms."),
]
Causal = Annotated[
    bool | None,
    Option("--causal/--no-causal", help="Whether tokens see earlier ones alone, if no cfg tells."),
]
Rate = Annotated[
    float | None,
    Option("--attention-rate", help="a of attention rows a softmax + (1 - a), if not 1."),
]
Mapping = Annotated[
    Path | None, Option("--mapping", help="For --kind mapping: the JSON of docs/my-model.md.")
]
Reference = Annotated[
    Path | None,
    Option("--reference", help="A .safetensors with tokens and the original model's logits."),
]
TaskName = Annotated[
    str | None, Option("--task", "-t", help="What it was trained on: add:5. With --format.")
]
FormatName = Annotated[str | None, Option("--format", help="As which: padded, reversed, …")]


def convert(
    source: Source,
    out: Folder,
    kind: Kind,
    tokenizer: Tokenizer = None,
    characters: Characters = None,
    heads: Heads = None,
    activation: Activation = None,
    normalization: Normalization = None,
    causal: Causal = None,
    attention_rate: Rate = None,
    mapping: Mapping = None,
    reference: Reference = None,
    task: TaskName = None,
    format: FormatName = None,
) -> None:
    """Turn a nanoGPT, TransformerLens or mapped checkpoint into a folder, proved to be equal."""
    with Watch(f"converting {source.name}"):
        import interp

        done = interp.convert(
            source,
            out,
            kind=kind,
            tokenizer=tokenizer,
            characters=None if characters is None else pieces(characters),
            heads=heads,
            activation=activation,
            normalization=normalization,
            causal=causal,
            attention_rate=attention_rate,
            mapping=mapping,
            reference=reference,
            task=task,
            format=format,
        )
    console = screen()
    console.print(f"{escape(str(done.folder))}: {done.parameters:,} parameters", style="bold")
    console.print(f"Its logits differ from the source's by {done.difference:.1e} of the largest.")
    for note in done.notes:
        console.print(f"[dim]Note: {escape(note)}.[/dim]")
    ask = f" --task {task}" if task else " --task add:2"
    console.print(f"Next: arithmoscope doctor --model {escape(str(done.folder))}{ask}")


def pieces(text: str) -> str | list[str]:
    r"""The characters, `\n` as a line break; or the strings of a JSON list.

    Raises:
        InputError: for a list that is no JSON or holds something else than strings.
    """
    if not text.startswith('["'):
        return text.replace(r"\n", "\n")
    from interp.errors import InputError

    try:
        listed = json.loads(text)
    except ValueError as error:
        raise InputError(f"--characters starts like a JSON list and is none ({error}).") from error
    if not all(isinstance(piece, str) for piece in listed):
        raise InputError("--characters must list strings, each in quotes.")
    return list(listed)
