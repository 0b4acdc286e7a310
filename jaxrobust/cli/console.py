"""The console script: ``jaxrobust train | figures | new | list``, in any folder."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxrobust.cli.words import Option, columns, exit_with, read_words
from jaxrobust.errors import InputError
from jaxrobust.settings import no_such

USAGE = """\
jaxrobust train …      train what is missing: experiments, or one model with -arch=name
jaxrobust figures …    draw figures and tables from stored results
jaxrobust new name     write an experiment to start from
jaxrobust list         experiments, networks, data sets, methods
jaxrobust train --help shows the options of a command
"""
COMMANDS = ("train", "figures", "new", "list", "completion")
NEW = {
    "experiments": Option("experiments", "folder of the experiments"),
    "help": Option(False, "this text"),
}
LIST = {
    "experiments": Option("experiments", "folder of the experiments"),
    "import": Option((), "your files, which register networks, data or methods"),
    "help": Option(False, "this text"),
}
TEMPLATE = '''"""What this experiment asks, what to expect, and what it costs.

    jaxrobust train -exp={name} -n_threads=2
    jaxrobust figures -exp={name}
"""

import jaxrobust as jr
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.training_points import training_point

METHODS = {{
    "Standard": jr.methods.Standard(),
    "Beta": jr.methods.ParameterAttackTraining(
        jr.methods.Standard(), beta=0.25, attack=jr.ParameterAttack(relative_size=0.1, n_steps=3)
    ),
}}


class {name}:
    """The experiment; train.py and make_figures.py find it by the name of the file."""

    def train_grid(self):
        """Every training: here two methods. Your own data: dataset="path/to/mine.npz"."""
        points = []
        for method in METHODS.values():
            network = jr.MLP(n_in=64, n_hidden=(64,), n_out=10)
            schedule = jr.Phases(n_epochs=(10.0,), learning_rates=(1e-3,))
            points.append(training_point(network, "digits", method=method, schedule=schedule))
        return points

    def evaluate(self, grid, **how):
        """Accuracy of 20 devices at each level of mismatch."""
        return mismatch_sweep([{{**point, "n_draws": 20}} for point in grid], levels=[0.0, 0.2, 0.4], **how)

    def visualize(self, grid, folder):
        """Draw figure and table; the points now hold "level" and "accuracies"."""
        from jaxrobust.figures.over_levels import draw_over_levels  # training needs no matplotlib

        names = {{repr(method): name for name, method in METHODS.items()}}
        return draw_over_levels(grid, folder, "{name}", label=lambda point: names[repr(point["method"])])
'''


def main(argv: Sequence[str]) -> int:
    """Run a command; return the exit status."""
    command, *words = argv or ["--help"]
    # Imported where they are used: --help and misspelt commands do without JAX.
    if command in ("train", "figures"):
        return importlib.import_module(f"jaxrobust.cli.{command}").main(words)
    if command in ("new", "list"):
        try:
            return new(words) if command == "new" else show(words)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    if command in ("-h", "-help", "--help", "help"):
        print(f"{__doc__}\n\n{USAGE}", end="")
        return 0
    print(f"error: {no_such('command', command, COMMANDS)}", file=sys.stderr)
    return 2


def new(words: Sequence[str]) -> int:
    """Write an experiment to start from.

    Raises:
        InputError: No usable name, or the file exists.
    """
    names = [word for word in words if not word.startswith("-")]
    options = read_words([word for word in words if word.startswith("-")], NEW).options
    if options["help"] or len(names) != 1:
        print("jaxrobust new name [-experiments=folder]   writes folder/name.py")
        return 0 if options["help"] else 2
    name, folder = names[0], Path(options["experiments"])
    path = folder / f"{name}.py"
    if not name.isidentifier():
        raise InputError(f"{name!r} is no name of an experiment: use letters, digits and '_'.")
    if path.exists():
        raise InputError(f"{path} exists already; choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(TEMPLATE.format(name=name))
    other = "" if options["experiments"] == NEW["experiments"].default else f" -experiments={folder}"
    print(f"{path} is written; train it with: jaxrobust train -exp={name}{other}")
    return 0


def show(words: Sequence[str]) -> int:
    """Print the experiments, networks, data sets and methods that there are.

    Raises:
        InputError: A word that is no option, or a file that cannot be imported.
    """
    from jaxrobust import data
    from jaxrobust.cli.folder import experiment_files
    from jaxrobust.cli.imports import import_files
    from jaxrobust.data.own import registry
    from jaxrobust.networks.own.registry import registered
    from jaxrobust.studies.named import REGISTRIES
    from jaxrobust.studies.parameter_noise.catalogue import FAMILIES

    read = read_words(words, LIST)
    for name in read.settings:
        raise InputError(f"jaxrobust list has no option -{name}; it has {', '.join(f'-{n}' for n in LIST)}.")
    import_files(read.options["import"])
    rows = [
        ("experiments", ", ".join(experiment_files(Path(read.options["experiments"]))) or "none"),
        ("networks (-arch)", ", ".join([*FAMILIES, *registered()])),
        ("data sets (-dataset)", ", ".join([*data.DATASETS, *registry.names()])),
        *((each.plural, ", ".join(each.named)) for each in REGISTRIES),
    ]
    print(columns(rows))
    return 0


def run() -> None:
    """What the installed command calls."""
    exit_with(main)
