"""The modular-addition suite: what a model that adds modulo p computes, in Fourier terms.

Everything is taken over all p² pairs (no sample): spectra of embeddings, neuron–logit map and
logits; key frequencies under each rule; neuron clusters; the variance that they explain; restricted
and excluded loss; Clock or Pizza. Sources: Nanda et al. (arXiv 2301.05217), Chughtai et al.
(2302.03025), Zhong et al. (2306.17844).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from interp.arithmetic.tasks import ModularAddition
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.errors import InputError
from interp.geometry import clock_pizza, losses
from interp.geometry.clock_pizza import Triples
from interp.geometry.key_frequencies import RULES, by_rule, keys_of, wave_cosines
from interp.geometry.linear_maps import direct_logits, unit_writes
from interp.geometry.losses import Frequencies, Precision
from interp.geometry.pairs import Pass, grid_of, modulus_of, run_pairs
from interp.geometry.results.modular import ModularAnalysis
from interp.geometry.spectra import (
    Clusters,
    basis,
    by_sum,
    check_frequencies,
    clusters,
    frequencies_of,
    power2,
)
from interp.models.model import Model

Floats = npt.NDArray[np.float64]
Rule = Literal["embedding", "unembedding", "neurons", "logits"]
Keys = Rule | Sequence[int]
Part = Literal["all", "train", "test"]

ONE_FREQUENCY = 0.85  # share of a neuron's variance, as published
_SHUFFLED = 128  # neurons of the shuffled control


@dataclass(frozen=True)
class Choices:
    """How the losses are taken; None: as published (each measure has its own)."""

    keys: Keys
    mask: npt.NDArray[np.bool_] | None
    split: Part | None
    bias_correction: bool | None
    frequencies: Frequencies | None
    precision: Precision


@shows_progress
def modular(
    model: Model,
    *,
    modulus: int | None = None,
    layer: int | None = None,
    keys: Keys = "logits",
    train: npt.NDArray[Any] | None = None,
    split: Part | None = None,
    bias_correction: bool | None = None,
    frequencies: Frequencies | None = None,
    precision: Precision = "float64",
    triples: Triples = None,
    seed: int = 0,
    format: str | None = None,
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> ModularAnalysis:
    """Fourier analysis of a model of addition modulo p, over all p² pairs.

    Args:
        modulus: p; None takes that of the model's task.
        layer: the block whose neurons are analysed; None means the last.
        keys: the rule whose key frequencies the shares and losses use ("embedding", "unembedding",
            "neurons", "logits"), or the frequencies themselves.
        train: the training pairs, bool [p, p] or pairs (a, b); None takes them from the model's
            card, and where it has none the excluded loss is over all pairs.
        split: the pairs of the losses, "all", "train" or "test"; None as published: all for the
            restricted loss, train for the excluded one.
        bias_correction: restore the mean over pairs; None as published: for the restricted loss.
        frequencies: remove key frequencies one by one ("each") or at once ("together"); None gives
            both.
        precision: of the loss; "float32" repeats numbers that were published in it.
        triples: of the gradient symmetricity: "published" takes the authors' 100, a number draws
            that many; None as many as a standard error below 0.005 needs.
        seed: of drawn triples and of the controls.
        format: the prompts' format; None means the model's first.
        memory, cancel, progress: as in `engine.run`.

    Does not show: that the model adds by these waves outside of what the losses test, or how
    attention brings the operands together.

    Raises:
        InputError: for a model without a modulus, numbers that are no single tokens, a modulus that
            does not fit the vocabulary, an unknown frequency, or a mask that leaves no pair.
    """
    p = modulus_of(model, modulus)
    mask = losses.split_mask(train, p) if train is not None else card_mask(model, p)
    chosen = Choices(checked_keys(keys, p), mask, split, bias_correction, frequencies, precision)
    grid = grid_of(model, p, format)
    seen = run_pairs(model, grid, layer, memory=memory, cancel=cancel, progress=progress)
    direct = direct_map(model, seen, memory, cancel)
    found = analysed(seen, direct, chosen)
    controls = _controls(seen, seed)
    measures = found.measures + _algorithm(model, seen, triples, seed, memory, cancel)
    return ModularAnalysis(
        model=model.id,
        task=f"mod:{p}",
        n=p * p,
        n_distinct=p * p,
        seed=seed,
        settings={
            "modulus": p,
            "layer": seen.layer,
            "keys": keys if isinstance(keys, str) else list(found.keys),
            "train": "given" if train is not None else None if mask is None else "card",
            "split": split,
            "bias_correction": bias_correction,
            "frequencies": frequencies,
            "precision": precision,
            "triples": triples if isinstance(triples, str | int | None) else "given",
            "format": grid.batch.format,
            "starting_with": model.tokens.start,
        },
        keys=tuple(found.keys),
        rules=found.rules,
        neurons=found.neurons,
        losses=found.losses,
        measures=pd.DataFrame([*measures, *controls]),
        pairs=_pairs(seen),
        correct=clock_pizza.correct_logits(seen.logits),
    )


@dataclass(frozen=True)
class Analysed:
    """The parts of the suite that need no further pass."""

    keys: tuple[int, ...]
    rules: pd.DataFrame
    neurons: pd.DataFrame
    losses: pd.DataFrame
    measures: list[dict[str, Any]]


def analysed(seen: Pass, direct: Floats | None, chosen: Choices) -> Analysed:
    """Rules, clusters, losses and shares of one pass."""
    own = None if seen.neurons is None else clusters(seen.neurons)
    rules = by_rule(seen.embedding, direct, own, seen.logits)
    keys = chosen.keys
    named = keys_of(rules, keys) if isinstance(keys, str) else tuple(int(k) for k in keys)
    return Analysed(
        keys=named,
        rules=rules,
        neurons=_neuron_table(own),
        losses=loss_table(seen, direct, named, chosen),
        measures=_shares(seen, direct, own, named),
    )


def rules_of(seen: Pass, direct: Floats | None) -> pd.DataFrame:
    """Strength of every frequency under each rule (`interp.geometry.key_frequencies.by_rule`)."""
    own = None if seen.neurons is None else clusters(seen.neurons)
    return by_rule(seen.embedding, direct, own, seen.logits)


def card_mask(model: Model, p: int) -> npt.NDArray[np.bool_] | None:
    """The training pairs [p, p] of the model's card; None without one, or for another task."""
    if model.split is None or model.task != ModularAddition(p):
        return None
    problems = ModularAddition(p).grid()
    a, b = (problems.values(i).astype(np.int64) for i in range(2))
    mask = np.zeros((p, p), dtype=bool)
    mask[a, b] = model.split.keeps(problems, "train")
    return mask


