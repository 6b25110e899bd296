"""Until when may tokens wait, when must information move?"""

from __future__ import annotations

from app import ablation_parts, ablation_sliders, parts, results, study


def page() -> None:
    """The schedule that the sliders draw: what it keeps, and who may see whom; then more of it."""
    chosen = study.current()
    parts.heading("Ablation", "Until when may tokens wait, when must information move?")
    n_layers = results.model(chosen.model).shape.n_layers
    ablation_sliders.presets(n_layers)
    drawn = ablation_sliders.draw(n_layers, chosen.format)
    result = ablation_parts.score(chosen, drawn)
    parts.chart(result, "ablation")
    parts.below(result)
    parts.take_away(result)
    ablation_parts.closer(chosen, drawn, n_layers)


page()
