"""Entry of the explorer: the study stays in the sidebar, each page asks one question.

Run it by `arithmoscope explore`. Pages lie in `views/`: a folder called `pages/` beside the entry
would make Streamlit open them without it, and so without a model.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import more
from interp.errors import ArithmoscopeError

LOGO, ICON = (Path(__file__).with_name(name) for name in ("logo.svg", "icon.svg"))
# Figures keep a width at which no label covers another; on a narrow page they scroll.
STYLE = """<style>
.stMainBlockContainer { padding: 2.6rem 2rem 3rem }
.stPlotlyChart { overflow-x: auto }
.stPlotlyChart > div { min-width: 780px }
.limits { font-size: 0.875rem; opacity: 0.75; margin-top: -0.8rem }
.limits ul { margin: 0.3rem 0 0 }
</style>"""


def main() -> None:
    """Choose the study in the sidebar and run the page."""
    st.set_page_config(page_title="arithmoscope", page_icon=str(ICON), layout="wide")
    st.html(STYLE)
    st.logo(LOGO, size="large")
    pages = [
        st.Page("views/start.py", title="Start", icon=":material/explore:", default=True),
        st.Page("views/model.py", title="Model", icon=":material/memory:"),
        st.Page("views/behaviour.py", title="Behaviour", icon=":material/fact_check:"),
        st.Page("views/attribution.py", title="Attribution", icon=":material/grid_on:"),
        st.Page("views/heads.py", title="Heads", icon=":material/hub:"),
        st.Page("views/tree.py", title="Attention tree", icon=":material/account_tree:"),
        st.Page("views/ablation.py", title="Ablation", icon=":material/hourglass_top:"),
        st.Page("views/probes.py", title="Probes", icon=":material/sensors:"),
        st.Page("views/geometry.py", title="Geometry", icon=":material/hexagon:"),
        st.Page("views/intervene.py", title="Intervene", icon=":material/tune:"),
        st.Page("views/training.py", title="Training", icon=":material/trending_down:"),
    ]
    pages += [st.Page("views/compare.py", title="Compare", icon=":material/compare:")]
    if more.entries():
        pages += [st.Page("views/more.py", title="More analyses", icon=":material/add_chart:")]
    page = st.navigation(pages, expanded=True)
    with st.spinner("Starting: the first visit loads PyTorch"):
        # It takes seconds, and the page shows meanwhile.
        from app import about, jobs, parts, refine, results, sidebar, study, tour

        results.settle()
    try:
        name = sidebar.choose_model()
        if name is None:
            parts.heading("Which model?", "Type a folder, a .gguf file or a Hub id on the left.")
            st.stop()
        banner, head, field, above = [st.container() for _ in range(4)]
        sidebar.check(name)
        jobs.allow(sidebar.limits().seconds)
        name = sidebar.choose_checkpoint(name)
        model = results.model(name)
        # In the page where it is the question, else beside the other choices.
        own = field if page.url_path in ("", "intervene") else st.sidebar
        study.keep(sidebar.choose_study(name, model, own))
        sidebar.about(model)
        about.show()
        refine.begin()
        parts.begin(head)
        with banner:
            tour.banner(page.url_path)
        page.run()
        refine.finish(above)
    except ArithmoscopeError as error:
        parts.problem(error)


main()
