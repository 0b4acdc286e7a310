"""Fixtures of the tests of the engine: code that a test edits, in a new process and in this one."""

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import datajuicer as dj

HEAD = "import functools\nimport datajuicer as dj\n"


@pytest.fixture
def quiet() -> Iterator[None]:
    """Any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _in_new_process(folder: Path, source: str, run: str, name: str = "mod") -> tuple[str, str]:
    """What a script prints that imports some source as a module, and what it warns of."""
    (folder / f"{name}.py").write_text(HEAD + source)
    code = f"import sys; sys.path.insert(0, '.')\nimport datajuicer as dj\nfrom {name} import *\n{run}"
    done = subprocess.run(
        [sys.executable, "-B", "-W", "always", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def _load(folder: Path, source: str, name: str):
    """A module from source, in this process; the same name again replaces it."""
    path = folder / f"{name}.py"
    path.write_text(source)
    space = {"__name__": name, "__file__": str(path), "functools": __import__("functools"), "dj": dj}
    exec(compile(source, str(path), "exec"), space)
    return space


def _result(space, folder, **how):
    return dj.run({}, space["f"], cache_dir=folder / "s", **how)(1)


@pytest.fixture
def in_new_process() -> Callable[..., tuple[str, str]]:
    """Imports source in a new process and runs a line; gives what that prints, and its warnings."""
    return _in_new_process


@pytest.fixture
def load() -> Callable[..., dict[str, Any]]:
    """Runs source as a module of this process; the same name again replaces it."""
    return _load


@pytest.fixture
def result() -> Callable[..., Any]:
    """Runs the function `f` of a module for 1, with the store in a folder."""
    return _result
