"""A nanoGPT-style class, written for the tests: what people bring along.

Its submodules, its checkpoint and its way of answering with the last position alone are those of
the original; attention and MLP are written out plainly.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from interp.arithmetic.formats import format
from interp.arithmetic.tasks import task as as_task

CHARACTERS = "0123456789+-*=\n"


@dataclass
class GPTConfig:
    block_size: int = 32
    vocab_size: int = len(CHARACTERS)
    n_layer: int = 3
    n_head: int = 4
    n_embd: int = 32
    dropout: float = 0.0
    bias: bool = True


class LayerNorm(nn.Module):
    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class CausalSelfAttention(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        ones = torch.ones(config.block_size, config.block_size)
        self.register_buffer("bias", torch.tril(ones)[None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, length, width = x.shape
        q, k, v = (
            part.view(n, length, self.n_head, -1).transpose(1, 2)
            for part in self.c_attn(x).split(width, dim=2)
        )
        scores = q @ k.transpose(-2, -1) / math.sqrt(k.shape[-1])
        scores = scores.masked_fill(self.bias[:, :, :length, :length] == 0, float("-inf"))
        z = (F.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(n, length, width)
        return self.c_proj(z)


class MLP(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.gelu = nn.GELU()
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c_proj(self.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.ln_1 = LayerNorm(config.n_embd, config.bias)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = LayerNorm(config.n_embd, config.bias)
        self.mlp = MLP(config)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, config.n_embd),
                "wpe": nn.Embedding(config.block_size, config.n_embd),
                "h": nn.ModuleList([Block(config) for _ in range(config.n_layer)]),
                "ln_f": LayerNorm(config.n_embd, config.bias),
            }
        )
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight

    def hidden(self, idx: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(idx.shape[1], device=idx.device)
        x = self.transformer.wte(idx) + self.transformer.wpe(positions)
        for block in self.transformer.h:
            x = block(x)
        return self.transformer.ln_f(x)

    def forward(self, idx: torch.Tensor, targets: torch.Tensor | None = None) -> Any:
        x = self.hidden(idx)
        if targets is None:
            return self.lm_head(x[:, [-1], :]), None
        logits = self.lm_head(x)
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


def random_gpt(seed: int = 0, **config: Any) -> GPT:
    """Random weights, large enough that every part of them matters."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = GPT(GPTConfig(**config))
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return module.eval()


def all_logits(module: GPT, tokens: torch.Tensor) -> torch.Tensor:
    """Logits at every position, straight from the class."""
    with torch.no_grad():
        return module.lm_head(module.hidden(tokens))


def save_checkpoint(module: GPT, path: Path, *, compiled: bool = True, **more: Any) -> Path:
    """What nanoGPT's train.py saves; a compiled module's names carry a prefix."""
    prefix = "_orig_mod." if compiled else ""
    torch.save(
        {
            "model": {prefix + name: value for name, value in module.state_dict().items()},
            "optimizer": {"state": {}, "param_groups": []},
            "model_args": asdict(module.config),
            "iter_num": 5,
            "best_val_loss": torch.tensor(1.0),
            **more,
        },
        path,
    )
    return path


def train_on_sums(
    template: str,
    task: str = "add:2",
    *,
    steps: int = 280,
    batch: int = 128,
    layers: int = 2,
    seed: int = 0,
) -> tuple[GPT, str]:
    """A GPT of 64 dimensions trained on all problems of a task in the format of `template`, with
    the loss of nanoGPT on what stands behind the prompt; and its characters, which are those of the
    lines alone. Matrices of the blocks learn by Muon, the rest by AdamW: a third of the steps."""
    lines = format(template).render(as_task(task).grid())
    characters = "".join(sorted({char for line in lines for char in line.text}))
    longest = max(len(line.text) for line in lines)
    tokens = torch.zeros(len(lines), longest, dtype=torch.int64)
    targets = torch.full((len(lines), longest), -1)
    for row, line in enumerate(lines):
        ids = torch.tensor([characters.index(char) for char in line.text])
        tokens[row, : len(ids)] = ids
        targets[row, line.answer_start : len(ids)] = ids[line.answer_start :]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = GPT(
            GPTConfig(block_size=longest + 8, vocab_size=len(characters), n_layer=layers, n_embd=64)
        )
        for parameter in module.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, 0, 0.02)
        _train(module, tokens, targets, steps, batch)
    return module.eval(), characters


def _train(
    module: GPT, tokens: torch.Tensor, targets: torch.Tensor, steps: int, batch: int
) -> None:
    """Muon for the matrices of the blocks, AdamW for the rest; both rates rise for 15 % of the
    steps and fall to 0 over the last 70 %."""
    matrices = [one for one in module.transformer.h.parameters() if one.dim() > 1]
    rest = [one for one in module.parameters() if all(one is not each for each in matrices)]
    optimiser = torch.optim.AdamW(rest, betas=(0.9, 0.98))
    momenta = [torch.zeros_like(one) for one in matrices]
    for step in range(steps):
        share = min((step + 1) / (0.15 * steps), (1 - step / steps) / 0.7, 1)
        rows = torch.randint(len(tokens), (batch,))
        _, loss = module(tokens[rows, :-1], targets[rows, 1:].contiguous())
        module.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.param_groups[0]["lr"] = 3e-3 * share
        optimiser.step()
        with torch.no_grad():
            for matrix, momentum in zip(matrices, momenta, strict=True):
                momentum.mul_(0.95).add_(matrix.grad)
                wide = max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
                turned = _orthogonal(matrix.grad + 0.95 * momentum)
                matrix.sub_(0.02 * share * wide * turned)


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Muon's five steps of Newton and Schulz (Jordan 2024) towards U Vᵀ; in float32, since torch's
    own take bfloat16, which is slow on a CPU."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (2.0315 * square @ square - 4.775 * square) @ x
    return x.T if tall else x
