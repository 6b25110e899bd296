"""Conclusions from logits, for ablations where too few prompts are answered correctly."""

from __future__ import annotations

import numpy as np

from interp.results.display import number, percent


def few_right(n: int) -> str:
    """The reason that a conclusion uses logits, and a remedy."""
    return (
        f"The full model gets {n} distinct prompts right, too few to tell a share of right answers "
        f"(interp.behaviour.search_prompts finds the prompts that it reads best)."
    )


def margin_left(value: float, low: float, high: float, *, kl: float, n: int) -> str:
    """Text with the share of the full model's Δ that is left, and KL (NaN: unknown), over all `n`
    prompts.

    Bounds are NaN where the interval of the full model's Δ is not above 0: no share is defined.
    """
    divergence = "" if np.isnan(kl) else f"; KL from the full model {number(kl)} nats"
    margin = "the margin by which the full model's logits prefer right answers to other prompts'"
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"nothing can be told by logits: {margin} is not surely above 0{divergence}"
    told = f"{percent(value)} % ({percent(low)} to {percent(high)} %)"
    less = "" if low > 0 else "perhaps no more than a constant output leaves, "
    return f"{told} of {margin} is left, {less}over all {n} prompts{divergence}"
