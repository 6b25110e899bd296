"""The examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from tests.import_rules import read_house

MODULES = sorted(
    module
    for module, source in read_house(Path(__file__).resolve().parents[2]).items()
    if ">>> " in source
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", MODULES)
def test_its_examples_run(name: str) -> None:
    done = doctest.testmod(import_module(name), optionflags=FLAGS)
    assert done.attempted > 0, "an example stands where doctest does not see it"
    assert done.failed == 0