def direct_map(
    model: Model, seen: Pass, memory: int = 2**30, cancel: Cancel | None = None
) -> Floats | None:
    """W_L = W_U W_out [d_mlp, p] of the analysed layer; None without an MLP."""
    if seen.neurons is None or "mlp_out" not in model.usable_sites:
        return None
    writes = unit_writes(
        model, seen.grid.batch, "mlp_post", seen.layer, memory=memory, cancel=cancel
    )
    return direct_logits(model, writes, seen.grid.tokens)


def loss_table(
    seen: Pass, direct: Floats | None, keys: Sequence[int], chosen: Choices
) -> pd.DataFrame:
    """One row a loss: where, measure, frequencies, split, bias_correction, loss, full."""
    rows = [
        _loss_row(seen.logits, "logits", "full", (), part, False, chosen)
        for part in (("all", "train", "test") if chosen.mask is not None else ("all",))
    ]
    if keys:
        for measure, corrected, part in (("restricted", True, "all"), ("excluded", False, "train")):
            corrected = corrected if chosen.bias_correction is None else chosen.bias_correction
            part = chosen.split or (part if chosen.mask is not None else "all")
            for group in _groups(keys, measure, chosen.frequencies):
                change = losses.kept if measure == "restricted" else losses.removed
                x = change(seen.logits, group, bias_correction=corrected)
                rows.append(_loss_row(x, "logits", measure, group, part, corrected, chosen))
                x = losses.characters(seen.logits, group)[measure == "excluded"]
                rows.append(_loss_row(x, "characters", measure, group, part, False, chosen))
            if direct is not None and seen.neurons is not None:
                parts = losses.neuron_parts(seen.neurons, direct, list(keys))
                x = parts[measure == "excluded"]
                rows.append(_loss_row(x, "neurons", measure, tuple(keys), part, False, chosen))
    return pd.DataFrame(rows)


