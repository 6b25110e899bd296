"""Small transformers that no standard architecture holds: those of the grokking papers.

One class in TransformerLens' names and axes, with learned positions, and with

- no normalisation, or layer norm (`normalization`);
- an output vocabulary of its own size (`d_vocab_out`);
- heads of any width (`d_head`), and an unembedding bias;
- a causal mask or none (`causal`);
- attention rows α · softmax + (1 − α) on every visible key (`attention_rate` α; Zhong et al.,
  arXiv 2306.17844). They sum to 1 for α = 1 alone.

For head h, query q, key k ≤ q (every k without a mask), with normed stream n:

    pattern[h, q, k] = α softmax_k(Q_h n_q · K_h n_k / √d_head) + (1 − α)
    attn_out_q = Σ_h (Σ_k pattern[h, q, k] V_h n_k) W_O[h] + b_O

A folder holds `config.json` with model_type "arithmoscope-toy", `model.safetensors` and a
tokenizer; `interp.load` opens it without remote code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional as F

from interp.errors import ModelError

MODEL_TYPE = "arithmoscope-toy"
_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}
_NORMS = (None, "LN")


class KeyValues(Protocol):
    """Key/value cache of a block, as in `interp.models.adapter`."""

    def update(
        self, k: torch.Tensor, v: torch.Tensor, layer: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass(frozen=True)
class ToyConfig:
    """Sizes and choices of a toy; `d_mlp` 0 for attention alone. Raises ModelError for a choice
    that does not exist."""

    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    d_vocab_out: int
    n_ctx: int
    activation: str = "relu"
    normalization: str | None = None
    eps: float = 1e-5
    causal: bool = True
    attention_rate: float = 1.0
    model_type: str = MODEL_TYPE

    def __post_init__(self) -> None:
        sizes = (self.n_layers, self.n_heads, self.d_model, self.d_head, self.d_vocab)
        whole = (*sizes, self.d_vocab_out, self.n_ctx, self.d_mlp + 1)
        if not all(isinstance(size, int) and size > 0 for size in whole):
            raise ModelError(f"the sizes of a toy must be positive whole numbers, not {whole}.")
        if self.activation not in _ACTIVATIONS or self.normalization not in _NORMS:
            raise ModelError(
                f"a toy has an activation of {', '.join(_ACTIVATIONS)} and normalization None or "
                f"'LN', not {self.activation!r} and {self.normalization!r}."
            )
        if not 0 <= self.attention_rate <= 1:
            raise ModelError(f"attention_rate must be 0 to 1, not {self.attention_rate}.")

    @property
    def vocab_size(self) -> int:
        return self.d_vocab

    @property
    def max_position_embeddings(self) -> int:
        return self.n_ctx

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json."""
        text = json.dumps(self.to_dict(), indent=2) + "\n"
        (Path(folder) / "config.json").write_text(text, encoding="utf-8")

    @classmethod
    def of(cls, given: Mapping[str, Any], name: str) -> ToyConfig:
        """The config in a JSON object; ModelError for unknown or missing keys."""
        known = set(cls.__dataclass_fields__)
        try:
            if odd := sorted(set(given) - known):
                raise TypeError(f"unknown {', '.join(odd)}")
            return cls(**given)
        except TypeError as error:
            raise ModelError(
                f"config.json of {name} is no config of an {MODEL_TYPE} model ({error}). Convert "
                f"the checkpoint again."
            ) from error


class Embed(nn.Module):
    """Row W_E[token] for each token."""

    def __init__(self, c: ToyConfig) -> None:
        super().__init__()
        self.W_E = nn.Parameter(torch.randn(c.d_vocab, c.d_model) / math.sqrt(c.d_model))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.W_E[tokens]


class Positions(nn.Module):
    """Row W_pos[position] for each position."""

    def __init__(self, c: ToyConfig) -> None:
        super().__init__()
        self.W_pos = nn.Parameter(torch.randn(c.n_ctx, c.d_model) / math.sqrt(c.d_model))

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        return self.W_pos[positions]


class Unembed(nn.Module):
    """x W_U + b_U."""

    def __init__(self, c: ToyConfig) -> None:
        super().__init__()
        self.W_U = nn.Parameter(torch.randn(c.d_model, c.d_vocab_out) / math.sqrt(c.d_model))
        self.b_U = nn.Parameter(torch.zeros(c.d_vocab_out))

    def forward(self, normed: torch.Tensor) -> torch.Tensor:
        return normed @ self.W_U + self.b_U


class LayerNorm(nn.Module):
    """(x − mean) / √(variance + ε) · w + b over the last axis."""

    def __init__(self, c: ToyConfig) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.ones(c.d_model)), nn.Parameter(torch.zeros(c.d_model))
        self.eps = c.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, self.w.shape, self.w, self.b, self.eps)


def _norm(c: ToyConfig) -> nn.Module:
    return LayerNorm(c) if c.normalization == "LN" else nn.Identity()


