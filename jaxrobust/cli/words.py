"""Words typed after a command: one dash or two, `=` or a space, and values of the right type."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from jaxrobust.errors import InputError
from jaxrobust.settings import as_text, from_text

# Other names of words.
ALIASES = {"data_dir": "data_folder"}
PROTOCOLS = ("published", "full", "short")  # of every experiment; others are its own
COMMANDS = ("train", "figures", "new", "list", "completion")  # of the console script


class Option(NamedTuple):
    """A word that is not a setting of a model: its default, which fixes its type, and what it means."""

    default: Any
    help: str


def exit_with(status_of: Callable[[Sequence[str]], int]) -> NoReturn:
    """End the process with the status of a command; quietly if nobody reads its output to the end."""
    try:
        status = status_of(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would write the rest when it ends, and complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    sys.exit(status)


def as_invoked(text: str) -> str:
    """A text that names train.py and make_figures.py, in the words of the console script if that runs."""
    if Path(sys.argv[0]).stem != "jaxrobust":
        return text
    text = re.sub(r"(python )?train\.py", "jaxrobust train", text)
    return re.sub(r"(python )?make_figures\.py", "jaxrobust figures", text)


class Words(NamedTuple):
    """What was typed: options of the command by name, and settings of models as text."""

    options: dict[str, Any]
    settings: dict[str, str]


def read_words(argv: Sequence[str], options: Mapping[str, Option]) -> Words:
    """Sort the words of a command line into its options and settings of models.

    Raises:
        InputError: A word that belongs to no option, or a value of the wrong type.
    """
    read: dict[str, Any] = {name: option.default for name, option in options.items()}
    settings: dict[str, str] = {}
    for given, values in _options_and_values(argv):
        name = ALIASES.get(given, given)
        if name not in options:
            if len(values) > 1:
                raise InputError(f"-{name} takes one value, as in -{name}=value, but got {' '.join(values)}.")
            settings[name] = values[0] if values else "true"
            continue
        default = options[name].default
        if isinstance(default, bool):
            read[name] = from_text(name, values[0], default) if values else True
        elif isinstance(default, tuple):
            read[name] = tuple(item for value in values for item in value.split(",") if item)
            if not read[name]:
                raise InputError(f"-{name} needs a name, as in -{name}=name or -{name}=one,other.")
        elif len(values) != 1:
            raise InputError(f"-{name} needs one value, as in -{name}={as_text(default) or 'value'}.")
        else:
            read[name] = from_text(name, values[0], default)
    return Words(read, settings)


def _options_and_values(argv: Sequence[str]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for word in argv:
        match = re.fullmatch(r"--?([A-Za-z_][\w.-]*)(?:=(.*))?", word, re.DOTALL)
        if match:
            name = "help" if match[1] == "h" else match[1].replace("-", "_")
            found.append((name, [] if match[2] is None else [match[2]]))
        elif not found:
            raise InputError(f"{word!r} stands alone; words look like -exp=name, see --help.")
        else:
            found[-1][1].append(word)
    return found


def describe_options(options: Mapping[str, Option]) -> str:
    """A line for each option."""
    return columns((_with_default(name, option.default), option.help) for name, option in options.items())


def describe_settings(about: str, rows: Iterable[tuple[str, str]]) -> str:
    """What -arch=name --help prints: the network, and each setting with its meaning."""
    return f"{about}\n\nSettings and their defaults:\n{columns(rows)}"


def _with_default(name: str, default: Any) -> str:
    shown = "" if isinstance(default, bool) else as_text(default)
    return f"-{name}={shown}" if shown else f"-{name}"


def columns(rows: Iterable[tuple[str, str]]) -> str:
    """Rows of two columns, the first as wide as its longest entry."""
    rows = list(rows)
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:{width}}  {right}" for left, right in rows)
