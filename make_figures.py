"""Draw the figures and tables of experiments from their stored results; trains and computes nothing."""

import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datajuicer as dj
from command_line import (
    Experiment,
    Option,
    describe_options,
    grid_of,
    load_experiments,
    protocols_of,
    read_words,
)
from jaxrobust.architectures import on_stand_ins
from jaxrobust.errors import InputError

OPTIONS = {
    "exp": Option((), "experiments to draw, by name; all if not given"),
    "protocol": Option("", "published or short; if not given, the first of them that has all its results"),
    "sessions": Option("sessions", "folder of the results"),
    "figures": Option("figures", "folder of the figures"),
    "help": Option(False, "this text"),
}

USAGE = """\
python make_figures.py                                      every experiment that has results
python make_figures.py -exp=ecg_experiment -n_epochs=30,10  results that were trained with a changed setting
"""


def main(argv: Sequence[str]) -> int:
    """Draw what has results; 0 if all experiments could be drawn, 1 if not, 2 for words that are wrong."""
    try:
        words = read_words(argv, OPTIONS)
        if words.options["help"]:
            print(f"{__doc__}\n\n{USAGE}\nOptions:\n{describe_options(OPTIONS)}")
            return 0
        experiments = load_experiments(words.options["exp"])
        grids = {
            name: _grid_with_results(experiment, words.options, words.settings)
            for name, experiment in experiments.items()
        }
        changed = "".join(f" -{name}={value}" for name, value in words.settings.items())
    except (InputError, dj.UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    drawn = []
    for name, experiment in experiments.items():
        how = {
            "run_mode": "load",
            "cache_dir": words.options["sessions"],
            "hint": f"python train.py -exp={name}{changed}",
        }
        drawn.append(_draw(name, experiment, grids[name], how, Path(words.options["figures"])))
    return 0 if all(drawn) else 1


def _grid_with_results(
    experiment: Experiment, options: dict[str, Any], settings: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The grid under the protocol asked for or, if none is, under the first whose models are all trained.

    On real data before the built-in stand-ins; the published protocol if no models are trained.
    """
    names = [options["protocol"]] if options["protocol"] else list(protocols_of(experiment))
    grids = [grid_of(experiment, name, settings) for name in names]
    for grid in [*grids, *(on_stand_ins(grid) for grid in grids)]:
        if not dj.missing(grid, "train", cache_dir=options["sessions"])("{*}"):
            return grid
    return grids[0]


def _draw(
    name: str, experiment: Experiment, grid: list[dict[str, Any]], how: dict[str, Any], folder: Path
) -> bool:
    """Draw one experiment; one that is broken or lacks results does not stop the others."""
    try:
        trained = dj.run(grid, "train", store_key="*", **how)("{*}")
        for path in experiment.visualize(experiment.evaluate(trained, **how), folder):
            print(path)
    except (InputError, dj.UsageError, OSError) as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return False
    except Exception:
        print(f"error: {name}: drawing failed; this is a bug of the experiment:", file=sys.stderr)
        traceback.print_exc()
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
