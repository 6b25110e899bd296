"""`interp.load` and `interp.wrap`: open a model and self-check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from interp.models.model import Model
    from interp.models.site_map import SiteMap


def load(name: str, *, device: str = "cpu", dtype: str | torch.dtype = "float32") -> Model:
    """Open a model by a fixture's name, a folder, a .gguf file or a Hub id, and self-check it.

    Any causal language model of transformers with attention in every block, by one of two routes:
    its blocks run one by one, with every site and no work done twice; or, for families whose blocks
    cannot, the module runs as a whole (no q, k, v, pattern). docs/models.md lists those tried.

    The self-check compares the engine with the model's own forward and edits every activation site
    once; sites where an edit has no effect are refused from then on (`model.unusable`). Its verdict
    is cached in the user's folder (ARITHMOSCOPE_CACHE), by weight hash, config, dtype, device,
    versions and engine code; `interp.engine.selfcheck(model)` always recomputes it.

    Raises ModelError for a model that is unknown, damaged, unsafe to open or whose computation
    differs from its family's; InputError for a bad device or dtype.
    """
    from interp.models.loading import load_model

    return _checked(load_model(name, device=device, dtype=dtype))


def wrap(
    module: nn.Module,
    tokenizer: Any = None,
    *,
    name: str | None = None,
    sites: SiteMap | None = None,
    task: str | None = None,
    format: str | None = None,
) -> Model:
    """A Model of a plain `nn.Module`, such as a nanoGPT-style class, without conversion.

    Args:
        module: takes token ids [rows, positions] and returns logits, alone or first in a tuple. It
            is copied, in its dtype and on its device, so further training does not change the
            Model.
        tokenizer: a fast tokenizer of transformers; or the characters in the order of their ids,
            "0123456789+="; or {"0": 0, …}; or None where the task names the tokens: the numbers of
            `mod:p` are tokens 0 … p − 1 and `=` is p, digits and signs of `add:n` are 0 … 11.
        name: the name in Results; default: the class's name.
        sites: the paths of its parts (`interp.SiteMap`); default: found by structure in a module
            of transformers, else those of TransformerLens' classes and the public grokking code,
            hook points included, or of nanoGPT.
        task, format: the task and format of its training ("add:5", "reversed"), if known.

    The module runs as a whole: the inside of its attention shows only where submodules put it out
    (q, k, v, pattern), and a pass cannot skip blocks or positions shared with another, so sweeps
    take longer than on a converted model. The self-check is that of `interp.load`; it also refuses
    sites whose output is not what the residual stream receives.

    A module whose later tokens change earlier logits has no causal mask. It opens, and takes
    prompts of one length, read at the last position alone; padding, logits at earlier positions and
    answers of several tokens are refused. Where attention rows do not sum to 1 they are read as
    they are, and a mask edit keeps each row's own sum.

    Does not show: whether the input of the output projection concatenates the heads, head 0 first;
    this is assumed.

    Raises InputError if module, tokenizer and sites do not match, or the module is random;
    ModelError for one whose logits are not head(final_norm(…)).
    """
    from interp.models.wrapping import wrap_module

    made = wrap_module(module, tokenizer, name=name, sites=sites, task=task, format=format)
    return _checked(made)


def _checked(model: Model) -> Model:
    from interp.engine.verdict import noise_floor, unusable_sites

    model.unusable = unusable_sites(model)
    model.noise_floor = noise_floor(model)
    return model
