"""The last lines of train.py: how accurate the models are, where their weights lie, what to do next."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrobust.cli.experiments import Experiment
from jaxrobust.cli.options import OPTIONS
from jaxrobust.cli.words import Words, as_invoked
from jaxrobust.settings import as_text
from jaxrobust.studies.side_by_side import PARAMETERS

Points = Sequence[Mapping[str, Any]]


def say_outcome(name: str, experiment: Experiment | None, points: Points, words: Words) -> None:
    """Print what came of an experiment, or of one model if there is no experiment."""
    for line in [_done(name, experiment, points), *_accuracy(points), *_weights(points)]:
        print(line)
    print(f"  next: {_next(name, experiment, words)}")


def _done(name: str, experiment: Experiment | None, points: Points) -> str:
    models = f"{len(points)} model{'s' if len(points) > 1 else ''}"
    return f"{name}: {models} {'trained and evaluated' if hasattr(experiment, 'evaluate') else 'trained'}"


def _accuracy(points: Points) -> list[str]:
    """The validation accuracy of classifiers, as a range if there are several."""
    found = [float(point["validation_accuracy"]) for point in points if "validation_accuracy" in point]
    if not found or not all(0 <= accuracy <= 1 for accuracy in found):  # a regression's score
        return []
    low, high = np.min(found), np.max(found)
    shown = f"{high:.1%}" if f"{low:.1%}" == f"{high:.1%}" else f"{low:.1%} to {high:.1%}"
    return [f"  validation accuracy: {shown}"]


def _weights(points: Points) -> list[str]:
    """The file of one model, or the folders of several."""
    files = [point[PARAMETERS] for point in points if PARAMETERS in point]
    paths = [file.folder / file.filename for file in files]
    paths = [path for path in paths if path.exists()]  # results that ship may come without weights
    if not paths:
        return []
    if len(paths) > 1:
        paths = list(dict.fromkeys(path.parents[2] for path in paths))
    return [f"  weights: {', '.join(_shown(path) for path in paths)}"]


def _shown(path: Path) -> str:
    """A path as it is typed here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _next(name: str, experiment: Experiment | None, words: Words) -> str:
    if experiment is None:
        return "jaxrobust new name   writes an experiment that compares methods under mismatch"
    return as_invoked(" ".join([f"python make_figures.py -exp={name}", *typed_for_figures(words)]))


def typed_for_figures(words: Words) -> list[str]:
    """The words of train.py that make_figures.py needs too, to find the same results."""
    options = {
        name: words.options[name] for name in ("protocol", "only", "sessions", "experiments", "import")
    }
    changed = {name: as_text(value) for name, value in options.items() if value != OPTIONS[name].default}
    return [f"-{name}={text}" for name, text in (changed | words.settings).items()]
