"""Train what is missing: all experiments, some of them, or a single model."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import platformdirs

# Workers and later runs share compiled programs; to be set before JAX starts.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(platformdirs.user_cache_path("jaxrobust") / "compiled")
)


import datajuicer as dj
from jaxrobust import data
from jaxrobust.cli import on_cluster
from jaxrobust.cli.computing import compute_and_evaluate
from jaxrobust.cli.experiments import (
    FOLDER,
    Experiment,
    chosen_folder,
    configured,
    experiment_files,
    grid_of,
    is_done,
    load_experiments,
    plan_experiment,
)
from jaxrobust.cli.imports import import_files
from jaxrobust.cli.words import Option, as_invoked, columns, describe_options, read_words
from jaxrobust.errors import InputError, unused_gpu
from jaxrobust.networks.own.registry import registered
from jaxrobust.studies.availability import with_available_data
from jaxrobust.studies.own_points import (
    DEFAULT_DATASET,
    described_settings,
    own_point,
    settings_by_path,
)
from jaxrobust.studies.parameter_noise.catalogue import FAMILIES, family_named
from jaxrobust.studies.parameter_noise.flat_words import settings_of
from jaxrobust.studies.stages import PlannedStage, side_by_side
from jaxrobust.training.malloc import keep_freed_memory

OPTIONS = {
    "exp": Option((), "experiments to run: -exp=one,other; all if neither -exp nor -arch is given"),
    "arch": Option(
        "", f"train one model of an architecture: {', '.join(FAMILIES)}, or one that you register"
    ),
    "import": Option((), "your files, which register networks, data or methods: -import=mine.py"),
    "experiments": Option("", "folder of the experiments; experiments/ if not given"),
    "protocol": Option(
        "published",
        "published; full: the same on real data only; short: less data, fewer epochs and networks, for two "
        "cores; or another that an experiment names",
    ),
    "only": Option((), "the models with these settings: -only=architecture=cnn,method=Beta"),
    "stop_after": Option(
        0, "seconds after which what runs writes its checkpoint and the command ends; 0: never"
    ),
    "n_threads": Option(1, "worker processes"),
    "models_per_job": Option(1, "models trained side by side in one program; more pay on a GPU"),
    "status": Option(False, "say what is done, running, pending, failed, lost, missing; compute nothing"),
    "force": Option(False, "compute again what is already there"),
    "retry": Option(False, "compute again what failed"),
    "sessions": Option("sessions", "folder of the results"),
    **on_cluster.OPTIONS,
    "help": Option(False, "this text; with -arch=name its settings"),
}

USAGE = """\
python train.py                                     every experiment
python train.py -exp=quickstart -n_threads=2        one experiment, two workers
python train.py -exp=ecg_experiment -protocol=short what two cores can train
python train.py -exp=ecg_experiment -n_epochs=30,10 a setting changed for all its models
python train.py -exp=quickstart -status             what is done and what is missing
python train.py -exp=worst_case_experiment -protocol=full -only=architecture=cnn,method=Beta -stop_after=500
python train.py -exp=ecg_experiment -data_folder=…  with data from this folder
python train.py -arch=ecg_lsnn -beta_robustness=0.25 -seed=1
python train.py -exp=ecg_experiment -mode=bsub      one array job on an LSF cluster; also -mode=slurm
python train.py -arch=ecg_lsnn --help               its settings
python train.py -arch=mine -import=mine.py -dataset=mine.npz   your network, your data
"""


def main(argv: Sequence[str], folder: Path = FOLDER) -> int:
    """Read the words, train and evaluate the experiments of a folder; return the exit status."""
    keep_freed_memory()
    try:
        words = read_words(argv, OPTIONS)
        options = words.options
        folder = chosen_folder(options, folder)
        import_files(options["import"])
        if options["help"]:
            print(_describe(options["arch"], words.settings) if options["arch"] else _help(folder))
            return 0
        _check(options)
        on_cluster.check(options)
        experiments: dict[str, Experiment] = {}
        if options["arch"]:
            grids = {options["arch"]: _one_network(options["arch"], words.settings)}
        else:
            experiments = load_experiments(options["exp"], folder)
            grids = {
                name: grid_of(experiment, options["protocol"], words.settings, options["only"])
                for name, experiment in experiments.items()
            }

        def planned(name: str, grid: list[dict[str, Any]]) -> list[PlannedStage]:
            return plan_experiment(
                experiments.get(name, _ONE_NETWORK), grid, words.settings, options["sessions"]
            )

        needs_data = _needing_data(grids, experiments, planned, options)
        grids = _with_data(grids, needs_data, options)
        plans = {name: planned(name, grid) for name, grid in grids.items()}
        stages = side_by_side(plans.values())
        if options["status"] or options["cancel"]:
            return (on_cluster.report if options["status"] else on_cluster.end)(stages, options)
        if options["mode"] in on_cluster.ARRAYS:
            label = options["arch"] or "+".join(options["exp"]) or "all"
            return on_cluster.send(stages, label, options)
        if gpu := unused_gpu():
            _notice(gpu)
        return compute_and_evaluate(stages, experiments, plans, options)
    except (InputError, dj.UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, dj.Interrupted):
        print("Stopped. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return 130


def _one_network(name: str, settings: dict[str, str]) -> list[dict[str, Any]]:
    """The grid of -arch: one point of the library's networks, or of one that the user registered."""
    if name not in registered():
        return configured([family_named(name).make()], settings)
    words = settings_by_path(name, settings)
    dataset = words.pop("dataset", DEFAULT_DATASET)
    return configured([own_point(name, dataset)], words)


