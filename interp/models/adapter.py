"""The adapter over TransformerLens; only this module uses its names.

It gives the engine the parts of a transformer: embed, run one block on some positions with cached
keys and values, normalise, unembed; and the hook point of each named site.

Sites, with d = d_model, H heads of h = d_head, G key/value heads, m = d_mlp; n rows, P positions:

    resid_pre  resid_mid  resid_post  residual stream before, inside, after a block  [n, P, d]
    attn_out   mlp_out                output of each sublayer, added to the stream   [n, P, d]
    q  (k and v with G heads)         projections, before rotation                   [n, P, H, h]
    pattern                           attention after the softmax                    [n, H, P, K]
    z                                 head outputs before the output projection      [n, P, H, h]
    mlp_post                          neurons that the MLP writes out                [n, P, m]
    ln_final                          input of the unembedding (no layer)            [n, P, d]

An edit of TransformerLens' own `hook_resid_mid` reaches only the MLP branch, not the stream. Here
an edit of `resid_mid` changes `attn_out` by the difference, so it reaches both. Blocks with
parallel attention and MLP (GPT-NeoX) have no mid-residual, and the site does not exist there.
"""

from __future__ import annotations

import copy
from typing import Any, Literal, Protocol

import torch
from torch import nn
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge

from interp.errors import SiteError, nearest
from interp.models.structure import Readout, context
from interp.models.weights import count_parameters

_BLOCK_HOOKS = {
    "resid_pre": "hook_in",
    "resid_mid": "attn.hook_out",  # edited through the increment to resid_pre; see above
    "resid_post": "hook_out",
    "attn_out": "attn.hook_out",
    "mlp_out": "mlp.hook_out",
    "q": "attn.q.hook_out",
    "k": "attn.k.hook_out",
    "v": "attn.v.hook_out",
    "pattern": "attn.hook_pattern",
    "z": "attn.o.hook_in",
    "mlp_post": "mlp.out.hook_in",
}
SITES = (*_BLOCK_HOOKS, "ln_final")
FAMILIES = ("gpt2", "llama", "gpt_neox", "qwen2")


def bridged(config: Any) -> bool:
    """True for the models that run over TransformerLens: four families, but for sliding windows
    and a GPT-NeoX without attention bias, which its blocks lack."""
    sliding = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    bare = config.model_type == "gpt_neox" and not getattr(config, "attention_bias", True)
    return config.model_type in FAMILIES and not sliding and not bare


