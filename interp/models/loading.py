"""Load a model from safetensors or GGUF only."""

from __future__ import annotations

import hashlib
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from interp.errors import InputError, ModelError
from interp.models import adapted, unpacked
from interp.models.adapter import Adapter, bridged, probe_tokens
from interp.models.attention import Unsteppable
from interp.models.config_check import check_config
from interp.models.decoder import DecoderAdapter
from interp.models.fixtures import read_card
from interp.models.folder_check import Stored, check_tensors
from interp.models.folder_tokenizer import open_tokenizer
from interp.models.gguf_model import open_gguf
from interp.models.model import Model, Shape
from interp.models.sources import Source, check_folder, resolve
from interp.models.structure import Readout, context, find_sites
from interp.models.tokens import Tokens
from interp.models.toy import Toy, is_toy, open_toy
from interp.models.toy_adapter import ToyAdapter
from interp.models.weights import weight_hash
from interp.models.wrapped import WrappedAdapter

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
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
    """A Model around an opened Hugging Face module, by one of three routes: TransformerLens'
    blocks, the module's own blocks run one by one, or the module as a whole.

    Raises ModelError for a module that none of them can open.
    """
    if isinstance(module, Toy):
        return _toy(name, digest, module, tokenizer, card)
    with _OPENING, _quiet(), torch.random.fork_rng(devices=[]):
        adapter = _adapter(name, module, tokenizer)
    shape = _bridged_shape(adapter) if isinstance(adapter, Adapter) else _shape(adapter)
    return Model(
        name=name,
        hash=digest,
        family=adapter.family,
        shape=shape,
        adapter=adapter,
        tokens=Tokens(tokenizer, shape.d_vocab, shape.d_vocab_out),
        dtype=adapter.dtype,
        device=adapter.device,
        card=card,
    )


def _toy(name: str, digest: str, module: Toy, tokenizer: Any, card: Any) -> Model:
    c = module.config
    adapter = ToyAdapter(module)
    return Model(
        name=name,
        hash=digest,
        family=adapter.family,
        shape=Shape(
            n_layers=c.n_layers,
            n_heads=c.n_heads,
            n_kv_heads=c.n_heads,
            d_model=c.d_model,
            d_head=c.d_head,
            d_mlp=c.d_mlp,
            d_vocab=c.d_vocab,
            n_ctx=c.n_ctx,
            d_vocab_out=c.d_vocab_out,
        ),
        adapter=adapter,
        tokens=Tokens(tokenizer, c.d_vocab, c.d_vocab_out),
        dtype=adapter.dtype,
        device=adapter.device,
        card=card,
    )


def _adapter(name: str, module: Any, tokenizer: Any) -> Adapter | DecoderAdapter | WrappedAdapter:
    family = str(module.config.model_type)
    try:
        if bridged(module.config):
            return Adapter(module, tokenizer, family)
        module.eval()
        if hasattr(module, "set_experts_implementation"):
            module.set_experts_implementation("eager")  # the others know no float64
        tokens = probe_tokens(module)
        sites = find_sites(module, tokens)
        readout = Readout.of(module.config)
        try:
            return DecoderAdapter(module, sites, tokens, readout)
        except (InputError, Unsteppable):
            module.config.use_cache = False
            ids = range(int(module.get_input_embeddings().weight.shape[0]))
            return WrappedAdapter(module, sites, ids, family=family, readout=readout)
    except (
        AssertionError, AttributeError, IndexError, InputError, KeyError, RuntimeError, TypeError,
        ValueError,
    ) as error:  # fmt: skip
        raise ModelError(
            f"{name} is a {family!r} model of a kind that cannot be opened up "
            f"({_first_line(error)}). Open it with transformers, and give its parts by hand: "
            f"interp.wrap(module, tokenizer, sites=interp.SiteMap(…))."
        ) from error


def _bridged_shape(adapter: Adapter) -> Shape:
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
        n_ctx=context(adapter.module.config),
        d_vocab_out=int(head.weight.shape[0]),
    )


def _shape(adapter: DecoderAdapter | WrappedAdapter) -> Shape:
    module: Any = adapter.module
    return Shape(
        n_layers=adapter.n_layers,
        n_heads=adapter.n_heads,
        n_kv_heads=adapter.n_kv_heads,
        d_model=adapter.widths.d_model,
        d_head=adapter.widths.d_head,
        d_mlp=adapter.widths.d_mlp,
        d_vocab=int(module.get_input_embeddings().weight.shape[0]),
        n_ctx=adapter.n_ctx,
        d_vocab_out=int(adapter.probe_logits.shape[-1]),
    )


def _open_folder(source: Source, dtype: torch.dtype) -> tuple[Any, Any]:
    config, held = check_folder(source.path)
    if is_toy(config):
        return open_toy(source.path, config, dtype)
    _require_causal_family(source.name, str(config.get("model_type")))
    check_config(source.name, config)
    return _from_pretrained(held, source.name, dtype)


def _require_causal_family(name: str, family: str) -> None:
    """Raise ModelError unless transformers knows a causal language model of this family."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    if family not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ModelError(
            f"{name} is a {family!r} model, and transformers {version('transformers')} has no "
            f"causal language model of that name. Convert it to one (docs/models.md lists those "
            f"that were tried), or wrap the module."
        )


def _open_gguf(path: Path, digest: str, dtype: torch.dtype) -> tuple[Any, Any]:
    if (folder := unpacked.kept(digest)) is not None:
        try:
            return _from_pretrained(check_folder(folder)[1], path.name, dtype)
        except ModelError:  # damaged after writing
            unpacked.discard(folder)
    module, tokenizer = open_gguf(path)
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


def _from_pretrained(held: Stored, name: str, dtype: torch.dtype) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    tokenizer = open_tokenizer(held.folder, name)
    try:
        module, report = AutoModelForCausalLM.from_pretrained(
            str(held.folder),
            dtype=dtype,
            attn_implementation="eager",
            output_loading_info=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused by name below
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the weights of {name} cannot be read ({_first_line(error)}). "
            f"Copy or download them again."
        ) from error
    check_tensors(name, module, report, held)
    return module, tokenizer


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
