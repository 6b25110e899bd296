"""The adapter over a plain `nn.Module`, which runs as a whole under hooks.

It serves `interp.wrap`, and `interp.load` for families whose blocks cannot be run one by one.

Hooks see the inputs and outputs of submodules, nothing inside them, so the sites are

    resid_pre  resid_mid  resid_post  attn_out  mlp_out  ln_final      [n, P, d_model]
    z          input of the attention's output projection              [n, P, n_heads, d_head]
    mlp_post   input of the MLP's output projection                    [n, P, d_mlp]

with the meaning given in `interp.models.adapter`; `q`, `k`, `v` and `pattern` do not exist here. A
pass can stop early, once every requested value is known, but always starts at the first token and
the first block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from interp.errors import InputError, SiteError
from interp.models.adapter import SITES
from interp.models.hook_point import Point, Side, View, first_given, first_of
from interp.models.site_map import SiteMap
from interp.models.structure import Readout
from interp.models.trial_run import measure
from interp.models.weights import count_parameters

_PROBE_LENGTH = 6
_INSIDE = ("q", "k", "v", "pattern")
_FIELDS = ("attn", "attn_out_projection", "mlp", "mlp_out_projection")
# site → the part whose input or output it is
_BLOCK_SITES: dict[str, tuple[str, Side]] = {
    "resid_pre": ("block", "in"),
    "resid_mid": ("attn", "out"),  # edited through the increment to resid_pre, as in Adapter
    "resid_post": ("block", "out"),
    "attn_out": ("attn", "out"),
    "mlp_out": ("mlp", "out"),
    "z": ("attn_out_projection", "in"),
    "mlp_post": ("mlp_out_projection", "in"),
}


class _Enough(BaseException):
    """Stops a pass once every requested value is known. Not an Exception: no module catches it."""


class WrappedAdapter:
    """Adapter of one plain module. Not thread-safe: a run must hold the model's lock.

    `ids` are the token ids that it must know, `readout` what the module does to the output of its
    head. Raises InputError if the sites do not fit the module.
    """

    whole: Literal[True] = True
    by_structure: Literal[True] = True
    rounds_by_width: Literal[False] = False

    def __init__(
        self,
        module: nn.Module,
        sites: SiteMap,
        ids: Sequence[int],
        *,
        family: str = "wrapped",
        readout: Readout | None = None,
    ) -> None:
        self.family = family
        self.readout = readout or Readout()
        self._added = sites.added
        self._rows = {"rows": 0}  # of the current pass
        self.module = module.eval().requires_grad_(False)
        self.n_parameters = count_parameters(module)
        parameter = next(module.parameters())
        self.dtype, self.device = parameter.dtype, parameter.device
        self.n_heads = sites.number(module, "n_heads")
        self.n_kv_heads = sites.number(module, "n_kv_heads")
        self.n_ctx = sites.number(module, "n_ctx")
        blocks = sites.blocks_of(module)
        self.n_layers = len(blocks)
        weights = sum(p.numel() for block in blocks for p in block.parameters() if p.ndim > 1)
        self.block_weights = weights / self.n_layers
        self._norm = sites.module(module, "final_norm")
        self._head = sites.module(module, "head")
        parts = module_parts(blocks, sites) | {("final_norm", -1): self._norm}
        self.probe = _probe(ids, min(_PROBE_LENGTH, self.n_ctx)).to(self.device)
        self.widths = measure(module, sites, parts, self.probe, self.n_heads)
        self._points = self._make_points(parts)
        self.hooked: list[Point] = []  # by the current pass
        self.sites = tuple(s for s in SITES if s in {site for site, _ in self._points})
        self.probe_logits = self._plain_logits()

    def require_site(self, site: str) -> None:
        """Raise SiteError unless this model has `site`."""
        if site not in self.sites:
            why = (
                " (a plain module shows nothing inside its attention: convert it to a standard "
                "folder to see that)"
                if site in _INSIDE
                else ""
            )
            kind = "wrapped module" if self.family == "wrapped" else f"{self.family} model"
            raise SiteError(
                f"this {kind} has no site {site!r}{why}. It has: {', '.join(self.sites)}."
            )

    def take_hooks_off(self) -> None:
        """Remove all hooks from the points in `hooked`, also after an interrupt."""
        while self.hooked:
            self.hooked[-1].clear()
            self.hooked.pop()

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

    def run(self, tokens: torch.Tensor, stop_layer: int | None) -> torch.Tensor | None:
        """Run the module up to the final norm and return its output, [n, P, d]; or only the blocks
        below `stop_layer`, and return None."""
        end = ("ln_final", -1) if stop_layer is None else ("resid_post", stop_layer - 1)
        seen: list[torch.Tensor] = []

        def stop(x: torch.Tensor, hook: Any) -> None:
            seen.append(x)
            raise _Enough

        self._rows["rows"] = len(tokens)
        self.hooked.append(self._points[end])
        handle = self._points[end].add_hook(stop)  # the last one there: edits come before it
        try:
            self.module(tokens)
        except _Enough:
            return seen[0] if stop_layer is None else None
        finally:
            handle.hook.remove()
            self._points[end].fwd_hooks.remove(handle)
        raise SiteError(f"the module ended without passing {end[0]}: was a submodule replaced?")

    def norm_input(self, tokens: torch.Tensor) -> torch.Tensor:
        """Input of the final norm when the module runs on `tokens`, [n, P, d_model]."""
        seen: list[torch.Tensor] = []

        def stop(module: nn.Module, args: Any, kwargs: Any) -> None:
            seen.append(first_given(args, kwargs))
            raise _Enough

        handle = self._norm.register_forward_pre_hook(stop, with_kwargs=True)
        try:
            with torch.no_grad():
                self.module(tokens)
        except _Enough:
            return seen[0]
        finally:
            handle.remove()
        raise SiteError("the module ended without passing the final norm: was it replaced?")

    def final_norm(self, resid: torch.Tensor) -> torch.Tensor:
        """The last normalisation, [..., d_model] → [..., d_model]."""
        return torch.as_tensor(first_of(self._norm(resid)))

    def head(self, normed: torch.Tensor) -> torch.Tensor:
        """The unembedding, [..., d_model] → [..., d_vocab]."""
        if isinstance(self._head, nn.Embedding):
            return self.readout(normed @ self._head.weight.T)
        return self.readout(torch.as_tensor(self._head(normed)))

    def _make_points(self, parts: dict[tuple[str, int], nn.Module]) -> dict[Any, Point]:
        points = {("ln_final", -1): Point(self._norm, "out")}
        for layer in range(self.n_layers):
            for site, (field, side) in _BLOCK_SITES.items():
                if site == "resid_mid" and ("mlp", layer) not in parts:
                    continue  # without an MLP the block has no middle
                if (part := parts.get((field, layer))) is not None:
                    points[site, layer] = Point(part, side, self._view(site, field))
        return points

    def _view(self, site: str, field: str) -> View:
        flat = self._rows if field in self.widths.flat else None
        if site == "z":
            return View(heads=self.n_heads, flat=flat)
        if field in ("attn", "mlp"):
            return View(scale=self._added, flat=flat, copied=True)
        return View(flat=flat)

    def _plain_logits(self) -> torch.Tensor:
        """The module's own logits on the probe [n, P, d_vocab]; of a module of unknown habits the
        last ones of every prefix, since some return only the last position."""
        if self.family != "wrapped":
            with torch.no_grad():
                return torch.as_tensor(self.module(self.probe).logits)
        ends = range(1, self.probe.shape[1] + 1)
        with torch.no_grad():
            last = [_last_logits(self.module(self.probe[:, :end])) for end in ends]
        return torch.stack(last, dim=1)


def module_parts(blocks: list[nn.Module], sites: SiteMap) -> dict[tuple[str, int], nn.Module]:
    """(field, layer) → the submodule at that path of each block, and the blocks themselves."""
    parts: dict[tuple[str, int], nn.Module] = {}
    for layer, block in enumerate(blocks):
        parts["block", layer] = block
        for field in _FIELDS:
            if getattr(sites, field) is not None:
                parts[field, layer] = sites.module(block, field)
    return parts


def _last_logits(output: Any) -> torch.Tensor:
    logits = first_of(getattr(output, "logits", output))
    if not isinstance(logits, torch.Tensor) or logits.ndim not in (2, 3):
        raise InputError(
            "the module must return logits [rows, positions, d_vocab], alone or first in a tuple, "
            f"not {type(logits).__name__}."
        )
    return logits[:, -1] if logits.ndim == 3 else logits


def _probe(ids: Sequence[int], length: int) -> torch.Tensor:
    """Fixed random tokens [2, length] from `ids`, including the largest id."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, len(ids), (2, length), generator=generator)
    tokens = torch.tensor(sorted(ids))[drawn]
    tokens[0, 0] = max(ids)
    return tokens
