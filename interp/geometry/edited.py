"""Answers of a model whose activation at one place was replaced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from interp.engine._run import run
from interp.engine.interventions import Replace, Rows
from interp.engine.requests import Cancel, Read
from interp.errors import InputError
from interp.geometry.classes import as_array
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.tokens import digits_in

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SITES = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")


@dataclass(frozen=True)
class Place:
    """One activation of every prompt: a site with d_model columns, a layer, a role."""

    site: str
    layer: int
    role: str

    def read(
        self, model: Model, batch: PromptBatch, memory: int, cancel: Cancel | None = None
    ) -> Floats:
        """The activation, float64 [n, d_model]."""
        reads = [Read(self.site, (self.layer,), (self.role,))]
        found = run(model, batch, reads=reads, logits=None, memory=memory, cancel=cancel)
        return as_array(found.activations[self.site, self.layer][:, 0])


def place_of(model: Model, site: str, layer: int | None, role: str) -> Place:
    """A place of the model; the last layer for None. InputError for a site without d_model columns
    or a layer that does not exist."""
    if site not in SITES:
        raise InputError(f"site={site!r}: choose one of {', '.join(SITES)}")
    model.require_site(site)
    last = model.shape.n_layers - 1
    if layer is not None and not 0 <= layer <= last:
        raise InputError(f"layer {layer} does not exist: {model.name} has layers 0 to {last}")
    return Place(site, last if layer is None else int(layer), role)


@dataclass(frozen=True)
class Answers:
    """The first choice and the logits of the wanted token at each answer role.

    said, wanted   int[n, roles], tokens
    logit          float[n, roles], logit of the wanted token
    """

    roles: tuple[str, ...]
    said: Ints
    wanted: Ints
    logit: Floats

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.said == self.wanted)


def answers(
    model: Model,
    batch: PromptBatch,
    place: Place | None = None,
    values: Floats | None = None,
    *,
    roles: tuple[str, ...] | None = None,
    memory: int = 2**30,
    cancel: Cancel | None = None,
) -> Answers:
    """First choices at the answer roles, with the activation at `place` replaced by `values`
    [n, d_model]. The wanted tokens are those that the prompts hold."""
    named = roles or tuple(role for role in batch.answer_roles_least_first if digits_in(role))
    if not named:
        raise InputError("these prompts hold no answer: make them with model.prompts(problems)")
    wanted = torch.stack([batch.labels(role) for role in named], dim=1)

    def reduce(logits: torch.Tensor, rows: slice) -> torch.Tensor:
        index = wanted[rows].clamp(min=0).to(logits.device)[..., None]
        own = logits.gather(-1, index)[..., 0]
        return torch.stack([logits.argmax(dim=-1).to(own.dtype), own], dim=-1)

    edits = []
    if place is not None and values is not None:
        new = torch.from_numpy(values)[:, None].to(model.dtype)
        edits = [
            Replace(
                place.site, Rows({place.layer: new}), layers=(place.layer,), roles=(place.role,)
            )
        ]
    found = run(
        model, batch, edits, logits=named, reduce=reduce, memory=memory, cancel=cancel
    ).logits
    assert found is not None
    said = found[..., 0].double().nan_to_num(-1).round().long().numpy()
    logit = as_array(found[..., 1])
    return Answers(named, said, wanted.numpy(), logit)
