"""What a Result of ablation says where too few prompts are answered rightly: it tells by logits."""

from __future__ import annotations

import numpy as np

from interp.results.display import number


def few_right(n: int) -> str:
    """Why a conclusion is drawn from logits, and what may help."""
    return (
        f"The full model gets {n} distinct prompts right, too few to tell a share of right answers "
        f"(interp.behaviour.search_prompts finds the prompts that it reads best)."
    )


def margin_left(value: float, low: float, high: float, *, kl: float, n: int) -> str:
    """What is left of the full model's Δ, and KL from it (NaN: unknown), over all `n` prompts.

    Bounds are NaN where the full model's Δ is not surely above 0: nothing is a share of that.
    """
    divergence = "" if np.isnan(kl) else f"; KL from the full model {number(kl)} nats"
    margin = "the margin by which the full model's logits prefer right answers to other prompts'"
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"nothing can be told by logits: {margin} is not surely above 0{divergence}"
    told = f"{number(100 * value)} % ({number(100 * low)} to {number(100 * high)} %)"
    less = "" if low > 0 else "perhaps no more than a constant output leaves, "
    return f"{told} of {margin} is left, {less}over all {n} prompts{divergence}"
