"""The house keeps its import rules, and each rule finds what it forbids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from tests.import_rules import read_house, violations

ROOT = Path(__file__).resolve().parents[1]

SOUND = {
    "interp": """
        from importlib import import_module
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            from interp.arithmetic.tasks import Addition as Addition
            from interp.loading import load as load
            from interp.results.result import Result as Result

        _NAMES = {"Addition": "interp.arithmetic.tasks", "load": "interp.loading"}

        def __getattr__(name):
            return getattr(import_module(_NAMES[name]), name)
    """,
    "interp.errors": "class InputError(ValueError): pass",
    "interp.arithmetic": "from interp.arithmetic.tasks import Addition",
    "interp.arithmetic.tasks": "import numpy\nfrom interp.errors import InputError",
    "interp.results": "from interp.results.result import Result",
    "interp.results.result": '''
        """What interp.figures draws; `importlib` is not needed."""
        import pandas
        from interp.arithmetic.tasks import Addition

        def code():
            return "interp.attribution.logit_lens", "probes.probe"
    ''',
    "interp.figures": "from interp.figures.maps import heat",
    "interp.figures.maps": "import plotly\nfrom ..results.result import Result",
    "interp.models": "from interp.models.adapter import Adapter",
    "interp.models.adapter": """
        import torch
        from transformer_lens.model_bridge import TransformerBridge

        def stop(module, function):
            return module.register_forward_hook(function)
    """,
    "interp.engine": "from interp.engine.passes import run",
    "interp.engine.passes": """
        from importlib import import_module
        from interp.models import Adapter

        def run(point, function):
            import_module("numpy")
            return point.add_hook(function)
    """,
    "interp.attribution": "from interp.attribution._lens import logit_lens",
    "interp.attribution._lens": """
        import torch
        from interp.attribution.results.lens import LogitLens
        from interp.engine import run
    """,
    "interp.attribution.results": "",
    "interp.attribution.results.lens": "from interp.results.result import Result",
    "interp.attribution.figures": "",
    "interp.attribution.figures.lens": """
        from interp.attribution.results.lens import LogitLens
        from interp.figures.maps import heat
    """,
    "interp.ablation": "from interp.ablation._grid import grid",
    "interp.ablation._grid": "from interp.engine.passes import run",
    "interp.planted": "from interp.planted.planting import build",
    "interp.planted.planting": "from interp.models.adapter import Adapter",
    "interp.loading": "from interp.engine import run",
    "interp.catalogue": """
        from importlib import import_module

        ENTRIES = {"probe": "probes.sweep:probe", "page": "app.views.lens:page"}
        CATALOGUE = (Entry(name="attribution.logit_lens"), Entry(name="probes.probe"))

        def found(name):
            return import_module(ENTRIES[name].partition(":")[0])
    """,
    "probes": "from probes.sweep import probe",
    "probes.sweep": "from interp.attribution._lens import logit_lens",
    "app": "",
    "app.views": "",
    "app.views.lens": "import interp\nimport streamlit\nfrom interp.catalogue import found",
}


def breaches(changes: Mapping[str, str]) -> list[str]:
    """The rules that the sound house breaks with these files added to it or replaced in it."""
    sources = SOUND | {name: SOUND.get(name, "") + text for name, text in changes.items()}
    return [found.rule for found in violations({k: dedent(v) for k, v in sources.items()})]


def test_the_house_keeps_its_rules() -> None:
    sources = read_house(ROOT)
    assert {"interp", "interp.errors", "probes", "app.cli"} <= set(sources)
    found = violations(sources)
    assert not found, "\n".join(["", *map(str, found)])


def test_a_sound_house_has_no_fault() -> None:
    assert breaches({}) == []


LENS, RESULT = "interp.attribution._lens", "interp.attribution.results.lens"
FIGURE = "interp.attribution.figures.lens"
NEW, PROBE = "interp.ablation._cama", "probes.hooking"
LOOK_UP = "from importlib import import_module\n"
FAULTS: dict[str, tuple[str, dict[str, str]]] = {
    "an upward import": (
        "upward",
        {"interp.models.tokens": "from interp.engine.passes import run"},
    ),
    "an upward import in a function": (
        "upward",
        {"interp.models.tokens": "def f():\n    from interp.engine import passes"},
    ),
    "an upward import for a type": (
        "upward",
        {"interp.errors": "\nif TYPE_CHECKING:\n    from interp.results.result import Result"},
    ),
    "a relative upward import": ("upward", {"interp.models.tokens": "from ..engine import run"}),
    "the engine under the kit": ("upward", {"interp.results.calls": "import interp.engine.passes"}),
    "a probe in a family": ("upward", {LENS: "\n        import probes.sweep"}),
    "the catalogue in a probe": (
        "upward",
        {"probes.plan": "from interp.catalogue import found"},
    ),
    "the library's face in a probe": ("upward", {"probes.plan": "import interp"}),
    "a family that imports another": (
        "family",
        {LENS: "\n        from interp.ablation._grid import grid"},
    ),
    "a family that takes another by its face": (
        "family",
        {LENS: "\n        from interp.ablation import grid"},
    ),
    "a family that imports planted models": (
        "family",
        {LENS: "\n        from interp.planted.planting import build"},
    ),
    "a hook in a family": ("hook", {LENS: "\n        torch.nn.Module().register_forward_hook(f)"}),
    "a hook before a module": ("hook", {PROBE: "m.register_forward_pre_hook(f)"}),
    "a backward hook": ("hook", {"app.views.lens": "\nx.register_full_backward_hook(f)"}),
    "a hook on a point": ("hook", {PROBE: "point.add_hook(f)"}),
    "a hook by its name": ("hook", {PROBE: "getattr(m, 'register_forward_hook')(f)"}),
    "TransformerLens in a probe": ("hook", {PROBE: "from transformer_lens import utils"}),
    "a result that imports torch": ("heavy", {RESULT: "\nimport torch"}),
    "a result that imports torch in a function": (
        "heavy",
        {RESULT: "\ndef f():\n    import torch.nn"},
    ),
    "a result that imports torch for a type": (
        "heavy",
        {RESULT: "\nif TYPE_CHECKING:\n    from torch import Tensor"},
    ),
    "a result that brings in plotly": (
        "heavy",
        {RESULT: "\nfrom interp.figures.maps import heat"},
    ),
    "a result that brings in torch": (
        "heavy",
        {RESULT: "\nfrom interp.models.tokens import f", "interp.models.tokens": "import torch"},
    ),
    "the kit with streamlit": ("heavy", {"interp.results.show": "import streamlit"}),
    "a figure that imports torch": ("heavy", {FIGURE: "\n        import torch"}),
    "arithmetic with torch": ("heavy", {"interp.arithmetic.digits": "import torch"}),
    "a look-up outside the catalogue": (
        "string",
        {NEW: LOOK_UP + "x = import_module('interp.errors')"},
    ),
    "a look-up by a table": ("string", {NEW: "X = {'e': 'interp.ablation._grid'}"}),
    "a look-up of a part": ("string", {NEW: "X = 'interp.ablation._grid.grid'"}),
    "a look-up with a colon": ("string", {NEW: "X = 'interp.ablation:grid'"}),
    "a look-up of an expression": (
        "string",
        {NEW: LOOK_UP + "def f(x):\n    import_module(f'interp.{x}')"},
    ),
    "a look-up of a public name": (
        "string",
        {NEW: "__import__('interp.ablation.grid')"},
    ),
    "a relative look-up": (
        "string",
        {NEW: LOOK_UP + "import_module('._grid', 'x')"},
    ),
    "a face that imports from elsewhere": (
        "face",
        {"interp.attribution": "\nfrom interp.engine.passes import run"},
    ),
    "a face that imports from elsewhere for a type": (
        "face",
        {"probes": "\nif TYPE_CHECKING:\n    from interp.errors import InputError"},
    ),
    "a face that reaches below its folder": (
        "face",
        {"interp.attribution": "\nfrom interp.attribution.results.lens import LogitLens"},
    ),
    "a face that looks up another's folder": (
        "string",
        {"interp.attribution": "\n_NAMES = {'f': 'interp.ablation._grid'}"},
    ),
    "code that imports from its own face": (
        "own face",
        {NEW: "from interp.ablation import grid"},
    ),
    "code that imports the library's face": (
        "own face",
        {NEW: "def f():\n    import interp\n    return interp.load"},
    ),
    "a relative import of the own face": ("own face", {NEW: "from . import grid"}),
    "a circle": (
        "circle",
        {"interp.engine.a": "import interp.engine.b", "interp.engine.b": "import interp.engine.a"},
    ),
    "a circle by a lazy import": (
        "circle",
        {
            "interp.engine.a": "from interp.engine.b import f",
            "interp.engine.b": "def f():\n    from interp.engine.a import g",
        },
    ),
    "a circle by a type": (
        "circle",
        {
            "interp.engine.a": "from interp.engine.b import f",
            "interp.engine.b": "if TYPE_CHECKING:\n    from interp.engine.a import g",
        },
    ),
    "a circle by a string": (
        "circle",
        {"interp.engine.a": "import interp.engine.b", "interp.engine.b": "X = 'interp.engine.a'"},
    ),
    "a circle through a face": (
        "circle",
        {"interp.engine.passes": "\n        from interp.engine import run"},
    ),
    "a file that bears its function's name": (
        "shadow",
        {"interp.ablation": "\nfrom interp.ablation.cama import cama", "interp.ablation.cama": ""},
    ),
    "a file that bears the name of an analysis": ("shadow", {"interp.attribution.logit_lens": ""}),
    "a file of probes that bears the name of an analysis": ("shadow", {"probes.probe": ""}),
    "a family that loads models": ("upward", {LENS: "\n        from interp.loading import load"}),
    "a file on no floor": ("no floor", {"interp.utils": ""}),
}
"""What breaks the sound house → the rule that finds it, and the files."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    rule, changes = FAULTS[fault]
    assert rule in breaches(changes)