def _groups(
    keys: Sequence[int], measure: str, frequencies: Frequencies | None
) -> list[tuple[int, ...]]:
    """The published restricted loss has all key frequencies; the excluded one has both forms."""
    if frequencies is not None:
        return losses.groups_of(keys, frequencies)
    together = losses.groups_of(keys, "together")
    return together if measure == "restricted" else losses.groups_of(keys, "each") + together


def _loss_row(
    logits: Floats,
    where: str,
    measure: str,
    group: Sequence[int],
    part: str,
    corrected: bool,
    chosen: Choices,
) -> dict[str, Any]:
    mask = None
    if part != "all":
        if chosen.mask is None:
            raise InputError(
                f"split={part!r} needs the training pairs, which no card gives: train=mask [p, p]"
            )
        mask = chosen.mask if part == "train" else ~chosen.mask
    return {
        "where": where,
        "measure": measure,
        "frequencies": " ".join(map(str, sorted(group))),
        "split": part,
        "bias_correction": corrected,
        "loss": losses.cross_entropy(logits, mask, chosen.precision),
    }


def checked_keys(keys: Keys, p: int) -> Keys:
    if isinstance(keys, str):
        if keys not in RULES:
            raise InputError(
                f"keys={keys!r} is no rule: use {', '.join(RULES)}, or a list of frequencies"
            )
        return keys
    return tuple(int(k) for k in check_frequencies(np.asarray(list(keys)), p))


def _neuron_table(own: Clusters | None) -> pd.DataFrame:
    if own is None:
        return pd.DataFrame({"neuron": [], "frequency": [], "explained": []})
    return pd.DataFrame(
        {
            "neuron": np.arange(len(own.frequency)),
            "frequency": own.frequency,
            "explained": own.explained,
        }
    )


