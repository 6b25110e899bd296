"""What a stack needs beside the prompt itself: means, waves, probes and tables, each made once.

All are taken from one sample of prompts. `Prepared` keeps them, so that the explorer prepares once
and then runs many stacks; `interp.intervene` prepares and runs one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from interp.ablation.complete import interventions
from interp.ablation.places import Places
from interp.ablation.replacement_states import replacement_states, table_for
from interp.ablation.replacements import Replacement
from interp.ablation.schedule import Schedule
from interp.ablation.sink import Sink
from interp.engine._run import run
from interp.engine.edits import site_layers
from interp.engine.interventions import Add, Constant, Intervention, Project, Replace, Rows, Zero
from interp.engine.requests import Cancel, Progress, Read
from interp.errors import InputError, RoleError
from interp.geometry.causal import random_span
from interp.geometry.classes import as_array, class_means, classes_of
from interp.geometry.regular import wave_part, wave_span
from interp.geometry.spectra import check_frequencies
from interp.models.asking import Asked, prompts
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.stack.edits import Edit, Frequency, Head, Mlp, Probe, Wait, write_stack
from probes.causal_test import edit as step_of_probe
from probes.causal_test import random_edit, wanted_reading
from probes.counterfactual_answers import new_values
from probes.fitted import FittedProbe, fit

Floats = npt.NDArray[np.float64]
T = TypeVar("T")
_PROMPTS = 64
STREAM = "resid_post"  # where frequencies and probes act


class Waves(NamedTuple):
    """The class means' part on one frequency at one place.

    span      orthonormal rows [r, d] that the wave spans; r is 1 or 2
    centre    the mean of the class means [d]
    within    differences of activations from their class mean [n, d], for random spans
    share     the wave's share of the class means' variance
    """

    span: Floats
    centre: Floats
    within: Floats
    share: float


@dataclass(frozen=True, eq=False)
class Prepared:
    """A sample of prompts, and what stacks on any prompt of its task and format take from it."""

    model: Model
    batch: PromptBatch
    settings: dict[str, Any]
    seed: int
    memory: int
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    _recent: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @classmethod
    def of(
        cls,
        model: Model,
        asked: Asked,
        *,
        n: int,
        seed: int,
        format: str | None,
        held_out: bool,
        memory: int,
    ) -> Prepared:
        """The sample of `asked` (`interp.models.asking`). Raises InputError for prompts without
        answers."""
        batch, settings = prompts(model, asked, n=n, seed=seed, format=format, held_out=held_out)
        if not batch.answer_roles:
            raise InputError("these prompts hold no answer: make them with model.prompts(problems)")
        return cls(model, batch, settings, seed, memory)

    def make(
        self,
        stack: Sequence[Edit],
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Make what `stack` needs, one edit after another, and keep it. Raises as `Stack.compile`
        for layers, heads and sites that the model lacks."""
        for done, one in enumerate(stack):
            if cancel is not None:
                cancel.check()
            self.check(one)
            if isinstance(one, Head | Mlp) and one.by == "mean":
                self.means(_site(one), one.layer)
            if isinstance(one, Frequency):
                self.waves(one)
            if isinstance(one, Probe):
                self.probe(one, cancel)
            if progress is not None:
                progress(done + 1, len(stack))

    def check(self, one: Edit) -> None:
        """Raise InputError for a layer or head that the model lacks, SiteError for a site that it
        lacks or the self-check refused, ModelError where attention cannot be masked."""
        model = self.model
        if isinstance(one, Wait):
            Schedule(one.layers).check(model.shape.n_layers, model.shape.n_heads, model.name)
            return
        site_layers(model, _site(one), (one.layer,))
        if isinstance(one, Head) and not one.head < model.shape.n_heads:
            raise InputError(
                f"head {one.head} does not exist: {model.name} has heads 0 to "
                f"{model.shape.n_heads - 1}."
            )

    def means(self, site: str, layer: int) -> dict[str, torch.Tensor]:
        """Role → mean over the sample at that role, of the prompts that have it."""

        def made() -> dict[str, torch.Tensor]:
            roles = tuple(role for role in self.batch.input_roles if role != "last")
            read = [Read(site, (layer,), roles)]
            seen = run(self.model, self.batch, reads=read, logits=None, memory=self.memory)
            means = seen.activations[site, layer].double().nanmean(dim=0)
            return dict(zip(roles, means, strict=True))

        return self._once(("means", site, layer), made)

    def waves(self, one: Frequency) -> Waves:
        """The wave of a frequency. Raises InputError for a frequency that the numbers at its role
        do not have, a role that is no number, and numbers that the sample lacks."""

        def made() -> Waves:
            classes = classes_of(self.batch, one.role)
            check_frequencies(np.array([one.frequency]), classes.q)
            read = [Read(STREAM, (one.layer,), (one.role,))]
            seen = run(self.model, self.batch, reads=read, logits=None, memory=self.memory)
            activation = as_array(seen.activations[STREAM, one.layer][:, 0])
            means, _ = class_means(activation, classes)
            known = classes.values >= 0
            within = activation[known] - means[classes.values[known]]
            centred = means - means.mean(axis=0)
            part = wave_part(means, [one.frequency])
            share = float((part**2).sum() / max((centred**2).sum(), np.finfo(float).tiny))
            span = wave_span(means, [one.frequency])
            return Waves(span, means.mean(axis=0), within, share)

        return self._once(("waves", one), made)

    def probe(self, one: Probe, cancel: Cancel | None = None) -> FittedProbe:
        """The probe of a target at a place, fitted on the sample. Raises as `probes.fit`."""
        place = (one.target, one.layer, one.role)
        return self._once(
            ("probe", *place),
            lambda: fit(
                self.model, self.batch.problems, one.target, site=STREAM, layer=one.layer,
                role=one.role, seed=self.seed, format=self.batch.format, memory=self.memory,
                cancel=cancel,
            ),
        )  # fmt: skip

    def stream(self, one: Probe) -> Floats:
        """The sample's activations [n, d] where a probe reads, for random steps like its own."""
        fitted = self.probe(one)
        return self._once(
            ("stream", one.layer, one.role),
            lambda: fitted.activations(self.model, self.batch, memory=self.memory).astype(float),
        )

    def waiting(self, one: PromptBatch, wait: int, known: bool) -> tuple[Intervention, ...]:
        """The interventions of a wait on one prompt; `known`: its answer tokens are the right
        ones, which the table has seen."""
        key = ("wait", wait, known, one.layout_of.tolist()[0], *one.tokens[0].tolist())
        return self.of_prompt(key, lambda: self._waiting(one, wait, known))

    def _waiting(self, one: PromptBatch, wait: int, known: bool) -> tuple[Intervention, ...]:
        model, places = self.model, Places.of(one)
        if wait == 0:
            return ()
        what = Replacement("cama", seed=self.seed)
        lengths = one.problems.lengths == np.array(one.problems.task.operand_digits)
        table = self._once(
            ("table", bool(lengths.all())),
            lambda: table_for(model, places, what, memory=self.memory),
        )
        states = replacement_states(
            model, places, what, Sink.of(model, places), table=table, known=known,
            memory=self.memory,
        )  # fmt: skip
        return interventions(model, places, Schedule(wait), states)

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """Something else made once for this sample."""
        return self._once(("other", key), make)

    def of_prompt(self, key: Hashable, make: Callable[[], T]) -> T:
        """Something made of one prompt, kept until `_PROMPTS` others were."""
        with self._lock:
            if key not in self._recent:
                self._recent[key] = make()
            self._recent[key] = found = self._recent.pop(key)
            while len(self._recent) > _PROMPTS:
                del self._recent[next(iter(self._recent))]
        return found

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            found: T = self._kept[key]
        return found


