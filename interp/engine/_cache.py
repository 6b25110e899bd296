"""Activations with named axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from interp.engine._run import DEFAULT_MEMORY, run
from interp.engine.edits import HEAD_SITES, NO_LAYER
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress, Read
from interp.errors import InputError
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch


@dataclass(frozen=True, eq=False)
class Activations:
    """The activations of one site, NaN where a prompt lacks a role.

    values  [prompt, layer, role, …, feature] on the CPU, with an axis `head` before the last where
            the site has heads (of a pattern the last axis is `key`, a position)
    axes    the name of each axis and its labels
    batch   the prompts, in the order of the first axis
    """

    site: str
    values: torch.Tensor
    axes: Mapping[str, tuple[int | str, ...]]
    batch: PromptBatch

    def at(self, **chosen: int | str) -> torch.Tensor:
        """Values at one label of some axes, `at(layer=1, role="c2")`, without those axes.

        Raises InputError for an unknown axis or label.
        """
        index: list[int | slice] = [slice(None)] * len(self.axes)
        for name, label in chosen.items():
            if name not in self.axes:
                raise InputError(f"there is no axis {name!r}: {', '.join(self.axes)}")
            labels = self.axes[name]
            if label not in labels:
                known = ", ".join(map(str, labels[:12])) + (" …" if len(labels) > 12 else "")
                raise InputError(f"the axis {name!r} has no {label!r}: {known}")
            index[list(self.axes).index(name)] = labels.index(label)
        return self.values[tuple(index)]

    def __repr__(self) -> str:
        sizes = " × ".join(f"{name} {len(labels)}" for name, labels in self.axes.items())
        return f"Activations({self.site!r} of {self.batch.model.name}, {sizes})"


@shows_progress
def cache(
    model: Model,
    asked: Asked,
    site: str = "resid_post",
    *,
    layers: int | Sequence[int] | None = None,
    roles: str | Sequence[str] | None = None,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    memory: int = DEFAULT_MEMORY,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> Activations:
    """Activations of a site at some layers and roles, one row per prompt.

    Args:
        asked: a task's name, a Task, Problems or a PromptBatch.
        site: "resid_post", "z", "pattern", … (`model.usable_sites`).
        layers: None means all; `ln_final` has the one layer -1.
        roles: "c2" for the token itself, "predicts(c2)" for the position before it; None means
            every role that the model reads.
        n, seed, held_out: sampling of a task's problems (`interp.models.asking`).
        format: prompt format; None means the model's default.
        memory, cancel, progress: as in `engine.run`.

    Raises InputError, SiteError and RoleError as `engine.run`.

    >>> import interp
    >>> model = interp.load("add5")
    >>> interp.cache(model, "add:5", "resid_post", roles="predicts(c2)", n=4)
    Activations('resid_post' of add5, prompt 4 × layer 2 × role 1 × feature 128)
    """
    batch, _ = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
    places = selection("roles", roles) or batch.input_roles
    read = Read(site, None if layers is None else layers, places)  # type: ignore[arg-type]
    found = run(
        model, batch, reads=[read], logits=None, memory=memory, cancel=cancel, progress=progress
    ).activations
    order = sorted(layer for _, layer in found)
    if read.layers is not None and order != [NO_LAYER]:
        order = list(dict.fromkeys(read.layers))
    values = torch.stack([found[site, layer] for layer in order], dim=1)
    axes: dict[str, tuple[int | str, ...]] = {
        "prompt": tuple(range(len(batch))), "layer": tuple(order), "role": tuple(places),
    }  # fmt: skip
    if site in HEAD_SITES:
        axes["head"] = tuple(range(values.shape[3]))
    axes["key" if site == "pattern" else "feature"] = tuple(range(values.shape[-1]))
    return Activations(site, values, axes, batch)
