"""One pass of a modular adder over all p² pairs, and the tokens of its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from interp.arithmetic.tasks import ModularAddition
from interp.engine._run import run
from interp.engine.requests import Cancel, Progress, Read
from interp.errors import ArithmoscopeError, InputError
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """The prompts of all p² pairs, row a·p + b, with the tokens of the numbers.

    tokens   int[p], the output token of each residue
    roles    the roles of the two operands
    """

    p: int
    batch: PromptBatch
    tokens: Ints
    roles: tuple[str, str]


@dataclass(frozen=True)
class Pass:
    """What a modular adder computes on every pair.

    logits      float64 [p, p, p] of the answers' tokens (a, b, c)
    neurons     float32 [p, p, d_mlp] after the activation function at the last position, or None
                where the model has no such site
    embedding   float64 [p, d_model], the stream before the first block at the first operand: token
                plus position, which is the same for every row
    """

    grid: Grid
    layer: int
    logits: Floats
    neurons: npt.NDArray[np.float32] | None
    embedding: Floats

    @property
    def labels(self) -> Ints:
        """(a + b) mod p, [p, p]."""
        n = np.arange(self.grid.p)
        return np.asarray((n[:, None] + n) % self.grid.p)


def modulus_of(model: Model, modulus: int | None) -> int:
    """The modulus: the given one, or that of the model's task.

    Raises InputError if neither is known, or it is no whole number above 2.
    """
    if modulus is None:
        if not isinstance(model.task, ModularAddition):
            task = "no task" if model.task is None else model.task.name
            raise InputError(
                f"the card of {model.name} names {task}, no modular addition: give modulus=, such "
                "as modulus=113"
            )
        return model.task.p
    if isinstance(modulus, bool) or not isinstance(modulus, int | np.integer) or modulus < 3:
        raise InputError(f"modulus={modulus!r} must be a whole number of at least 3, such as 113")
    return int(modulus)


def grid_of(model: Model, p: int, format: str | None = None) -> Grid:
    """Prompts of all pairs without their answers, in a format that gives each number one token.

    Raises InputError if some number is no single token of the model, two numbers share one, or the
    unembedding has no logit for it.
    """
    problems = ModularAddition(p).grid()
    try:
        batch = model.prompts(problems, format=format, answer="none")
    except ArithmoscopeError as error:
        raise InputError(
            f"{model.name} cannot be asked all pairs modulo {p}: {error} If the modulus does not "
            "fit its vocabulary, give the one it was trained with (modulus=)"
        ) from error
    roles = tuple(_operand_role(batch, name, p) for name in "ab")
    values = problems.values(0).astype(np.int64)
    first = np.array([int(np.flatnonzero(values == v)[0]) for v in range(p)])
    tokens = batch.labels(roles[0]).numpy()[first]
    if len(np.unique(tokens)) < p:
        raise InputError(
            f"{model.name} has only {len(np.unique(tokens))} tokens for the numbers 0 to {p - 1}: "
            "the modulus does not fit its vocabulary. Give the modulus it was trained with"
        )
    outputs = _answer_tokens(model, p, batch.format)
    tokens = tokens if outputs is None else outputs
    written = model.shape.d_vocab_out
    if tokens.max() >= written:
        raise InputError(
            f"{model.name} has {written} output tokens, none for {p - 1}: the modulus "
            "does not fit its vocabulary"
        )
    return Grid(p, batch, tokens.astype(np.int64), (roles[0], roles[1]))


def run_pairs(
    model: Model,
    grid: Grid,
    layer: int | None = None,
    *,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Pass:
    """Logits and neurons at the last position, and the embedding, over the whole grid."""
    layer = layer_of(model, layer)
    read = [Read("resid_pre", (0,), (grid.roles[0],))]
    neurons = "mlp_post" in model.usable_sites
    if neurons:
        read.append(Read("mlp_post", (layer,), ("last",)))
    p, picked = grid.p, torch.from_numpy(grid.tokens)
    batch = grid.batch if grid.batch.model == model.id else replace(grid.batch, model=model.id)
    found = run(
        model, batch, reads=read, logits="last", memory=memory, cancel=cancel, progress=progress,
        reduce=lambda logits, rows: logits[:, 0].index_select(-1, picked.to(logits.device)),
    )  # fmt: skip
    assert found.logits is not None
    streams = found.activations["resid_pre", 0][:, 0].reshape(p, p, -1)[:, 0]
    return Pass(
        grid=grid,
        layer=layer,
        logits=found.logits.double().numpy().reshape(p, p, p),
        neurons=(
            found.activations["mlp_post", layer][:, 0].float().numpy().reshape(p, p, -1)
            if neurons
            else None
        ),
        embedding=streams.double().numpy(),
    )


def layer_of(model: Model, layer: int | None) -> int:
    """The layer; the last one for None. InputError for one that does not exist."""
    last = model.shape.n_layers - 1
    if layer is None:
        return last
    if not 0 <= layer <= last:
        raise InputError(f"layer {layer} does not exist: {model.name} has layers 0 to {last}")
    return layer


def _operand_role(batch: PromptBatch, name: str, p: int) -> str:
    roles = [role for role in batch.roles if (d := digits_in(role)) and d[0] == name]
    if len(roles) != 1:
        raise InputError(
            f"{batch.model.name} writes a number below {p} in {len(roles)} tokens in the format "
            f"{batch.format!r} ({batch.texts[-1]!r}); the suite needs one token for each number. "
            "Give the format or the tokenizer that it was trained with, or a modulus up to 10"
        )
    return roles[0]


def _answer_tokens(model: Model, p: int, format: str) -> Ints | None:
    """Tokens of the answers where they can be written behind the prompt, else None: a context that
    ends at the question has no room for them."""
    zero = ModularAddition(p).problems(np.arange(p), np.zeros(p, dtype=int))
    try:
        batch = model.prompts(zero, format=format)
    except InputError:
        return None
    roles = batch.answer_roles
    return batch.labels(roles[0]).numpy() if len(roles) == 1 else None
