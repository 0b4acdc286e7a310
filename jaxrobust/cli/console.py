"""The console script: ``jaxrobust train | figures | new | list | completion``, in any folder."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxrobust.cli.new_experiment import experiment_text
from jaxrobust.cli.words import COMMANDS, Option, columns, exit_with, read_words
from jaxrobust.errors import InputError
from jaxrobust.settings import no_such

USAGE = """\
jaxrobust train …      train what is missing: experiments, or one model with -arch=name
jaxrobust figures …    draw figures and tables from stored results
jaxrobust new name     write an experiment to start from
jaxrobust list         experiments, networks, data sets, methods
jaxrobust completion   words for bash or zsh: eval "$(jaxrobust completion bash)"
jaxrobust train --help shows the options of a command
"""
NEW = {
    "experiments": Option("experiments", "folder of the experiments"),
    "help": Option(False, "this text"),
}
LIST = {
    "experiments": Option("experiments", "folder of the experiments"),
    "import": Option((), "your files, which register networks, data or methods"),
    "help": Option(False, "this text"),
}


def main(argv: Sequence[str]) -> int:
    """Run a command; return the exit status."""
    command, *words = argv or ["--help"]
    # Imported where they are used: --help and misspelt commands do without JAX.
    if command in ("train", "figures"):
        return importlib.import_module(f"jaxrobust.cli.{command}").main(words)
    if command in ("new", "list", "completion"):
        try:
            return {"new": new, "list": show, "completion": complete}[command](words)
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
    path.write_text(experiment_text(name))
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
    from jaxrobust.studies.named import REGISTRIES
    from jaxrobust.studies.own_points import typed_networks
    from jaxrobust.studies.parameter_noise.catalogue import FAMILIES

    read = read_words(words, LIST)
    for name in read.settings:
        raise InputError(f"jaxrobust list has no option -{name}; it has {', '.join(f'-{n}' for n in LIST)}.")
    import_files(read.options["import"])
    rows = [
        ("experiments", ", ".join(experiment_files(Path(read.options["experiments"]))) or "none"),
        ("networks (-arch)", ", ".join([*FAMILIES, *typed_networks()])),
        ("data sets (-dataset)", ", ".join([*data.DATASETS, *registry.names()])),
        *((each.plural, ", ".join(each.named)) for each in REGISTRIES),
    ]
    print(columns(rows))
    return 0


def complete(words: Sequence[str]) -> int:
    """Print the completion for a shell.

    Raises:
        InputError: No shell that it is for.
    """
    from jaxrobust.cli.completion import script

    shell = " ".join(words) or "bash"
    print(script(shell), end="")
    return 0


def run() -> None:
    """What the installed command calls."""
    exit_with(main)
