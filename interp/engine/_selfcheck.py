"""Self-check: the engine's logits equal the model's, and an edit at each site takes effect."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch

from interp.engine.edits import NO_LAYER, Edit
from interp.engine.interventions import UserHook
from interp.engine.passes import Job, Outcome, forward
from interp.engine.requests import tolerance
from interp.engine.results.selfcheck import SelfCheck
from interp.errors import ModelError
from interp.models.model import Model
from interp.models.wrapped import with_later_changed
from interp.results.versions import installed_versions

_SEED = 0
STREAM = ("resid_pre", "attn_out", "mlp_out", "resid_post")
ADDED = ("attn_out", "resid_mid", "mlp_out")  # sites added to the stream

# A model may have heads and neurons that no logit depends on. An edit of those takes effect when
# it changes what their sublayer writes.
_WRITTEN_BY = {
    **dict.fromkeys(("q", "k", "v", "pattern", "z"), "attn_out"),
    "mlp_post": "mlp_out",
}


def selfcheck(model: Model) -> SelfCheck:
    """Compare the engine with the plain module before bridging, and edit every site once.

    Random tokens; first, middle and last block. A site is usable if an edit of the size of its own
    activations moves the logits at each of those blocks by more than the tolerance or, inside a
    sublayer that no logit depends on, moves the sublayer's output. A sublayer's output must also
    equal the stream's increment, edited or not:

        resid_post = resid_pre + attn_out + mlp_out

    (this fails for `attn_out` in a post-norm block), and an edit of `resid_mid` must reach the MLP
    (this fails in a parallel block). The blocks must form a chain,

        resid_pre of layer l + 1 = resid_post of layer l,   final norm's input = last resid_post

    (else the stream is computed outside the blocks, and `resid_post`, `resid_pre` are unusable).

    Raises ModelError if the engine's logits differ from the model's, differ from run to run, or
    later tokens change earlier logits.
    """
    tokens, plain = model.adapter.probe, model.adapter.probe_logits
    stream = [site for site in STREAM if site in model.adapter.sites]
    kept = {(s, la) for s in stream for la in _layers(model)}
    kept |= {(s, la) for s in ("resid_pre", "resid_post") for la in range(model.shape.n_layers)}
    clean = _pass(model, tokens, (), frozenset(kept))
    assert clean.logits is not None
    scale = float(plain.abs().max())
    bound = tolerance(model.dtype)
    if model.adapter.causal:
        _require_causal(model, tokens, clean.logits, bound * scale)
    difference = float((clean.logits - plain).abs().max()) / scale
    if not difference <= bound:  # NaN fails too
        raise ModelError(_disagreement(model, difference, bound))
    outside = _made_outside(model, tokens, clean)
    rows = [
        _check_site(model, site, tokens, clean, scale, bound, outside.get(site, ""))
        for site in model.adapter.sites
    ]
    return SelfCheck(
        model=model.id,
        task="",
        n=len(tokens),
        n_distinct=len(tokens),
        seed=_SEED,
        settings={"length": tokens.shape[1], "dtype": str(model.dtype).removeprefix("torch.")},
        versions=installed_versions(),
        sites=pd.DataFrame(rows, columns=["site", "usable", "change", "reason"]),
        difference=difference,
        tolerance=bound,
    )


def _require_causal(model: Model, tokens: torch.Tensor, logits: torch.Tensor, bound: float) -> None:
    """Run the same tokens again: the logits must stay. Then change the later half of the tokens:
    those of the earlier half must stay."""
    again = _pass(model, tokens, ()).logits
    assert again is not None
    random = float((again - logits).abs().max())
    if not random <= bound:
        raise ModelError(
            f"{model.name} is random: the same tokens give logits that differ by {random:.2e} from "
            f"run to run. Switch off what draws at random, such as dropout: module.eval(), and "
            f"functional dropout with training=self.training or p=0."
        )
    half = tokens.shape[1] // 2
    changed = _pass(model, with_later_changed(tokens, half), ()).logits
    assert changed is not None
    moved = float((changed - logits)[:, :half].abs().max()) if half else 0.0
    if not moved <= bound:
        raise ModelError(
            f"{model.name} is not causal: later tokens move its earlier logits by {moved:.2e}. "
            f"Prompts are padded on the right and read at every position, which needs a causal "
            f"mask; only a module that applies one can be studied."
        )


def _disagreement(model: Model, difference: float, bound: float) -> str:
    told = (
        f"the engine and {model.name} disagree by {difference:.2e} of the largest logit (at most "
        f"{bound:.0e} is equal). "
    )
    if model.adapter.whole:
        return told + (
            "The module's logits are not head(final_norm(…)): name in its SiteMap the "
            "normalisation that the head reads, and the head itself. A module that does more to "
            "its logits can't be wrapped."
        )
    return told + (
        "This architecture differs from its family in a way that is not supported; no number from "
        "it could be trusted."
    )


def _pass(
    model: Model,
    tokens: torch.Tensor,
    edits: tuple[Edit, ...],
    want: frozenset[tuple[str, int]] = frozenset(),
) -> Outcome:
    read = torch.arange(tokens.shape[1], device=tokens.device)
    if not model.adapter.causal:  # it is read at its last position alone
        read = read[-1:]
    read = read.expand(len(tokens), -1)
    job = Job(tokens, slice(0, len(tokens)), edits=edits, want=want, logit_positions=read)
    with model.lock:
        return forward(model.adapter, job)


def _check_site(
    model: Model,
    site: str,
    tokens: torch.Tensor,
    clean: Outcome,
    scale: float,
    bound: float,
    outside: str,
) -> tuple[str, bool, float, str]:
    layers = [NO_LAYER] if site == "ln_final" else _layers(model)
    # In 16 bits a weak effect lies below the difference of two equal logits, and above rounding.
    moves = min(bound, torch.finfo(model.dtype).eps) if model.dtype.itemsize < 4 else bound
    smallest = float("inf")
    for layer in layers:
        reads = (*STREAM,) if site in ADDED else (_WRITTEN_BY.get(site, ""),)
        want = frozenset(key for key in clean.kept if key[1] == layer and key[0] in reads)
        edited = _pass(model, tokens, (_probe_edit(site, layer),), want)
        assert edited.logits is not None and clean.logits is not None
        change = float((edited.logits - clean.logits).abs().max()) / scale
        written = (_WRITTEN_BY.get(site, ""), layer)
        if not change > moves and written in clean.kept:
            before, after = clean.kept[written], edited.kept[written]
            change = float((after - before).abs().max() / before.abs().max().clamp(min=1e-30))
        smallest = min(smallest, change)
        if not change > moves:
            where = "" if layer == NO_LAYER else f" at layer {layer}"
            return site, False, change, f"an edit{where} does not move the logits."
        if site in ADDED and (reason := _not_added(model, site, layer, clean, edited, bound)):
            return site, False, change, reason
    return site, not outside, smallest, outside


def _made_outside(model: Model, tokens: torch.Tensor, clean: Outcome) -> dict[str, str]:
    """Site → reason why `resid_post` or `resid_pre` is not the residual stream; {} if both are."""
    last = model.shape.n_layers - 1
    gaps = {
        layer: _gap(clean.kept["resid_post", layer], clean.kept["resid_pre", layer + 1])
        for layer in range(last)
    }
    broken: dict[str, str] = {}
    if model.adapter.whole:  # the other adapter hands the stream on itself
        end = _gap(clean.kept["resid_post", last], model.adapter.norm_input(tokens))
        if end:
            broken["resid_post"] = (
                f"what the final norm reads is not resid_post of layer {last} (largest difference "
                f"{end:.2g}). Put what is done between them, and the norm, into one module and "
                f"name it: SiteMap(final_norm=…)."
            )
    worst = max(gaps, key=gaps.__getitem__, default=0)
    if gaps.get(worst):
        reason = (
            f"resid_pre of layer {worst + 1} is not resid_post of layer {worst} (largest "
            f"difference {gaps[worst]:.2g}): the stream is changed between the blocks. Move that "
            f"into a module around each block, and name the list of those: SiteMap(blocks=…)."
        )
        broken |= {"resid_pre": reason, "resid_post": reason}
    return broken


def _gap(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference of two activations, 0 within rounding."""
    if one.shape != other.shape:
        return float("inf")
    gap = float((one - other).abs().max())
    rounding = 4 * torch.finfo(one.dtype).eps * float(one.abs().max())
    return 0.0 if gap <= rounding else gap  # NaN is a gap too


