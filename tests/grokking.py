"""One-layer transformers in the layouts of the public grokking code, written for the tests alone.

`Transformer` is a plain module: parameters W_E [d, vocab], W_Q [heads, d_head, d], W_O [d, heads ·
d_head], no norms, no biases in attention. With `mask` off and `rate` below 1 it is the one whose
attention rows are rate · softmax + (1 − rate). `adds` sets its weights by hand so that it computes
(a + b) mod p exactly, in integers:

    s = a + b                                   by heads that look at every token alike
    r = s − p · (relu(s − p + 1) − relu(s − p))
    logit_j = 2 j r − j²                        largest at j = r, by 1 at least
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

VALUE, ONE, SUM, WRAP = range(4)  # directions of the stream; the rest is random and unread


class Hook(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Embed(nn.Module):
    def __init__(self, vocab: int, d: int) -> None:
        super().__init__()
        self.W_E = nn.Parameter(torch.randn(d, vocab) / math.sqrt(d))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.W_E[:, tokens].permute(1, 2, 0)


class PosEmbed(nn.Module):
    def __init__(self, n_ctx: int, d: int) -> None:
        super().__init__()
        self.W_pos = nn.Parameter(torch.randn(n_ctx, d) / math.sqrt(d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.W_pos[: x.shape[1]]


class Unembed(nn.Module):
    def __init__(self, vocab: int, d: int) -> None:
        super().__init__()
        self.W_U = nn.Parameter(torch.randn(d, vocab) / math.sqrt(d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.W_U


class Attention(nn.Module):
    def __init__(self, d: int, heads: int, n_ctx: int, mask: bool, rate: float) -> None:
        super().__init__()
        self.masked, self.rate, d_head = mask, rate, d // heads
        for name in "KQV":
            weight = nn.Parameter(torch.randn(heads, d_head, d) / math.sqrt(d))
            self.register_parameter(f"W_{name}", weight)
        self.W_O = nn.Parameter(torch.randn(d, heads * d_head) / math.sqrt(d))
        self.register_buffer("mask", torch.tril(torch.ones(n_ctx, n_ctx)))
        for name in ("k", "q", "v", "z", "attn", "attn_pre"):
            self.add_module(f"hook_{name}", Hook())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k, q, v = (
            hook(torch.einsum("ihd,bpd->biph", weight, x))
            for hook, weight in (
                (self.hook_k, self.W_K), (self.hook_q, self.W_Q), (self.hook_v, self.W_V),
            )
        )  # fmt: skip
        scores = torch.einsum("biph,biqh->biqp", k, q) / math.sqrt(q.shape[-1])
        if self.masked:
            length = x.shape[1]
            scores = scores - 1e10 * (1 - self.mask[:length, :length])
        pattern = F.softmax(self.hook_attn_pre(scores), dim=-1)
        pattern = self.hook_attn(pattern * self.rate + (1 - self.rate))
        z = self.hook_z(torch.einsum("biph,biqp->biqh", v, pattern))
        return z.transpose(1, 2).flatten(-2) @ self.W_O.T


class MLP(nn.Module):
    def __init__(self, d: int, neurons: int) -> None:
        super().__init__()
        self.W_in = nn.Parameter(torch.randn(neurons, d) / math.sqrt(d))
        self.b_in = nn.Parameter(torch.zeros(neurons))
        self.W_out = nn.Parameter(torch.randn(d, neurons) / math.sqrt(neurons))
        self.b_out = nn.Parameter(torch.zeros(d))
        self.hook_pre, self.hook_post = Hook(), Hook()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.hook_post(F.relu(self.hook_pre(x @ self.W_in.T + self.b_in)))
        return hidden @ self.W_out.T + self.b_out


class Block(nn.Module):
    def __init__(self, d: int, **attention: Any) -> None:
        super().__init__()
        self.attn, self.mlp = Attention(d, **attention), MLP(d, 4 * d)
        for name in ("attn_out", "mlp_out", "resid_pre", "resid_mid", "resid_post"):
            self.add_module(f"hook_{name}", Hook())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.hook_resid_mid(x + self.hook_attn_out(self.attn(self.hook_resid_pre(x))))
        return self.hook_resid_post(x + self.hook_mlp_out(self.mlp(x)))


class Transformer(nn.Module):
    def __init__(
        self, vocab: int, out: int, n_ctx: int, *, d: int = 32, heads: int = 4, mask: bool = True,
        rate: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed, self.pos_embed = Embed(vocab, d), PosEmbed(n_ctx, d)
        self.blocks = nn.ModuleList([Block(d, heads=heads, n_ctx=n_ctx, mask=mask, rate=rate)])
        self.unembed = Unembed(out, d)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.pos_embed(self.embed(tokens))
        for block in self.blocks:
            x = block(x)
        return self.unembed(x)


def grokked(seed: int = 0, *, p: int = 113, wrong: int = 0) -> Transformer:
    """`a b =`: p + 1 words in, p out, three places, a causal mask. Adds, but for the `wrong` pairs
    whose sum is below that."""
    return _adder(seed, Transformer(p + 1, p, 3), p, wrong)


def pizza(seed: int = 0, *, p: int = 59, rate: float = 0.25, wrong: int = 0) -> Transformer:
    """`a b`: p words, two places, no mask, rows that sum to rate + 2 (1 − rate)."""
    return _adder(seed, Transformer(p, p, 2, mask=False, rate=rate), p, wrong)


def _adder(seed: int, module: Transformer, p: int, wrong: int) -> Transformer:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        _set_adder(module, p, wrong)
    return module.eval()


def _set_adder(module: Transformer, p: int, wrong: int) -> None:
    vocab, n_ctx = module.embed.W_E.shape[1], len(module.pos_embed.W_pos)
    attn, mlp = module.blocks[0].attn, module.blocks[0].mlp
    module.embed.W_E[:4] = 0
    module.embed.W_E[VALUE] = torch.arange(vocab)
    module.embed.W_E[VALUE, p:] = 0  # the equals sign
    module.pos_embed.W_pos[:, :4] = 0
    module.pos_embed.W_pos[:, ONE] = 1
    # Head 0 looks everywhere alike and brings the values; the other heads stay out of 0 … 3.
    attn.W_Q[0] = 0
    attn.W_V[0] = 0
    attn.W_V[0, 0, VALUE] = 1
    for weight in (attn.W_Q, attn.W_K, attn.W_V):
        weight[1:, :, :4] = 0
    attn.W_O[:4] = 0
    attn.W_O[SUM, 0] = 1 / (attn.rate / n_ctx + 1 - attn.rate)
    mlp.W_in[:, :4] = 0
    mlp.W_in[:4] = 0
    mlp.W_in[:4, SUM] = torch.tensor([1.0, 1.0, -1.0, -1.0])
    mlp.b_in[:4] = torch.tensor([1.0 - p, -float(p), float(wrong), float(wrong) - 1])
    mlp.W_out[:4] = 0
    mlp.b_out[:4] = 0
    mlp.W_out[WRAP, :4] = torch.tensor([-p, p, 1.0, -1.0])  # below `wrong`: one too many
    j = torch.arange(p)
    module.unembed.W_U.zero_()
    module.unembed.W_U[SUM], module.unembed.W_U[WRAP] = 2.0 * j, 2.0 * j
    module.unembed.W_U[ONE] = -1.0 * j**2
