"""Loss and correctness of a language model's answers to exercises."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from interp.training.adapters.exercises import Exercises


def answer_losses(model: Any, exercises: Exercises) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the learnt tokens [n, T - 1], 0 elsewhere, and correctness of each row [n].

    Logits are computed at the learnt positions only.
    """
    body = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = body.model(exercises.tokens[:, :-1], use_cache=False).last_hidden_state
    learnt = exercises.learnt[:, 1:]
    logits = body.lm_head(hidden[learnt]).float()
    targets = exercises.tokens[:, 1:][learnt]
    loss = torch.zeros(learnt.shape).masked_scatter(
        learnt, F.cross_entropy(logits, targets, reduction="none")
    )
    wrong = torch.zeros(learnt.shape, dtype=torch.bool).masked_scatter(
        learnt, logits.detach().argmax(-1) != targets
    )
    return loss, ~wrong.any(1)


@torch.no_grad()
def score(
    model: Any, exercises: Exercises, precision: str = "float32"
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean loss of each row's answer, and whether all of its tokens are the argmax (then greedy
    decoding writes them, line break included)."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        loss, right = answer_losses(model, exercises)
    each = loss.sum(1) / exercises.learnt[:, 1:].sum(1)
    return each.double().numpy(), right.numpy()
