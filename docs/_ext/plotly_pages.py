"""Figures of executed examples: the figure's JSON in the page, drawn by one local plotly.js.

sphinx-gallery shows the last expression of a block by its `_repr_html_`, which a Plotly figure
takes from the default renderer. `docs/_static/figures.js` loads plotly.js on pages with a figure.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.io
from plotly.io.base_renderers import MimetypeRenderer
from plotly.offline import get_plotlyjs
from sphinx.application import Sphinx


class InPage(MimetypeRenderer):
    """The figure as a place in the page and its JSON."""

    def to_mimebundle(self, fig_dict: dict[str, Any]) -> dict[str, str]:
        """HTML with the figure's JSON; "</" is escaped, so that no text of it ends the script."""
        layout = fig_dict["layout"]
        size = f"width:{layout.get('width', 900)}px;height:{layout.get('height', 450)}px"
        drawn = plotly.io.to_json(fig_dict, validate=False).replace("</", "<\\/")
        data = f'<script type="application/json">{drawn}</script>'
        return {"text/html": f'<div class="figure"><div style="{size}">{data}</div></div>'}


def _write_script(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        script = Path(app.outdir) / "_static" / "plotly.min.js"
        script.write_text(get_plotlyjs(), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, and put plotly.js beside the pages."""
    plotly.io.renderers["page"] = InPage()
    plotly.io.renderers.default = "page"
    app.connect("build-finished", _write_script)
    return {"parallel_read_safe": True}