@dataclass(frozen=True)
class Stack:
    """Edits with a sample: compiles to the engine's interventions on one prompt.

    `draw` is None for the stack itself; a number draws a control, in which each head or MLP is
    another one of the model, and each wave or step has as many random directions and its length.
    """

    prepared: Prepared
    edits: tuple[Edit, ...]
    draw: int | None = None

    def controls(self, count: int) -> list[Stack]:
        """Up to `count` random stacks, none of them twice; none for a stack of waits alone, which
        have no random counterpart."""
        drawn = [replace(self, draw=i + 1) for i in range(count)]
        if any(isinstance(one, Frequency | Probe) for one in self.edits):
            return drawn  # each has directions of its own
        found = {stack.drawn: stack for stack in drawn if stack.drawn != self.edits}
        return list(found.values())

    def others(self, one: Edit) -> list[Edit]:
        """The edits of other heads, or of other layers' MLPs, that may stand in for this one."""
        shape, taken = self.prepared.model.shape, set(self.edits)
        if isinstance(one, Head):
            places = [(la, h) for la in range(shape.n_layers) for h in range(shape.n_heads)]
            named = {(x.layer, x.head) for x in taken if isinstance(x, Head)}
            return [replace(one, layer=la, head=h) for la, h in places if (la, h) not in named]
        if isinstance(one, Mlp):
            at = {x.layer for x in taken if isinstance(x, Mlp)}
            return [replace(one, layer=la) for la in range(shape.n_layers) if la not in at]
        return []

    def __str__(self) -> str:
        return write_stack(self.drawn)

    @cached_property
    def drawn(self) -> tuple[Edit, ...]:
        """The edits, each head and MLP of a control replaced by a drawn one."""
        if self.draw is None:
            return self.edits
        rng = self._rng(0)
        found: list[Edit] = []
        for one in self.edits:
            free = [other for other in self.others(one) if other not in found]
            found.append(free[int(rng.integers(len(free)))] if free else one)
        return tuple(found)

    def compile(self, one: PromptBatch, *, known: bool = True) -> tuple[Intervention, ...]:
        """The engine's interventions on a batch of one prompt; `known`: as in `Prepared.waiting`.

        Raises:
            RoleError: for a role that the prompt lacks.
            InputError, SiteError, ModelError: as `Prepared.check`.
        """
        found: list[Intervention] = []
        ordered = sorted(enumerate(self.drawn), key=lambda x: _order(x[1]))
        for number, edit in ordered:
            self.prepared.check(edit)
            if isinstance(edit, Head | Mlp):
                found.append(self._off(one, edit))
            elif isinstance(edit, Wait):
                found += self.prepared.waiting(one, edit.layers, known)
            elif isinstance(edit, Frequency):
                found += self._without(edit, number)
            else:
                found.append(self._moved(one, edit, found, number))
        return tuple(found)

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng((self.prepared.seed, self.draw or 0, number))

    def _off(self, one: PromptBatch, edit: Head | Mlp) -> Intervention:
        site, heads = _site(edit), (edit.head,) if isinstance(edit, Head) else None
        roles = None if edit.role is None else (edit.role,)
        if edit.role is not None:
            one.position_array(edit.role)
        if edit.by == "zero":
            return Replace(site, Zero(), layers=(edit.layer,), roles=roles, heads=heads)
        places = roles or tuple(role for role in one.input_roles if role != "last")
        means = self.prepared.means(site, edit.layer)
        named = [str(one.roles_at(role)[0]) for role in places]
        if missing := [role for role in named if role not in means]:
            raise RoleError(
                f"no mean at {missing[0]!r}: not every prompt of the sample has that token. Use "
                f"'zero', or a format of fixed width"
            )
        values = torch.stack([means[role] for role in named])[None].to(self.prepared.model.dtype)
        source = Rows({edit.layer: values})
        return Replace(site, source, layers=(edit.layer,), roles=places, heads=heads)

    def _without(self, edit: Frequency, number: int) -> list[Intervention]:
        waves = self.prepared.waves(edit)
        span = waves.span
        if self.draw is not None:
            span = random_span(waves.within, len(span), self._rng(1 + number))
        dtype = self.prepared.model.dtype
        return [
            Project(
                STREAM, Constant(torch.from_numpy(row).to(dtype)), float(row @ waves.centre),
                layers=(edit.layer,), roles=(edit.role,),
            )
            for row in span
        ]  # fmt: skip

    def _moved(
        self, one: PromptBatch, edit: Probe, others: Sequence[Intervention], number: int
    ) -> Intervention:
        prepared, fitted = self.prepared, self.prepared.probe(edit)
        own = fitted.target.values(one.problems)
        new, _ = new_values(one.problems, fitted.target, own, edit.value, "", prepared.seed)
        read = [Read(STREAM, (edit.layer,), (edit.role,))]
        seen = run(prepared.model, one, others, reads=read, logits=None, memory=prepared.memory)
        reading = fitted.reading(as_array(seen.activations[STREAM, edit.layer][:, 0]))
        wanted = wanted_reading(fitted, reading, new)
        delta = step_of_probe(fitted, reading, wanted, "pattern")
        if self.draw is not None:
            delta = random_edit(delta, self._rng(1 + number), prepared.stream(edit))
        values = torch.from_numpy(delta)[:, None].to(prepared.model.dtype)
        return Add(STREAM, Rows({edit.layer: values}), layers=(edit.layer,), roles=(edit.role,))


