"""Phases of learning modular addition, over a checkpoint series.

With the key frequencies of the finished model, at every checkpoint: loss on training pairs and on
the others, restricted and excluded loss, Gini coefficients of the Fourier components of W_E and
W_L, neurons at one frequency, and the sum of squared weights (Nanda et al., arXiv 2301.05217,
Fig. 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors.torch import load_file

from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError, ModelError
from interp.geometry import losses
from interp.geometry._modular import (
    ONE_FREQUENCY,
    Choices,
    Keys,
    card_mask,
    checked_keys,
    direct_map,
    rules_of,
)
from interp.geometry.key_frequencies import keys_of, wave_cosines
from interp.geometry.losses import Precision
from interp.geometry.pairs import Grid, grid_of, layer_of, modulus_of, run_pairs
from interp.geometry.results.phases import ModularPhases
from interp.geometry.spectra import clusters, dft
from interp.models.fixtures import fixture_folder
from interp.models.loading import load_model
from interp.models.model import Model

Floats = npt.NDArray[np.float64]


@shows_progress
def phases(
    model: Model,
    *,
    modulus: int | None = None,
    layer: int | None = None,
    keys: Keys = "logits",
    train: npt.NDArray[Any] | None = None,
    precision: Precision = "float64",
    steps: Sequence[int] | None = None,
    seed: int = 0,
    format: str | None = None,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> ModularPhases:
    """Losses and Fourier measures by training step, with the finished model's key frequencies.

    Args:
        modulus, layer, keys, train, precision, format: as in `interp.geometry.modular`.
        steps: checkpoints; None means all of the series.
        memory, cancel, progress: as in `engine.run`; progress counts checkpoints.

    Does not show: what causes a phase, or that another seed has the same one.

    Raises:
        ModelError: for a model without a checkpoint series.
        InputError: where no training pairs are known, for an unknown step, and as `modular`.
    """
    p = modulus_of(model, modulus)
    mask = losses.split_mask(train, p) if train is not None else card_mask(model, p)
    if mask is None:
        raise InputError(
            f"the card of {model.name} does not say which pairs it was trained on: give "
            "train=mask [p, p]"
        )
    folders = checkpoints(model, steps)
    chosen = Choices(checked_keys(keys, p), mask, None, None, "together", precision)
    grid = grid_of(model, p, format)
    final = _final_keys(model, grid, layer, chosen.keys, memory, cancel)
    if not final:
        raise InputError(
            f"{model.name} has no key frequency under the rule {keys!r}: name some, keys=(…)"
        )
    rows = []
    for done, (step, folder) in enumerate(folders.items()):
        if cancel is not None:
            cancel.check()
        at = load_model(str(folder))
        rows.append({"step": step, **_measured(at, grid, layer, final, chosen, memory, cancel)})
        rows[-1]["squared_weights"] = _squared_weights(folder)
        if progress is not None:
            progress(done + 1, len(folders))
    return ModularPhases(
        model=model.id,
        task=f"mod:{p}",
        n=p * p,
        n_distinct=p * p,
        seed=seed,
        settings={
            "modulus": p,
            "layer": layer_of(model, layer),
            "keys": keys if isinstance(keys, str) else list(final),
            "train": "given" if train is not None else "card",
            "precision": precision,
            "steps": None if steps is None else list(steps),
            "format": grid.batch.format,
            "starting_with": model.tokens.start,
        },
        keys=final,
        steps=pd.DataFrame(rows),
    )


def _final_keys(
    model: Model, grid: Grid, layer: int | None, keys: Keys, memory: int, cancel: Cancel | None
) -> tuple[int, ...]:
    """The named frequencies, or those that the rule keeps in the finished model."""
    if not isinstance(keys, str):
        return tuple(keys)
    last = run_pairs(model, grid, layer, memory=memory, cancel=cancel)
    return keys_of(rules_of(last, direct_map(model, last, memory, cancel)), keys)


def checkpoints(model: Model, steps: Sequence[int] | None = None) -> dict[int, Path]:
    """Step → folder of the checkpoints of a shipped model or trained folder, ascending."""
    path = fixture_folder(model.name) or Path(model.name).expanduser()
    found = {
        int(folder.name.partition("-")[2]): folder
        for folder in sorted(path.glob("series/step-*"))
        if (folder / "model.safetensors").is_file()
    }
    if not found:
        raise ModelError(
            f"{model.name} has no checkpoint series (folder series/step-…). Use mod113, or train "
            "with --set series=[0,100,1000]"
        )
    if steps is None:
        return found
    if unknown := [step for step in steps if step not in found]:
        known = ", ".join(map(str, found))
        raise InputError(f"no checkpoint of {model.name} at step {unknown[0]}; there are {known}")
    return {int(step): found[step] for step in sorted(set(steps))}


def gini(norms: npt.ArrayLike) -> float:
    """Gini coefficient of non-negative numbers: 0 for equal ones, near 1 for a single one."""
    x = np.sort(np.asarray(norms, dtype=float).ravel())
    if x.size == 0 or x.sum() == 0:
        return float("nan")
    rank = np.arange(1, x.size + 1)
    return float((2 * rank - x.size - 1) @ x / (x.size * x.sum()))


def _measured(
    at: Model,
    grid: Grid,
    layer: int | None,
    keys: tuple[int, ...],
    chosen: Choices,
    memory: int,
    cancel: Cancel | None,
) -> dict[str, Any]:
    here = replace(grid, batch=replace(grid.batch, model=at.id))
    seen = run_pairs(at, here, layer, memory=memory, cancel=cancel)
    mask, precision = chosen.mask, chosen.precision
    assert mask is not None
    right = seen.logits.argmax(axis=2) == seen.labels
    direct = direct_map(at, seen, memory, cancel)
    kept = losses.kept(seen.logits, keys)
    rest = losses.removed(seen.logits, keys)
    one = np.nan
    if seen.neurons is not None:
        one = float(np.mean(np.nan_to_num(clusters(seen.neurons).explained) > ONE_FREQUENCY))
    return {
        "train_loss": losses.cross_entropy(seen.logits, mask, precision),
        "test_loss": losses.cross_entropy(seen.logits, ~mask, precision),
        "restricted_loss": losses.cross_entropy(kept, None, precision),
        "excluded_loss": losses.cross_entropy(rest, mask, precision),
        "train_accuracy": float(right[mask].mean()),
        "test_accuracy": float(right[~mask].mean()),
        "logits_explained": float((wave_cosines(seen.logits)[np.array(keys) - 1] ** 2).sum()),
        "neurons_one_frequency": one,
        "gini_embedding": _component_gini(seen.embedding),
        "gini_unembedding": np.nan if direct is None else _component_gini(direct.T),
    }


def _component_gini(rows: Floats) -> float:
    """Of the norms of all Fourier components but the constant, rows [p, d]."""
    return gini(np.linalg.norm(dft(rows)[1:], axis=1))


def _squared_weights(folder: Path) -> float:
    """Sum of squares of all matrices (embeddings among them); biases and norms are left out."""
    tensors = load_file(folder / "model.safetensors").values()
    return float(sum(tensor.double().pow(2).sum() for tensor in tensors if tensor.ndim > 1))
