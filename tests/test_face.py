"""The package's face: public names on first use, nothing heavy before."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import interp
from interp import catalogue, errors, faces

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "data" / "results"


def loaded_after(code: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has imported after `code`."""
    report = "import sys; print(*{'torch', 'plotly', 'pandas', 'transformers'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_costs_nothing() -> None:
    assert loaded_after("import interp") == set()
    assert loaded_after("import interp; interp.Addition(5).sample(3).truth") == {"pandas"}


def test_loading_any_result_brings_in_neither_torch_nor_plotly() -> None:
    assert len(list(GOLDEN.iterdir())) > 40
    code = f"""
from pathlib import Path
from interp.results.result import Result
for folder in Path({str(GOLDEN)!r}).iterdir():
    result = Result.load(folder)
    result.metrics, result.caption, result.code, result.describe(), repr(result)
"""
    assert loaded_after(code) == {"pandas"}


def test_catalogue_names_lead_to_their_functions() -> None:
    for one in catalogue.CATALOGUE:
        package, _, name = one.public.rpartition(".")
        served = getattr(importlib.import_module(package), name)
        assert served is one.load(), one.name
        assert catalogue.entry_of(served) is one
        assert catalogue.entry(one.name) is catalogue.entry(one.public) is one
        assert issubclass(faces.found(one.result), interp.Result)
        assert faces.found(one.result).analysis == one.kind
        assert not one.figures or faces.found(one.figures)


def test_an_unknown_analysis() -> None:
    with pytest.raises(errors.InputError, match=r"no analysis .*nearest.*attribution.logit_lens"):
        catalogue.entry("attribution.logitlens")
    assert catalogue.entry_of(test_an_unknown_analysis) is None


@pytest.mark.parametrize("old", catalogue._MOVED)
def test_moved_names_work_with_a_warning(old: str) -> None:
    package, _, name = old.partition(":")
    target = catalogue._MOVED[old]
    face = importlib.import_module(package)
    said = f"{package}.{name} is now {target.replace(':', '.')};"
    with pytest.warns(DeprecationWarning, match=said):
        found = getattr(face, name)
    assert found is faces.found(target)
    assert name not in dir(face)
    assert not any(part.startswith("_") for part in target.replace(":", ".").split("."))


def test_names_are_found() -> None:
    assert interp.Addition(5).name == "add:5"
    assert interp.task("mul:4x4") == interp.Multiplication(4, 4)
    assert interp.arithmetic.Problems is interp.Problems
    assert interp.errors.InputError is errors.InputError
    assert {"Addition", "load", "list_models", "arithmetic", "engine"} <= set(dir(interp))


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'interp' has no attribute 'Adition'; it has"):
        _ = interp.Adition


def test_errors_are_what_the_standard_library_knows() -> None:
    kinds = {
        errors.InputError: ValueError,
        errors.FormatError: ValueError,
        errors.RoleError: KeyError,
        errors.StorageError: OSError,
    }
    for kind, known in kinds.items():
        assert issubclass(kind, errors.ArithmoscopeError)
        assert issubclass(kind, known)
    assert str(errors.RoleError("no role 'a9'")) == "no role 'a9'"
    assert str(errors.RoleError()) == ""
