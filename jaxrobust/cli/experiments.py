"""Experiments: found by name in a folder, each a class with the grid of its first stage."""

import importlib
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrobust.errors import InputError
from jaxrobust.settings import nearest
from jaxrobust.studies.parameter_noise.flat_words import configured
from jaxrobust.studies.parameter_noise.protocols import PUBLISHED, Protocol

FOLDER = Path("experiments")  # in the working directory, unless a script names the one beside it


class BrokenExperiment(InputError):
    """An experiment that cannot be used, which need not stop the others."""


class Experiment(typing.Protocol):
    """What a class in experiments/ offers; all of it works on grids of plain dicts.

    It may also name a ``short`` protocol for machines that cannot run the published one.
    """

    def train_grid(self) -> list[dict[str, Any]]:
        """Return the points to train."""
        ...

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Evaluate the trained points; `how` are options of `datajuicer.run`."""
        ...

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Draw the evaluated points and return the files written."""
        ...


def protocols_of(experiment: Experiment) -> dict[str, Protocol]:
    """The protocols under which an experiment can be run, the published one first.

    An experiment that names no ``short`` protocol is short as it is.
    """
    short = getattr(experiment, "short", None)
    return {"published": PUBLISHED} | ({"short": short} if short else {})


def grid_of(experiment: Experiment, protocol: str, settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """The points of an experiment under a protocol and the typed settings.

    Raises:
        InputError: There is no such protocol or setting, or a value is of the wrong type.
        BrokenExperiment: Its grid is empty.
    """
    known = ("published", "short")
    if protocol not in known:
        raise InputError(
            f"There is no protocol {protocol!r}; there are {' and '.join(known)}.{nearest(protocol, known)}"
        )
    grid = protocols_of(experiment).get(protocol, PUBLISHED).applied(experiment.train_grid())
    if not grid:
        name = type(experiment).__name__
        raise BrokenExperiment(
            f"{name} has no models: the grid of its train_grid is empty under -protocol={protocol}."
        )
    return configured(grid, settings)


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


def load_experiments(names: Sequence[str], folder: Path = FOLDER) -> dict[str, Experiment]:
    """Import the named experiments, or all.

    Raises:
        InputError: One does not exist.
        BrokenExperiment: Its file cannot be imported, or holds no class of its name.
    """
    folder = folder.absolute()
    files = experiment_files(folder)
    for name in names:
        if name not in files:
            there = ", ".join(files) or f"none in {folder}"
            raise InputError(f"There is no experiment {name!r}; there are {there}.{nearest(name, files)}")
    # Worker processes import experiments by name too, so the folder has to lie on the path they inherit.
    if str(folder.parent) not in sys.path:
        sys.path.insert(0, str(folder.parent))
    experiments = {}
    for name in names or files:
        shown = files[name].relative_to(folder.parent)
        try:
            module = importlib.import_module(".".join(shown.with_suffix("").parts))
        except Exception as error:
            raise BrokenExperiment(f"{shown} cannot be imported: {type(error).__name__}: {error}.") from error
        if not hasattr(module, name):
            raise BrokenExperiment(f"{shown} must define a class named {name}.")
        experiments[name] = getattr(module, name)()
    return experiments
