"""Measure many changed runs of the same prompts: the readouts that metrics need, cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from interp.engine._run import run, run_variants
from interp.engine.interventions import Intervention, Replace, Rows
from interp.engine.requests import Read, Resources, Run, Variant
from interp.errors import InputError
from interp.heads.metrics import METRICS, Floats, Readout
from interp.heads.nodes import SITES, Kind, Node
from interp.heads.pairs import Ints, Pairs
from interp.models.model import Model
from interp.models.prompts import PromptBatch

PARTS = 5  # right, other, log_z, kl, choice


@dataclass(frozen=True, eq=False)
class Reader:
    """Reduces logits to the parts of a Readout that some metrics need.

    `clean` are the clean run's log-probabilities [n, answers, d_vocab], for KL alone.
    """

    right: Ints
    other: Ints
    needs: frozenset[str]
    clean: torch.Tensor | None = None

    def __call__(self, logits: torch.Tensor, rows: slice) -> torch.Tensor:
        """Logits [m, answers, d_vocab] → float64 [m, answers, parts]."""
        out = torch.full((*logits.shape[:2], PARTS), torch.nan, dtype=torch.float64)
        for part, tokens in enumerate((self.right, self.other)):
            index = torch.from_numpy(tokens[rows]).to(logits.device)
            picked = logits.gather(-1, index.clamp(min=0)[..., None])[..., 0]
            out[..., part] = picked.double().masked_fill(index < 0, torch.nan).cpu()
        if "log_z" in self.needs:
            out[..., 2] = logits.double().logsumexp(-1).cpu()
        if self.clean is not None:
            before = self.clean[rows].to(logits.device).double()
            after = logits.double().log_softmax(-1)
            out[..., 3] = (before.exp() * (before - after)).sum(-1).clamp(min=0).cpu()
        if "choice" in self.needs:
            out[..., 4] = logits.argmax(-1).double().cpu()
        absent = torch.from_numpy(self.right[rows] < 0)
        out[absent] = torch.nan
        return out

    def readout(self, parts: torch.Tensor | Floats) -> Readout:
        """Parts [..., n, answers, parts] as a Readout."""
        found = np.asarray(parts, dtype=float)
        tokens = (
            np.broadcast_to(np.where(t < 0, np.nan, t), found.shape[:-1])
            for t in (self.right.astype(float), self.other.astype(float))
        )
        return Readout(*np.moveaxis(found, -1, 0), *tokens)


def reader(model: Model, pairs: Pairs, metrics: Sequence[str], resources: Resources) -> Reader:
    """The reader of some metrics; for KL it runs the clean prompts once.

    Raises InputError where the clean run's distributions do not fit into memory.
    """
    needs = frozenset().union(*(METRICS[name].needs for name in metrics))
    made = Reader(pairs.right, pairs.other, needs)
    if "kl" not in needs:
        return made
    size = 4 * len(pairs) * len(pairs.answers) * model.shape.d_vocab
    if size > resources.memory:
        raise InputError(
            f"KL needs the clean distributions of all prompts, {size / 1e9:.1f} GB: leave 'kl' "
            f"out of the metrics, take fewer prompts (n), or give memory={size}"
        )
    found = run(
        model,
        pairs.clean,
        logits=pairs.answers,
        reduce=lambda logits, rows: logits.log_softmax(-1),
        memory=resources.memory,
        cancel=resources.cancel,
    ).logits
    return Reader(pairs.right, pairs.other, needs, found)


def read_plain(
    model: Model, batch: PromptBatch, pairs: Pairs, read: Reader, resources: Resources,
    reads: Sequence[Read] = (),
) -> tuple[Readout, Run]:  # fmt: skip
    """The readout of a plain run [n, answers], and the activations of `reads`."""
    done = run(
        model,
        batch,
        reads=reads,
        logits=pairs.answers,
        reduce=read,
        memory=resources.memory,
        savings=resources.savings,
        cancel=resources.cancel,
    )
    assert done.logits is not None
    return read.readout(done.logits), done


def read_cells(
    model: Model,
    batch: PromptBatch,
    cells: Mapping[str, tuple[Intervention, ...]],
    pairs: Pairs,
    read: Reader,
    resources: Resources,
) -> Readout:
    """Readouts [cells, n, answers] of `batch` under each cell's interventions."""
    return read.readout(parts_of_cells(model, batch, cells, pairs, read, resources))


def parts_of_cells(
    model: Model,
    batch: PromptBatch,
    cells: Mapping[str, tuple[Intervention, ...]],
    pairs: Pairs,
    read: Reader,
    resources: Resources,
) -> Floats:
    """The parts of those readouts, [cells, n, answers, parts]."""
    runs = run_variants(
        model,
        batch,
        [Variant(name, what) for name, what in cells.items()],
        logits=pairs.answers,
        reduce=read,
        memory=resources.memory,
        savings=resources.savings,
        cancel=resources.cancel,
        progress=resources.progress,
    )
    found = torch.stack([one.logits for one in runs if one.logits is not None])
    return np.asarray(found.numpy(), dtype=float)


class Donor:
    """Activations of another run, as sources of patches: read once, shared by all cells."""

    def __init__(self, run: Run, roles: Sequence[str]) -> None:
        self._run, self._roles = run, tuple(roles)
        self._rows: dict[tuple[str, str], Rows] = {}

    def patch(self, node: Node) -> Replace:
        """The intervention that puts the donor's activation of a node in; without a role, at every
        role that was read."""
        roles = (node.role,) if node.role else self._roles
        return Replace(
            node.site,
            self._source(node.site, node.role),
            layers=(node.layer,),
            roles=roles,
            heads=node.heads,
        )

    def patches(self, nodes: Iterable[Node]) -> tuple[Replace, ...]:
        """The interventions that patch some nodes at once, one for each site, layer and role."""
        by_place: dict[tuple[Kind, int, str], list[Node]] = {}
        for one in nodes:
            by_place.setdefault((one.kind, one.layer, one.role), []).append(one)
        made = []
        for mine in by_place.values():
            what = self.patch(mine[0])
            heads = None if what.heads is None else tuple(sorted(one.index for one in mine))
            made.append(replace(what, heads=heads))
        return tuple(made)

    def _source(self, site: str, role: str) -> Rows:
        if (site, role) not in self._rows:
            at = slice(None)
            if role:
                at = slice(self._roles.index(role), self._roles.index(role) + 1)
            values = {
                layer: value[:, at]
                for (name, layer), value in self._run.activations.items()
                if name == site
            }
            self._rows[site, role] = Rows(values)
        return self._rows[site, role]


def reads_of(kinds: Iterable[Kind], roles: Sequence[str]) -> list[Read]:
    """Reads of every site that nodes of these kinds are patched at."""
    sites = {SITES[kind]: kind for kind in kinds}
    return [
        Read(site, (0,) if kind == "embed" else None, tuple(roles)) for site, kind in sites.items()
    ]
