"""How a model's tokenizer splits numbers, asked like any analysis."""

from __future__ import annotations

from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.results.tokenisation import TokenisationReport
from interp.models.tokenisation import report


def tokenisation_report(
    model: Model,
    asked: Asked,
    *,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
) -> TokenisationReport:
    """Tokens and roles of the first prompt, and the digits in each token of every number.

    Args:
        asked: a task's name, a Task, Problems or a PromptBatch.
        n, seed, held_out: how problems of a task are drawn (`interp.models.asking`).
        format: how they are written; None means the model's first.

    Does not show: how other lengths or formats are cut.

    Raises InputError and RoleError as `Model.prompts`.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    return report(model.tokens, batch, sampled | {"seed": seed})
