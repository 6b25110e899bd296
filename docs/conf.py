"""Settings of the documentation site: `make docs` builds it, and any warning is an error.

Nothing is fetched: no intersphinx, no web fonts, no CDN. Examples run in the build, on the CPU.
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

project = "arithmoscope"
author = copyright = "the arithmoscope developers"
release = version = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"][
    "version"
]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "myst_parser",
    "catalogue_table",  # docs/_ext, as the three below
    "docstrings",
    "plotly_pages",
    "public_names",
]
if tags.has("pages"):  # noqa: F821 - Sphinx's own name: the pages alone, without the examples
    extensions.remove("sphinx_gallery.gen_gallery")

    def setup(app):
        """No search index: it wants every page written."""
        app.connect("builder-inited", lambda app: setattr(app.builder, "search", False))


exclude_patterns = ["_build", "examples", "figures"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
default_role = "code"
highlight_language = "text"  # of formulas; code says what it is
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
maximum_signature_line_length = 90
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "methods",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "methods/backreferences",
    "doc_module": ("interp", "probes"),
    "image_scrapers": (),
    "reset_modules": (),
    "capture_repr": ("_repr_html_", "__repr__"),
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "log_level": {"backreference_missing": "debug"},
}

html_theme = "furo"
html_title = "arithmoscope"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_js_files = ["figures.js"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0072b2",
        "color-brand-content": "#0072b2",
        "color-brand-visited": "#0072b2",
    },
    "dark_css_variables": {
        "color-brand-primary": "#56b4e9",
        "color-brand-content": "#56b4e9",
        "color-brand-visited": "#56b4e9",
    },
}
