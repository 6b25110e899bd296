"""One forward pass over one minibatch; only this module and `frozen` register hooks.

A pass may start above block 0 from a given residual stream, and at a later position from cached
keys and values; it runs only the needed blocks and unembeds only the read positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from interp.engine.edits import NO_LAYER, Edit, Window, apply_edit
from interp.engine.tail import Collect, Enough, later, skipped_places, tail_start
from interp.models.adapter import Adapter
from interp.models.decoder import DecoderAdapter
from interp.models.toy_adapter import ToyAdapter
from interp.models.wrapped import WrappedAdapter

BlockAdapter = Adapter | DecoderAdapter | ToyAdapter
AnyAdapter = BlockAdapter | WrappedAdapter
Key = tuple[str, int]  # (site, layer)


class Store:
    """Key/value cache: gives a block those of earlier positions, and keeps its new ones."""

    def __init__(
        self, earlier: Mapping[int, tuple[torch.Tensor, torch.Tensor]] | None, keep: bool
    ) -> None:
        self._earlier = earlier
        self._keep = keep
        self.made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def update(
        self, k: torch.Tensor, v: torch.Tensor, layer: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by the block's attention; k and v are [n, heads, positions, d_head]."""
        if self._earlier is not None:
            before_k, before_v = self._earlier[layer]
            k, v = _after(before_k, k), _after(before_v, v)
        if self._keep:
            self.made[layer] = (k, v)
        return k, v


