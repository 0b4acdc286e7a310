"""Users' files, imported by name so that worker processes and jobs import them as well."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxrobust.errors import InputError


def import_files(paths: Sequence[str]) -> None:
    """Import Python files, which register networks, data and methods.

    Their folder joins ``sys.path``, which worker processes inherit; what they define is found there by the
    name of the file.

    Raises:
        InputError: There is no such file, its name is taken, or it fails.
    """
    for text in paths:
        path = Path(text).expanduser().absolute()
        if path.suffix != ".py" or not path.is_file():
            raise InputError(f"-import={text}: there is no Python file {path}.")
        _check_name(path)
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        try:
            importlib.import_module(path.stem)
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from error
        except Exception as error:
            raise InputError(f"{path.name} cannot be imported: {type(error).__name__}: {error}.") from error


def _check_name(path: Path) -> None:
    """Raise ``InputError`` for a file that another module hides, or that hides another module."""
    if not path.stem.isidentifier():
        raise InputError(f"-import={path.name}: rename the file to letters, digits and '_'.")
    there = sys.modules.get(path.stem)
    file = getattr(there, "__file__", None)
    if there is None:
        found = importlib.util.find_spec(path.stem)
        file = found.origin if found is not None else str(path)
    if file is None or Path(file).absolute() != path:
        raise InputError(f"-import={path.name}: there is a module {path.stem!r} already; rename the file.")
