"""Dotted paths to the parts of a plain `nn.Module`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from interp.errors import InputError

_EMBEDDINGS = ("transformer.wte", "model.embed_tokens", "gpt_neox.embed_in", "embed")


@dataclass(frozen=True)
class SiteMap:
    """The parts of a transformer by dotted path; the defaults are nanoGPT's.

    Args:
        blocks: the list of blocks, in execution order.
        attn, mlp: the modules of a block whose outputs are added to the residual stream: its
            sublayers, or the normalisations behind them (Gemma 2, OLMo 2).
        attn_out_projection, mlp_out_projection: the output projections, which read the
            concatenated heads (head 0 first) and the neurons.
        final_norm, head: the last normalisation (None: the head reads the stream itself), and the
            unembedding of its output; an `nn.Embedding` as head stands for its transposed weights,
            a tensor for a product with it.
        n_heads, n_ctx: a number, or the path of an attribute, or of a tensor whose first axis
            counts them.
        n_kv_heads: likewise, the key/value heads of grouped queries; None: as many as `n_heads`.
        added: the factor between the outputs of `attn` and `mlp` and what is added (Granite).
        embed: the token embedding, a module or a tensor; None: under its usual names.
        q, k, v, pattern, z, mlp_post: modules whose output is that activation, such as the hook
            points of TransformerLens; heads before or after positions. Where `z` or `mlp_post` is
            given, the projection that reads it need not be a module.

    `blocks`, `final_norm`, `head`, `embed` and the numbers are paths from the module, the others
    from each block. None for `mlp` or a projection means that it does not exist; nor do its
    sites then.
    """

    blocks: str = "transformer.h"
    attn: str = "attn"
    attn_out_projection: str | None = "attn.c_proj"
    mlp: str | None = "mlp"
    mlp_out_projection: str | None = "mlp.c_proj"
    final_norm: str | None = "transformer.ln_f"
    head: str = "lm_head"
    n_heads: int | str = "config.n_head"
    n_ctx: int | str = "config.block_size"
    n_kv_heads: int | str | None = None
    added: float = 1.0
    embed: str | None = None
    q: str | None = None
    k: str | None = None
    v: str | None = None
    pattern: str | None = None
    z: str | None = None
    mlp_post: str | None = None

    @classmethod
    def of(cls, module: nn.Module) -> SiteMap:
        """The map of a module with TransformerLens' names (`blocks.0.attn.W_Q`, `unembed`, hook
        points), as in the public grokking code; nanoGPT's map for any other."""
        blocks = getattr(module, "blocks", None)
        if not isinstance(blocks, nn.ModuleList) or not len(blocks) or not _at(module, "unembed"):
            return cls()
        first, mlp = blocks[0], hasattr(blocks[0], "mlp")
        named = {
            "q": "attn.hook_q", "k": "attn.hook_k", "v": "attn.hook_v", "z": "attn.hook_z",
            "mlp_post": "mlp.hook_post",
        }  # fmt: skip
        pattern = "attn.hook_pattern" if _at(first, "attn.hook_pattern") else "attn.hook_attn"
        return cls(
            blocks="blocks",
            attn_out_projection=None,
            mlp="mlp" if mlp else None,
            mlp_out_projection=None,
            final_norm="ln_final" if _at(module, "ln_final") else None,
            head="unembed",
            n_heads="blocks.0.attn.W_Q",
            n_ctx="pos_embed.W_pos",
            embed="embed",
            pattern=pattern if _at(first, pattern) else None,
            **{field: path for field, path in named.items() if _at(first, path)},  # type: ignore[arg-type]
        )

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
        if isinstance(found, Tensor) and found.ndim > 1:
            found = len(found)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise InputError(
                f"SiteMap({field}={value!r}) must be a positive whole number or say where one is "
                f"found, not {_kind(found)}."
            )
        return found

    def readout(self, module: nn.Module) -> nn.Module | Tensor:
        """The head: a module, or a tensor [d_model, d_vocab] or its transpose."""
        found = self._at(module, "head", str(self.head))
        return found if isinstance(found, Tensor) else self.module(module, "head")

    def embedding(self, module: nn.Module) -> nn.Module | Tensor | None:
        """The token embedding; None where no path is given and no usual name exists."""
        if self.embed is not None:
            found = self._at(module, "embed", self.embed)
            return found if isinstance(found, Tensor) else self.module(module, "embed")
        return next((found for path in _EMBEDDINGS if (found := _at(module, path))), None)

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


def _at(root: Any, path: str) -> nn.Module | None:
    """The submodule at a path, or None."""
    for name in path.split("."):
        root = getattr(root, name, None)
    return root if isinstance(root, nn.Module) else None


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
