"""Open a GGUF file as a transformers module and tokenizer, every tensor of it used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from interp.models.gguf_config import config_of
from interp.models.gguf_file import GgufFile
from interp.models.gguf_tokenizer import tokenizer_of


def open_gguf(path: Path) -> tuple[Any, Any]:
    """The float32 module and the tokenizer of a GGUF file.

    Raises ModelError for a damaged file, and for one that holds anything that would not run: an
    unknown architecture or key, a tensor without a place, a place without a tensor.
    """
    from transformers import AutoModelForCausalLM

    file = GgufFile(path)
    config, used = config_of(file)
    tokenizer = tokenizer_of(file)
    try:
        module = AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, attn_implementation="eager"
        )
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        raise file.refused(f"has sizes that do not fit one another ({error})") from error
    _fill(module, file, used)
    return module.eval(), tokenizer


@torch.no_grad()
def _fill(module: Any, file: GgufFile, used: frozenset[str]) -> None:
    """Copy every tensor of the file into its place. `used`: those that the config holds already."""
    processor, places = _places(module, file)
    state = dict(module.state_dict(keep_vars=True))
    filled: set[str] = set()
    for name, values in file.tensors():
        if name in used:
            continue
        target = places.get(name)
        if target is None or target not in state:
            raise file.refused(
                f"holds the tensor {name!r}, which a {module.config.model_type} model has no place "
                f"for, so it would be dropped"
            )
        kept: dict[str, Any] = {"tensors": {}}
        done = processor.process(
            weights=values, name=name, tensor_key_mapping=places, parsed_parameters=kept
        )
        new = torch.from_numpy(done.weights.copy()) if done.name else kept["tensors"][target]
        if new.shape != state[target].shape:
            raise file.refused(
                f"holds {name!r} as {list(new.shape)}; its keys ask for {list(state[target].shape)}"
            )
        state[target].copy_(new)
        filled.add(target)
    module.tie_weights()
    tied = set(module.all_tied_weights_keys)
    if missing := sorted(set(state) - filled - tied):
        names = {target: name for name, target in places.items()}
        raise file.refused(
            f"lacks {len(missing)} tensors that its keys ask for, first "
            f"{names.get(missing[0], missing[0])!r}"
        )


def _places(module: Any, file: GgufFile) -> tuple[Any, dict[str, str]]:
    """The architecture's transform of tensors, and the parameter of each GGUF name."""
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    processor = TENSOR_PROCESSORS.get(file.architecture, TensorProcessor)(
        config=module.config.to_dict()
    )
    places = dict(get_gguf_hf_weights_map(module, processor))
    if file.architecture == "gpt2":  # which transformers copies past the map
        places["output.weight"] = "lm_head.weight"
    return processor, places
