"""Tokenisation report: how a model's tokenizer splits numbers."""

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
        n, seed, held_out: sampling of a task's problems (`interp.models.asking`).
        format: prompt format; None means the model's default.

    Does not show: how other lengths or formats are split.

    Raises InputError and RoleError as `Model.prompts`.
    """
    batch, sampled = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    return report(model.tokens, batch, sampled | {"seed": seed})
