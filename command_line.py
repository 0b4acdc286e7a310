"""Words typed after a command: one dash or two, `=` or a space, and values of the right type."""

import importlib
import os
import re
import signal
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import datajuicer as dj
from jaxrobust.errors import InputError
from jaxrobust.settings import as_text, check_names, from_text, nearest
from jaxrobust.studies import parameter_noise as architectures
from jaxrobust.studies.parameter_noise.protocols import PUBLISHED, Protocol

EXPERIMENTS = Path(__file__).resolve().parent / "experiments"


class Option(NamedTuple):
    """A word that is not a setting of a model: its default, which fixes its type, and what it means."""

    default: Any
    help: str


class BrokenExperiment(InputError):
    """An experiment that cannot be used, which need not stop the others."""


class Experiment(typing.Protocol):
    """What a class in experiments/ offers; all of it works on grids of plain dicts.

    It may also name a ``short`` protocol for machines that cannot run the published one.
    """

    def train_grid(self) -> list[dict[str, Any]]:
        """The models of the experiment."""
        ...

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Evaluate the trained models; `how` are options of `datajuicer.run`."""
        ...

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Draw the evaluated models; gives the files it wrote."""
        ...


def exit_with(status_of: Callable[[Sequence[str]], int]) -> NoReturn:
    """End the process with the status of a command; quietly if nobody reads its output to the end."""
    try:
        status = status_of(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would write the rest when it ends, and complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    sys.exit(status)


def protocols_of(experiment: Experiment) -> dict[str, Protocol]:
    """The protocols under which an experiment can be run, the published one first.

    An experiment that names no ``short`` protocol is short as it is.
    """
    short = getattr(experiment, "short", None)
    return {"published": PUBLISHED} | ({"short": short} if short else {})


def grid_of(experiment: Experiment, protocol: str, settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """The models of an experiment under a protocol and the typed settings.

    Raises:
        InputError: There is no such protocol or setting, or a value is of the wrong type.
        BrokenExperiment: It has no models.
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


class Words(NamedTuple):
    """What was typed: options of the command by name, and settings of models as text."""

    options: dict[str, Any]
    settings: dict[str, str]


def read_words(argv: Sequence[str], options: Mapping[str, Option]) -> Words:
    """Sort the words of a command line into its options and settings of models.

    Raises:
        InputError: A word that belongs to no option, or a value of the wrong type.
    """
    read: dict[str, Any] = {name: option.default for name, option in options.items()}
    settings: dict[str, str] = {}
    for name, values in _options_and_values(argv):
        if name not in options:
            if len(values) > 1:
                raise InputError(f"-{name} takes one value, as in -{name}=value, but got {' '.join(values)}.")
            settings[name] = values[0] if values else "true"
            continue
        default = options[name].default
        if isinstance(default, bool):
            read[name] = from_text(name, values[0], default) if values else True
        elif isinstance(default, tuple):
            read[name] = tuple(item for value in values for item in value.split(",") if item)
            if not read[name]:
                raise InputError(f"-{name} needs a name, as in -{name}=name or -{name}=one,other.")
        elif len(values) != 1:
            raise InputError(f"-{name} needs one value, as in -{name}={as_text(default) or 'value'}.")
        else:
            read[name] = from_text(name, values[0], default)
    return Words(read, settings)


def _options_and_values(argv: Sequence[str]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for word in argv:
        match = re.fullmatch(r"--?([A-Za-z_][\w-]*)(?:=(.*))?", word, re.DOTALL)
        if match:
            name = "help" if match[1] == "h" else match[1].replace("-", "_")
            found.append((name, [] if match[2] is None else [match[2]]))
        elif not found:
            raise InputError(f"{word!r} stands alone; words look like -exp=name, see --help.")
        else:
            found[-1][1].append(word)
    return found


def describe_options(options: Mapping[str, Option]) -> str:
    """A line for each option."""
    return _columns((_with_default(name, option.default), option.help) for name, option in options.items())


def _with_default(name: str, default: Any) -> str:
    shown = "" if isinstance(default, bool) else as_text(default)
    return f"-{name}={shown}" if shown else f"-{name}"


def describe_architecture(name: str) -> str:
    """What an architecture is and every setting with its default."""
    architecture = architectures.architecture_named(name)
    lines = _columns(
        (f"-{key}={as_text(setting.default)}", setting.help) for key, setting in architecture.settings.items()
    )
    return f"{architecture.name}: {architecture.about}\n\nSettings and their defaults:\n{lines}"


def _columns(rows: Iterable[tuple[str, str]]) -> str:
    rows = list(rows)
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:{width}}  {right}" for left, right in rows)


def experiment_names() -> list[str]:
    """The experiments in experiments/."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.py") if not path.stem.startswith("_"))


def load_experiments(names: Sequence[str]) -> dict[str, Experiment]:
    """The named experiments, or all.

    Raises:
        InputError: One does not exist.
        BrokenExperiment: Its file cannot be imported, or holds no class of its name.
    """
    known = experiment_names()
    for name in names:
        if name not in known:
            raise InputError(
                f"There is no experiment {name!r}; there are {', '.join(known)}.{nearest(name, known)}"
            )
    if str(EXPERIMENTS.parent) not in sys.path:
        sys.path.insert(0, str(EXPERIMENTS.parent))
    experiments = {}
    for name in names or known:
        try:
            module = importlib.import_module(f"experiments.{name}")
        except Exception as error:
            raise BrokenExperiment(
                f"experiments/{name}.py cannot be imported: {type(error).__name__}: {error}."
            ) from error
        if not hasattr(module, name):
            raise BrokenExperiment(f"experiments/{name}.py must define a class named {name}.")
        experiments[name] = getattr(module, name)()
    return experiments


def configured(grid: list[dict[str, Any]], settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give every grid point the typed settings that its architecture has.

    Raises:
        InputError: No architecture of the grid has such a setting, or its value is of the wrong type.
    """
    used = {point["architecture"]: architectures.architecture_of(point) for point in grid}
    known = {key for architecture in used.values() for key in architecture.settings} | {"data_folder"}
    check_names(settings, known, of=" or ".join(sorted(used)))
    result = []
    for point in grid:
        its_settings = architectures.architecture_of(point).settings
        values = {
            key: text if key == "data_folder" else from_text(key, text, its_settings[key].default)
            for key, text in settings.items()
            if key in its_settings or key == "data_folder"
        }
        result.append({**point, **values})
    for point in result:
        architectures.architecture_of(point).check(point)
    return dj.make_unique(result)


def described(point: Mapping[str, Any]) -> str:
    """A grid point as the words that train it alone: architecture and what differs from defaults."""
    architecture = architectures.architecture_of(point)
    changed = [
        f"-{name}={as_text(point[name])}"
        for name, setting in architecture.settings.items()
        if point[name] != setting.default
    ]
    return " ".join([f"-arch={architecture.name}", *changed])
