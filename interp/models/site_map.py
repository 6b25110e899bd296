"""Dotted paths to the parts of a plain `nn.Module`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from interp.errors import InputError


@dataclass(frozen=True)
class SiteMap:
    """The parts of a transformer by dotted path; the defaults are nanoGPT's.

    Args:
        blocks: the list of blocks, in execution order.
        attn, mlp: the modules of a block whose outputs are added to the residual stream: its
            sublayers, or the normalisations behind them (Gemma 2, OLMo 2).
        attn_out_projection, mlp_out_projection: the output projections, which read the
            concatenated heads (head 0 first) and the neurons.
        final_norm, head: the last normalisation, and the unembedding of its output; an
            `nn.Embedding` as head stands for its transposed weights.
        n_heads, n_ctx: a number, or the path of an attribute.
        n_kv_heads: likewise, the key/value heads of grouped queries; None: as many as `n_heads`.
        added: the factor between the outputs of `attn` and `mlp` and what is added (Granite).

    `blocks`, `final_norm`, `head` and the numbers are paths from the module, the others from
    each block. None for `mlp` or a projection means that it does not exist; nor do its sites then.
    """

    blocks: str = "transformer.h"
    attn: str = "attn"
    attn_out_projection: str | None = "attn.c_proj"
    mlp: str | None = "mlp"
    mlp_out_projection: str | None = "mlp.c_proj"
    final_norm: str = "transformer.ln_f"
    head: str = "lm_head"
    n_heads: int | str = "config.n_head"
    n_ctx: int | str = "config.block_size"
    n_kv_heads: int | str | None = None
    added: float = 1.0

    def blocks_of(self, module: nn.Module) -> list[nn.Module]:
        """The blocks of `module`; InputError if the path is no list of modules."""
        found = self._at(module, "blocks", self.blocks)
        blocks = list(found) if isinstance(found, nn.ModuleList | nn.Sequential) else []
        if not blocks:
            raise InputError(
                f"SiteMap(blocks={self.blocks!r}) must name a filled nn.ModuleList, not "
                f"{_kind(found)}. Name the list of the transformer's blocks."
            )
        return blocks

    def module(self, root: nn.Module, field: str) -> nn.Module:
        """The submodule at the path in `field`, from `root`; InputError if there is none."""
        path = getattr(self, field)
        if not isinstance(path, str):
            raise InputError(
                f"SiteMap({field}={path!r}) must be a dotted path. A module without that part can "
                f"hold an nn.Identity() in its place, called there."
            )
        found = self._at(root, field, path)
        if not isinstance(found, nn.Module):
            raise InputError(f"SiteMap({field}={path!r}) must name a module, not {_kind(found)}.")
        return found

    def number(self, module: nn.Module, field: str) -> int:
        """`n_heads`, `n_kv_heads` or `n_ctx`, given or looked up; InputError unless it is a
        positive integer."""
        value = getattr(self, field)
        if field == "n_kv_heads" and value is None:
            return self.number(module, "n_heads")
        found = self._at(module, field, value) if isinstance(value, str) else value
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise InputError(
                f"SiteMap({field}={value!r}) must be a positive whole number or say where one is "
                f"found, not {_kind(found)}."
            )
        return found

    def _at(self, root: nn.Module, field: str, path: str) -> Any:
        here: Any = root
        for name in path.split("."):
            if not hasattr(here, name):
                raise InputError(
                    f"SiteMap({field}={path!r}): {_kind(here)} has no {name!r}; it has "
                    f"{_contents(here)}. Say where it lies: sites=SiteMap({field}=…)."
                )
            here = getattr(here, name)
        return here


def _kind(found: Any) -> str:
    if isinstance(found, int | float | str | None):
        return repr(found)
    return f"{type(found).__name__}" + (" of length 0" if _empty(found) else "")


def _empty(found: Any) -> bool:
    return hasattr(found, "__len__") and len(found) == 0


def _contents(found: Any) -> str:
    if isinstance(found, nn.Module):
        names = [name for name, _ in found.named_children()]
    else:
        names = [name for name in vars(found) if not name.startswith("_")]
    return ", ".join(names) or "nothing"