class Attention(nn.Module):
    """Attention by head. The `hook_…` modules are identities: hook points, in the order of use."""

    hook_q: nn.Module
    hook_k: nn.Module
    hook_v: nn.Module
    W_Q: nn.Parameter
    W_K: nn.Parameter
    W_V: nn.Parameter
    b_Q: nn.Parameter  # noqa: N815
    b_K: nn.Parameter  # noqa: N815
    b_V: nn.Parameter  # noqa: N815

    def __init__(self, c: ToyConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.rate = layer, c.attention_rate
        scale = 1 / math.sqrt(c.d_model)
        for name in "QKV":
            weight = torch.randn(c.n_heads, c.d_model, c.d_head) * scale
            self.register_parameter(f"W_{name}", nn.Parameter(weight))
            self.register_parameter(f"b_{name}", nn.Parameter(torch.zeros(c.n_heads, c.d_head)))
            self.add_module(f"hook_{name.lower()}", nn.Identity())
        self.W_O = nn.Parameter(torch.randn(c.n_heads, c.d_head, c.d_model) * scale)
        self.b_O = nn.Parameter(torch.zeros(c.d_model))
        self.hook_pattern, self.hook_z = nn.Identity(), nn.Identity()

    def forward(
        self, x: torch.Tensor, hidden: torch.Tensor, store: KeyValues | None
    ) -> torch.Tensor:
        """x [n, P, d_model]; `hidden` [1 or n, 1 or heads, P, keys], True where a query may not
        look."""
        q, k, v = (
            hook(torch.einsum("npd,hde->nphe", x, weight) + bias)
            for hook, weight, bias in (
                (self.hook_q, self.W_Q, self.b_Q),
                (self.hook_k, self.W_K, self.b_K),
                (self.hook_v, self.W_V, self.b_V),
            )
        )
        k, v = k.transpose(1, 2), v.transpose(1, 2)  # [n, heads, keys, d_head]
        if store is not None:
            k, v = store.update(k, v, self.layer)
        scores = q.transpose(1, 2) @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        pattern = scores.masked_fill(hidden, float("-inf")).softmax(-1)
        if self.rate != 1:
            pattern = (self.rate * pattern + (1 - self.rate)).masked_fill(hidden, 0.0)
        z = self.hook_z((self.hook_pattern(pattern) @ v).transpose(1, 2))
        return torch.einsum("nphe,hed->npd", z, self.W_O) + self.b_O


class MLP(nn.Module):
    """act(x W_in + b_in) W_out + b_out."""

    def __init__(self, c: ToyConfig) -> None:
        super().__init__()
        self.W_in = nn.Parameter(torch.randn(c.d_model, c.d_mlp) / math.sqrt(c.d_model))
        self.b_in = nn.Parameter(torch.zeros(c.d_mlp))
        self.W_out = nn.Parameter(torch.randn(c.d_mlp, c.d_model) / math.sqrt(c.d_mlp))
        self.b_out = nn.Parameter(torch.zeros(c.d_model))
        self.act, self.hook_post = _ACTIVATIONS[c.activation], nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.hook_post(self.act(x @ self.W_in + self.b_in)) @ self.W_out + self.b_out


class Block(nn.Module):
    """x ← x + attention(ln1(x)), then x ← x + mlp(ln2(x))."""

    def __init__(self, c: ToyConfig, layer: int) -> None:
        super().__init__()
        self.ln1, self.attn = _norm(c), Attention(c, layer)
        self.mlp: MLP | None = None
        if c.d_mlp:
            self.ln2, self.mlp = _norm(c), MLP(c)
        self.hook_resid_pre, self.hook_resid_post = nn.Identity(), nn.Identity()

    def forward(
        self, x: torch.Tensor, hidden: torch.Tensor, store: KeyValues | None = None
    ) -> torch.Tensor:
        x = self.hook_resid_pre(x)
        x = x + self.attn(self.ln1(x), hidden, store)
        if self.mlp is not None:
            x = x + self.mlp(self.ln2(x))
        return torch.as_tensor(self.hook_resid_post(x))


class Toy(nn.Module):
    """Token ids [n, P] → logits [n, P, d_vocab_out]."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.embed, self.pos_embed = Embed(config), Positions(config)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        self.ln_final, self.unembed = _norm(config), Unembed(config)

    def hidden(self, queries: int, keys: int) -> torch.Tensor:
        """True where a query may not look, bool [1, 1, queries, keys]."""
        hidden = torch.full((queries, keys), self.config.causal, device=self.embed.W_E.device)
        return hidden.triu(keys - queries + 1)[None, None]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        length = tokens.shape[1]
        x = self.embed(tokens) + self.pos_embed(torch.arange(length, device=tokens.device))
        for block in self.blocks:
            x = block(x, self.hidden(length, length))
        return torch.as_tensor(self.unembed(self.ln_final(x)))


def is_toy(config: Mapping[str, Any]) -> bool:
    """Whether a folder's config.json is a toy's."""
    return config.get("model_type") == MODEL_TYPE


def open_toy(folder: Path, config: Mapping[str, Any], dtype: torch.dtype) -> tuple[Toy, Any]:
    """The module and the tokenizer in a folder. Raises ModelError for tensors that are missing,
    unexpected or of another shape."""
    from safetensors.torch import load_file
    from transformers import PreTrainedTokenizerFast

    module = Toy(ToyConfig.of(config, folder.name))
    tensors: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        tensors |= load_file(path)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        told = "; ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise ModelError(
            f"the tensors of {folder} are not those of its config.json ({told}). Convert the "
            f"checkpoint again."
        ) from error
    words = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    return module.to(dtype), words