def detail(prepared: Prepared, one: Edit) -> str:
    """What the edit rests on, in a phrase: "mean of 512 prompts", the probe's score, …"""
    if isinstance(one, Head | Mlp):
        return "zeros" if one.by == "zero" else f"mean of {len(prepared.batch):,} prompts"
    if isinstance(one, Wait):
        return "means over prompts with the same token (CAMA)"
    if isinstance(one, Frequency):
        waves = prepared.waves(one)
        return f"{waves.share:.1%} of the variance of the numbers' means"
    fitted = prepared.probe(one)
    kind = "accuracy" if fitted.target.kind == "class" else "R²"
    return (
        f"probe's {kind} {fitted.score:.3f} on held-out rows (constant {fitted.constant:.3f}, "
        f"from the digits alone {fitted.one_hot:.3f})"
    )


def _order(one: Edit) -> tuple[int, int, str]:
    """Edits of one place act in this order, in whatever order the stack lists them: waiting first,
    and each probe after all edits that can change what it reads."""
    kinds = (Wait, Head, Mlp, Frequency, Probe)
    return kinds.index(type(one)), getattr(one, "layer", 0), str(one)


def _site(one: Edit) -> str:
    return {Head: "z", Mlp: "mlp_out"}.get(type(one), STREAM)
