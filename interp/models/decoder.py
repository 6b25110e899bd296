"""The adapter over a Hugging Face decoder whose blocks run one by one under plain hooks.

It serves every family with rotary positions whose attention goes through transformers' attention
interface: Qwen3, Gemma 1 to 3, Mistral, OLMo 2, Phi-3 and some thirty others. The sites are those
of `interp.models.adapter`; which tensors `attn_out` and `mlp_out` are is found by
`interp.models.structure`. `q`, `k` and `v` are the outputs of the projections, before a
normalisation of them (Qwen3, Gemma 3, OLMo 2) and before the rotation.

Layers of one kind ("full_attention", "sliding_attention") share a mask and rotary angles. That
the blocks, stepped so, are the model is not assumed: the adapter compares them with the module's
own forward, whole and in two parts, and with the sliding window drawn in to three positions.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import nn

from interp.errors import SiteError
from interp.models.adapter import SITES, KeyValues
from interp.models.attention import ATTENTION_NAME, Pattern, Unsteppable, register
from interp.models.hook_point import Point, View, first_of
from interp.models.site_map import SiteMap
from interp.models.structure import Readout
from interp.models.trial_run import measure
from interp.models.weights import count_parameters
from interp.models.wrapped import module_parts

FULL, SLIDING = "full_attention", "sliding_attention"
_STORES = ("past_key_values", "layer_past")
_NARROW = 3  # the sliding window of the proof, in positions

Masks = torch.Tensor | Mapping[str, torch.Tensor]


class DecoderAdapter:
    """Adapter of one decoder. Not thread-safe: a run must hold the model's lock.

    `tokens` [rows, positions] are the probe. Raises Unsteppable, and leaves the module as it was,
    if its blocks cannot be run one by one or do not give the module's logits; InputError if the
    sites do not fit the module.
    """

    whole: Literal[False] = False
    by_structure: Literal[True] = True
    causal = True
    unit_rows = True  # attention rows sum to 1

    def __init__(self, module: Any, sites: SiteMap, tokens: torch.Tensor, readout: Readout) -> None:
        self.module: Any = module.eval().requires_grad_(False)
        self.family = str(module.config.model_type)
        self.n_parameters = count_parameters(module)
        parameter = next(module.parameters())
        self.dtype, self.device = parameter.dtype, parameter.device
        self.rounds_by_width = self.dtype == torch.float64
        self.n_heads, self.n_ctx = sites.number(module, "n_heads"), sites.number(module, "n_ctx")
        self.n_kv_heads = sites.number(module, "n_kv_heads")
        self._blocks = sites.blocks_of(module)
        self.n_layers = len(self._blocks)
        weights = sum(p.numel() for b in self._blocks for p in b.parameters() if p.ndim > 1)
        self.block_weights = weights / self.n_layers
        self._norm, self._head = sites.module(module, "final_norm"), sites.module(module, "head")
        self.readout = readout
        self._find_trunk(sites)
        self.probe = tokens.to(self.device)
        parts = module_parts(self._blocks, sites) | {("final_norm", -1): self._norm}
        self.widths = measure(module, sites, parts, self.probe, self.n_heads)
        self.widths_seen = {"plain": 0}
        self.hooked: list[Point] = []  # by the current pass
        with torch.no_grad():
            self.probe_logits = torch.as_tensor(module(self.probe).logits)
        with self._stepped():
            self._points = self._make_points(parts, sites)
            self.sites = tuple(s for s in SITES if s in {site for site, _ in self._points})
            self._prove()

    @property
    def width(self) -> int:
        """Positions of the plain forward that a pass stands for."""
        return self.widths_seen["plain"]

    @width.setter
    def width(self, positions: int) -> None:
        self.widths_seen["plain"] = positions

    def _find_trunk(self, sites: SiteMap) -> None:
        """Embedding, rotary angles, kinds of layers and the block's call; Unsteppable without."""
        config = self.module.config
        trunk = self.module.get_submodule(sites.blocks.rpartition(".")[0])
        rotary = getattr(trunk, "rotary_emb", None)
        accepted = inspect.signature(self._blocks[0].forward).parameters
        store = next((name for name in _STORES if name in accepted), None)
        if rotary is None or store is None or "position_embeddings" not in accepted:
            raise Unsteppable("its blocks do not take rotary angles and a key/value store")
        if not getattr(self.module, "_supports_attention_backend", False):
            raise Unsteppable("its attention does not go through transformers' interface")
        if sites.attn_out_projection is None:
            raise Unsteppable("its attention has no output projection by a known name")
        self._rotary, self._store_name = rotary, store
        self._rotary_by_kind = "layer_type" in inspect.signature(rotary.forward).parameters
        self._embedding = self.module.get_input_embeddings()
        self._embedding_scale = float(getattr(config, "embedding_multiplier", None) or 1.0)
        window = getattr(config, "sliding_window", None)
        default = [SLIDING if window else FULL] * self.n_layers
        self.kinds = tuple(getattr(config, "layer_types", None) or default)[: self.n_layers]
        if odd := set(self.kinds) - {FULL, SLIDING}:
            raise Unsteppable(f"it has layers of the kind {sorted(odd)[0]!r}")
        if SLIDING in self.kinds and not window:
            raise Unsteppable("it has sliding layers and no width of their window")
        self.window: int | None = int(window) if window and SLIDING in self.kinds else None

    @contextmanager
    def _stepped(self) -> Iterator[None]:
        """Install the attention function; take it off again if what follows fails."""
        register()
        config = self.module.config
        before = config._attn_implementation
        config._attn_implementation = ATTENTION_NAME
        try:
            yield
        except BaseException:
            config._attn_implementation = before
            for module in self.module.modules():
                if "arithmoscope_pattern" in module._modules:
                    del module._modules["arithmoscope_pattern"]
            raise

    def _make_points(
        self, parts: Mapping[tuple[str, int], nn.Module], sites: SiteMap
    ) -> dict[tuple[str, int], Point]:
        points = {("ln_final", -1): Point(self._norm, "out")}
        added, heads = View(scale=sites.added), View(heads=self.n_heads)
        inside = str(sites.attn_out_projection).rpartition(".")[0]
        for layer, block in enumerate(self._blocks):
            points["resid_pre", layer] = Point(block, "in")
            points["resid_post", layer] = Point(block, "out")
            points["attn_out", layer] = Point(parts["attn", layer], "out", added)
            points["z", layer] = Point(parts["attn_out_projection", layer], "in", heads)
            if ("mlp", layer) in parts:
                points["mlp_out", layer] = Point(parts["mlp", layer], "out", added)
                points["resid_mid", layer] = Point(parts["attn", layer], "out", added)
            if ("mlp_out_projection", layer) in parts:
                points["mlp_post", layer] = Point(parts["mlp_out_projection", layer], "in")
            attention: Any = block.get_submodule(inside)
            attention.arithmoscope_pattern = place = Pattern(self.widths_seen)
            points["pattern", layer] = Point(place, "out")
            for site, point in self._projections(attention):
                points[site, layer] = point
        return points

    def _projections(self, attention: Any) -> Iterator[tuple[str, Point]]:
        """Hook points of q, k and v: three projections, or one fused one."""
        h, q, kv = self.widths.d_head, self.n_heads, self.n_kv_heads
        if all(hasattr(attention, f"{site}_proj") for site in "qkv"):
            for site, heads in (("q", q), ("k", kv), ("v", kv)):
                yield site, Point(getattr(attention, f"{site}_proj"), "out", View(heads=heads))
        elif hasattr(attention, "qkv_proj"):
            ends = (0, q * h, (q + kv) * h, (q + 2 * kv) * h)
            for number, (site, heads) in enumerate((("q", q), ("k", kv), ("v", kv))):
                view = View(heads=heads, part=(ends[number], ends[number + 1]))
                yield site, Point(attention.qkv_proj, "out", view)
        elif self.family == "gpt_neox":
            for number, site in enumerate("qkv"):
                view = View(heads=q, third=number)
                yield site, Point(attention.query_key_value, "out", view)

    def _prove(self) -> None:
        """Compare the blocks with the module; raises Unsteppable unless they agree."""
        config, window = self.module.config, self.window
        try:
            self._compare(self.probe_logits)
            if window is not None:
                config.sliding_window = self.window = _NARROW
                config._attn_implementation = "eager"
                with torch.no_grad():
                    narrow = torch.as_tensor(self.module(self.probe).logits)
                config._attn_implementation = ATTENTION_NAME
                self._compare(narrow)
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise Unsteppable(f"its blocks do not run one by one ({error})") from error
        finally:
            if window is not None:
                config.sliding_window = self.window = window

    def _compare(self, plain: torch.Tensor) -> None:
        bound = {torch.float64: 1e-9, torch.float32: 1e-4}.get(self.dtype, 3e-2)
        total = self.probe.shape[1]
        for parts in ((0, total), (0, total // 2, total)):
            stores = _Kept()
            found = []
            for start, end in pairwise(parts):
                found.append(self._logits(self.probe[:, :end], start, stores))
            gap = float((torch.cat(found, dim=1) - plain).abs().max() / plain.abs().max())
            if not gap <= bound:
                raise Unsteppable(f"its blocks, run one by one, differ from it by {gap:.1e}")

    def _logits(self, tokens: torch.Tensor, start: int, store: KeyValues) -> torch.Tensor:
        total = tokens.shape[1]
        positions = torch.arange(start, total, device=self.device)
        self.width = self.probe.shape[1]
        with torch.no_grad():
            resid = self.embed(tokens[:, start:], positions)
            rotation = self.rotation(resid, positions)
            mask = self.mask(total - start, total)
            for layer in range(self.n_layers):
                resid = self.block(layer, resid, mask=mask, rotation=rotation, store=store)
            return self.head(self.final_norm(resid))

    def require_site(self, site: str) -> None:
        """Raise SiteError unless this model has `site`."""
        if site not in self.sites:
            raise SiteError(
                f"this {self.family} model has no site {site!r}. It has: {', '.join(self.sites)}."
            )

    def hook_point(self, site: str, layer: int | None) -> Point:
        """The hook point of `site` at `layer`; `ln_final` has no layer."""
        self.require_site(site)
        if site == "ln_final":
            return self._points[site, -1]
        if layer is None or not 0 <= layer < self.n_layers:
            raise SiteError(
                f"layer {layer} does not exist: this model has layers 0 to {self.n_layers - 1}."
            )
        return self._points[site, layer]

    def take_hooks_off(self) -> None:
        """Remove all hooks from the points in `hooked`, also after an interrupt."""
        while self.hooked:
            self.hooked[-1].clear()
            self.hooked.pop()

    def embed(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Residual stream before block 0, [n, P, d_model]; positions come in by rotation."""
        resid = torch.as_tensor(self._embedding(tokens))
        return resid if self._embedding_scale == 1.0 else resid * self._embedding_scale

    def embedding(self) -> torch.Tensor:
        """The token embedding, [d_vocab, d_model], as it is added to the stream."""
        ids = torch.arange(len(self._embedding.weight), device=self.device)
        return self.embed(ids[None], ids)[0]

    def rotation(self, resid: torch.Tensor, positions: torch.Tensor) -> dict[str, Any]:
        """Kind of layer → cosines and sines at `positions`, [P] or [n, P]."""
        positions = positions[None] if positions.ndim == 1 else positions
        if not self._rotary_by_kind:
            return dict.fromkeys(set(self.kinds), self._rotary(resid, positions))
        return {kind: self._rotary(resid, positions, kind) for kind in set(self.kinds)}

    def mask(self, queries: int, keys: int) -> dict[str, torch.Tensor]:
        """Kind of layer → additive mask [1, 1, queries, keys]; the queries are the last of the
        keys, and a sliding layer's see the last `window` positions, their own among them."""
        age = (
            torch.arange(keys - queries, keys, device=self.device)[:, None]
            - torch.arange(keys, device=self.device)[None, :]
        )
        hidden = {FULL: age < 0}
        if self.window is not None:
            hidden[SLIDING] = (age < 0) | (age >= self.window)
        lowest = torch.finfo(self.dtype).min
        return {
            kind: torch.zeros(where.shape, dtype=self.dtype, device=self.device).masked_fill(
                where, lowest
            )[None, None]
            for kind, where in hidden.items()
        }

    def block(
        self, layer: int, resid: torch.Tensor, *, mask: Masks, rotation: Any, store: KeyValues
    ) -> torch.Tensor:
        """Run one block on the positions in `resid`, [n, P, d_model] → [n, P, d_model]; `mask` by
        kind of layer, or one for this layer."""
        kind = self.kinds[layer]
        options: dict[str, Any] = {
            "attention_mask": mask if isinstance(mask, torch.Tensor) else mask[kind],
            "position_embeddings": rotation[kind],
            self._store_name: store,
        }
        return torch.as_tensor(first_of(self._blocks[layer](resid, **options)))

    def project(self, site: str, layer: int, x: torch.Tensor) -> torch.Tensor:
        """Output projection of the heads (`z`) or neurons (`mlp_post`), with its bias, times what
        the block multiplies it by."""
        self.require_site(site)
        added = self._points["attn_out" if site == "z" else "mlp_out", layer].scale
        return torch.as_tensor(self._points[site, layer].module(x)) * added

    def values(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        """Value projection of a normalised stream [P, d_model] → [P, G · h], with bias."""
        self.require_site("v")
        return self._points["v", layer].output(x).flatten(1)

    def final_norm(self, resid: torch.Tensor) -> torch.Tensor:
        """The last normalisation, [..., d_model] → [..., d_model]."""
        return torch.as_tensor(self._norm(resid))

    def head(self, normed: torch.Tensor) -> torch.Tensor:
        """The unembedding, [..., d_model] → [..., d_vocab]."""
        return self.readout(self.linear_head(normed))

    def linear_head(self, normed: torch.Tensor) -> torch.Tensor:
        """The unembedding before `readout`."""
        return torch.as_tensor(self._head(normed))


class _Kept:
    """Key/value store of the proof: all layers' keys and values so far."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def update(
        self, k: torch.Tensor, v: torch.Tensor, layer: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if layer in self._kept:
            before = self._kept[layer]
            k, v = torch.cat([before[0], k], dim=2), torch.cat([before[1], v], dim=2)
        self._kept[layer] = k, v
        return k, v