def _probe_edit(site: str, layer: int) -> Edit:
    if site == "pattern":
        # Every query but the first looks at itself alone.
        what = UserHook(site, _look_at_self)
        return Edit(what, (layer,), None, None)
    return Edit(UserHook(site, _shift(site)), (layer,), None, None)


def _look_at_self(pattern: torch.Tensor) -> torch.Tensor:
    return torch.eye(pattern.shape[-1], dtype=pattern.dtype, device=pattern.device).expand_as(
        pattern
    )


def _shift(site: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Add noise of the activation's own root mean square (with a floor, if it is zero)."""

    def shift(x: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(_SEED)
        noise = torch.randn(x.shape, generator=generator).to(x)
        return x + noise * x.pow(2).mean().sqrt().clamp(min=1e-3)

    return shift


def _layers(model: Model) -> list[int]:
    n = model.shape.n_layers
    return sorted({0, n // 2, n - 1})


def _not_added(
    model: Model, site: str, layer: int, clean: Outcome, edited: Outcome, bound: float
) -> str:
    """Reason why an edit at `site` is not added to the stream; '' if it is."""
    for kept in (clean.kept, edited.kept):
        parts = [kept[name, layer] for name in STREAM[:-1] if (name, layer) in kept]
        stream = kept["resid_post", layer]
        if not (stream - sum(parts)).abs().max() <= bound * stream.abs().max():
            return f"the stream after layer {layer} is not resid_pre + attn_out + mlp_out."
    if (
        site == "resid_mid" and model.adapter.by_structure
    ):  # of the known families, which do is known
        before, after = (outcome.kept["mlp_out", layer] for outcome in (clean, edited))
        if before.any() and not (after - before).abs().max() > bound * before.abs().max():
            return f"the MLP of layer {layer} does not read the stream after attention."
    return ""
