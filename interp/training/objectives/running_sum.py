"""Auxiliary regression loss on the running sums of long multiplication, read from head outputs.

From "Why can't transformers learn multiplication?" (2510.00184), section 6, equations 6 to 8.
A model trained on answers alone does not learn the middle digits of a 4×4 product; with this loss,
which demands the running sum ĉ_k at the digit c_k, it does.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from interp.arithmetic.tasks import Task, task
from interp.arithmetic.truth import families
from interp.errors import InputError
from interp.training.forward import forward
from interp.training.objectives.answer import answer_losses
from interp.training.objectives.base import Losses, Objective, Setting, Step
from interp.training.rows import Rows


@dataclass(frozen=True)
class RunningSumLoss(Objective):
    """L = L_answer + λ · (1/H) Σ_h (1/K) Σ_k (w_h · z_k^h - ĉ_k / scale)²

    z_k^h is the output of head h (before the output matrix) at a position of the digit c_k. w_h is
    a trained vector of d_head numbers, which does not ship with the model.

    weight    λ at the first step …
    end       … and at the last, linear in between; None keeps it constant. With ĉ_k unscaled (0 to
              some hundreds, the paper's choice) λ must be tiny; with scale 81 the sums are near 1
    layer     layer of the heads; negative counts from the last
    heads     heads of the layer; None for all. The paper takes two of the second layer and does not
              name them
    position  "before": where c_k is predicted; "after": at the token c_k itself
    scale     divisor of ĉ_k
    columns   answer digits; None for all

    Does not show: that the model uses the sum. A head can encode ĉ_k while c_k stays at chance.
    """

    kind: ClassVar[str] = "running-sum"

    weight: float = 1.0
    end: float | None = None
    layer: int = -1
    heads: tuple[int, ...] | None = None
    position: str = "before"
    scale: float = 81.0
    columns: tuple[int, ...] | None = None

    def check(self, recipe: Setting) -> None:
        the_task = task(recipe.task)
        if "running_sum" not in families(the_task):
            raise InputError(
                f"the objective {self.kind!r} needs running sums, and {recipe.task} has none: use "
                "it with sums and products, or the objective 'answer'"
            )
        if recipe.family != "gpt2":
            raise InputError(f"the objective {self.kind!r} reads the heads of family='gpt2' only")
        if not (self.scale > 0 and self.weight >= 0 and (self.end is None or self.end >= 0)):
            raise InputError("scale must be above 0, and weight and end not below 0")
        if self.position not in ("before", "after"):
            raise InputError(
                f"position={self.position!r}: 'before' is where c_k is predicted, 'after' is the "
                "token c_k"
            )
        _check_indices("layer", (self.layer % recipe.n_layers,), recipe.n_layers)
        if not -recipe.n_layers <= self.layer < recipe.n_layers:
            raise InputError(f"layer={self.layer}: the model has {recipe.n_layers} layers")
        _check_indices("heads", self.heads, recipe.n_heads)
        _check_indices("columns", self.columns, the_task.answer_digits)

    def parameters(self, recipe: Setting) -> dict[str, torch.nn.Parameter]:
        d_head = recipe.d_model // recipe.n_heads
        n_heads = recipe.n_heads if self.heads is None else len(self.heads)
        generator = torch.Generator().manual_seed(recipe.seed)
        drawn = torch.randn(n_heads, d_head, generator=generator) / d_head**0.5
        return {"readout": torch.nn.Parameter(drawn)}

    def losses(
        self,
        model: Any,
        extra: dict[str, torch.nn.Parameter],
        rows: Rows,
        step: Step,
        offsets: Tensor | None = None,
    ) -> Losses:
        layer = self.layer % model.config.n_layer
        learnt = rows.tokens.shape[1] - 1  # the last token predicts no learnt token
        tokens = rows.tokens if self.position == "after" else rows.tokens[:, :learnt]
        out = forward(model, tokens, rows.start, offsets=offsets, z_layer=layer)
        answer = answer_losses(out.logits[:, : learnt - rows.start], rows)
        if out.z is None:
            raise AssertionError("the forward pass of a GPT-2 gives z where z_layer is set")
        known = self.read(out.z, extra["readout"], rows)
        wanted = self.targets(rows)
        error = (known - wanted[:, :, None]).square().mean()
        weight = self.weight_at(step)
        terms = answer.terms | {"running_sum": error}
        return answer._replace(total=answer.total + weight * error, terms=terms)

    def read(self, z: Tensor, readout: Tensor, rows: Rows) -> Tensor:
        """w_h · z_k^h as float32 [n, K, H], from z [n, positions from start, n_heads, d_head]."""
        back = 1 if self.position == "before" else 0
        places = rows.digits[:, self._role_columns(rows)] - rows.start - back
        chosen = z if self.heads is None else z[:, :, list(self.heads)]
        index = places[:, :, None, None].expand(-1, -1, *chosen.shape[2:])
        return (chosen.float().gather(1, index) * readout).sum(-1)

    def targets(self, rows: Rows) -> Tensor:
        """ĉ_k / scale, float32 [n, K]."""
        sums = torch.from_numpy(rows.problems.columns("running_sum").astype("float32"))
        return sums[:, self._columns(rows.problems.task)] / self.scale

    def weight_at(self, step: Step) -> float:
        """λ at a step."""
        if self.end is None:
            return self.weight
        return self.weight + (self.end - self.weight) * step.progress

    def _columns(self, task: Task) -> list[int]:
        return list(range(task.answer_digits)) if self.columns is None else list(self.columns)

    def _role_columns(self, rows: Rows) -> list[int]:
        return [rows.roles.index(f"c{k}") for k in self._columns(rows.problems.task)]


def _check_indices(name: str, chosen: tuple[int, ...] | None, count: int) -> None:
    if chosen is None:
        return
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= i < count for i in chosen):
        raise InputError(f"{name}={chosen} must be different numbers from 0 to {count - 1}")
