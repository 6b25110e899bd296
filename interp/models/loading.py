"""Load a model from safetensors or GGUF only."""

from __future__ import annotations

import hashlib
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from interp.errors import InputError, ModelError
from interp.models import adapted, unpacked
from interp.models.adapter import FAMILIES, Adapter
from interp.models.fixtures import read_card
from interp.models.model import Model, Shape
from interp.models.sources import Source, check_folder, check_gguf, resolve
from interp.models.tokens import Tokens
from interp.models.weights import weight_hash

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
}

# The libraries below set the default dtype and draw weights that are then overwritten: one thread
# at a time may change this global state.
_OPENING = threading.RLock()


def load_model(name: str, *, device: str = "cpu", dtype: str | torch.dtype = "float32") -> Model:
    """Load `name` without the self-check; `interp.load` adds it.

    Raises ModelError for a missing, damaged, incomplete or unsafe model or an unknown family;
    InputError for a bad device or dtype.
    """
    number_type = _dtype(dtype)
    place = _device(device)
    source = resolve(name)
    module, tokenizer, digest = open_module(source, number_type)
    card = read_card(source.path) if source.path.is_dir() else None
    return assemble(source.name, digest, module.to(place), tokenizer, card=card)


def open_module(source: Source, dtype: torch.dtype) -> tuple[Any, Any, str]:
    """The Hugging Face module, its tokenizer and the hash of the stored weights.

    An adapter is merged into its base, and its hash covers both.
    """
    with _OPENING, _quiet(), torch.random.fork_rng(devices=[]):
        if source.kind == "gguf":
            digest = _file_hash(source.path)
            return *_open_gguf(source.path, digest, dtype), digest
        if not adapted.is_adapter(source.path):
            return *_open_folder(source, dtype), _folder_hash(source.path)
        module, tokenizer, below = open_module(_base_of(source), torch.float32)
        tensors = adapted.merge(module, source.path)
        digest = hashlib.sha256(f"{below} {weight_hash(tensors)}".encode()).hexdigest()
        return _cast(module, dtype), tokenizer, digest


def _base_of(source: Source) -> Source:
    name = str(adapted.read_config(source.path)["base_model_name_or_path"])
    try:
        base = resolve(name)
    except ModelError as error:
        raise ModelError(
            f"{source.name} is an adapter, and its base is missing: {error}"
        ) from error
    if base.kind != "gguf" and adapted.is_adapter(base.path):
        raise ModelError(
            f"the base of {source.name}, {name!r}, is an adapter itself. Merge it first."
        )
    return base


def assemble(name: str, digest: str, module: Any, tokenizer: Any, *, card: Any = None) -> Model:
    """A Model around an opened Hugging Face module. Raises ModelError for an unknown family."""
    family = str(module.config.model_type)
    if family not in FAMILIES:
        raise ModelError(
            f"{name} is a {family!r} model; the families that work are {', '.join(FAMILIES)}. "
            f"Convert it to one of them, or wrap the module."
        )
    with _OPENING, _quiet(), torch.random.fork_rng(devices=[]):
        try:
            adapter = Adapter(module, tokenizer, family)
        except (AssertionError, AttributeError, KeyError, RuntimeError, TypeError) as error:
            raise ModelError(
                f"{name} is a {family!r} model of a kind that cannot be opened up "
                f"({_first_line(error)}). Its config.json differs from those of its family; "
                f"convert it to another of {', '.join(FAMILIES)}."
            ) from error
    shape = _shape(adapter)
    return Model(
        name=name,
        hash=digest,
        family=family,
        shape=shape,
        adapter=adapter,
        tokens=Tokens(tokenizer, shape.d_vocab),
        dtype=adapter.dtype,
        device=adapter.device,
        card=card,
    )


def _shape(adapter: Adapter) -> Shape:
    cfg = adapter.bridge.cfg
    heads = int(cfg.n_heads)
    head = adapter.bridge.unembed.original_component
    return Shape(
        n_layers=int(cfg.n_layers),
        n_heads=heads,
        n_kv_heads=int(getattr(cfg, "n_key_value_heads", None) or heads),
        d_model=int(cfg.d_model),
        d_head=int(cfg.d_head),
        d_mlp=int(cfg.d_mlp),
        d_vocab=int(head.weight.shape[0]),
        n_ctx=_context(adapter.module.config),
    )


