"""``arithmoscope train``: make a fixture again, or a model by a changed recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.markup import escape
from typer import Argument, Option

from app.commands.options import assignments
from app.commands.screen import screen
from app.commands.watch import Watch

if TYPE_CHECKING:
    from interp.training.run import Validation

Changes = Annotated[
    list[str] | None,
    Option("--set", metavar="NAME=VALUE", help="Change a field of the recipe: --set steps=2000."),
]


def train(
    recipe: Annotated[str, Argument(help="The recipe's name: add5, …")] = "add5",
    out: Annotated[
        Path | None, Option("--out", "-o", help="The model's folder; runs/RECIPE if left out.")
    ] = None,
    seed: Annotated[int | None, Option("--seed", help="Instead of the recipe's own.")] = None,
    changes: Changes = None,
    resume: Annotated[bool, Option(help="Go on from the last checkpoint in the folder.")] = True,
    minutes: Annotated[
        float | None, Option("--minutes", help="Pause after so long; the same command goes on.")
    ] = None,
    threads: Annotated[int | None, Option("--threads", help="CPU threads of torch.")] = None,
) -> None:
    """Train a model by a recipe, and go on where an interrupted run stopped."""
    with Watch("preparing") as watch:
        import interp

        overrides = assignments(changes)
        overrides |= {"seed": seed} if seed is not None else {}
        chosen = interp.training.recipe(recipe, **overrides)
        folder = out or Path("runs") / chosen.name

        def say(validation: Validation) -> None:
            watch.describe(f"training {chosen.name}: {standing(validation)}")

        watch.step(f"training {chosen.name}")
        trained = interp.training.train(
            chosen,
            folder,
            resume=resume,
            budget_seconds=minutes * 60 if minutes is not None else None,
            threads=threads,
            progress=watch.progress,
            on_validation=say,
            cancel=watch.cancel,
        )
    console = screen()
    console.print(f"{trained.step:,} of {chosen.last_step:,} steps, in {escape(str(folder))}")
    if trained.card is None:
        console.print("The time is over; the same command goes on from the checkpoint.")
        return
    accuracy = trained.card.accuracy
    console.print(
        f"exact on {accuracy['n']:,} held-out problems: {accuracy['share']:.3%} "
        f"({accuracy['low']:.3%} to {accuracy['high']:.3%})"
    )


def standing(validation: Validation) -> str:
    """One-line status: accuracy on whole problems, and by digit (or task)."""
    parts = " ".join(f"{name} {share:.0%}" for name, share in validation.by_digit.items())
    return f"{validation.exact:.2%} exact ({parts})"
