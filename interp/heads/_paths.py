"""Path patching: the effect of one node on the logits, or on another head, by the direct path.

`frozen` says what is held at the clean run, and both published definitions are here:

    "all"     every other head and MLP (Zhang et al., arXiv 2409.01659): the sender's change of the
              residual stream reaches the final norm unchanged, so that the effect on the logits is
              a closed form, one step through final norm and unembedding;
    "heads"   every other head, while MLPs are recomputed (Wang et al., arXiv 2211.00593): MLPs
              belong to the path.

A receiver is the logits, or one head's queries, keys or values. For a head, its input is what the
sender's change makes of it, and everything after that head is computed as usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch

from interp.arithmetic.problems import Problems
from interp.engine.block_steps import TokenLogits
from interp.engine.frozen import inputs
from interp.engine.interventions import Replace, Rows, selection
from interp.engine.progress import shows_progress
from interp.engine.readout import unembed
from interp.engine.requests import Cancel, Progress, Resources, Savings
from interp.errors import InputError, ModelError
from interp.heads.cells import Reader, read_cells, read_plain, reader
from interp.heads.effects import chosen_and_scored, discoveries, estimate, over_answers
from interp.heads.metrics import SMALL_LOGIT, Direction, Floats, Readout, check_varies, metric
from interp.heads.nodes import LOGITS, Node, check_nodes, node
from interp.heads.pairs import Pairs, pairs
from interp.heads.results.paths import PathPatching
from interp.heads.senders import Frozen, Senders, every_sender, ordered, reads
from interp.models.asking import Asked
from interp.models.model import Model
from interp.models.prompts import PromptBatch
from interp.models.swaps import Prefix
from interp.results.grid import Axis, Grid
from interp.results.resampling import resampling

DEFAULT_METRICS = ("logit_difference", "relative_logit", "logit")


@shows_progress
def paths(
    model: Model,
    asked: Asked,
    *,
    n: int = 64,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    frozen: Frozen = "all",
    receivers: Sequence[str] | str | None = None,
    senders: Sequence[str] | str | None = None,
    direction: Direction = "noise",
    metrics: Sequence[str] | str = DEFAULT_METRICS,
    swap: str | None = None,
    corrupted: Problems | PromptBatch | None = None,
    answers: Sequence[str] | str | None = None,
    prefix: Prefix = "keep",
    memory: int = 2**30,
    savings: Savings | None = None,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> PathPatching:
    """Effect of every sender along the path to each receiver, by answer digit, with interval.

    Args:
        asked, n, seed, format, held_out: as in `interp.heads.patch`.
        frozen: "all" or "heads", above.
        receivers: "logits" (None), or inputs of heads: "L3H5.q", and "L3G1.k", "L3G1.v" by
            key/value group. Each is patched on its own.
        senders: names of heads and MLPs ("L0H3", "L2.mlp"); None: all that lie below the receiver.
        direction: "noise" (published: corrupted activations into the clean run) or "denoise".
        metrics: names of `interp.heads.metrics`; the first leads. `relative_logit` is Zhang's
            number, of the raw, uncentred logit: read the logit difference beside it.
        swap, corrupted, answers, prefix: the pairs (`interp.heads.pairs`).
        memory, savings, cancel, progress: as in `engine.run_variants`.

    Does not show: effects along longer paths; a node without a direct effect may act through
    others.

    Raises:
        InputError: for an unknown option, sender or receiver, a receiver that no sender precedes,
            prompts that do not align, and a metric that is constant.
        ModelError: for a wrapped module, and a family whose heads do not write linearly.
    """
    _check_blocks(model)
    _check(frozen, direction)
    names = selection("roles", metrics) or ()
    for name in names:
        metric(name)
    found = pairs(
        model, asked, swap=swap, corrupted=corrupted, answers=selection("roles", answers),
        prefix=prefix, n=n, seed=seed, format=format, held_out=held_out,
    )  # fmt: skip
    nodes = _senders(model, senders)
    targets = _receivers(model, receivers or LOGITS, nodes)
    resources = Resources(memory, cancel, progress, savings)
    read = reader(model, found, names, resources)
    run, source = found.run_and_source(direction)
    lead = metric(names[0])
    made = _Paths(model, found, run, source, read, nodes, frozen, resources)
    if (total := lead.total(*made.both(direction))) is not None:
        check_varies(names[0], total)
    effects = {
        name: np.full((len(found), len(nodes), len(targets), len(found.answers)), np.nan)
        for name in names
    }
    for column, receiver in enumerate(targets):
        patched, base, sent = made.to(receiver)
        for name in names:
            values = metric(name).effect(patched, base, direction)
            effects[name][:, sent, column] = np.moveaxis(values, 0, 1)
    settings = dict(found.settings) | {
        "frozen": frozen,
        "receivers": [LOGITS if one is None else one.name for one in targets],
        "senders": None if senders is None else [one.name for one in nodes],
        "direction": direction,
        "metrics": list(names),
        "answers": None if answers is None else found.answers,
    }
    return _result(found, made, effects, nodes, targets, direction, settings, seed)


def _check_blocks(model: Model) -> None:
    if model.adapter.whole:
        raise ModelError(
            f"{model.name} is a wrapped module, whose blocks run only as a whole: no path can be "
            "patched. Convert it to a standard folder with interp.convert, and load that; "
            "interp.heads.patch and knockout work on it as it is"
        )


def _check(frozen: str, direction: str) -> None:
    if frozen not in get_args(Frozen):
        raise InputError(
            f"frozen={frozen!r} is no definition: 'all' holds every other node (Zhang), 'heads' "
            "every other head (Wang)"
        )
    if direction not in get_args(Direction):
        raise InputError(f"unknown direction {direction!r}: choose denoise or noise")


def _senders(model: Model, senders: str | Sequence[str] | None) -> tuple[Node, ...]:
    if senders is None:
        return every_sender(model)
    nodes = ordered([node(name) for name in selection("roles", senders) or ()])
    check_nodes(model.shape, nodes, model.name)
    for one in nodes:
        if one.kind not in ("head", "mlp") or one.role:
            raise InputError(f"{one.name} is no sender: name heads and MLPs, 'L0H3' or 'L2.mlp'")
    return nodes


def _receivers(
    model: Model, receivers: str | Sequence[str], nodes: Sequence[Node]
) -> tuple[Node | None, ...]:
    named = selection("roles", receivers) or ()
    found = tuple(None if name == LOGITS else node(name) for name in named)
    for one in found:
        if one is None:
            continue
        check_nodes(model.shape, [one], model.name)
        if one.kind not in ("q", "k", "v") or one.role:
            raise InputError(
                f"{one.name} is no receiver: write 'logits', or a head's input such as 'L3H5.q', "
                "'L3G1.k' or 'L3G1.v' (keys and values by group)"
            )
        if not any(sender.layer < one.layer for sender in nodes):
            raise InputError(f"no sender lies below {one.name}: choose a receiver of a later layer")
    return found


class _Paths:
    """Activations of both runs, and the readouts of every sender for a receiver."""

    def __init__(
        self,
        model: Model,
        found: Pairs,
        run: PromptBatch,
        source: PromptBatch,
        read: Reader,
        nodes: Sequence[Node],
        frozen: Frozen,
        resources: Resources,
    ) -> None:
        self.model, self.found, self.run, self.read = model, found, run, read
        self.nodes, self.frozen, self.resources = nodes, frozen, resources
        self.asking = tuple(f"predicts({role})" for role in found.answers)
        roles = tuple(dict.fromkeys([*self.asking, *found.roles]))
        wanted = reads(model, roles)
        self.plain, mine = read_plain(model, run, found, read, resources, wanted)
        self.given, theirs = read_plain(model, source, found, read, resources, wanted)
        self._roles, self._senders = roles, Senders.of(model, mine, theirs)

    def both(self, direction: Direction) -> tuple[Readout, Readout]:
        """Readouts of the clean and the corrupted run."""
        pair = (self.plain, self.given)
        return pair if direction == "noise" else pair[::-1]

    def to(self, receiver: Node | None) -> tuple[Readout, Readout, list[int]]:
        """Readouts [senders, n, answers] of the patched runs, those of the unpatched run [n,
        answers], and the indices of the senders that lie below the receiver."""
        if receiver is None:
            return (*self._to_logits(), list(range(len(self.nodes))))
        below = [i for i, one in enumerate(self.nodes) if one.layer < receiver.layer]
        return self._to_head(receiver, [self.nodes[i] for i in below]), self.plain, below

    def _at(self, roles: Sequence[str]) -> Senders:
        """Activations at some of the roles that were read."""
        index = [self._roles.index(role) for role in roles]
        both = (
            {key: value[:, index] for key, value in x.items()}
            for x in (self._senders.run, self._senders.source)
        )
        return Senders(self.model, *both)

    def _to_logits(self) -> tuple[Readout, Readout]:
        s, progress = self.model.shape, self.resources.progress
        senders = self._at(self.asking)
        head = _Head(self.model, self.read)
        each = 4 * (len(self.nodes) + 1) * len(self.asking) * s.d_model * self.model.dtype.itemsize
        step = max(1, self.resources.memory // each)
        parts = []
        starts = range(0, len(self.found), step)
        for done, first in enumerate(starts):
            if self.resources.cancel is not None:
                self.resources.cancel.check()
            rows = slice(first, min(first + step, len(self.found)))
            mine = senders.rows(rows)
            streams = mine.spread(self.nodes, self.frozen, s.n_layers)
            clean = mine.stream(s.n_layers)[None]
            parts.append(torch.stack([head(x, rows) for x in (*clean, *streams)]))
            if progress is not None:
                progress(done + 1, len(starts))
        found = self.read.readout(torch.cat(parts, dim=1))
        return found[1:], found[0]

    def _to_head(self, receiver: Node, nodes: Sequence[Node]) -> Readout:
        roles = self.found.roles
        senders = self._at(roles).rows(slice(None))
        clean = senders.stream(receiver.layer)[None]
        streams = torch.cat([clean, senders.spread(nodes, self.frozen, receiver.layer)])
        own, *changed = inputs(self.model, receiver.layer, streams, receiver.site).cpu()
        cells = {}
        for sender, values in zip(nodes, changed, strict=True):
            given = own.clone()
            given[:, :, receiver.index] = values[:, :, receiver.index]
            what = Replace(
                receiver.site,
                Rows({receiver.layer: given}),
                layers=(receiver.layer,),
                roles=roles,
                heads=receiver.heads,
            )
            cells[sender.name] = (what,)
        return read_cells(self.model, self.run, cells, self.found, self.read, self.resources)


@dataclass
class _Head:
    """Final norm and unembedding of streams [n, answers, d_model], reduced to a Readout's parts;
    restricted to the tokens that are read, where metrics need no others."""

    model: Model
    read: Reader

    def __post_init__(self) -> None:
        self._few: tuple[TokenLogits, Reader] | None = None
        if not self.read.needs:
            tokens = np.unique(np.concatenate([self.read.right, self.read.other], axis=None))
            tokens = tokens[tokens >= 0]
            right, other = (
                np.where(x < 0, -1, np.searchsorted(tokens, np.maximum(x, tokens[0])))
                for x in (self.read.right, self.read.other)
            )
            few = TokenLogits(self.model, torch.from_numpy(tokens))
            self._few = few, Reader(right, other, self.read.needs)

    def __call__(self, streams: torch.Tensor, rows: slice) -> torch.Tensor:
        if self._few is None:
            return self.read(unembed(self.model, streams), rows)
        logits, read = self._few
        return read(logits(streams), rows)


def _result(
    found: Pairs,
    made: _Paths,
    effects: dict[str, Floats],
    nodes: Sequence[Node],
    targets: Sequence[Node | None],
    direction: Direction,
    settings: dict[str, Any],
    seed: int,
) -> PathPatching:
    names = tuple(effects)
    axes = (
        Axis("sender", tuple(one.name for one in nodes)),
        Axis("receiver", tuple(LOGITS if one is None else one.name for one in targets)),
        Axis("answer_digit", found.answers),
    )
    groups, over = resampling(found.clean.problems)
    every = np.stack(list(effects.values()), axis=1)
    main = estimate(effects[names[0]], groups, axes, seed)
    clean, corrupted = made.both(direction)
    totals = [metric(name).total(clean, corrupted) for name in names]
    empty = np.full((len(found), len(found.answers)), np.nan)
    by_metric = (Axis("metric", names), axes[-1])
    total = np.stack([empty if x is None else x for x in totals], axis=1)
    # Means over answer digits and receivers, to rank the senders.
    flat = over_answers(effects[names[0]].reshape(len(found), len(nodes), -1))
    chosen = chosen_and_scored(flat, axes[0].labels, found.clean.problems, seed)
    small = np.abs(made.plain.right[~np.isnan(made.plain.right)]) < SMALL_LOGIT
    return PathPatching(
        model=found.clean.model,
        task=found.clean.problems.task.name,
        n=len(found),
        n_distinct=found.clean.n_distinct,
        seed=seed,
        settings=settings,
        effect=estimate(every, groups, (Axis("metric", names), *axes), seed),
        q=Grid(discoveries(main), axes),
        total=estimate(total, groups, by_metric, seed),
        small_logits=float(small.mean()),
        chosen=chosen,
        by_prompt=effects[names[0]].astype(np.float32),
        resampled=over,
    )
