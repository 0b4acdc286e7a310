"""Snapshots: copies of the packages that a campaign runs; edits of these do not reach jobs that wait."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

CODE = "code"  # the folder of a campaign in which they lie


def copy_packages(names: Iterable[str], target: Path) -> None:
    """Copy packages and top-level modules, with their data and without compiled files.

    Args:
        names: importable packages or modules.
        target: a folder; on `sys.path` it stands for the places where they were found.
    """
    target.mkdir(parents=True)
    for name in names:
        spec = find_spec(name)
        if spec is None:
            continue
        for folder in spec.submodule_search_locations or ():
            shutil.copytree(
                folder, target / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
            )
        if spec.submodule_search_locations is None and spec.origin is not None:
            shutil.copyfile(spec.origin, target / Path(spec.origin).name)
