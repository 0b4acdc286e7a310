"""Draw the figures and tables of experiments from their stored results; trains and computes nothing."""

import sys
from collections.abc import Sequence
from pathlib import Path

import datajuicer as dj
from jaxrobust.cli.folder import FOLDER, check_experiments, chosen_folder
from jaxrobust.cli.stores import OWN, check_is_there
from jaxrobust.cli.words import Option, as_invoked, describe_options, read_words
from jaxrobust.errors import InputError

OPTIONS = {
    "exp": Option((), "experiments to draw, by name; all that have results if not given"),
    "protocol": Option(
        "", "published, short or another; if not given, for each network the first that has all its results"
    ),
    "only": Option((), "the models with these settings: -only=architecture=cnn,method=Beta"),
    "import": Option((), "your files, which register networks, data or methods: -import=mine.py"),
    "experiments": Option("", "folder of the experiments; experiments/ if not given"),
    "sessions": Option(OWN, "folder of your results, over those that ship in sessions/"),
    "figures": Option("figures", "folder of the figures"),
    "help": Option(False, "this text"),
}

USAGE = """\
python make_figures.py                                      every experiment that has results
python make_figures.py -exp=ecg_experiment -n_epochs=30,10  results that were trained with a changed setting
"""


def main(argv: Sequence[str], folder: Path = FOLDER) -> int:
    """Draw what has results; return the exit status.

    0 if all that has results was drawn, 1 if an experiment is broken or one that was named lacks results,
    2 for words that are wrong.
    """
    try:
        words = read_words(argv, OPTIONS)
        if words.options["help"]:
            print(f"{__doc__}\n\n{as_invoked(USAGE)}\nOptions:\n{describe_options(OPTIONS)}")
            return 0
        folder = chosen_folder(words.options, folder)
        check_is_there(words.options)
        _check_figures(Path(words.options["figures"]))
        names = list(check_experiments(words.options["exp"], folder))
        from jaxrobust.cli.drawing import draw  # help and misspelt words are answered without JAX

        return draw(names, words, folder)
    except (InputError, dj.UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _check_figures(figures: Path) -> None:
    if figures.exists() and not figures.is_dir():
        raise InputError(f"{figures} is no folder; -figures=folder names another.")
