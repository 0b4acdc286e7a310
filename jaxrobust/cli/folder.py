"""The folder of experiments: which there are, by the names of their files. Nothing here imports JAX."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrobust.errors import InputError
from jaxrobust.settings import no_such

FOLDER = Path("experiments")  # in the working directory, unless a script names the one beside it


def chosen_folder(options: Mapping[str, Any], folder: Path) -> Path:
    """The folder of experiments that -experiments names, else the given one.

    Raises:
        InputError: There is no such folder.
    """
    if not options["experiments"]:
        return folder
    chosen = Path(options["experiments"]).expanduser()
    if not chosen.is_dir():
        raise InputError(f"-experiments={chosen}: there is no such folder.")
    return chosen


def experiment_files(folder: Path = FOLDER) -> dict[str, Path]:
    """The experiments in a folder and in the folders of studies within it, by name.

    Raises:
        InputError: Two studies have an experiment of the same name.
    """
    found: dict[str, Path] = {}
    for path in sorted([*folder.glob("*.py"), *folder.glob("*/*.py")], key=lambda path: path.stem):
        if path.stem.startswith("_"):
            continue
        if path.stem in found:
            raise InputError(
                f"{found[path.stem]} and {path} have the same name, by which experiments are found."
            )
        found[path.stem] = path
    return found


def check_experiments(names: Sequence[str], folder: Path) -> dict[str, Path]:
    """The files of the named experiments, or of all.

    Raises:
        InputError: One does not exist.
    """
    files = experiment_files(folder)
    if not files and names:
        raise InputError(
            f"There is no experiment {names[0]!r}, as {folder.absolute()} holds none; -experiments=folder "
            f"names another folder."
        )
    for name in names:
        if name not in files:
            raise InputError(no_such("experiment", name, files))
    return {name: files[name] for name in names or files}


def title(path: Path) -> str:
    """The first line of what an experiment's file says of itself; nothing if it says nothing."""
    try:
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError):  # said with its place where the file is imported
        return ""
    return (said or "").partition("\n")[0]
