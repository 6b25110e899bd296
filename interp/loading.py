"""`interp.load` and `interp.wrap`: open a model, then make sure that what will be measured on it is
real.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from interp.models.model import Model
    from interp.models.site_map import SiteMap


def load(name: str, *, device: str = "cpu", dtype: str | torch.dtype = "float32") -> Model:
    """Open a model by a fixture's name, a folder, a .gguf file or a Hub id, and self-check it.

    The self-check compares the engine with the model's own forward and edits every activation site
    once; sites where an edit has no effect are refused from then on (`model.unusable`). Its verdict
    is kept in the user's cache folder (ARITHMOSCOPE_CACHE), by weight hash, config, dtype, device,
    versions and engine code; `interp.engine.selfcheck(model)` always computes.

    Raises ModelError for a model that is unknown, damaged, unsafe to open or computed otherwise
    than its family; InputError for a bad device or dtype.
    """
    from interp.models.loading import load_model

    return _checked(load_model(name, device=device, dtype=dtype))


def wrap(
    module: nn.Module,
    tokenizer: Any,
    *,
    name: str | None = None,
    sites: SiteMap | None = None,
    task: str | None = None,
    format: str | None = None,
) -> Model:
    """Study a plain causal `nn.Module`, such as a nanoGPT-style class, without converting it.

    Args:
        module: takes token ids [rows, positions] and returns logits, alone or first in a tuple. It
            is copied, in its dtype and on its device, so training it further changes nothing here.
        tokenizer: a fast tokenizer of transformers; or the characters in the order of their ids,
            "0123456789+="; or {"0": 0, …}.
        name: what Results call it; the class's name if left out.
        sites: where its parts lie (`interp.SiteMap`), those of nanoGPT if left out.
        task, format: what it was trained on ("add:5", "reversed"), where that is known.

    The module runs whole: nothing inside its attention is seen (no q, k, v, pattern), and a pass
    cannot skip blocks or positions that it shares with another, so sweeps take longer than on a
    converted model. The self-check is that of `interp.load`; it also refuses a module whose later
    tokens change earlier logits, and sites whose output is not what the residual stream receives.

    Does not show: whether heads lie side by side in what the output projection reads, head 0 first;
    that is taken at its word.

    Raises InputError where module, tokenizer and sites do not fit each other; ModelError for a
    module that is not causal, or whose logits are not head(final_norm(…)).
    """
    from interp.models.wrapping import trained_on, wrap_module

    card = trained_on(task, format)
    return _checked(wrap_module(module, tokenizer, name=name, sites=sites, card=card))


def _checked(model: Model) -> Model:
    from interp.engine.verdict import unusable_sites

    model.unusable = unusable_sites(model)
    return model
