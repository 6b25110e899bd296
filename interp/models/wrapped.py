"""The adapter over a plain `nn.Module`, which runs as a whole under hooks.

It serves `interp.wrap`, and `interp.load` for families whose blocks cannot be run one by one.

Hooks see the inputs and outputs of submodules, nothing inside them, so the sites are

    resid_pre  resid_mid  resid_post  attn_out  mlp_out  ln_final      [n, P, d_model]
    z          input of the attention's output projection              [n, P, n_heads, d_head]
    mlp_post   input of the MLP's output projection                    [n, P, d_mlp]

with the meaning given in `interp.models.adapter`. `q`, `k`, `v` and `pattern` exist where modules
put them out, such as hook points (`SiteMap`). A pass can stop early, once every requested value is
known, but always starts at the first token and the first block.
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
from interp.models.trial_run import HEAD_FIELDS, measure
from interp.models.weights import count_parameters

_PROBE_LENGTH = 6
# Largest change of equal logits, as a share of the largest (`interp.engine.requests.tolerance`)
_MOVED = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 3e-2}
_INSIDE = ("q", "k", "v", "pattern")
_PUT_OUT = (*HEAD_FIELDS, "pattern", "mlp_post")  # fields that are sites themselves
_FIELDS = ("attn", "attn_out_projection", "mlp", "mlp_out_projection", *_PUT_OUT)
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
        self._norm = None if sites.final_norm is None else sites.module(module, "final_norm")
        self._head, self._embed = sites.readout(module), sites.embedding(module)
        if isinstance(self._embed, nn.Embedding):  # before a run, whose error would not name it
            _require_known(ids, self._embed.num_embeddings)
        parts = module_parts(blocks, sites)
        if self._norm is not None:
            parts["final_norm", -1] = self._norm
        self.probe = _probe(ids, min(_PROBE_LENGTH, self.n_ctx)).to(self.device)
        self.widths = measure(module, sites, parts, self.probe, self.n_heads)
        self.unit_rows = self.widths.unit_rows
        if sites.n_kv_heads is None:
            self.n_kv_heads = self.widths.n_kv_heads
        self._points = self._make_points(parts)
        self.hooked: list[Point] = []  # by the current pass
        self.sites = tuple(s for s in SITES if s in {site for site, _ in self._points})
        self.causal = self._is_causal()
        self.probe_logits = self._plain_logits()
        self.d_vocab = self._count_tokens(max(ids) + 1)
        _require_known(ids, self.d_vocab)

    def require_site(self, site: str) -> None:
        """Raise SiteError unless this model has `site`."""
        if site not in self.sites:
            why = (
                " (a plain module shows inside its attention only what submodules put out: name "
                "them in its SiteMap, or convert it to a standard folder)"
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
        if self._norm is None:
            found = self.run(tokens, None)
            assert found is not None
            return found
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
        return resid if self._norm is None else torch.as_tensor(first_of(self._norm(resid)))

    def head(self, normed: torch.Tensor) -> torch.Tensor:
        """The unembedding, [..., d_model] → [..., d_vocab]."""
        if isinstance(self._head, nn.Embedding):
            return self.readout(normed @ self._head.weight.T)
        if isinstance(self._head, torch.Tensor):
            rows_first = self._head.shape[0] == normed.shape[-1]
            return self.readout(normed @ (self._head if rows_first else self._head.T))
        if normed.ndim == 2:  # some classes take [rows, positions, width] alone
            return self.readout(torch.as_tensor(self._head(normed[None]))[0])
        return self.readout(torch.as_tensor(self._head(normed)))

    def embedding(self) -> torch.Tensor:
        """The token embedding, [d_vocab, d_model]. Raises SiteError if its place is not known."""
        table, width = self._embed, self.widths.d_model
        if isinstance(table, nn.Embedding):
            table = table.weight
        if isinstance(table, nn.Module):
            ids = torch.arange(self.d_vocab, device=self.device)
            with torch.no_grad():
                table = torch.as_tensor(first_of(table(ids[None])))[0]
        if table is None or table.ndim != 2 or width not in table.shape:
            raise SiteError(
                "this wrapped module does not tell where its token embedding is. Name it: "
                "SiteMap(embed=…), a module or a tensor."
            )
        return (table if table.shape[1] == width else table.T).detach()

    def _count_tokens(self, at_least: int) -> int:
        """Number of token ids that the module reads, as far as its embedding tells."""
        table, width = self._embed, self.widths.d_model
        if isinstance(table, nn.Embedding):
            return int(table.num_embeddings)
        weights = [table] if isinstance(table, torch.Tensor) else []
        if isinstance(table, nn.Module):
            weights = list(table.parameters())
        if len(weights) == 1 and weights[0].ndim == 2 and width in weights[0].shape:
            rows, columns = weights[0].shape
            return int(columns if rows == width else rows)
        return at_least

    def _logits(self, tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            normed = self.run(tokens, None)
            assert normed is not None
            return self.head(normed)

    def _is_causal(self) -> bool:
        """Whether later tokens leave earlier logits as they are. Raises InputError for a module
        that gives other logits each time."""
        before = self._logits(self.probe)
        bound = _MOVED[self.dtype] * float(before.abs().max())
        if not float((self._logits(self.probe) - before).abs().max()) <= bound:
            raise InputError(
                "the module gives other logits for the same tokens each time: it draws random "
                "numbers (dropout that ignores eval(), noise) or keeps a state. Take that out."
            )
        half = self.probe.shape[1] // 2
        after = self._logits(with_later_changed(self.probe, half))
        return not half or bool((after - before)[:, :half].abs().max() <= bound)

    def _make_points(self, parts: dict[tuple[str, int], nn.Module]) -> dict[Any, Point]:
        end = parts["block", self.n_layers - 1] if self._norm is None else self._norm
        points = {("ln_final", -1): Point(end, "out")}
        for layer in range(self.n_layers):
            for site, (field, side) in _BLOCK_SITES.items():
                if site == "resid_mid" and ("mlp", layer) not in parts:
                    continue  # without an MLP the block has no middle
                if (part := parts.get((field, layer))) is not None:
                    points[site, layer] = Point(part, side, self._view(site, field))
            for site in _PUT_OUT:
                if (part := parts.get((site, layer))) is not None:
                    points[site, layer] = Point(part, "out", self._output_view(site))
        return points

    def _output_view(self, site: str) -> View:
        laid_out = self.widths.laid_out.get(site)
        heads = self.n_kv_heads if site in ("k", "v") else self.n_heads
        flat = heads if laid_out == "flat" else None
        return View(heads=flat, heads_first=laid_out == "heads", copied=True)

    def _view(self, site: str, field: str) -> View:
        flat = self._rows if field in self.widths.flat else None
        if site == "z":
            return View(heads=self.n_heads, flat=flat)
        if field in ("attn", "mlp"):
            return View(scale=self._added, flat=flat, copied=True)
        return View(flat=flat)

    def _plain_logits(self) -> torch.Tensor:
        """The module's own logits on the probe, [n, P, d_vocab_out]: the last ones of every prefix
        where it returns only those. Without a causal mask the last position alone, [n, 1, …]."""
        length = self.probe.shape[1]
        with torch.no_grad():
            whole = logits_of(self.module(self.probe))
            if not self.causal:
                return last_logits(whole)[:, None]
            if whole.ndim == 3 and whole.shape[1] == length:
                return whole
            ends = range(1, length + 1)
            last = [last_logits(logits_of(self.module(self.probe[:, :end]))) for end in ends]
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


def with_later_changed(tokens: torch.Tensor, start: int) -> torch.Tensor:
    """The tokens [n, P] with every one from `start` on replaced by another of them."""
    known = tokens.unique()
    index = torch.searchsorted(known, tokens[:, start:].contiguous())
    return torch.cat([tokens[:, :start], known[(index + 1) % len(known)]], dim=1)


def logits_of(output: Any) -> torch.Tensor:
    """The logits [rows, positions, d_vocab_out], or [rows, d_vocab_out], in a module's output.

    Raises InputError for any other output.
    """
    logits = first_of(getattr(output, "logits", output))
    if not isinstance(logits, torch.Tensor) or logits.ndim not in (2, 3):
        raise InputError(
            "the module must return logits [rows, positions, d_vocab], alone or first in a tuple, "
            f"not {type(logits).__name__}."
        )
    return logits


def last_logits(logits: torch.Tensor) -> torch.Tensor:
    """The logits at the last position, [rows, d_vocab_out]."""
    return logits[:, -1] if logits.ndim == 3 else logits


def _require_known(ids: Sequence[int], d_vocab: int) -> None:
    if max(ids) >= d_vocab:
        raise InputError(
            f"the tokenizer has ids up to {max(ids)} and the module reads ids up to {d_vocab - 1}. "
            f"Give the tokenizer that the module was trained with."
        )


def _probe(ids: Sequence[int], length: int) -> torch.Tensor:
    """Fixed random tokens [2, length] from `ids`, including the largest id."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, len(ids), (2, length), generator=generator)
    tokens = torch.tensor(sorted(ids))[drawn]
    tokens[0, 0] = max(ids)
    return tokens
