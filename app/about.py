"""Version, citation and glossary, in the sidebar of every page."""

from __future__ import annotations

from importlib.metadata import version

import pandas as pd
import streamlit as st

from app import glossary

CITE = (
    "The arithmoscope developers: arithmoscope {version}, "
    "a microscope for arithmetic in transformers"
)


def show() -> None:
    """Two popovers: what the words mean, and how to cite."""
    words, self = st.sidebar.columns(2)
    with words.popover("Words", width="stretch"):
        known = pd.DataFrame(glossary.terms().items(), columns=["term", "meaning"])
        st.dataframe(known, hide_index=True, width=620, height=420)
    with self.popover("About", width="stretch"):
        here = version("arithmoscope")
        st.markdown(
            f"**arithmoscope {here}** runs on this machine and sends nothing anywhere. Each figure "
            "has a drawer, *Take it away*, with the Python call that makes it again; "
            "`arithmoscope --help` lists the same analyses as commands, and the folder `docs` "
            "explains each. Papers are named by their arXiv numbers where a method is theirs."
        )
        st.caption("To cite:")
        st.code(CITE.format(version=here), language=None, wrap_lines=True)
