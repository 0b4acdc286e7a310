"""Whoever lacks an extra reads its name in one sentence."""

import importlib
import sys

import pytest

from jaxrobust import data
from jaxrobust.errors import EXTRAS, MissingExtra, naming_extras


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
