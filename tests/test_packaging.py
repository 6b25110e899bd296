"""The distribution: a wheel that works without the checkout, one version, pins for everything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import interp
from interp.errors import ModelError
from interp.models import fixtures
from interp.models.fixtures import INSTALL_MODELS, MODELS_APART

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("arithmoscope", "arithmoscope_models")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, and that of the models beside it, freshly built."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    for root in (ROOT, ROOT / "fixtures"):
        subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,), (models,) = (folder.glob(f"{name}-*.whl") for name in NAMES)
    return wheel, models


@pytest.fixture(scope="module")
def installed(wheels: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, far from the checkout, into which the wheel alone is installed."""
    return install(wheels[0], tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def with_models(wheels: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the models are installed."""
    return install(wheels[1], tmp_path_factory.mktemp("models"))


def install(wheel: Path, site: Path) -> Path:
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site), "--no-compile"]
    command += ["--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    return site


def run(code: str, *sites: Path, cwd: Path | None = None) -> str:
    """What `code` prints when `sites` come first on the path, outside the checkout."""
    path = f"import sys; sys.path[:0] = {[str(site) for site in sites]!r}"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"{path}\n{code}"],
        cwd=cwd or sites[0],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_wheel_is_small_and_leaves_the_other_models_out(wheels: tuple[Path, Path]) -> None:
    assert wheels[0].stat().st_size < 25e6
    names = [set(zipfile.ZipFile(wheel).namelist()) for wheel in wheels]
    carried = {name.split("/")[3] for name in names[0] if "_fixtures/models/" in name}
    apart = {name.split("/")[1] for name in names[1] if "/model" in name or "/adapter" in name}
    assert carried == {"add5", "mod113", "mul4x4-aux"}
    assert apart - {"mod113"} == set(MODELS_APART)  # mod113 again, with its series
    folders = {path.name for path in (ROOT / "fixtures" / "models").iterdir()}
    assert carried | apart == folders
    assert not any("/series/" in name for name in names[0])
    assert any("mod113/series/step-" in name for name in names[1])


FOUND = """
from interp.errors import ModelError
from interp.models.fixtures import fixture_folder, fixture_folders, fixtures_root
print(fixtures_root(), *fixture_folders(), sep="\\n")
try: print((fixture_folder("mod113") / "series").is_dir(), fixture_folder("addsub5"))
except ModelError as error: print(error)
"""


def test_a_wheel_finds_its_own_models_and_names_the_remedy_for_others(installed: Path) -> None:
    root, *found = run(FOUND, installed).splitlines()
    assert Path(root) == installed / "interp" / "_fixtures"
    assert found[:3] == ["add5", "mod113", "mul4x4-aux"]
    assert found[3:] == [f"the shipped model 'addsub5' is not installed. Run: {INSTALL_MODELS}"]


def test_with_the_models_every_name_is_found(installed: Path, with_models: Path) -> None:
    _, *found, last = run(FOUND, installed, with_models).splitlines()
    assert set(found) == {"add5", "mod113", "mul4x4-aux", *MODELS_APART}
    assert last == f"True {with_models / 'arithmoscope_models' / 'addsub5'}"


def test_each_door_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare = tmp_path / "models" / "mod113"
    bare.mkdir(parents=True)
    (bare / "config.json").write_text("{}")
    monkeypatch.setattr(fixtures, "fixtures_root", lambda: tmp_path)
    for call in (
        lambda: interp.load("addsub5"),
        lambda: interp.seeds_of("mod113"),
        lambda: interp.checkpoints("mod113"),
        lambda: interp.training.dynamics("mul3x3-sft"),
    ):
        with pytest.raises(ModelError, match="pip install 'arithmoscope\\[models\\]'"):
            call()


@pytest.mark.parametrize("package", ["interp", "probes", "app"])
def test_a_wheel_says_that_it_is_typed(installed: Path, package: str) -> None:
    assert (installed / package / "py.typed").is_file()


def test_a_wheel_carries_the_explorer_and_its_theme(installed: Path) -> None:
    assert (installed / "app" / "Explorer.py").is_file()
    assert (installed / "app" / ".streamlit" / "config.toml").is_file()
    assert list((installed / "app" / "views").glob("*.py"))


def test_a_wheel_explains_its_terms(installed: Path) -> None:
    assert int(run("from app.glossary import terms; print(len(terms()))", installed)) > 50


def test_a_wheel_has_licence_and_command(installed: Path) -> None:
    (info,) = installed.glob("arithmoscope-*.dist-info")
    assert "Apache License" in (info / "licenses" / "LICENSE").read_text()
    assert "arithmoscope = app.cli:main" in (info / "entry_points.txt").read_text()


def test_every_dependency_is_pinned_to_a_version_it_allows() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().split("\n")
        if "==" in line
    )
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    extras = PROJECT["optional-dependencies"].values()
    wanted = [
        Requirement(text) for text in [*PROJECT["dependencies"], *(t for e in extras for t in e)]
    ]
    for requirement in wanted:
        if not requirement.name.startswith("arithmoscope"):
            assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_constraints_are_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    stated = [line for line in lines if line and not line.startswith("#")]
    odd = [line for line in stated if not re.fullmatch(r"[\w.\-]+==[\w.]+", line)]
    assert not odd


def test_versions_agree() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    version = PROJECT["version"]
    models = tomllib.loads((ROOT / "fixtures" / "pyproject.toml").read_text())["project"]
    assert f"version: {version}\n" in citation
    assert models["version"] == version
    assert PROJECT["optional-dependencies"]["models"] == [f"arithmoscope-models=={version}"]


def test_importing_the_library_brings_neither_torch_nor_plotly() -> None:
    code = "import interp.arithmetic; print(*sorted({'torch', 'plotly'} & set(sys.modules)))"
    assert run(code, ROOT) == ""