def test_a_string_in_a_docstring_and_the_text_of_a_call_look_nothing_up() -> None:
    said = '"""Draws what interp.ablation._grid made."""\nX = "interp.ablation.grid"'
    assert breaches({"interp.attribution.told": said}) == []


def test_the_module_that_is_named_counts_and_not_the_face_above_it() -> None:
    assert breaches({NEW: "from interp.ablation import _grid"}) == []
    assert breaches({NEW: "from interp.ablation._grid import grid"}) == []


def test_a_circle_is_told_by_its_members() -> None:
    edges = {"a": "b", "b": "c", "c": "a"}
    sources = {f"probes.{k}": f"import probes.{v}" for k, v in edges.items()} | {"probes": ""}
    (found,) = violations(sources)
    assert (found.rule, found.module) == ("circle", "probes.a")
    assert found.text == "3 modules, among them probes.a → probes.b → probes.c → probes.a"


def test_a_face_counts_with_the_stub_beside_it(tmp_path: Path) -> None:
    for room in ("interp", "probes", "app"):
        (tmp_path / room).mkdir()
    (tmp_path / "interp" / "__init__.py").write_text("import lazy_loader\n")
    (tmp_path / "interp" / "__init__.pyi").write_text("from probes.sweep import probe\n")
    (tmp_path / "interp" / "errors.py").write_text("")
    (tmp_path / "probes" / "__init__.py").write_text("")
    (tmp_path / "probes" / "sweep.py").write_text("")
    found = violations(read_house(tmp_path))
    assert [(one.rule, one.text) for one in found] == [("face", "imports probes.sweep")]
