"""The API reference: every public name is on its page, and building it gives no warning."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import datajuicer as dj
import jaxrobust as jr

ROOT = Path(__file__).resolve().parent.parent
# The modules that have a name in the face, and those where users' own parts are registered.
PACKAGES = sorted(
    value.__name__ for value in (getattr(jr, name) for name in jr.__all__) if isinstance(value, ModuleType)
)
REGISTRIES = (
    "jaxrobust.attacks.registry",
    "jaxrobust.networks.own.registry",
    "jaxrobust.perturbations.registry",
)


def built(folder: Path, *modules: str) -> Path:
    command = [sys.executable, str(ROOT / "docs" / "build_reference.py"), str(folder), *modules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def names_on(page: Path) -> set[str]:
    return set(re.findall(r'id="([\w.]+)"', page.read_text()))


def page_of(folder: Path, module: str) -> Path:
    return folder / f"{module.replace('.', '/')}.html"


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """The face, its packages without their modules, and the engine's face."""
    parts = [part for name in (*PACKAGES, *REGISTRIES) for part in (name, rf"!{re.escape(name)}\..+")]
    folder = tmp_path_factory.mktemp("reference")
    return built(folder, "jaxrobust", r"!jaxrobust\..+", *parts, "datajuicer", r"!datajuicer\..+")


def test_every_public_name_is_there(reference):
    for module, names in (("jaxrobust", jr.__all__), ("datajuicer", dj.__all__)):
        page = page_of(reference, module)
        things = {name for name in names if not isinstance(getattr(sys.modules[module], name), ModuleType)}
        assert things - names_on(page) == set()
        assert "Float[Array, &#39;batch" in page.read_text() or module == "datajuicer"
        assert "jaxlib" not in page.read_text()


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_has_a_page_with_its_names(reference, name):
    names = set(getattr(import_module(name), "__all__", ()))
    assert names - names_on(page_of(reference, name)) == set()


@pytest.mark.parametrize("name", REGISTRIES)
def test_register_is_there(reference, name):
    assert "register" in names_on(page_of(reference, name))


def test_what_cannot_be_documented_is_an_error(tmp_path):
    (tmp_path / "odd.py").write_text('"""Odd."""\n\ndef f(x: "NoSuchName") -> None:\n    """F."""\n')
    command = [sys.executable, str(ROOT / "docs" / "build_reference.py"), str(tmp_path / "out"), "./odd.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "NoSuchName" in done.stderr


@pytest.mark.slow
def test_all_modules_are_documented(tmp_path):
    assert len(list(built(tmp_path).rglob("*.html"))) > 200
