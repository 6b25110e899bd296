"""Probe every target at every site, layer, head and role, with all controls, in one pass.

one pass of the model  →  activations in memory or on disk  →  a factorisation a site and role
→  every target, fold, penalty and wrong label at once      →  scores on held-out prompts
"""

from collections.abc import Sequence
from pathlib import Path

from interp.arithmetic.problems import Problems
from interp.engine.interventions import selection
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.models.asking import Asked, drawn_for
from interp.models.model import Model
from probes.activations import Hook, hooks
from probes.assemble import assemble
from probes.design import (
    WRONG_LABELS,
    LeftOut,
    Scheme,
    check_known,
    designs,
    judged,
    varying,
)
from probes.places import check_places, default_places
from probes.results.sweep import ProbeSweep
from probes.splits import Split, each_once, split_settings, turns_setting
from probes.study import Study, measure
from probes.targets import Target, computed, resolve

CONTROLS = ("embedding", "untrained", *WRONG_LABELS)
BACKENDS = ("threading", "loky", "multiprocessing")


@shows_progress
def probe(
    model: Model,
    asked: Asked,
    *,
    targets: Sequence[str | Target] | None = None,
    sites: Sequence[str] = ("resid_post",),
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    roles: str | Sequence[str] | None = None,
    n: int = 2000,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    split: str | Split = "operand",
    test: float = 0.25,
    folds: int = 5,
    turns: int = 1,
    controls: Sequence[str] = CONTROLS,
    memory: int = 2**30,
    store: str | Path | None = None,
    resume: str | Path | None = None,
    shard: tuple[int, int] | None = None,
    jobs: int = -1,
    backend: str = "threading",
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> ProbeSweep:
    """Fit linear probes at every site, and score them beside probes of the question alone.

    Args:
        asked: a task's name, a Task, Problems or a PromptBatch; of prompts the problems and the
            format count.
        n, seed, held_out: how problems of a task are drawn (`interp.models.asking`).
        targets: names (`probes.target_names(task)`) or Targets; None means the computed columns.
        sites: of resid_pre, resid_mid, resid_post, attn_out, mlp_out, z (head by head), mlp_post.
        roles: "c2" for the token itself, "predicts(c2)" for the position before it; None means
            the prompt's end and every answer digit.
        split, test, folds: as `probes.split`.
        turns: how often a share `test` is held out, each time of other values: 4 with test=0.25
            holds out every value once. Scores and intervals are over the held-out rows of all
            turns; a turn is a fit of its own.
        controls: of "embedding", "untrained" (a second model and pass), "shuffled",
            "control_task"; what cannot be measured is NaN, with its reason in `unmeasured`.
        memory: bytes that activations may take; beyond two thirds of it they go to files in
            `store` (or a temporary folder). Fitting takes that of one site and role a job besides,
            with no more jobs than `memory` has room for; the model's passes a sixteenth or 16 MiB.
        resume: a folder in which finished hooks are kept and found again.
        shard: (i, of): only every of-th hook, from the i-th; `probes.merge` joins the shards.
        jobs, backend: joblib's, over hooks: -1 is one a core; "threading", "loky" or
            "multiprocessing". The numbers are the same to rounding.

    Returns:
        The sweep; a target is skipped at roles before its digits are seen. A target that the
        prompts with a role cannot judge (a digit that has one value in one prompt only) is left
        out there, with the reason in `left_out`; the others go on.

    Does not show: whether the model uses what a probe reads (`probes.intervene`).

    Raises:
        InputError: for a constant target, prompts that can judge no target, NaN activations, more
            features than memory allows, and unknown names; RoleError for a target that none of the
            roles can know; SiteError for a site that the model lacks.
    """
    if unknown := set(controls) - set(CONTROLS):
        raise InputError(f"unknown control {min(unknown)!r}: choose from {', '.join(CONTROLS)}")
    if backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r}: choose from {', '.join(BACKENDS)}")
    drawn, format, sampled = drawn_for(model, asked, n, seed, format, held_out)
    problems = each_once(drawn, split)
    batch = model.prompts(problems, format=format)
    roles = selection("roles", roles)
    places = check_places(batch, default_places(batch) if roles is None else roles)
    wanted = _targets(problems, targets)
    check_known(batch, places, wanted)
    wrong = tuple(name for name in WRONG_LABELS if name in controls)
    scheme = Scheme(split, test, folds, seed, wrong, turns)
    left_out: LeftOut = {}
    every = {place: designs(batch, place, wanted, scheme, left_out) for place in places}
    probed = judged(problems, wanted, list(every.values()), left_out)
    study = Study(
        model, batch, tuple(p for p in places if every[p]), probed,
        _shard(hooks(model, sites, layers, heads), shard), every, tuple(controls), seed, memory,
        None if store is None else Path(store), jobs, backend,
    )  # fmt: skip
    settings = {
        **sampled,
        "targets": None if targets is None else [t.spec(problems.task) for t in wanted],
        "sites": list(sites), "layers": None if layers is None else list(layers),
        "heads": None if heads is None else list(heads),
        "roles": None if roles is None else list(roles), "format": batch.format,
        **split_settings(split), "test": test, "folds": folds, "controls": list(controls),
        "shard": None if shard is None else list(shard),
    } | turns_setting(turns) | ({"left_out": left_out} if left_out else {})  # fmt: skip
    folder = None if resume is None else Path(resume)
    found = measure(study, folder, settings, progress, cancel)
    return assemble(study, found, settings)


def _targets(asked: Problems, targets: Sequence[str | Target] | None) -> tuple[Target, ...]:
    if targets is not None:
        return resolve(asked.task, targets)
    found = varying(asked, resolve(asked.task, computed(asked.task)))
    if not found:
        raise InputError(f"no computed column of {asked.task.name} varies in these problems")
    return found


def _shard(found: tuple[Hook, ...], shard: tuple[int, int] | None) -> tuple[Hook, ...]:
    if shard is None:
        return found
    number, of = shard
    if not 0 <= number < of or number >= len(found):
        raise InputError(
            f"shard {number} of {of} does not exist: shards go from 0, and there are {len(found)} "
            "hooks to share out"
        )
    return found[number::of]
