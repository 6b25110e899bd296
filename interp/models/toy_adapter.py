"""The adapter over a toy (`interp.models.toy`), with the parts and sites of `interp.models.adapter`
and without a bridge."""

from __future__ import annotations

from typing import Any, Literal

import torch

from interp.errors import SiteError
from interp.models.adapter import SITES, KeyValues
from interp.models.hook_point import Point
from interp.models.structure import Readout
from interp.models.toy import MODEL_TYPE, Block, Toy
from interp.models.weights import count_parameters


class ToyAdapter:
    """Adapter of one toy. Not thread-safe: a run must hold the model's lock."""

    whole: Literal[False] = False
    by_structure: Literal[False] = False
    window: None = None
    rounds_by_width: Literal[False] = False
    family = MODEL_TYPE
    parallel = False

    def __init__(self, module: Toy) -> None:
        self.module = module.eval().requires_grad_(False)
        c = module.config
        self.n_parameters = count_parameters(module)
        self.dtype, self.device = module.embed.W_E.dtype, module.embed.W_E.device
        self.n_layers, self.causal = c.n_layers, c.causal
        self.unit_rows = c.attention_rate == 1
        self.width = 0
        self.readout = Readout()
        self.hooked: list[Point] = []  # by the current pass
        self._points = {("ln_final", -1): Point(module.ln_final, "out")}
        for layer, block in enumerate(module.blocks):
            assert isinstance(block, Block)
            self._points |= {(site, layer): point for site, point in _points(block).items()}
        self.sites = tuple(s for s in SITES if s in {site for site, _ in self._points})
        generator = torch.Generator().manual_seed(0)
        shape = (2, min(6, c.n_ctx))
        self.probe = torch.randint(0, c.d_vocab, shape, generator=generator).to(self.device)
        with torch.no_grad():
            self.probe_logits = module(self.probe)[:, slice(None) if c.causal else slice(-1, None)]

    def require_site(self, site: str) -> None:
        """Raise SiteError unless this model has `site`."""
        if site not in self.sites:
            raise SiteError(
                f"this toy model has no site {site!r}. It has: {', '.join(self.sites)}."
            )

    def hook_point(self, site: str, layer: int | None) -> Point:
        """The hook point of `site` at `layer`; `ln_final` has no layer."""
        self.require_site(site)
        if site != "ln_final" and (layer is None or not 0 <= layer < self.n_layers):
            raise SiteError(
                f"layer {layer} does not exist: this model has layers 0 to {self.n_layers - 1}."
            )
        return self._points[site, -1 if site == "ln_final" or layer is None else layer]

    def take_hooks_off(self) -> None:
        """Remove all hooks from the points in `hooked`, also after an interrupt."""
        while self.hooked:
            self.hooked[-1].clear()
            self.hooked.pop()

    def embed(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Residual stream before block 0, [n, P, d_model]; `positions` is [P] or [n, P]."""
        return torch.as_tensor(self.module.embed(tokens) + self.module.pos_embed(positions))

    def embedding(self) -> torch.Tensor:
        """The token embedding, [d_vocab, d_model]."""
        return self.module.embed.W_E

    def rotation(self, resid: torch.Tensor, positions: torch.Tensor) -> None:
        """None: positions are embedded."""
        return None

    def mask(self, queries: int, keys: int) -> torch.Tensor:
        """Additive mask [1, 1, queries, keys]; the queries are the last of the keys."""
        hidden = self.module.hidden(queries, keys)
        mask = torch.zeros(hidden.shape, dtype=self.dtype, device=self.device)
        return mask.masked_fill(hidden, torch.finfo(self.dtype).min)

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
        return torch.as_tensor(self.module.blocks[layer](resid, mask < 0, store))

    def project(self, site: str, layer: int, x: torch.Tensor) -> torch.Tensor:
        """Output projection of the heads (`z`) or neurons (`mlp_post`), with its bias."""
        self.require_site(site)
        block: Any = self.module.blocks[layer]
        if site == "z":
            return torch.as_tensor(x @ block.attn.W_O.flatten(0, 1) + block.attn.b_O)
        return torch.as_tensor(x @ block.mlp.W_out + block.mlp.b_out)

    def values(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        """Value projection of a normalised stream [P, d_model] → [P, H · h], with bias."""
        attn: Any = self.module.blocks[layer].attn
        return torch.as_tensor(torch.einsum("pd,hde->phe", x, attn.W_V) + attn.b_V).flatten(1)

    def final_norm(self, resid: torch.Tensor) -> torch.Tensor:
        """The last normalisation, if there is one, [..., d_model] → [..., d_model]."""
        return torch.as_tensor(self.module.ln_final(resid))

    def linear_head(self, normed: torch.Tensor) -> torch.Tensor:
        """`head`: nothing is done to the logits after it."""
        return self.head(normed)

    def head(self, normed: torch.Tensor) -> torch.Tensor:
        """The unembedding, [..., d_model] → [..., d_vocab_out]."""
        return torch.as_tensor(self.module.unembed(normed))


def _points(block: Block) -> dict[str, Point]:
    attn = block.attn
    points = {
        "resid_pre": Point(block.hook_resid_pre, "out"),
        "resid_post": Point(block.hook_resid_post, "out"),
        "attn_out": Point(attn, "out"),
        "q": Point(attn.get_submodule("hook_q"), "out"),
        "k": Point(attn.get_submodule("hook_k"), "out"),
        "v": Point(attn.get_submodule("hook_v"), "out"),
        "pattern": Point(attn.hook_pattern, "out"),
        "z": Point(attn.hook_z, "out"),
    }
    if block.mlp is not None:
        # Edited through the increment to resid_pre, as in `interp.models.adapter`.
        points["resid_mid"] = Point(attn, "out")
        points["mlp_out"] = Point(block.mlp, "out")
        points["mlp_post"] = Point(block.mlp.hook_post, "out")
    return points
