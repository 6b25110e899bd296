"""A fitted probe, bound to its model, hook, role and format.

A probe fitted on one model and scored on another's activations measures nothing, yet has been
published as a finding. A FittedProbe therefore rejects activations of any other source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from interp.arithmetic.problems import Problems
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.models.asking import Asked, drawn_for
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.results.identity import ModelId
from probes.activations import Hook, extracted, hooks
from probes.cell_scores import shown_values
from probes.design import Scheme, check_known, designs, judged
from probes.estimators.linear_map import LinearMap
from probes.estimators.softmax_maps import SoftmaxMaps
from probes.fitting import constants, fit_design
from probes.places import bos_tokens, check_places, positions
from probes.references import references
from probes.scores import score
from probes.splits import Split, each_once, split_settings
from probes.targets import Target, resolve

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedProbe:
    """A linear map that reads `target` from `hook` at `role`.

    model, hook, role, format   the source of its activations, with the task of `held_out`
    bos        the token ids that the prompts began with
    map        the linear map of the activation [d]
    pattern    [outputs, d], the step that the training rows take with the reading, (WᵀΣW)⁺·WᵀΣ
    typical    the mean reading of each class's training rows
    score      R² or accuracy on `held_out`, problems that it was not fitted on
    constant, one_hot, shown   baseline scores on the same problems, without a model: the training
               mean or majority; a probe of the one-hot operand digits seen by then; and of these
               with the printed answer and every other varying token. Both determine operand digits
    settings   how it was fitted, as JSON values
    """

    model: ModelId
    hook: Hook
    role: str
    format: str
    bos: tuple[int, ...]
    target: Target
    map: LinearMap | SoftmaxMaps
    pattern: Floats
    typical: Mapping[float, Floats] = field(repr=False)
    score: float
    constant: float
    one_hot: float
    shown: float
    held_out: Problems
    settings: Mapping[str, Any] = field(repr=False)

    def predict(self, model: Model, problems: Problems, *, memory: int = 2**30) -> Floats:
        """Predicted value of the target for each problem, [n], read from `model`.

        Raises InputError for another model or task, and RoleError for prompts without the role.
        """
        X = self.activations(model, self.prompts(model, problems), memory=memory)
        said = shown_values(self.target, np.asarray(self.map.predict(X), dtype=np.float64))
        return said.astype(np.float64)

    def prompts(self, model: Model, problems: Problems) -> PromptBatch:
        """Prompts of the problems in the probe's format.

        Raises InputError for another model or task, or a model whose prompts begin with other
        tokens.
        """
        if model.hash != self.model.hash:
            raise InputError(
                f"this probe was fitted on {self.model.name} ({self.model.hash[:12]}), not on "
                f"{model.name} ({model.hash[:12]}): fit one on that model"
            )
        batch = model.prompts(problems, format=self.format)
        self._check(batch)
        return batch

    def activations(
        self, model: Model, batch: PromptBatch, *, memory: int = 2**30, cancel: Cancel | None = None
    ) -> npt.NDArray[np.float32]:
        """Activations [n, d] at the probe's hook and role.

        Raises InputError for prompts of another model, task or format, or that begin with other
        tokens, or where a row lacks the role.
        """
        if batch.model.hash != self.model.hash or model.hash != self.model.hash:
            raise InputError(f"these prompts were not made for {self.model.name}: fit a new probe")
        self._check(batch)
        if (positions(batch, self.role) < 0).any():
            raise InputError(f"some prompts lack {self.role}: leave them out")
        with extracted(
            model, batch, [self.hook], [self.role], memory=memory, cancel=cancel
        ) as found:
            return np.array(found.at(self.hook, self.role))

    def _check(self, batch: PromptBatch) -> None:
        """Raise InputError if the prompts' task, format or first tokens are not the probe's."""
        task, own = batch.problems.task.name, self.held_out.task.name
        if task != own:
            raise InputError(
                f"this probe was fitted on {own}, not {task}, where roles stand elsewhere: "
                "fit one on that task"
            )
        if batch.format != self.format:
            raise InputError(
                f"this probe was fitted on prompts in {self.format!r}, not {batch.format!r}: fit "
                "one in that format"
            )
        if bos_tokens(batch) != self.bos:
            raise InputError(
                f"this probe was fitted on prompts that begin with the tokens {list(self.bos)}, "
                f"not {list(bos_tokens(batch))}: take the model as it was then, or fit one on "
                "those prompts"
            )

    def reading(self, X: npt.NDArray[np.floating]) -> Floats:
        """Outputs of the map for activations [n, d].

        Shape [n, 1], for an angle its points [n, 2], for classes their logits [n, classes] minus
        the mean, to which softmax is invariant.
        """
        return _read(self.map, X)

    @property
    def weights(self) -> Floats:
        """Weights [d, outputs] of `reading`."""
        return _weights(self.map)

    @property
    def directions(self) -> Floats:
        """Orthonormal basis [k, d] of the subspace that the probe reads."""
        _, sizes, rows = np.linalg.svd(self.weights.T, full_matrices=False)
        return np.asarray(rows[sizes > 1e-6 * sizes[0]])


@shows_progress
def fit(
    model: Model,
    asked: Asked,
    target: str | Target,
    *,
    site: str,
    layer: int,
    role: str,
    head: int | None = None,
    n: int = 2000,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    split: str | Split = "operand",
    test: float = 0.25,
    folds: int = 5,
    memory: int = 2**30,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> FittedProbe:
    """Fit the probe of one cell of a sweep, with the same rows held out.

    Arguments as `probes.probe`. Raises InputError and RoleError as it does, and InputError for
    constant activations.
    """
    drawn, format, sampled = drawn_for(model, asked, n, seed, format, held_out)
    batch = model.prompts(each_once(drawn, split), format=format)
    (place,) = check_places(batch, [role])
    (wanted,) = resolve(batch.problems.task, [target])
    check_known(batch, [place], [wanted])
    (hook,) = hooks(model, [site], [layer], None if head is None else [head])[:1]
    if site == "z" and head is None:
        raise InputError("the site 'z' has heads: say which, head=0")
    possible = designs(batch, place, [wanted], Scheme(split, test, folds, seed, ()))
    judged(batch.problems, [wanted], [possible], {})
    (design,) = possible
    with extracted(model, batch, [hook], [place], memory=memory, cancel=cancel) as found:
        (probe,) = fit_design(found.at(hook, place), design, memory=memory)
        train = np.asarray(found.at(hook, place)[design.split.train], dtype=np.float64)
    if probe.map is None:
        raise InputError(f"the activations of {site} {layer} at {role} are all alike: read later")
    if progress is not None:
        progress(1, 1)
    settings = {
        **sampled, "site": site, "layer": layer, "role": role,
        "head": head, "seed": seed, "format": batch.format, "test": test, "folds": folds,
        **split_settings(split),
    }  # fmt: skip
    known = design.values[design.split.train, 0]
    (against,) = references(batch, possible, None, memory)
    said = {"score": probe, "one_hot": against.one_hot[0], "shown": against.shown[0]}
    true = design.test_values[:, 0]
    scores = {name: score(wanted, true, found.predicted) for name, found in said.items()}
    always, _ = constants(design, 0)
    return FittedProbe(
        model=model.id, hook=hook, role=place, format=batch.format, bos=bos_tokens(batch),
        target=wanted, map=probe.map, pattern=_pattern(probe.map, train),
        typical=_typical(wanted, probe.map, train, known), **scores,
        constant=score(wanted, true, always), held_out=batch.problems[design.split.test],
        settings=settings,
    )  # fmt: skip


def _weights(fitted: LinearMap | SoftmaxMaps) -> Floats:
    if isinstance(fitted, SoftmaxMaps):
        return np.asarray((fitted.coef[0] - fitted.coef[0].mean(axis=0)).T)
    return fitted.coef


def _read(fitted: LinearMap | SoftmaxMaps, X: npt.NDArray[np.floating]) -> Floats:
    offset = fitted.intercept
    if isinstance(fitted, SoftmaxMaps):
        offset = offset[0] - offset[0].mean()
    return np.asarray(X @ _weights(fitted) + offset, dtype=np.float64)


def _pattern(fitted: LinearMap | SoftmaxMaps, X: Floats) -> Floats:
    W, centred = _weights(fitted), X - X.mean(axis=0)
    moved = (centred @ W).T @ centred / len(X)  # WᵀΣ
    return np.asarray(np.linalg.pinv(moved @ W, rcond=1e-6, hermitian=True) @ moved)


def _typical(
    target: Target, fitted: LinearMap | SoftmaxMaps, X: Floats, values: Floats
) -> dict[float, Floats]:
    if target.kind != "class":
        return {}
    reading = _read(fitted, X)
    return {float(v): reading[values == v].mean(axis=0) for v in np.unique(values)}