def _check(options: dict[str, Any]) -> None:
    for one, other, why in (
        ("arch", "exp", "one model or whole experiments"),
        ("force", "retry", "everything again or only what failed"),
        ("status", "cancel", "to look or to end"),
        ("status", "force", "to look or to compute"),
        ("status", "retry", "to look or to compute"),
        ("arch", "only", "one model or some of an experiment's"),
        ("status", "stop_after", "to look or to compute"),
    ):
        if options[one] and options[other]:
            raise InputError(f"Give either -{one} or -{other}, not both: {why}.")
    if not options["sessions"]:
        raise InputError("-sessions needs the name of a folder, as in -sessions=sessions.")
    if options["stop_after"] < 0:
        raise InputError(f"-stop_after={options['stop_after']} must be seconds, or 0 for never.")
    if options["stop_after"] and options["mode"] in on_cluster.ARRAYS:
        raise InputError("-stop_after ends this command; jobs of a cluster end by -time and -warning.")
    if options["models_per_job"] < 1:
        raise InputError(f"-models_per_job={options['models_per_job']} must be at least 1.")


class _OneNetwork:
    """What -arch trains: an experiment of one stage."""

    def train_grid(self) -> list[dict[str, Any]]:
        return []

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        return []


_ONE_NETWORK = _OneNetwork()


def _is_looking(options: dict[str, Any]) -> bool:
    return options["status"] or options["cancel"] or options["print_script"]


def _needing_data(
    grids: dict[str, list[dict[str, Any]]],
    experiments: dict[str, Experiment],
    planned: Callable[[str, list[dict[str, Any]]], list[PlannedStage]],
    options: dict[str, Any],
) -> set[str]:
    """The experiments that need their data; results that are there need none."""
    if options["force"]:
        return set(grids)
    evaluated = {} if _is_looking(options) else experiments
    return {
        name
        for name, grid in grids.items()
        if not is_done(planned(name, grid), evaluated.get(name), options["sessions"])
    }


def _with_data(
    grids: dict[str, list[dict[str, Any]]], needs_data: set[str], options: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """The grids with their data, or the stand-ins for these where they cannot be had."""
    stand_ins = data.REAL_STAND_INS if options["protocol"] == "full" else data.STAND_INS
    download = not _is_looking(options)
    trained = [name for name in grids if name in needs_data and all("dataset" in p for p in grids[name])]
    points = [point for name in trained for point in grids[name]]
    found = iter(with_available_data(points, notice=_notice, download=download, stand_ins=stand_ins))
    return {name: [next(found) for _ in grid] if name in trained else grid for name, grid in grids.items()}


def _notice(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _help(folder: Path) -> str:
    names = fill(", ".join(experiment_files(folder)), 100, initial_indent="  ", subsequent_indent="  ")
    return f"{__doc__}\n\n{as_invoked(USAGE)}\nOptions:\n{describe_options(OPTIONS)}\n\nExperiments:\n{names}"


def _describe(name: str, settings: dict[str, str]) -> str:
    if name in registered():
        (point,) = _one_network(name, settings)
        about, rows = f"{name}: {point['network']!r}", described_settings(point)
    else:
        about, rows = settings_of(name)
    return f"{about}\n\nSettings and their defaults:\n{columns(rows)}"
