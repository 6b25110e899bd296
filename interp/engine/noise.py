"""Noise floor of a 16-bit model: what a patch that changes nothing does to the logits."""

from __future__ import annotations

from collections.abc import Callable

import torch

from interp.engine.edits import NO_LAYER, Edit
from interp.engine.interventions import UserHook
from interp.engine.passes import Job, forward
from interp.models.model import Model


def measured_floor(model: Model) -> float:
    """Largest |Δlogit| of a patch of each usable site by its own value, in logits.

        floor = max over sites, layers of max |x(site := own value) − x|

    First, middle and last block, random tokens. Own values and logits are those of two whole rows
    together; the patched pass runs one row alone, its later half from kept keys and values where
    the model allows it, as the passes of a sweep do: matrix products of another shape round
    otherwise.

    Does not show: the noise at other tokens or in longer prompts, which may be larger.
    """
    tokens = model.adapter.probe
    n = model.shape.n_layers
    layers = sorted({0, n // 2, n - 1})
    keys = {(s, la) for s in model.usable_sites if s != "ln_final" for la in layers}
    if "ln_final" in model.usable_sites:
        keys.add(("ln_final", NO_LAYER))
    places = torch.arange(tokens.shape[1], device=tokens.device).expand(len(tokens), -1)
    start = 0 if model.adapter.whole else tokens.shape[1] // 2
    floor = 0.0
    with model.lock:
        every = slice(0, len(tokens))
        whole = Job(tokens, every, want=frozenset(keys), keep=True, logit_positions=places)
        clean = forward(model.adapter, whole)
        assert clean.logits is not None
        earlier = {
            layer: (k[:1, :, :start], v[:1, :, :start])
            for layer, (k, v) in clean.keys_values.items()
        }
        for site, layer in sorted(keys):
            own = clean.kept[site, layer][:1, start:]  # the pattern too: [n, queries, heads, keys]
            own = own.transpose(1, 2) if site == "pattern" else own
            edit = Edit(UserHook(site, _always(own)), (layer,), None, None)
            job = Job(
                tokens[:1],
                slice(0, 1),
                start=start,
                earlier=earlier if start else None,
                edits=(edit,),
                logit_positions=places[:1, start:],
            )
            patched = forward(model.adapter, job).logits
            assert patched is not None
            floor = max(floor, float((patched - clean.logits[:1, start:]).abs().max()))
    return floor


def _always(value: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: value