class KeyValues(Protocol):
    """Key/value cache of a block: the keys and values it attends to besides its own."""

    def update(
        self, k: torch.Tensor, v: torch.Tensor, layer: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


class Adapter:
    """Adapter of one transformer. Not thread-safe: a run must hold the model's lock."""

    whole: Literal[False] = False  # its blocks run one by one, from any position on
    by_structure: Literal[False] = False  # where its sites lie is known, not found
    window: None = None  # no sliding attention
    causal = True
    unit_rows = True  # attention rows sum to 1

    def __init__(self, module: Any, tokenizer: Any, family: str) -> None:
        dtype = next(module.parameters()).dtype
        device = next(module.parameters()).device
        module.eval().requires_grad_(False)
        self.n_parameters = count_parameters(module)  # before the bridge adds copies
        self.family = family
        self.readout = Readout()  # these families change no logit after the unembedding
        self.module: nn.Module = module
        self.probe = probe_tokens(module)
        with torch.no_grad():  # before the bridge replaces the submodules with its own
            self.probe_logits = torch.as_tensor(module(self.probe).logits)
        self.bridge = TransformerBridge.boot_transformers(
            f"local/{family}",
            hf_model=module,
            tokenizer=copy.deepcopy(tokenizer),  # the bridge adds special tokens of its own
            device=str(device),
            dtype=dtype,
        )
        self.n_layers = int(self.bridge.cfg.n_layers)
        self.parallel = bool(getattr(self.bridge.cfg, "parallel_attn_mlp", False))
        self.dtype, self.device = dtype, device
        self._store_name = "layer_past" if family == "gpt_neox" else "past_key_values"
        self._hooks = dict(self.bridge.hook_dict)
        self.hooked: list[HookPoint] = []  # by the current pass
        self.width = 0  # positions of the plain forward that a pass stands for
        self.rounds_by_width = family != "gpt2" and dtype == torch.float64
        if family != "gpt2":
            # These families take the softmax in float32 whatever their dtype.
            for block in self.bridge.blocks:
                block.attn._masked_softmax = self._softmax_in_float32
        self.sites = tuple(
            site
            for site in SITES
            if site == "ln_final"
            or (f"blocks.0.{_BLOCK_HOOKS[site]}" in self._hooks and not self._no_mid(site))
        )

    def _no_mid(self, site: str) -> bool:
        return site == "resid_mid" and self.parallel

    def require_site(self, site: str) -> None:
        """Raise SiteError unless this model has `site`."""
        if site not in self.sites:
            why = " (its attention and MLP run in parallel)" if self._no_mid(site) else ""
            raise SiteError(
                f"this {self.family} model has no site {site!r}{why}. "
                f"The nearest: {nearest(site, self.sites)}; model.usable_sites lists all."
            )

    def hook_point(self, site: str, layer: int | None) -> HookPoint:
        """The hook point of `site` at `layer`; `ln_final` has no layer."""
        self.require_site(site)
        if site == "ln_final":
            return self._hooks["ln_final.hook_out"]
        if layer is None or not 0 <= layer < self.n_layers:
            raise SiteError(
                f"layer {layer} does not exist: this model has layers 0 to {self.n_layers - 1}."
            )
        return self._hooks[f"blocks.{layer}.{_BLOCK_HOOKS[site]}"]

    def _softmax_in_float32(
        self, scores: torch.Tensor, dtype: torch.dtype | None = None
    ) -> torch.Tensor:
        """Softmax over keys. In float32 a sum over a different number of keys rounds differently,
        even if the extra keys have zero weight. This is visible in a float64 model, where the
        softmax therefore runs over as many keys as in the plain forward.
        """
        keys = scores.shape[-1]
        if self.rounds_by_width and keys < self.width:
            scores = nn.functional.pad(scores, (0, self.width - keys), value=float("-inf"))
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32)
        return weights[..., :keys].to(self.dtype)

    def take_hooks_off(self) -> None:
        """Remove all hooks from the points in `hooked`, also after an interrupt."""
        while self.hooked:
            self.hooked[-1]._forward_hooks.clear()
            self.hooked[-1].fwd_hooks.clear()
            self.hooked.pop()

    def embed(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Residual stream before block 0, [n, P, d_model]; `positions` is [P] or [n, P]."""
        resid = self.bridge.embed(tokens)
        if self.family == "gpt2":
            resid = resid + self.module.transformer.wpe(positions)  # type: ignore[union-attr,operator]
        return torch.as_tensor(resid)

    def embedding(self) -> torch.Tensor:
        """The token embedding, [d_vocab, d_model], as it is added to the stream."""
        table: Any = self.module.get_input_embeddings()  # type: ignore[operator]
        ids = torch.arange(int(table.weight.shape[0]), device=self.device)
        return torch.as_tensor(self.bridge.embed(ids[None]))[0]

    def rotation(self, resid: torch.Tensor, positions: torch.Tensor) -> Any:
        """Cosines and sines of the rotary embedding at `positions`, [P] or [n, P]; None without
        one."""
        if self.family == "gpt2":
            return None
        return self.bridge.rotary_emb(resid, positions[None] if positions.ndim == 1 else positions)

    def mask(self, queries: int, keys: int) -> torch.Tensor:
        """Additive causal mask [1, 1, queries, keys]; the queries are the last of the keys."""
        lowest = torch.finfo(self.dtype).min
        mask = torch.full((queries, keys), lowest, dtype=self.dtype, device=self.device)
        return mask.triu(keys - queries + 1)[None, None]

    def block(
        self,
        layer: int,
        resid: torch.Tensor,
        *,
        mask: torch.Tensor,
        rotation: Any,
        store: KeyValues,
    ) -> torch.Tensor:
        """Run one block on the positions in `resid`, [n, P, d_model] → [n, P, d_model]."""
        options: dict[str, Any] = {"attention_mask": mask, self._store_name: store}
        if rotation is not None:
            options["position_embeddings"] = rotation
        out = self.bridge.blocks[layer](resid, **options)
        return out[0] if isinstance(out, tuple) else out

    def project(self, site: str, layer: int, x: torch.Tensor) -> torch.Tensor:
        """Output projection of the heads (`z`, [..., H · h]) or neurons (`mlp_post`), with bias."""
        block = self.bridge.blocks[layer]
        return torch.as_tensor((block.attn.o if site == "z" else block.mlp.out)(x))

    def values(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        """Value projection of a normalised stream [P, d_model] → [P, G · h], with bias."""
        return torch.as_tensor(self.bridge.blocks[layer].attn.v(x[None]))[0].flatten(1)

    def final_norm(self, resid: torch.Tensor) -> torch.Tensor:
        """The last normalisation, [..., d_model] → [..., d_model]."""
        return torch.as_tensor(self.bridge.ln_final(resid))

    def head(self, normed: torch.Tensor) -> torch.Tensor:
        """The unembedding, [..., d_model] → [..., d_vocab]."""
        return torch.as_tensor(self.bridge.unembed(normed))

    linear_head = head


def probe_tokens(module: Any) -> torch.Tensor:
    """Fixed random tokens [2, 6] for the comparison of engine and module."""
    length = min(6, context(module.config))
    words = int(module.get_input_embeddings().weight.shape[0])
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, words, (2, length), generator=generator).to(module.device)
