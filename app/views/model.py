"""What is loaded, and can it be studied?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import parts, results, study
from app.plain import plain

PERCENT = {
    name: st.column_config.NumberColumn(format="percent") for name in ("share", "low", "high")
}


def page() -> None:
    """The tokens of one example by role, then the card, the tokenisation and the self-check."""
    chosen = study.current()
    parts.heading("Model", "What is loaded, and can it be studied?")
    report = results.result(chosen, "models.tokenisation_report")
    parts.chart(report, "tokens")
    parts.below(report)
    card, cut, sites = st.tabs(["Card", "How numbers are cut", "Where an edit takes effect"])
    with card:
        _card(chosen)
    with cut:
        st.dataframe(report.packing, hide_index=True, width="content")
    with sites:
        check = results.result(chosen, "engine.selfcheck")
        st.markdown(
            f"The engine's logits differ from the plain module's by at most "
            f"{check.difference:.1e} of the largest one ({check.tolerance:.0e} counts as equal)."
        )
        st.dataframe(check.sites, hide_index=True, width="content")
        parts.limits(check)
    parts.take_away(report)


def _card(chosen: study.Study) -> None:
    card = results.model(chosen.model).card
    if card is None:
        st.info(
            "No card came with these weights: nothing is known of their training. "
            "The page Behaviour measures what they get right.",
            icon=":material/info:",
        )
        return
    seed = f", seed {card['seed']}" if "seed" in card else ""
    name = card.get("name", results.model(chosen.model).name)
    st.markdown(f"**{plain(str(name))}** was made for `{card.get('task', chosen.task)}`{seed}.")
    shares = _shares(card)
    if shares.empty:
        st.caption("Nobody measured it on held-out problems. The page Behaviour does.")
    else:
        st.dataframe(shares, hide_index=True, width="content", column_config=PERCENT)
        st.caption("On held-out problems; by digit and class count digits. Wilson 95 % intervals.")
    with st.expander("The whole card: recipe, data, versions"):
        st.json(dict(card), expanded=1)


def _shares(card: Mapping[str, Any]) -> pd.DataFrame:
    """Every share of the card with its interval, in the card's order."""
    rows = []
    for name, value in card.items():
        groups = {"": value} if isinstance(value, Mapping) and "share" in value else value
        for group, share in groups.items() if isinstance(groups, Mapping) else ():
            if isinstance(share, Mapping) and "share" in share:
                row = {key: share[key] for key in ("n", "share", "low", "high")}
                rows.append({"what": name.replace("_", " "), "group": group, **row})
    return pd.DataFrame(rows)


page()
