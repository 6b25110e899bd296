"""The package's face: public names on first use, nothing heavy before."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import interp
from interp import catalogue, errors


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


def test_names_are_found() -> None:
    assert interp.Addition(5).name == "add:5"
    assert interp.task("mul:4x4") == interp.Multiplication(4, 4)
    assert interp.arithmetic.Problems is interp.Problems
    assert interp.errors.InputError is errors.InputError
    assert {"Addition", "load", "list_models", "arithmetic", "engine"} <= set(dir(interp))


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'interp' has no attribute 'Adition'; it has"):
        _ = interp.Adition


@pytest.mark.parametrize("old", catalogue._MOVED)
def test_a_name_that_moved_still_works_and_the_warning_names_the_new_one(old: str) -> None:
    package, _, name = old.partition(":")
    with pytest.warns(DeprecationWarning, match="is now") as caught:
        moved = getattr(import_module(package), name)
    new = str(caught[0].message).partition("is now ")[2].partition(";")[0]
    assert not any(part.startswith("_") for part in new.split("."))
    above, _, last = new.rpartition(".")
    assert getattr(import_module(above), last) is moved


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
