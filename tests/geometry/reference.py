"""Slow references: every formula of `interp.geometry` by plain loops, without its code."""

from __future__ import annotations

import math

import numpy as np


def waves(p):
    """Orthonormal waves: [(frequency, vector)], the constant first."""
    out = [(0, [1 / math.sqrt(p)] * p)]
    for k in range(1, p // 2 + 1):
        for f in (math.cos, math.sin):
            if 2 * k == p and f is math.sin:
                continue
            v = [f(2 * math.pi * k * n / p) for n in range(p)]
            size = math.sqrt(sum(x * x for x in v))
            out.append((k, [x / size for x in v]))
    return out


def clusters(acts):
    """Frequency and share of each unit: squares of its nine (or four) inner products."""
    p, _, m = acts.shape
    basis = waves(p)
    best, explained = [], []
    for u in range(m):
        x = acts[:, :, u] - acts[:, :, u].mean()
        total = (x**2).sum()
        shares = []
        for k in range(1, p // 2 + 1):
            own = [np.array(v) for f, v in basis if f in (0, k)]
            shares.append(sum(float(v @ x @ w) ** 2 for v in own for w in own) / total)
        best.append(int(np.argmax(shares)) + 1)
        explained.append(max(shares))
    return best, explained


def direction(p, k, part):
    """cos or sin of w_k(a + b) over all pairs, unit norm, [p, p]."""
    f = math.cos if part == "cos" else math.sin
    table = np.array([[f(2 * math.pi * k * (a + b) / p) for b in range(p)] for a in range(p)])
    return table / np.linalg.norm(table)


def trig(logits, keys):
    """Projection of [p, p, c] on the waves of a + b."""
    p = len(logits)
    out = np.zeros_like(logits)
    for k in keys:
        for part in ("cos", "sin"):
            table = direction(p, k, part)
            for c in range(logits.shape[2]):
                out[:, :, c] += table * (table * logits[:, :, c]).sum()
    return out


def loss(logits, mask=None):
    p = len(logits)
    found = []
    for a in range(p):
        for b in range(p):
            if mask is None or mask[a][b]:
                row = logits[a, b]
                top = row.max()
                total = sum(math.exp(x - top) for x in row)
                found.append(math.log(total) - (row[(a + b) % p] - top))
    return sum(found) / len(found)


def characters(logits, keys):
    """Projection of the logits, centred over answers, on cos(w_k(a + b − c))."""
    p = len(logits)
    centred = logits - logits.mean(axis=2, keepdims=True)
    out = np.zeros_like(centred)
    a, b, c = np.indices(centred.shape)
    for k in keys:
        wave = np.cos(2 * np.pi * k * (a + b - c) / p)
        wave /= np.linalg.norm(wave)
        out += wave * (wave * centred).sum()
    return out, centred - out


def logit_cosine(logits, k):
    p = len(logits)
    x, y = [], []
    for a in range(p):
        for b in range(p):
            mean = logits[a, b].mean()
            for c in range(p):
                x.append(logits[a, b, c] - mean)
                y.append(math.cos(2 * math.pi * k * (a + b - c) / p))
    x, y = np.array(x), np.array(y)
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def distance_irrelevance(logits):
    p = len(logits)
    table = np.empty((p, p))
    for a in range(p):
        for b in range(p):
            table[(a + b) % p, (a - b) % p] = logits[a, b, (a + b) % p]
    mean = sum(np.std(table[:, d]) for d in range(p)) / p
    return mean / np.std(table)


def circularity(embedding, components=4):
    p = len(embedding)
    centred = embedding - embedding.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    scores = centred @ vectors[:, np.argsort(-values)[:components]]
    total = 0.0
    for v in scores.T:
        best = 0.0
        for k in range(1, p):
            turn = [2 * math.pi * k * t / p for t in range(p)]
            z = sum(v[t] * complex(math.cos(turn[t]), math.sin(turn[t])) for t in range(p))
            best = max(best, 2 * abs(z) ** 2 / (p * float(v @ v)))
        total += min(best, 1.0)
    return total / components


def r2(row, frequencies):
    """R² of one row on the constant and waves, by least squares."""
    q = len(row)
    columns = [[1.0] * q]
    for k in frequencies:
        columns.append([math.cos(2 * math.pi * k * n / q) for n in range(q)])
        if 2 * k != q:
            columns.append([math.sin(2 * math.pi * k * n / q) for n in range(q)])
    design = np.array(columns).T
    fitted = design @ np.linalg.lstsq(design, row, rcond=None)[0]
    return 1 - ((row - fitted) ** 2).sum() / ((row - row.mean()) ** 2).sum()


def gini(x):
    """Mean absolute difference over twice the mean."""
    n = len(x)
    return sum(abs(a - b) for a in x for b in x) / (2 * n * n * (sum(x) / n))


def published_sum(tensors, n_heads, head, tokens_a, tokens_b, share):
    """α W_O W_V E[a] + (1 − α) W_O W_V E[b] of each prompt, from a GPT-2 file's first block: a
    number at a time, without position, norm and bias."""
    table = tensors["transformer.wte.weight"]
    fused = tensors["transformer.h.0.attn.c_attn.weight"]  # [d, q | k | v]
    projection = tensors["transformer.h.0.attn.c_proj.weight"]
    d = table.shape[1]
    width = d // n_heads
    first = head * width
    images = {}
    for token in {*tokens_a, *tokens_b}:
        value = [
            sum(table[token, i] * fused[i, 2 * d + first + c] for i in range(d))
            for c in range(width)
        ]
        images[token] = np.array(
            [sum(value[c] * projection[first + c, j] for c in range(width)) for j in range(d)]
        )
    return np.array(
        [
            share * images[a] + (1 - share) * images[b]
            for a, b in zip(tokens_a, tokens_b, strict=True)
        ]
    )
