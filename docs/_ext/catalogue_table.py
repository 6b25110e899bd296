"""The directive `{catalogue}`: every analysis with its question, command and meanings."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from interp import catalogue
from interp.faces import found
from interp.results.result import Result

FAMILIES = {
    "behaviour": "Behaviour",
    "attribution": "Attribution",
    "heads": "Heads",
    "ablation": "Ablation",
    "geometry": "Geometry",
    "probes": "Probes",
    "suites": "Suites",
    "training": "Training",
    "": "Seeds, checkpoints and models",
}


class Catalogue(SphinxDirective):
    """A section a family, an entry an analysis."""

    def run(self) -> list[nodes.Node]:
        """Nodes of the whole catalogue."""
        text = "\n".join(line for family in FAMILIES for line in section(family))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def family(entry: catalogue.Entry) -> str:
    """The family under which an entry stands; "" for those of no family with a page."""
    first = entry.name.partition(".")[0]
    return first if first in FAMILIES else ""


def section(name: str) -> list[str]:
    """reStructuredText of a family: heading, then its analyses."""
    lines = [FAMILIES[name], "-" * len(FAMILIES[name]), ""]
    for entry in catalogue.CATALOGUE:
        if family(entry) == name:
            lines += described(entry)
    return lines


def described(entry: catalogue.Entry) -> list[str]:
    """An analysis: question, call, command, sample, limits, and what its metrics mean."""
    result: type[Result] = found(entry.result)
    facts = {
        "call": f":py:func:`{entry.public}`",
        "command": f"``arithmoscope {entry.command}``" if entry.command else "none",
        "sample": "none" if entry.n is None else f"{entry.n:,} problems, or ``n=``",
        "Result": f":py:class:`~interp.results.{result.__name__}`",
        "does not show": "; ".join(result.notes),
    }
    lines = [entry.question, "~" * len(entry.question), ""]
    lines += [f":{name}: {_plain(text)}" for name, text in facts.items() if text]
    if result.meanings:
        lines += [
            "",
            ".. raw:: html",
            "",
            "   <details><summary>what its numbers mean</summary>",
            "",
        ]
        for metric, meaning in result.meanings.items():
            lines += [f"``{metric}``", f"   {_plain(meaning)}", ""]
        lines += [".. raw:: html", "", "   </details>"]
    return [*lines, ""]


def _plain(text: str) -> str:
    """The text on one line, with stars and bars as themselves."""
    return text.replace("\n", " ").replace("|", r"\|").replace("*", r"\*")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("catalogue", Catalogue)
    return {"parallel_read_safe": True}
