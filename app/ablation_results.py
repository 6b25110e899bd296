"""The Ablation page's library calls, cached as those in `app.results` are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

import interp
from app import jobs, results
from app.sample import problems
from app.study import Study
from interp.ablation.replacements import Given
from interp.ablation.schedule import Schedule

if TYPE_CHECKING:
    from interp.ablation.results.af1 import AllForOne
    from interp.ablation.results.cama import CamaTable
    from interp.ablation.results.compare import AblationComparison
    from interp.ablation.results.evaluate import AblationScore
    from interp.ablation.results.grid import AblationGrid
    from interp.ablation.results.removal import LayerRemoval
    from interp.ablation.results.transfer import AblationTransfer


@dataclass(frozen=True)
class Drawn:
    """What the sliders draw, as plain values: the key of everything computed from it.

    `wait` and `width` count layers, `start` is the index of the first that transfers; `computes`
    says whether the layers in neither are cut to self and sink, or left as they are.
    """

    wait: int
    start: int
    width: int
    mask: str
    computes: bool
    replacement: str
    sink: str

    def schedule(self, n_layers: int) -> Schedule:
        """The library's schedule."""
        transfer = tuple(range(self.start, self.start + self.width))
        behind = range(self.wait, n_layers) if self.computes else ()
        compute = tuple(layer for layer in behind if layer not in transfer)
        return Schedule(self.wait, transfer, compute, transfer_mask=self.mask)


def score(study: Study, drawn: Drawn) -> AblationScore:
    """What the schedule drawn keeps of the answers."""
    label = f"Ablating {_asked(study)}"
    return jobs.run(("ablation", study, drawn), label, lambda: _score(study, drawn))


def grid(study: Study, replacement: str, sink: str, mask: str) -> AblationGrid:
    """Every wait with every width of transfer."""
    label = f"Every wait and width on {_asked(study)}"
    key = ("ablation grid", study, replacement, sink, mask)
    return jobs.run(key, label, lambda: _grid(study, replacement, sink, mask))


def removal(study: Study, drawn: Drawn) -> LayerRemoval:
    """One layer's transfer cut at a time, in the full model and in the schedule drawn."""
    label = f"Cutting one layer at a time on {_asked(study)}"
    return jobs.run(("ablation removal", study, drawn), label, lambda: _removal(study, drawn))


def search(study: Study, target: float, replacement: str, sink: str, mask: str) -> AllForOne:
    """The sparsest schedule that keeps the target, if there is one."""
    label = f"Searching the sparsest schedule on {_asked(study)}"
    key = ("ablation search", study, target, replacement, sink, mask)
    return jobs.run(key, label, lambda: _search(study, target, replacement, sink, mask))


def comparison(
    study: Study,
    drawn: Drawn | None,
    sink: str,
    replacements: tuple[str, ...],
    masks: tuple[str, ...],
) -> AblationComparison:
    """The schedule drawn under each replacement and mask; None: a search under each."""
    label = f"{len(replacements)} replacements and {len(masks)} masks on {_asked(study)}"
    key = ("ablation comparison", study, drawn, sink, replacements, masks)
    return jobs.run(key, label, lambda: _comparison(study, drawn, sink, replacements, masks))


def transfer(study: Study, drawn: Drawn, formats: tuple[str, ...]) -> AblationTransfer:
    """The schedule drawn, on the same problems in other formats."""
    label = f"The schedule in {len(formats)} formats"
    key = ("ablation transfer", study, drawn, formats)
    return jobs.run(key, label, lambda: _transfer(study, drawn, formats))


def table(study: Study, given: Given) -> CamaTable:
    """What a token's own key says of its state."""
    label = f"What tokens know in {study.task}"
    return jobs.run(("ablation table", study, given), label, lambda: _table(study, given))


def _asked(study: Study) -> str:
    count = min(study.n, interp.task(study.task).n_problems)
    return f"{count:,} problems of {study.task}"


@st.cache_data(max_entries=64, show_spinner=False)
def _score(study: Study, drawn: Drawn) -> AblationScore:
    job, model = jobs.current(), results.loaded(study)
    return interp.ablation.evaluate(
        model,
        results.batch(study),
        drawn.schedule(model.shape.n_layers),
        replacement=drawn.replacement,
        sink=drawn.sink,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _grid(study: Study, replacement: str, sink: str, mask: str) -> AblationGrid:
    job = jobs.current()
    return interp.ablation.grid(
        results.loaded(study),
        results.batch(study),
        replacement=replacement,
        sink=sink,
        transfer_mask=mask,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _removal(study: Study, drawn: Drawn) -> LayerRemoval:
    job, model = jobs.current(), results.loaded(study)
    return interp.ablation.removal(
        model,
        results.batch(study),
        drawn.schedule(model.shape.n_layers),
        replacement=drawn.replacement,
        sink=drawn.sink,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _search(study: Study, target: float, replacement: str, sink: str, mask: str) -> AllForOne:
    job = jobs.current()
    return interp.ablation.af1(
        results.loaded(study),
        results.batch(study),
        target=target,
        replacement=replacement,
        sink=sink,
        transfer_mask=mask,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _comparison(
    study: Study,
    drawn: Drawn | None,
    sink: str,
    replacements: tuple[str, ...],
    masks: tuple[str, ...],
) -> AblationComparison:
    job, model = jobs.current(), results.loaded(study)
    return interp.ablation.compare(
        model,
        results.batch(study),
        None if drawn is None else drawn.schedule(model.shape.n_layers),
        replacements=replacements,
        masks=masks,
        sink=sink,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _transfer(study: Study, drawn: Drawn, formats: tuple[str, ...]) -> AblationTransfer:
    job, model = jobs.current(), results.loaded(study)
    sample = problems(study.task, study.n, seed=study.seed)
    return interp.ablation.transfer(
        model,
        drawn.schedule(model.shape.n_layers),
        {name: model.prompts(sample, format=name) for name in formats},
        replacement=drawn.replacement,
        sink=drawn.sink,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _table(study: Study, given: Given) -> CamaTable:
    job = jobs.current()
    return interp.ablation.cama(
        results.loaded(study),
        study.task,
        format=study.format,
        given=given,
        n=study.n,
        seed=study.seed,
        progress=job.progress,
        cancel=job.cancel,
    )
