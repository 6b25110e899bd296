"""The same architecture with random weights: the control that training must beat."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import replace
from typing import Any

import torch

from interp.errors import InputError
from interp.models.loading import _OPENING, _quiet, assemble
from interp.models.model import Model
from interp.models.toy import Toy
from interp.models.toy_adapter import ToyAdapter
from interp.models.weights import weight_hash

_NO_NORM = 1e9
"""A normalisation with an ε at least this large divides by the same number whatever it is given:
it was set up not to normalise."""


def untrained(model: Model, *, seed: int = 0) -> Model:
    """A model of the same shape, tokenizer, precision and task, its weights drawn anew from `seed`
    the way its architecture draws them.

    Constants outside the config are copied: the gains of normalisations that do not normalise
    (their ε is 1e12, and with a gain of 1 the blocks would write nothing), and the all-zero
    position embeddings of a model without positions.

    A probe's score there is due to the architecture and the tokens, not to training.

    Raises InputError for a wrapped module, whose initialisation is unknown.
    """
    if model.wrapped:
        raise InputError(
            f"{model.name} is a wrapped module, and how its weights are drawn is not known here: "
            "build an untrained one, wrap it and look at it as a model of its own"
        )
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config: Any = copy.deepcopy(model.adapter.module.config)
    if isinstance(model.adapter, ToyAdapter):
        return _untrained_toy(model, seed)
    with _OPENING, _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = AutoModelForCausalLM.from_config(
            config, dtype=model.dtype, attn_implementation="eager"
        )
    _keep_frozen(module, model.adapter.module)
    digest = weight_hash(module.state_dict())
    # Bridging a model reads its tokenizer from disk again, and its folder may be gone.
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        model.tokens.tokenizer.save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        made = assemble(
            f"untrained {model.name}", digest, module.to(model.device), tokenizer, card=model.card
        )
    return replace(made, tokens=model.tokens)


def _untrained_toy(model: Model, seed: int) -> Model:
    assert isinstance(model.adapter, ToyAdapter)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = Toy(model.adapter.module.config).to(model.dtype)
    digest, name = weight_hash(module.state_dict()), f"untrained {model.name}"
    tokenizer = model.tokens.tokenizer
    made = assemble(name, digest, module.to(model.device), tokenizer, card=model.card)
    return replace(made, tokens=model.tokens)


def _keep_frozen(module: Any, trained: Any) -> None:
    """Copy constants of the architecture that are stored as weights."""
    normalises = float(getattr(module.config, "layer_norm_epsilon", 0.0)) < _NO_NORM
    # The bridge of the trained model wraps the architecture's modules in its own.
    known = {n.replace("._original_component", ""): p for n, p in trained.named_parameters()}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            off = ".ln_" in name and not normalises
            no_positions = name.endswith(".wpe.weight") and not known[name].any()
            if off or no_positions:
                parameter.copy_(known[name])
