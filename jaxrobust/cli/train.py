"""Train what is missing: all experiments, some of them, or a single model."""

import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import datajuicer as dj
from jaxrobust.cli import cluster_words
from jaxrobust.cli.folder import FOLDER, check_experiments, chosen_folder, experiment_files
from jaxrobust.cli.options import OPTIONS
from jaxrobust.cli.words import (
    Words,
    as_invoked,
    describe_options,
    describe_settings,
    read_words,
)
from jaxrobust.errors import InputError
from jaxrobust.networks.names import PUBLISHED_NETWORKS
from jaxrobust.settings import no_such
from jaxrobust.studies.parameter_noise.family_words import FAMILY_WORDS, check_typed, described

USAGE = """\
python train.py -list                               the experiments, and what each costs
python train.py -exp=quickstart -n_threads=2        one experiment, two workers
python train.py -exp=ecg_experiment -protocol=short what two cores can train
python train.py -exp=ecg_experiment -n_epochs=30,10 a setting changed for all its models
python train.py -exp=quickstart -status             what is done and what is missing
python train.py -exp=quickstart -verify=2           two stored models again: the same numbers?
python train.py -exp=worst_case_experiment -protocol=full -only=architecture=cnn,method=Beta -stop_after=500
python train.py -exp=ecg_experiment -data_folder=…  with data from this folder
python train.py -arch=ecg_lsnn -beta_robustness=0.25 -seed=1
python train.py -exp=ecg_experiment -mode=bsub      one array job on an LSF cluster; also -mode=slurm
python train.py -arch=ecg_lsnn --help               its settings
python train.py -arch=resnet18 -positions           where it can be read, perturbed and cut
python train.py -arch=mine -import=mine.py -dataset=mine.npz   your network, your data
python train.py                                     every experiment
"""


def main(argv: Sequence[str], folder: Path = FOLDER) -> int:
    """Read the words, train and evaluate the experiments of a folder; return the exit status."""
    try:
        words = read_words(argv, OPTIONS)
        folder = chosen_folder(words.options, folder)
        if words.options["help"] and (text := _help(words, folder)):
            print(text)
            return 0
        _check(words.options)
        cluster_words.check(words.options)
        _check_names(words, folder)
        from jaxrobust.cli.command import compute  # help and misspelt words are answered without JAX

        return compute(words, folder)
    except (InputError, dj.UsageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, dj.Interrupted):
        print("Stopped. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        return 130


def _check(options: dict[str, Any]) -> None:
    for one, other, why in (
        ("arch", "exp", "one model or whole experiments"),
        ("arch", "list", "one model or all experiments"),
        ("force", "retry", "everything again or only what failed"),
        ("status", "cancel", "to look or to end"),
        ("status", "force", "to look or to compute"),
        ("status", "retry", "to look or to compute"),
        ("list", "status", "what things cost or what is done"),
        ("list", "cancel", "to look or to end"),
        *(("positions", other, "what to look at") for other in ("list", "status", "cancel")),
        ("arch", "only", "one model or some of an experiment's"),
        ("status", "stop_after", "to look or to compute"),
        *(
            ("verify", other, "to compare or to change")
            for other in ("force", "retry", "cancel", "stop_after")
        ),
        *(("verify", other, "to compute or to look") for other in ("list", "status", "positions")),
    ):
        if options[one] and options[other]:
            raise InputError(f"Give either -{one} or -{other}, not both: {why}.")
    if not options["sessions"]:
        raise InputError("-sessions needs the name of a folder, as in -sessions=my_sessions.")
    if options["stop_after"] < 0:
        raise InputError(f"-stop_after={options['stop_after']} must be seconds, or 0 for never.")
    if options["stop_after"] and options["mode"] in cluster_words.ARRAYS:
        raise InputError("-stop_after ends this command; jobs of a cluster end by -time and -warning.")
    if options["verify"] < 0:
        raise InputError(f"-verify={options['verify']} must be a number of models.")
    if options["verify"] and options["mode"] in cluster_words.ARRAYS:
        raise InputError("-verify computes here; leave -mode out.")
    if options["models_per_job"] < 1:
        raise InputError(f"-models_per_job={options['models_per_job']} must be at least 1.")


def _check_names(words: Words, folder: Path) -> None:
    """Check experiments, the network and its settings as far as names go.

    Networks that are registered by a file of the user are known once that is imported.
    """
    name = words.options["arch"]
    if not name:
        check_experiments(words.options["exp"], folder)
    elif name in FAMILY_WORDS:
        check_typed(name, words.settings, OPTIONS)
    elif name not in PUBLISHED_NETWORKS and not words.options["import"]:
        raise InputError(no_such("architecture", name, (*FAMILY_WORDS, *PUBLISHED_NETWORKS)))


def _help(words: Words, folder: Path) -> str:
    """The text for --help; nothing for a network whose settings are known once it is imported."""
    name = words.options["arch"]
    if name and name not in FAMILY_WORDS and (name in PUBLISHED_NETWORKS or words.options["import"]):
        return ""
    if name:
        if name not in FAMILY_WORDS:
            raise InputError(no_such("architecture", name, (*FAMILY_WORDS, *PUBLISHED_NETWORKS)))
        return describe_settings(*described(name))
    names = fill(", ".join(experiment_files(folder)), 100, initial_indent="  ", subsequent_indent="  ")
    return f"{__doc__}\n\n{as_invoked(USAGE)}\nOptions:\n{describe_options(OPTIONS)}\n\nExperiments:\n{names}"
