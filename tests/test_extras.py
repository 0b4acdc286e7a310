"""Whoever lacks an extra reads its name in one sentence."""

import importlib
import importlib.util
import sys

import pytest

from jaxrobust import data
from jaxrobust.cli import words
from jaxrobust.cli.experiments import load_experiments
from jaxrobust.errors import EXTRAS, InputError, MissingExtra, naming_extras, unused_gpu


def test_data_that_need_a_package_name_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"^sklearn is not installed: pip install 'jaxrobust\[data\]'"):
        data.load("digits", cache=tmp_path)


def test_figures_name_theirs(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "jaxrobust.figures", raising=False)
    with pytest.raises(MissingExtra, match=r"jaxrobust\[figures\]"):
        importlib.import_module("jaxrobust.figures")


def test_an_experiment_that_needs_an_extra_says_which(monkeypatch, tmp_path):
    folder = tmp_path / "lacking_experiments"
    folder.mkdir()
    (folder / "lacking.py").write_text("import jaxrobust.figures")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "jaxrobust.figures", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(InputError) as caught:
        load_experiments(["lacking"], folder)
    sentence = "matplotlib is not installed: pip install 'jaxrobust[figures]' installs it."
    assert str(caught.value) == f"lacking_experiments/lacking.py: {sentence}"


def test_a_gpu_that_cannot_be_used_names_its_extra(tmp_path):
    assert unused_gpu(tmp_path / "none") == ""
    (tmp_path / "gpu").touch()
    assert ("jaxrobust[cuda]" in unused_gpu(tmp_path / "gpu")) == (
        not importlib.util.find_spec("jax_cuda12_plugin")
    )


def test_the_console_script_names_itself(monkeypatch):
    text = "draw with make_figures.py -exp=x; python train.py -exp=x"
    assert words.as_invoked(text) == text
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/jaxrobust", "train"])
    assert words.as_invoked(text) == "draw with jaxrobust figures -exp=x; jaxrobust train -exp=x"


def test_other_packages_stay_what_they_are():
    with pytest.raises(ModuleNotFoundError, match="no_such_package"), naming_extras():
        importlib.import_module("no_such_package")


def test_every_extra_is_declared():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).resolve().parent.parent / "pyproject.toml").read_text())[
        "project"
    ]
    declared = set(project["optional-dependencies"])
    assert {*EXTRAS.values(), "cluster", "cuda", "benchmark", "docs", "test"} <= declared
    core = " ".join(project["dependencies"]).lower()
    assert all(package.lower() not in core for package in EXTRAS)