def _context(config: Any) -> int:
    """The longest prompt with full attention and unchanged rotary positions in every layer.

    Sliding windows, and the changed rotation beyond the original context of "longrope", are not
    implemented.
    """
    sizes = [int(config.max_position_embeddings)]
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        sizes.append(int(config.sliding_window))
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        sizes.append(int(rope.get("original_max_position_embeddings") or sizes[0]))
    return min(sizes)


def _open_folder(source: Source, dtype: torch.dtype) -> tuple[Any, Any]:
    config = check_folder(source.path)
    family = str(config.get("model_type"))
    if family not in FAMILIES:
        raise ModelError(
            f"{source.name} is a {family!r} model; the families that work are "
            f"{', '.join(FAMILIES)}. Convert it to one of them, or wrap the module."
        )
    return _from_pretrained(str(source.path), source.name, dtype, use_safetensors=True)


def _open_gguf(path: Path, digest: str, dtype: torch.dtype) -> tuple[Any, Any]:
    if (folder := unpacked.kept(digest)) is not None:
        try:
            return _from_pretrained(str(folder), path.name, dtype, use_safetensors=True)
        except ModelError:  # damaged after writing
            unpacked.discard(folder)
    check_gguf(path)
    module, tokenizer = _from_pretrained(
        str(path.parent), path.name, torch.float32, gguf_file=path.name
    )
    if module.config.model_type in FAMILIES:
        unpacked.keep(digest, module, tokenizer)
    return _cast(module, dtype), tokenizer


def _cast(module: Any, dtype: torch.dtype) -> Any:
    """The module with its weights in `dtype`, as if loaded so. Buffers keep their dtype: rotary
    angles are useless in bfloat16.
    """
    for parameter in module.parameters():
        parameter.data = parameter.data.to(dtype)
    module.config.dtype = dtype
    return module


def _from_pretrained(folder: str, name: str, dtype: torch.dtype, **options: Any) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shared = {"local_files_only": True, "trust_remote_code": False}
    gguf = {key: options[key] for key in ("gguf_file",) if key in options}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **shared, **gguf)
    except Exception as error:  # the library raises many types, with one meaning for a user
        raise ModelError(
            f"the tokenizer of {name} cannot be read ({_first_line(error)}). "
            f"Save it again beside the weights: tokenizer.save_pretrained(folder)."
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"the tokenizer of {name} gives no character offsets, so digits can't be found. Save a "
            f"fast tokenizer (tokenizer.json) beside the weights."
        )
    try:
        module, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation="eager",
            output_loading_info=True,
            **shared,
            **options,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the weights of {name} cannot be read ({_first_line(error)}). "
            f"Copy or download them again."
        ) from error
    _refuse_incomplete(name, report)
    return module, tokenizer


def _refuse_incomplete(name: str, report: dict[str, Any]) -> None:
    """Raise for missing tensors, which would silently be random, and for tensors of another shape,
    which would be dropped."""
    for kind, what in (("missing_keys", "lacks"), ("mismatched_keys", "has another shape for")):
        if keys := sorted(str(key) for key in report.get(kind) or ()):
            raise ModelError(
                f"{name} {what} {len(keys)} tensors that its config.json asks for, first "
                f"{keys[0]!r}. Save weights and config from the same model."
            )


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    key = str(dtype).removeprefix("torch.")
    if key not in DTYPES:
        raise InputError(f"unknown dtype {dtype!r}. Use one of: {', '.join(DTYPES)}.")
    return DTYPES[key]


def _device(device: str) -> torch.device:
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {device!r} cannot be used here ({_first_line(error)}). Use 'cpu'."
        ) from error
    return place


def _folder_hash(folder: Path) -> str:
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors.update(load_file(path))
    return weight_hash(tensors)


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the libraries' messages while loading; errors still propagate."""
    from transformers.utils import logging as hf_logging

    verbosity = hf_logging.get_verbosity()
    bars = hf_logging.is_progress_bar_enabled()
    root = logging.getLogger()
    level = root.level
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if bars:
            hf_logging.enable_progress_bar()
        root.setLevel(level)
