"""nanoGPT's checkpoints (karpathy/nanoGPT, `out/ckpt.pt`): GPT-2 with nn.Linear and no bias in the
head, and optionally no biases at all."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from interp.models.convert import gpt2
from interp.models.convert.checkpoint import Checkpoint, Shapes
from interp.models.convert.formulas import ACTIVATIONS, attend, check_activation, layer_norm
from interp.models.convert.standard import Options, Standard, agreed, heads_note

KIND = "a nanoGPT model"
_WTE, _WPE, _HEAD = "transformer.wte.weight", "transformer.wpe.weight", "lm_head.weight"
_MASKS = r"transformer\.h\.\d+\.attn\.(masked_)?bias"
_LIKE = (
    r"(transformer\.(wte|wpe)|lm_head)\.weight|transformer\.ln_f\.(weight|bias)|"
    r"transformer\.h\.\d+\.(ln_[12]|attn\.c_(attn|proj)|mlp\.c_(fc|proj)|attn)\.(weight|bias)"
)
_LINEARS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
_EPS = 1e-5


def read(checkpoint: Checkpoint, options: Options) -> Standard:
    """A nanoGPT checkpoint in the layout of GPT-2.

    Sizes come from `model_args` if saved, else from the shapes; the activation is
    the exact GELU unless `options` says otherwise (older versions of nanoGPT used "gelu_new").

    Raises ModelError for tensors that are missing, extra or of another shape; InputError for
    missing heads, or heads that contradict `model_args`.
    """
    checkpoint = checkpoint.unwrapped(_WTE)
    # The causal mask is a buffer named like a bias; a real one has a single axis.
    tensors = {n: t for n, t in checkpoint.tensors.items() if not _is_mask(n, t)}
    held = Checkpoint(checkpoint.path, tensors, checkpoint.settings)
    activation = check_activation(options.activation or "gelu", KIND)
    said = held.settings
    d_vocab, d_model = held.shape(_WTE, KIND, _LIKE)
    layers = int(said.get("n_layer") or _count_layers(tensors))
    heads = agreed("heads", options.heads, said.get("n_head"))
    fc = tensors.get("transformer.h.0.mlp.c_fc.weight")
    sizes = {
        "d_model": int(said.get("n_embd") or d_model),
        "d_vocab": int(said.get("vocab_size") or d_vocab),
        "context": int(said.get("block_size") or held.shape(_WPE, KIND, _LIKE)[0]),
        "d_mlp": int(fc.shape[0]) if fc is not None else 4 * d_model,
        "layers": layers,
    }
    biased = "transformer.ln_f.bias" in tensors
    wanted = _shapes(biased=biased, head=_HEAD in tensors, **sizes)
    held.require(wanted, KIND)
    tied = _HEAD not in tensors or torch.equal(tensors[_HEAD], tensors[_WTE])
    config = gpt2.config(heads=heads, activation=activation, tied=tied, eps=_EPS, **sizes)
    source = held.double()
    return Standard(
        config,
        _gpt2_names(tensors, layers, tied),
        lambda tokens: forward(source, tokens, heads, activation),
        (f"the neurons compute {activation!r}: no tensor tells", *heads_note(heads, said)),
    )


def forward(t: Mapping[str, Tensor], tokens: Tensor, heads: int, activation: str) -> Tensor:
    """nanoGPT's own formula over its own tensors, [n, P] → [n, P, d_vocab]."""

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, t[f"{name}.weight"], t.get(f"{name}.bias"))

    def norm(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, t[f"{name}.weight"], t.get(f"{name}.bias"), _EPS)

    x = t[_WTE][tokens] + t[_WPE][: tokens.shape[1]]
    for layer in range(_count_layers(t)):
        at = f"transformer.h.{layer}"
        q, k, v = linear(norm(x, f"{at}.ln_1"), f"{at}.attn.c_attn").chunk(3, dim=-1)
        z = attend(*(part.unflatten(-1, (heads, -1)) for part in (q, k, v))).flatten(-2)
        x = x + linear(z, f"{at}.attn.c_proj")
        hidden = ACTIVATIONS[activation](linear(norm(x, f"{at}.ln_2"), f"{at}.mlp.c_fc"))
        x = x + linear(hidden, f"{at}.mlp.c_proj")
    return norm(x, "transformer.ln_f") @ t.get(_HEAD, t[_WTE]).T


def _is_mask(name: str, tensor: Tensor) -> bool:
    return re.fullmatch(_MASKS, name) is not None and tensor.ndim != 1


def _count_layers(tensors: Mapping[str, Tensor]) -> int:
    found = {int(m[1]) for name in tensors if (m := re.match(r"transformer\.h\.(\d+)\.", name))}
    return max(found, default=0) + 1


def _shapes(
    *, layers: int, d_model: int, d_mlp: int, d_vocab: int, context: int, biased: bool, head: bool
) -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {_WTE: (d_vocab, d_model), _WPE: (context, d_model)}
    linear = ((3 * d_model, d_model), (d_model, d_model), (d_mlp, d_model), (d_model, d_mlp))
    for layer in range(layers):
        at = f"transformer.h.{layer}"
        shapes |= {f"{at}.{norm}.weight": (d_model,) for norm in ("ln_1", "ln_2")}
        shapes |= {f"{at}.{name}.weight": s for name, s in zip(_LINEARS, linear, strict=True)}
    shapes["transformer.ln_f.weight"] = (d_model,)
    if biased:
        shapes |= {
            f"{name.removesuffix('weight')}bias": shape[:1]
            for name, shape in shapes.items()
            if name not in (_WTE, _WPE)
        }
    return shapes | ({_HEAD: (d_vocab, d_model)} if head else {})


def _gpt2_names(tensors: Mapping[str, Tensor], layers: int, tied: bool) -> dict[str, Tensor]:
    """Tensors by the same names: nn.Linear weights transposed, missing biases zero."""
    named = {}
    for name, tensor in tensors.items():
        linear = name.startswith("transformer.h.") and tensor.ndim == 2
        named[name] = tensor.T if linear else tensor
        if (linear or ".ln_" in name) and name.endswith("weight"):
            bias = f"{name.removesuffix('weight')}bias"
            named.setdefault(bias, tensors.get(bias, tensor.new_zeros(tensor.shape[0])))
    if tied:
        named.pop(_HEAD, None)
    return named