def _shares(
    seen: Pass, direct: Floats | None, own: Clusters | None, keys: Sequence[int]
) -> list[dict[str, Any]]:
    p = seen.grid.p
    cosines = wave_cosines(seen.logits)
    index = np.array(keys, dtype=int) - 1
    right = seen.logits.argmax(axis=2) == seen.labels
    rows = [
        _row("accuracy", float(right.mean()), chance=1 / p),
        _row("logits_explained", float((cosines[index] ** 2).sum()), chance=len(keys) / (p - 1)),
        _row("logits_explained_all", float((cosines**2).sum()), chance=(p // 2) / (p - 1)),
    ]
    for name, table in (("embedding", seen.embedding), ("unembedding", direct)):
        if table is not None:
            rows_of = table if name == "embedding" else table.T
            spread = ((rows_of - rows_of.mean(axis=0)) ** 2).sum()
            own_rows = basis(p)[np.isin(frequencies_of(p), keys)]
            share = ((own_rows @ rows_of) ** 2).sum() / spread if spread > 0 else np.nan
            rows.append(_row(f"{name}_explained", float(share), chance=len(own_rows) / (p - 1)))
    if own is not None and seen.neurons is not None:
        alive = own.frequency > 0
        one = np.where(alive, own.explained, 0.0) > ONE_FREQUENCY
        rows += [
            _row("neurons_one_frequency", float(one.mean()), chance=0.0),
            _row("neurons_dead", float((~alive).mean())),
            _row("neurons_explained", _neurons_explained(seen.neurons, keys)),
        ]
    return rows


def _neurons_explained(neurons: npt.NDArray[np.float32], keys: Sequence[int]) -> float:
    """Share of the neurons' variance along cos and sin of w a, w b and w(a + b), key frequencies
    (2302.03025)."""
    p = len(neurons)
    h = neurons.reshape(p, p, -1).astype(float)
    total = (h**2).sum() - p * p * (h.mean(axis=(0, 1)) ** 2).sum()
    own = basis(p)[np.isin(frequencies_of(p), keys)]
    means = (h.mean(axis=1), h.mean(axis=0), by_sum(h))
    return float(p * sum(((own @ mean) ** 2).sum() for mean in means) / total)


def _algorithm(
    model: Model,
    seen: Pass,
    triples: Triples,
    seed: int,
    memory: int,
    cancel: Cancel | None,
) -> list[dict[str, Any]]:
    grid, e = seen.grid, seen.embedding
    measured = clock_pizza.gradient_symmetricity(
        model, grid, triples, seed=seed, memory=memory, cancel=cancel
    )
    noise = np.random.default_rng(seed).standard_normal(e.shape) * e.std(axis=0) + e.mean(axis=0)
    forced = clock_pizza.gradient_symmetricity(
        model, grid, 200, seed=seed, noise=noise, memory=memory, cancel=cancel
    )
    chance = clock_pizza.random_circularity(grid.p, e.shape[1], seed, 50)
    return [
        _row("distance_irrelevance", clock_pizza.distance_irrelevance(seen.logits), chance=1.0),
        _row(
            "gradient_symmetricity", measured.mean, error=measured.error, chance=forced.mean,
            n=measured.n,
        ),
        _row("circularity", clock_pizza.circularity(e), chance=float(np.quantile(chance, 0.95))),
    ]  # fmt: skip


def _pairs(seen: Pass) -> pd.DataFrame:
    """object, a, b, share: of the variance over all pairs of the logits (centred over answers) and
    of the neurons, by the frequencies of a and of b."""
    found = {"logits": seen.logits - seen.logits.mean(axis=2, keepdims=True)}
    if seen.neurons is not None:
        found["neurons"] = seen.neurons - seen.neurons.mean(axis=(0, 1))
    tables = []
    for name, x in found.items():
        squares = power2(x)
        squares[0, 0] = 0.0  # the mean over pairs
        total = squares.sum()
        a, b = np.indices(squares.shape)
        share = squares / total if total > 0 else np.full_like(squares, np.nan)
        columns = {"a": a.ravel(), "b": b.ravel(), "share": share.ravel()}
        tables.append(pd.DataFrame({"object": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _controls(seen: Pass, seed: int) -> list[dict[str, Any]]:
    """Neurons over pairs in random order: the best of p // 2 frequencies explains this much."""
    if seen.neurons is None:
        return []
    rng, p = np.random.default_rng(seed), seen.grid.p
    some = rng.permutation(seen.neurons.shape[-1])[:_SHUFFLED]
    flat = seen.neurons[..., some].reshape(p * p, -1)
    found = clusters(rng.permutation(flat, axis=0).reshape(p, p, -1)).explained
    known = found[~np.isnan(found)]
    top = float(known.max()) if known.size else float("nan")
    return [_row("neurons_explained_shuffled", top)]


def _row(
    measure: str,
    value: float,
    *,
    error: float = float("nan"),
    chance: float = float("nan"),
    n: int = 0,
) -> dict[str, Any]:
    return {"measure": measure, "value": value, "error": error, "chance": chance, "n": n}
