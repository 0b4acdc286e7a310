"""Draw the figures and tables of experiments from their stored results; trains and computes nothing."""

import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datajuicer as dj
from jaxrobust import data
from jaxrobust.cli.experiments import (
    FOLDER,
    BrokenExperiment,
    Experiment,
    chosen_folder,
    draws_alone,
    evaluate,
    experiment_files,
    grid_of,
    is_done,
    load_experiments,
    plan_experiment,
    protocols_of,
)
from jaxrobust.cli.imports import import_files
from jaxrobust.cli.words import Option, Words, as_invoked, describe_options, read_words
from jaxrobust.errors import InputError
from jaxrobust.studies.availability import on_stand_ins
from jaxrobust.studies.stages import PlannedStage, finished, n_unfinished, stages_of

OPTIONS = {
    "exp": Option((), "experiments to draw, by name; all if not given"),
    "protocol": Option(
        "", "published, short or another; if not given, for each network the first that has all its results"
    ),
    "only": Option((), "the models with these settings: -only=architecture=cnn,method=Beta"),
    "import": Option((), "your files, which register networks, data or methods: -import=mine.py"),
    "experiments": Option("", "folder of the experiments; experiments/ if not given"),
    "sessions": Option("sessions", "folder of the results"),
    "figures": Option("figures", "folder of the figures"),
    "help": Option(False, "this text"),
}

USAGE = """\
python make_figures.py                                      every experiment that has results
python make_figures.py -exp=ecg_experiment -n_epochs=30,10  results that were trained with a changed setting
"""


def main(argv: Sequence[str], folder: Path = FOLDER) -> int:
    """Draw what has results; 0 if all experiments could be drawn, 1 if not, 2 for words that are wrong."""
    try:
        words = read_words(argv, OPTIONS)
        if words.options["help"]:
            print(f"{__doc__}\n\n{as_invoked(USAGE)}\nOptions:\n{describe_options(OPTIONS)}")
            return 0
        folder = chosen_folder(words.options, folder)
        import_files(words.options["import"])
        _check_folders(Path(words.options["sessions"]), Path(words.options["figures"]))
        names = words.options["exp"] or list(experiment_files(folder))
        ready = {name: _ready(name, words, folder) for name in names}
    except (InputError, dj.UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    figures = Path(words.options["figures"])
    drawn = [found is not None and _draw(name, found, figures) for name, found in ready.items()]
    print(f"{sum(drawn)} of {len(drawn)} experiments drawn.")
    return 0 if all(drawn) else 1


def _check_folders(sessions: Path, figures: Path) -> None:
    if not sessions.is_dir():
        raise InputError(f"There is no folder {sessions} of results; -sessions=folder names another.")
    if figures.exists() and not figures.is_dir():
        raise InputError(f"{figures} is no folder; -figures=folder names another.")


class Ready(NamedTuple):
    """An experiment with its planned stages, and how to find their results."""

    experiment: Experiment
    stages: list[PlannedStage]
    how: dict[str, Any]


def _ready(name: str, words: Words, folder: Path) -> Ready | None:
    """Load an experiment and choose its protocol; None if it is broken, which is said.

    Raises:
        InputError: Words that are wrong, which would be wrong for the others too.
    """
    try:
        experiment = load_experiments([name], folder)[name]
        protocol, stages = _protocol_with_results(experiment, words.options, words.settings)
    except BrokenExperiment as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return None
    except (InputError, dj.UsageError):
        raise
    except Exception:
        _say_broken(name)
        return None
    changed = {} if protocol == "published" else {"protocol": protocol}
    changed |= {"only": ",".join(words.options["only"])} if words.options["only"] else {}
    if words.options["sessions"] != OPTIONS["sessions"].default:
        changed["sessions"] = words.options["sessions"]
    changed |= {name: words.options[name] for name in ("experiments",) if words.options[name]}
    changed |= {"import": ",".join(words.options["import"])} if words.options["import"] else {}
    changed |= words.settings
    command = " ".join(
        [as_invoked(f"python train.py -exp={name}"), *(f"-{key}={value}" for key, value in changed.items())]
    )
    how = {"run_mode": "load", "cache_dir": words.options["sessions"], "hint": command}
    return Ready(experiment, stages, how)


def _protocol_with_results(
    experiment: Experiment, options: dict[str, Any], settings: Mapping[str, str]
) -> tuple[str, list[PlannedStage]]:
    """The protocol asked for or, if none is, the first whose stages are all computed; and its stages.

    Networks that do not depend on each other may each have another protocol. On real data before the built-in
    stand-ins; if nothing is complete, the one with the smallest part to go.
    """
    grids = _candidates(experiment, options, settings)
    if not options["protocol"] and (best := _best_of_each_network(experiment, grids, settings, options)):
        return "published", best
    missing: list[float] = []
    plans: list[tuple[str, list[PlannedStage]]] = []
    for name, grid in grids:
        stages = plan_experiment(experiment, grid, settings, options["sessions"])
        plans.append((name, stages))
        missing.append(
            n_unfinished(stages, options["sessions"]) / sum(len(planned.grid) for planned in stages)
        )
        if not missing[-1]:
            break
    return plans[missing.index(min(missing))]


def _candidates(
    experiment: Experiment, options: dict[str, Any], settings: Mapping[str, str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Protocols with their grids, best first; on stand-ins after all others."""
    names = [options["protocol"]] if options["protocol"] else list(protocols_of(experiment))
    grids = [(name, grid_of(experiment, name, settings, options["only"])) for name in names]
    if not all("architecture" in point for _, grid in grids for point in grid):
        return grids
    built_in = [(name, on_stand_ins(grid)) for name, grid in grids]
    real = [
        (name, on_stand_ins(grid, data.REAL_STAND_INS) if name == "full" else grid) for name, grid in grids
    ]
    return real + built_in


def _best_of_each_network(
    experiment: Experiment,
    grids: list[tuple[str, list[dict[str, Any]]]],
    settings: Mapping[str, str],
    options: dict[str, Any],
) -> list[PlannedStage] | None:
    """For each architecture of an experiment the first grid that is done; None unless all have one."""
    names = list(dict.fromkeys(point.get("architecture") for _, grid in grids for point in grid))
    if len(names) < 2 or None in names or len(stages_of(experiment)) > 1:
        return None
    chosen: list[dict[str, Any]] = []
    for name in names:
        for _, grid in grids:
            part = [point for point in grid if point["architecture"] == name]
            stages = plan_experiment(experiment, part, settings, options["sessions"]) if part else []
            if part and is_done(stages, experiment, options["sessions"]):
                chosen += part
                break
        else:
            return None
    return plan_experiment(experiment, chosen, settings, options["sessions"])


def _draw(name: str, ready: Ready, folder: Path) -> bool:
    """Draw one experiment; one that is broken or lacks results does not stop the others."""
    try:
        points = finished(ready.stages, **ready.how)
        if draws_alone(ready.experiment):
            paths = ready.experiment.visualize() or []  # type: ignore[call-arg] # as published
        else:
            paths = ready.experiment.visualize(evaluate(ready.experiment, points, **ready.how), folder)
    except dj.MissingResults as error:
        print(f"missing: {name}: {str(error).splitlines()[0]}", file=sys.stderr)
        return False
    except (InputError, dj.UsageError, OSError) as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return False
    except Exception:
        _say_broken(name)
        return False
    print(*paths, sep="\n", flush=True)
    return True


def _say_broken(name: str) -> None:
    print(f"error: {name}: this is a bug of the experiment:", file=sys.stderr)
    traceback.print_exc()
