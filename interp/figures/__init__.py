"""A Plotly figure for each Result type. Computes nothing; `Result.figure()` finds it here."""

from interp.figures import (  # each registers its figures
    ablation,
    ablation_curves,
    ablation_grid,
    ablation_rows,
    ablation_search,
    approximation,
    attribution,
    behaviour,
    cookbook,
    doctor,
    dynamics,
    errors,
    explain,
    logit_lens,
    model,
    noisy_prefix,
)
from interp.figures.export import Export, write_figure
from interp.figures.registry import draw, has_renderer, renders

__all__ = [
    "Export",
    "ablation",
    "ablation_curves",
    "ablation_grid",
    "ablation_rows",
    "ablation_search",
    "approximation",
    "attribution",
    "behaviour",
    "cookbook",
    "doctor",
    "draw",
    "dynamics",
    "errors",
    "explain",
    "has_renderer",
    "logit_lens",
    "model",
    "noisy_prefix",
    "renders",
    "write_figure",
]
