"""The reference pages: one a package, with every public name of its face."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from sphinx.application import Sphinx

PACKAGES = {
    "interp": "Models, tasks and Results",
    "interp.arithmetic": "Problems and their truth",
    "interp.models": "Models and prompts",
    "interp.engine": "Runs and interventions",
    "interp.behaviour": "Behaviour",
    "interp.attribution": "Attribution",
    "interp.heads": "Heads",
    "interp.ablation": "Ablation",
    "interp.geometry": "Geometry",
    "probes": "Probes",
    "interp.suites": "Suites",
    "interp.training": "Training",
    "interp.many": "Seeds and checkpoints",
    "interp.planted": "Planted models",
    "interp.results": "Results",
    "interp.figures": "Figures",
}
FOLDER = "reference"


class Name(NamedTuple):
    """A public name: where it is documented, and as what."""

    full: str
    directive: str


def public_names(packages: Iterable[str] = PACKAGES) -> dict[str, list[Name]]:
    """Package → its public names; each object once, in the first package that has it."""
    seen: set[int] = set()
    pages: dict[str, list[Name]] = {}
    for package in packages:
        pages[package] = []
        for name, thing in _members(import_module(package)):
            if id(thing) not in seen:
                seen.add(id(thing))
                pages[package].append(Name(f"{package}.{name}", _directive(thing)))
    return pages


def _members(package: ModuleType) -> Iterator[tuple[str, Any]]:
    for name in dir(package):
        thing = getattr(package, name)
        if not name.startswith("_") and not inspect.ismodule(thing):
            yield name, thing


def _directive(thing: Any) -> str:
    if inspect.isclass(thing):
        return "autoexception" if issubclass(thing, BaseException) else "autoclass"
    return "autofunction" if callable(thing) else "autodata"


def page(package: str, names: list[Name], *, examples: bool) -> str:
    """reStructuredText of a package: a list of its names, then each, with its `examples`."""
    title = f"{PACKAGES[package]}: ``{package}``"
    lines = [title, "=" * len(title), "", f".. automodule:: {package}", "   :no-members:", ""]
    lines += [" · ".join(f":py:obj:`~{name.full}`" for name in names)]
    for name in names:
        lines += ["", f".. {name.directive}:: {name.full}"]
        if name.directive in ("autoclass", "autoexception"):
            lines += ["   :members:"]
        if examples:
            lines += ["", f".. minigallery:: {name.full}", "   :add-heading: Used in"]
            lines += ["   :heading-level: ^"]
    return "\n".join(lines) + "\n"


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    names = public_names(app.config.reference_packages)
    examples = "sphinx_gallery.gen_gallery" in app.extensions
    pages = {package: page(package, names[package], examples=examples) for package in names}
    contents = ["Reference", "=========", "", ".. toctree::", "", *(f"   {one}" for one in pages)]
    pages["index"] = "\n".join(contents) + "\n"
    for file in folder.glob("*.rst"):
        if file.stem not in pages:
            file.unlink()
    for name, text in pages.items():
        file = folder / f"{name}.rst"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def _skip(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples: their class describes them."""
    return True if (getattr(thing, "__doc__", "") or "").startswith("Alias for field") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for sources."""
    app.add_config_value("reference_packages", list(PACKAGES), "env", [list])
    app.connect("builder-inited", _write)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
