"""A schedule as text: the attention mask of each layer."""

from __future__ import annotations

from collections.abc import Sequence

from interp.ablation.masks import specs
from interp.ablation.places import Places
from interp.ablation.results.masks import edges_text
from interp.ablation.schedule import Schedule
from interp.ablation.visible import OPEN, visible
from interp.engine.interventions import MaskAttention

Cuts = tuple[MaskAttention, ...]


def picture(
    schedule: Schedule, places: Places, n_layers: int, masks: Sequence[MaskAttention] = ()
) -> str:
    """One mask matrix for each run of equal layers; rows are queries, columns keys.

    `o` may look, `·` is cut, `▪` marks a token that is replaced before the first layer that does
    not wait. Roles are those of the first prompt; runs of template text are drawn like any token.
    The heading of a layer names `masks` besides the schedule's own; edges that they cut in all
    heads are drawn as cut.
    """
    blocks = []
    for kind, cuts, layers in _runs(schedule, n_layers, masks):
        heading = _heading(schedule, kind, layers)
        if cuts:
            heading += f"; further cut: {', '.join(map(edges_text, specs(cuts)))}"
        blocks.append("\n".join([heading, *_matrix(schedule, places, kind, cuts)]))
    return "\n\n".join(blocks)


def _kind(schedule: Schedule, layer: int) -> str:
    if layer < schedule.wait:
        return "wait"
    if layer in schedule.transfer:
        return "transfer"
    return "compute" if layer in schedule.compute else "as it is"


def _runs(
    schedule: Schedule, n_layers: int, masks: Sequence[MaskAttention]
) -> list[tuple[str, Cuts, list[int]]]:
    out: list[tuple[str, Cuts, list[int]]] = []
    for layer in range(n_layers):
        kind = _kind(schedule, layer)
        cuts = tuple(mask for mask in masks if mask.layers is None or layer in mask.layers)
        if out and out[-1][:2] == (kind, cuts):
            out[-1][2].append(layer)
        else:
            out.append((kind, cuts, [layer]))
    return out


def _heading(schedule: Schedule, kind: str, layers: list[int]) -> str:
    count = len(layers)
    where = f"layer {layers[0]}" if count == 1 else f"layers {layers[0]}–{layers[-1]}"
    told = f"{where} ({count}): {kind}"
    if kind == "transfer":
        told += f", {schedule.transfer_mask}"
        heads = [f"{la}.{h}" for la, h in schedule.heads or () if la in layers]
        if schedule.heads is not None:
            told += f", heads {' '.join(heads) or 'none'}; the others as in compute layers"
    if kind == "compute":
        told += f", {schedule.compute_mask}"
    return told


def _matrix(schedule: Schedule, places: Places, kind: str, cuts: Cuts) -> list[str]:
    batch = places.batch
    end = int(places.ends[0])
    roles = batch.layouts[int(batch.layout_of[0])][:end]
    wide = max(len(role) for role in roles)
    if kind == "wait":
        return [
            f"{role:>{wide}}  {'kept (sink)' if i < places.sink else '▪'}"
            for i, role in enumerate(roles)
        ]
    masks = {"transfer": schedule.transfer_mask, "compute": schedule.compute_mask}
    seen = visible(places, masks.get(kind, OPEN))[0, :end, :end]
    header = " " * wide + "  " + " ".join(f"{role:>{max(len(role), 1)}}" for role in roles)
    rows = [header]
    for i, role in enumerate(roles):
        hidden = [any(_hides(mask, role, key) for mask in cuts) for key in roles]
        marks = [
            ("o" if seen[i, j] and not hidden[j] else "·") if j <= i else " " for j in range(end)
        ]
        cells = " ".join(f"{m:>{len(r)}}" for m, r in zip(marks, roles, strict=True))
        rows.append(f"{role:>{wide}}  {cells}".rstrip())
    return rows


def _hides(mask: MaskAttention, query: str, key: str) -> bool:
    """True if a mask cuts the edge from one role to another in every head."""
    if mask.heads is not None or (mask.roles is not None and query not in mask.roles):
        return False
    return (mask.keys is None or key in mask.keys) == (mask.mode == "block")