def _after(before: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Earlier keys [m, heads, P, d_head], once a stack, then the new ones [stacks · m, …]."""
    if len(before) == len(new):
        return torch.cat([before, new], dim=2)
    stacks, (m, heads, length, width) = len(new) // len(before), before.shape
    out = new.new_empty(stacks, m, heads, length + new.shape[2], width)
    out[:, :, :, :length] = before
    out[:, :, :, length:] = new.view(stacks, m, *new.shape[1:])
    return out.flatten(0, 1)


@dataclass
class Job:
    """Inputs of one pass.

    `tokens` [n, T] ends at the last needed position. `want` lists the sites whose activations are
    kept: at the positions in `pick`, or over the whole window. `keep` also keeps keys, values and
    the residual stream before the layers in `keep_resid`, as starting points of variants.

    `stacks` variants may share a pass (`engine.stacks`): tensors then have stacks · m rows, each
    edit applies to the rows of its stack in `stack_of`, and `rows` and `earlier` are those of one.
    """

    tokens: torch.Tensor
    rows: slice
    width: int = 0  # positions of the plain forward, if longer than `tokens`
    start: int = 0
    first_layer: int = 0
    stop_layer: int | None = None  # run blocks below this one only; None: all, and the final norm
    resid: torch.Tensor | None = None  # [n, T − start, d], the stream before first_layer
    earlier: Mapping[int, tuple[torch.Tensor, torch.Tensor]] | None = None
    edits: Sequence[Edit] = ()
    stack_of: Sequence[int] = ()  # of each edit, where there are several stacks
    stacks: int = 1
    clean: Mapping[Key, torch.Tensor] = field(default_factory=dict)
    want: frozenset[Key] = frozenset()
    pick: Mapping[Key, torch.Tensor] = field(default_factory=dict)  # [n, r], absolute, -1 absent
    keep: bool = False
    keep_resid: frozenset[int] = frozenset()
    logit_positions: torch.Tensor | None = None  # [n, r], absolute, -1 absent; None: no logits
    all_logits: bool = False  # unembed the whole window, as a plain forward does
    tail: bool = False  # in the last block, skip positions before those that are read
    grad: bool = False
    # int [n, T]: of each token its position in its row, -1 for padding; None: the same in all rows.
    places: torch.Tensor | None = None


@dataclass
class Outcome:
    """Result of one pass; activations are whole windows [n, T − start, …], or [n, r, …] if the job
    picks positions (arbitrary values at absent ones)."""

    start: int
    logits: torch.Tensor | None  # [n, r, V]
    kept: dict[Key, torch.Tensor]
    keys_values: dict[int, tuple[torch.Tensor, torch.Tensor]]
    resid_before: dict[int, torch.Tensor]
    fired: list[int]
    on_path: dict[Key, torch.Tensor] = field(default_factory=dict)  # with grad


def forward(adapter: AnyAdapter, job: Job) -> Outcome:
    """Run `job`. The caller holds the model's lock. All hooks are removed, also after an error."""
    window = Window(job.rows, job.start, adapter.causal, adapter.unit_rows)
    total = job.tokens.shape[1]
    store = Store(job.earlier, job.keep)
    out = Outcome(job.start, None, {}, store.made, {}, [0] * len(job.edits))
    if job.start >= total:
        return out
    recorder = _Recorder(adapter, job, window, out)
    with torch.set_grad_enabled(job.grad), recorder.hooks():
        if isinstance(adapter, WrappedAdapter):
            _run_whole(adapter, job, out)
        else:
            _run_blocks(adapter, job, store, out, window)
    return out


def _run_whole(adapter: WrappedAdapter, job: Job, out: Outcome) -> None:
    if job.start or job.first_layer or job.earlier is not None:
        raise AssertionError("a whole module starts at the first token and the first block")
    normed = adapter.run(job.tokens, job.stop_layer)
    if normed is not None and job.logit_positions is not None:
        rows, index = window_places(job.logit_positions, 0)
        if job.all_logits:
            out.logits = _wide(adapter.head(normed)[rows, index])
        else:
            out.logits = _wide(adapter.head(normed[rows, index]))


def _run_blocks(
    adapter: BlockAdapter, job: Job, store: Store, out: Outcome, window: Window
) -> None:
    total = job.tokens.shape[1]
    positions = torch.arange(job.start, total, device=adapter.device)
    # Of the type that this adapter's block takes.
    mask: Any = adapter.mask(len(positions), total) if job.places is None else _padded(adapter, job)
    if job.places is not None:
        positions = job.places[:, job.start :].clamp(min=0)
    adapter.width = max(job.width, total)
    resid = job.resid
    if resid is None:
        resid = adapter.embed(job.tokens[:, job.start :], positions)
    if job.grad:
        resid = resid.detach().requires_grad_(True)
    rotation = adapter.rotation(resid, positions)
    stop = adapter.n_layers if job.stop_layer is None else job.stop_layer
    tail = tail_start(adapter.n_layers, job)
    for layer in range(job.first_layer, stop):
        if layer in job.keep_resid:
            out.resid_before[layer] = resid
        options: dict[str, Any] = {"mask": mask, "rotation": rotation}
        if tail > job.start and layer == adapter.n_layers - 1:
            resid = _last_block(adapter, job, resid, options, tail, out, window)
        else:
            resid = adapter.block(layer, resid, store=store, **options)
    if job.stop_layer is None:
        _read_out(adapter, job, resid, out, tail)


def _padded(adapter: BlockAdapter, job: Job) -> Any:
    """`adapter.mask` for each row's own positions, [n, 1, queries, keys]. Nothing sees padding, and
    padding sees everything, since a row of a softmax without any key is no number."""
    assert job.places is not None
    keys, queries = job.places, job.places[:, job.start :]
    first, last = int(queries[queries >= 0].min()), int(keys.max())
    at = (queries - first).clamp(min=0)[:, :, None], keys.clamp(min=0)[:, None, :]

    def of_rows(mask: torch.Tensor) -> torch.Tensor:
        lowest = torch.finfo(mask.dtype).min
        found = mask[0, 0][at].masked_fill((keys < 0)[:, None, :], lowest)
        return found.masked_fill((queries < 0)[:, :, None], 0.0)[:, None]

    whole: Any = adapter.mask(last - first + 1, last + 1)
    if isinstance(whole, torch.Tensor):
        return of_rows(whole)
    return {kind: of_rows(mask) for kind, mask in whole.items()}


def _last_block(
    adapter: BlockAdapter,
    job: Job,
    resid: torch.Tensor,
    options: dict[str, Any],
    tail: int,
    out: Outcome,
    window: Window,
) -> torch.Tensor:
    """The last block's output at the positions from `tail` on, [n, T − tail, d_model]."""
    layer, first = adapter.n_layers - 1, tail - job.start
    earlier, collect = Store(job.earlier, keep=False), Collect()
    with suppress(Enough):
        adapter.block(layer, resid, store=collect, **options)
    assert collect.found is not None
    k, v = earlier.update(*collect.found, layer)
    rows = len(resid) // job.stacks
    for number, edit in enumerate(job.edits):
        if layer in edit.layers:
            out.fired[number] += skipped_places(edit, job.rows, rows, job.start, tail)
    window.start = tail
    return adapter.block(
        layer,
        resid[:, first:],
        mask=later(options["mask"], first, axis=2),
        rotation=later(options["rotation"], first, axis=1),
        store=Store({layer: (k[:, :, :tail], v[:, :, :tail])}, keep=False),
    )


def _read_out(
    adapter: BlockAdapter, job: Job, resid: torch.Tensor, out: Outcome, start: int
) -> None:
    """Logits from the stream after the last block, of the positions from `start` on."""
    hooked = ("ln_final", NO_LAYER) in job.want or any(e.site == "ln_final" for e in job.edits)
    if job.logit_positions is None:
        if hooked:
            adapter.final_norm(resid)
        return
    rows, index = window_places(job.logit_positions, start)
    if job.all_logits:
        out.logits = _wide(adapter.head(adapter.final_norm(resid))[rows, index])
    elif hooked:  # its positions are those of the window, so the norm must see all of them
        out.logits = _wide(adapter.head(adapter.final_norm(resid)[rows, index]))
    else:
        out.logits = _wide(adapter.head(adapter.final_norm(resid[rows, index])))


def _wide(logits: torch.Tensor) -> torch.Tensor:
    """Logits of a 16-bit model in float32, so that differences of them are not rounded again."""
    return logits.float() if logits.dtype.itemsize < 4 else logits


def window_places(positions: torch.Tensor, start: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and window-position indices [n, r]; an absent role gets an arbitrary position."""
    index = (positions - start).clamp(min=0)
    return torch.arange(len(index), device=index.device)[:, None].expand_as(index), index


class _Recorder:
    """Builds the hooks of one job; at each site the edits come before the recording."""

    def __init__(
        self,
        adapter: AnyAdapter,
        job: Job,
        window: Window,
        out: Outcome,
    ) -> None:
        self.adapter, self.job, self.window, self.out = adapter, job, window, out
        self._resid_pre: dict[int, torch.Tensor] = {}

    @contextmanager
    def hooks(self) -> Iterator[None]:
        try:
            for (site, layer), function in self._functions():
                point = self.adapter.hook_point(site, None if layer == NO_LAYER else layer)
                self.adapter.hooked.append(point)  # first: add_hook may be interrupted half-way
                point.add_hook(function)
            yield
        finally:
            try:
                self.adapter.take_hooks_off()
            finally:  # once more, for an interrupt that fell into the first
                self.adapter.take_hooks_off()

    def _functions(self) -> Iterator[tuple[Key, Callable[..., torch.Tensor | None]]]:
        if self.adapter.whole and self.job.grad:
            yield ("resid_pre", 0), _as_leaf
        for (site, layer), numbers in self._edits_by_point():
            yield (site, layer), self._edit(numbers, layer)
        for layer in sorted(self._mid_layers()):
            # After any edit of resid_pre, so that the difference is taken from the edited stream.
            yield ("resid_pre", layer), self._note_resid_pre(layer)
        for site, layer in sorted(self.job.want):
            if layer == NO_LAYER or self._runs(layer):
                yield (site, layer), self._keep(site, layer)

    def _runs(self, layer: int) -> bool:
        stop = self.adapter.n_layers if self.job.stop_layer is None else self.job.stop_layer
        return self.job.first_layer <= layer < stop

    def _mid_layers(self) -> set[int]:
        layers = {layer for site, layer in self.job.want if site == "resid_mid"}
        layers |= {la for e in self.job.edits if e.site == "resid_mid" for la in e.layers}
        return {layer for layer in layers if self._runs(layer)}

    def _note_resid_pre(self, layer: int) -> Callable[..., None]:
        def note(x: torch.Tensor, hook: Any) -> None:
            # Blocks run in order: notes of earlier blocks are no longer needed.
            self._resid_pre = {la: v for la, v in self._resid_pre.items() if la >= layer - 1}
            self._resid_pre[layer] = x

        return note

    def _edits_by_point(self) -> Iterator[tuple[Key, list[int]]]:
        """Indices of the edits at each hook point, in order; two sites can have one point."""
        keys: dict[int, Key] = {}
        found: dict[int, list[int]] = {}
        for number, edit in enumerate(self.job.edits):
            for layer in edit.layers:
                if layer == NO_LAYER or self._runs(layer):
                    at = None if layer == NO_LAYER else layer
                    point = id(self.adapter.hook_point(edit.site, at))
                    keys.setdefault(point, (edit.site, layer))
                    found.setdefault(point, []).append(number)
        return ((key, found[point]) for point, key in keys.items())

    def _edit(self, numbers: Sequence[int], layer: int) -> Callable[..., torch.Tensor]:
        job = self.job

        def change(x: torch.Tensor, hook: Any) -> torch.Tensor:
            out = x
            for number in numbers:
                edit = job.edits[number]
                clean = job.clean.get((edit.site, layer))
                rows = self._stack(number, len(x))
                before = self._resid_pre[layer][rows] if edit.site == "resid_mid" else None
                value = out[rows] if before is None else before + out[rows]
                new, places = apply_edit(edit, layer, value, self.window, clean)
                self.out.fired[number] += places
                new = new if before is None else new - before
                if job.stacks == 1:
                    out = new
                    continue
                out = x.clone() if out is x else out
                out[rows] = new
            return out

        return change

    def _stack(self, number: int, rows: int) -> slice:
        """The rows of a pass, of `rows` rows, that an edit belongs to."""
        if self.job.stacks == 1:
            return slice(None)
        each, stack = rows // self.job.stacks, self.job.stack_of[number]
        return slice(stack * each, (stack + 1) * each)

    def _keep(self, site: str, layer: int) -> Callable[..., torch.Tensor | None]:
        picked = self.job.pick.get((site, layer))

        def keep(x: torch.Tensor, hook: Any) -> torch.Tensor | None:
            value = self._resid_pre[layer] + x if site == "resid_mid" else x
            value = value.transpose(1, 2) if site == "pattern" else value
            if picked is not None:
                value = value[window_places(picked, self.job.start)]
            self.out.kept[site, layer] = value
            if not self.job.grad:
                return None
            # Head sites reach a hook as reshaped copies: only what is returned stays on the path.
            self.out.on_path[site, layer] = x
            return x

        return keep


def _as_leaf(x: torch.Tensor, hook: Any) -> torch.Tensor:
    """The stream as the leaf of the gradient graph, since weights are frozen."""
    return x.detach().requires_grad_(True)
