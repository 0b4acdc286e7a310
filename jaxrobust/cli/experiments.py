"""Experiments: found by name in a folder, each a class with the grid of its first stage."""

import importlib
import inspect
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import datajuicer as dj
from datajuicer.store.store import StoreLike
from jaxrobust.cli.chosen_points import only
from jaxrobust.cli.folder import FOLDER, check_experiments
from jaxrobust.errors import InputError
from jaxrobust.settings import nearest
from jaxrobust.studies import typed_words
from jaxrobust.studies.own_points import identified
from jaxrobust.studies.parameter_noise import flat_words
from jaxrobust.studies.parameter_noise.protocols import PUBLISHED, Protocol
from jaxrobust.studies.stages import PlannedStage, Stage, finished, n_unfinished, plan_stages, stages_of


class BrokenExperiment(InputError):
    """An experiment that cannot be used, which need not stop the others."""


class Experiment(typing.Protocol):
    """What a class in experiments/ offers; all of it works on grids of plain dicts.

    It may also have

    * ``stages``, an ordered list of names or `Stage`; ``("train",)`` if it has none;
    * ``evaluate(grid, **how)``, which takes the points of all stages with their results and options of
      `datajuicer.run`, and returns evaluated points; without it ``visualize`` gets the points as they are;
    * ``short``, a protocol for machines that cannot run the published one, and others under names of their
      own: attributes that hold a `Protocol`.
    """

    def train_grid(self) -> list[dict[str, Any]]:
        """Return the points of the first stage."""
        ...

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """Draw the evaluated points and return the files written; may also be a function of no arguments."""
        ...


def evaluate(experiment: Experiment, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
    """Evaluate points with their results as the experiment does, if it does."""
    function = getattr(experiment, "evaluate", None)
    return grid if function is None else function(grid, **how)


def draws_alone(experiment: Experiment) -> bool:
    """Whether ``visualize`` takes no arguments: it loads, evaluates and saves by itself."""
    return not inspect.signature(experiment.visualize).parameters


def protocols_of(experiment: Experiment) -> dict[str, Protocol]:
    """The protocols under which an experiment can be run, the published one first.

    ``full`` is the published one on real data, if need be others than the published. An experiment that names
    no ``short`` protocol is short as it is.
    """
    own = {
        name: value
        for kind in reversed(type(experiment).__mro__)
        for name, value in vars(kind).items()
        if isinstance(value, Protocol)
    }
    return {"published": PUBLISHED, "full": PUBLISHED} | own


def grid_of(
    experiment: Experiment, protocol: str, settings: Mapping[str, str], kept: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The points of an experiment's first stage under a protocol and the typed settings.

    Args:
        experiment: The experiment.
        protocol: The name of one of its protocols.
        settings: The typed settings.
        kept: Of the points, those that these words of ``-only`` name; all if there are none.

    Raises:
        InputError: There is no such protocol or setting, a value is of the wrong type, or no point is kept.
        BrokenExperiment: Its grid is empty.
    """
    known = [*dict.fromkeys(("published", "full", "short", *protocols_of(experiment)))]
    if protocol not in known:
        raise InputError(
            f"{type(experiment).__name__} has no protocol {protocol!r}; there are {', '.join(known)}."
            f"{nearest(protocol, known)}"
        )
    stages = stages_of(experiment)
    grid = [identified(point) for point in stages[0].grid({})]
    chosen = protocols_of(experiment).get(protocol, PUBLISHED)
    grid = dj.make_unique(grid) if chosen is PUBLISHED else chosen.applied(grid)
    if not grid:
        name = type(experiment).__name__
        raise BrokenExperiment(
            f"{name} has no models: its {stages[0].name}_grid is empty under -protocol={protocol}."
        )
    return only(configured(grid, _by_stage(stages, settings)[stages[0].name]), kept)


def plan_experiment(
    experiment: Experiment,
    first: list[dict[str, Any]],
    settings: Mapping[str, str],
    sessions: StoreLike | None = None,
) -> list[PlannedStage]:
    """Plan all stages of an experiment from the grid of its first.

    Args:
        experiment: The experiment.
        first: What `grid_of` returned, possibly on other data.
        settings: The typed settings; ``stage.word`` is for one stage.
        sessions: The store, or its folder.
    """
    stages = stages_of(experiment)
    words = _by_stage(stages, settings)
    return plan_stages(stages, first, lambda name, grid: configured(grid, words[name]), sessions)


def is_done(stages: list[PlannedStage], experiment: Experiment | None, sessions: StoreLike) -> bool:
    """Whether all stages are computed and, if an experiment is given, evaluated."""
    if n_unfinished(stages, sessions):
        return False
    if experiment is None:
        return True
    how: dict[str, Any] = {"run_mode": "load", "cache_dir": sessions}
    try:
        evaluate(experiment, finished(stages, **how), **how)
    except (dj.MissingResults, dj.RunError):
        return False
    return True


def _by_stage(stages: Sequence[Stage], settings: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Typed settings by the stage that they are for; those that name none are for the first."""
    words: dict[str, dict[str, str]] = {stage.name: {} for stage in stages}
    for name, text in settings.items():
        stage, _, word = name.partition(".")
        is_for_stage = bool(word) and stage in words
        words[stage if is_for_stage else stages[0].name][word if is_for_stage else name] = text
    return words


def configured(grid: list[dict[str, Any]], settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give grid points the typed settings: flat words of the first study, dotted words of all others."""
    is_flat = all("architecture" in point for point in grid)
    return (flat_words if is_flat else typed_words).configured(grid, settings)


def described(point: Mapping[str, Any]) -> str:
    """A grid point in one line: the words that make it, if they are short."""
    if "architecture" in point:
        return flat_words.described(point)
    return fill(" ".join(typed_words.words_of(point)), 200, max_lines=1, placeholder=" …")


def load_experiments(names: Sequence[str], folder: Path = FOLDER) -> dict[str, Experiment]:
    """Import the named experiments, or all.

    Raises:
        InputError: One does not exist.
        BrokenExperiment: Its file cannot be imported, or holds no class of its name.
    """
    folder = folder.absolute()
    files = check_experiments(names, folder)
    # Worker processes import experiments by name too, so the folder has to lie on the path they inherit.
    if str(folder.parent) not in sys.path:
        sys.path.insert(0, str(folder.parent))
    experiments = {}
    for name, path in files.items():
        shown = path.relative_to(folder.parent)
        try:
            module = importlib.import_module(".".join(shown.with_suffix("").parts))
        except InputError as error:
            raise BrokenExperiment(f"{shown}: {error}") from error
        except Exception as error:
            raise BrokenExperiment(f"{shown} cannot be imported: {type(error).__name__}: {error}.") from error
        if not hasattr(module, name):
            raise BrokenExperiment(f"{shown} must define a class named {name}.")
        experiments[name] = getattr(module, name)()
    return experiments
