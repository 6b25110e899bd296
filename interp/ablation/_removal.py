"""Necessity of each layer's transfer: faithfulness with transfer cut in one layer at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from interp.ablation.complete import StagedResources, interventions, run_all
from interp.ablation.masks import cut
from interp.ablation.measured import faithfulness
from interp.ablation.replacements import Replacement
from interp.ablation.results.removal import LayerRemoval
from interp.ablation.schedule import Schedule
from interp.ablation.setting import Bools, Draw, Setting
from interp.ablation.visible import SELF
from interp.engine.interventions import Intervention
from interp.engine.progress import shows_progress
from interp.engine.requests import Cancel, Progress
from interp.models.asking import Asked
from interp.models.model import Model
from interp.results.grid import Axis, Grid


@shows_progress
def removal(
    model: Model,
    asked: Asked,
    schedule: Schedule | Mapping[str, Any] | None = None,
    *,
    n: int = 512,
    seed: int = 0,
    format: str | None = None,
    held_out: bool = True,
    replacement: str | Replacement = "cama",
    sink: str = "first",
    memory: int = 2**30,
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> LayerRemoval:
    """Faithfulness when the last tokens see only themselves and the sink in one layer.

    In the full model for every layer (arXiv 2509.09650, Fig. 4), and, with a `schedule`, within it
    for each of its transfer layers; then for all of these at once, in both. The masks of the other
    tokens do not change.

    Does not show: that a layer without effect moves nothing; another may move the same. Nor that
    a layer with an effect moves operands: the cut removes all that the last tokens fetch there.

    Raises: as `evaluate`.
    """
    draw = Draw(n, seed, format, held_out)
    setting = Setting.asked(
        model, asked, draw, replacement, sink, StagedResources(memory, cancel, progress)
    )
    schedule = Schedule() if schedule is None else Schedule.of(schedule)
    schedule.check(model.shape.n_layers, model.shape.n_heads, model.name)
    table, right = measure(setting, schedule)
    axes = (Axis("layer", tuple(map(str, range(model.shape.n_layers)))),)
    grids = {where: _grid(table[table["where"] == where], axes) for where in ("full", "schedule")}
    together = table[table["layer"] < 0]
    return LayerRemoval(
        **setting.common(table=schedule.wait > 0, schedule=schedule.spec()),
        full=grids["full"],
        schedule=grids["schedule"],
        all_removed=together.drop(columns="layer").reset_index(drop=True),
        **setting.beside(right),
    )


def _grid(table: pd.DataFrame, axes: tuple[Axis, ...]) -> Grid:
    found = table[table["layer"] >= 0].set_index("layer")
    layers = range(len(axes[0].labels))
    values, low, high = (
        found[name].reindex(layers).to_numpy(float) for name in ("faithfulness", "low", "high")
    )
    return Grid(values, axes, low, high)


def measure(setting: Setting, schedule: Schedule) -> tuple[pd.DataFrame, Bools]:
    """The removals (`where`, `layer`, -1 for all transfer layers at once, `faithfulness`, `low`,
    `high`), and bool [n], the prompts that the full model answers correctly."""
    asked = variants(setting, schedule)
    named = {f"{where} {layer}": what for (where, layer), what in asked.items()}
    found = run_all(setting.model, setting.places, named, setting.resources, truth=setting.truth)
    right = setting.right(found["full"])
    kept, low, high = faithfulness(setting, right, [found[name] for name in named])
    table = pd.DataFrame(list(asked), columns=["where", "layer"])
    return table.assign(faithfulness=kept, low=low, high=high), right


def variants(setting: Setting, schedule: Schedule) -> dict[tuple[str, int], Sequence[Intervention]]:
    """The removals as interventions by (where, layer), -1 for all transfer layers at once."""

    def blind(layers: Sequence[int]) -> tuple[Intervention, ...]:
        return cut(setting.places, SELF, layers, lasts_only=True)

    out: dict[tuple[str, int], Sequence[Intervention]] = {
        ("full", layer): blind([layer]) for layer in range(setting.model.shape.n_layers)
    }
    if not schedule.transfer:
        return out
    out["full", -1] = blind(schedule.transfer)
    replaced = setting.replacement_states() if schedule.wait else None
    whole = interventions(setting.model, setting.places, schedule, replaced)
    out |= {("schedule", layer): (*whole, *blind([layer])) for layer in schedule.transfer}
    out["schedule", -1] = (*whole, *blind(schedule.transfer))
    return out
