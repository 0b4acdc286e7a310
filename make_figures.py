"""Draw the figures and tables of experiments from their stored results; trains and computes nothing."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datajuicer as dj
from command_line import (
    Experiment,
    Option,
    configured,
    describe_options,
    load_experiments,
    read_words,
)
from jaxrobust.architectures import on_stand_ins
from jaxrobust.errors import InputError

OPTIONS = {
    "exp": Option((), "experiments to draw, by name; all if not given"),
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
        grids = {name: configured(it.train_grid(), words.settings) for name, it in experiments.items()}
    except (InputError, dj.UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    drawn = [_draw(name, experiment, grids[name], words.options) for name, experiment in experiments.items()]
    return 0 if all(drawn) else 1


def _draw(name: str, experiment: Experiment, grid: list[dict[str, Any]], options: dict[str, Any]) -> bool:
    """Draw one experiment; one that is broken or lacks results does not stop the others."""
    try:
        evaluated = _results(name, experiment, grid, options["sessions"])
        for path in experiment.visualize(evaluated, Path(options["figures"])):
            print(path)
    except (InputError, dj.UsageError) as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return False
    return True


def _results(
    name: str, experiment: Experiment, grid: list[dict[str, Any]], sessions: str
) -> list[dict[str, Any]]:
    """The stored results on real data or, where there are none at all, those on the built-in stand-ins."""
    how = {"run_mode": "load", "cache_dir": sessions}
    stand_ins = on_stand_ins(grid)
    try:
        trained = dj.run(grid, "train", store_key="*", **how)("{*}")
    except dj.UsageError:
        if dj.missing(stand_ins, "train", cache_dir=sessions)("{*}"):
            raise
        trained = dj.run(stand_ins, "train", store_key="*", **how)("{*}")
    return experiment.evaluate(trained, **how)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
