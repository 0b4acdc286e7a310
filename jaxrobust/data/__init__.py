"""Data sets: found or downloaded, prepared once, then memory-mapped; and your own.

`load("mitdb")` gives a `Dataset`; docs/data.md says what each set is and how it was prepared.
`register("mine", train=(x, y))` makes one of your arrays, `load("path/to/mine.npz")` of a file or folder
(docs/own_data.md).
"""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jaxrobust.data import sources
from jaxrobust.data.dataset import Dataset, Examples
from jaxrobust.data.ecg import generated_ecg, mitdb
from jaxrobust.data.images import cifar10, digits, fashion_mnist, mnist, stl10, svhn
from jaxrobust.data.loading import load_recipe, prepared
from jaxrobust.data.own import files, registry
from jaxrobust.data.own.arrays import Given
from jaxrobust.data.recipe import Progress, Recipe
from jaxrobust.data.sources import DataNotFound
from jaxrobust.data.speech import arabic_speech, generated_speech, speech_commands
from jaxrobust.errors import InputError, naming_extras

__all__ = [
    "DATASETS",
    "REAL_STAND_INS",
    "STAND_INS",
    "DataNotFound",
    "Dataset",
    "Examples",
    "Progress",
    "available",
    "blank",
    "check_identified",
    "identify",
    "load",
    "register",
    "register_beats",
]

DATASETS: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            mitdb.RECIPE,
            fashion_mnist.RECIPE,
            mnist.RECIPE,
            cifar10.RECIPE,
            *stl10.RECIPES,
            svhn.RECIPE,
            speech_commands.RECIPE,
            speech_commands.RECIPE_12,
            arabic_speech.RECIPE,
            generated_ecg.RECIPE,
            generated_speech.RECIPE,
            *digits.RECIPES,
        )
    }
)
"""Every data set by its name."""

STAND_INS: Mapping[str, str] = MappingProxyType(
    {
        "mitdb": "generated_ecg",
        "fashion_mnist": "digits_28x28",
        "mnist": "digits_28x28",
        "cifar10": "digits_32x32",
        "svhn": "digits_32x32",
        "speech_commands": "generated_speech",
        "arabic_speech": "generated_speech",
    }
)
"""What serves in place of a data set that cannot be had: built in, of the same shape, with its own splits."""

REAL_STAND_INS: Mapping[str, str] = MappingProxyType({"speech_commands": "arabic_speech"})
"""Recordings of the same kind that serve in place of a data set that cannot be had."""


def load(
    name: str,
    *,
    split: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The data set `name`, prepared at the first call and memory-mapped from then on.

    Args:
        name: one of `DATASETS`, a registered name, what `register` returned, or the path of your own data.
        split: one of its splits; None for the default, which never leaks. Your own data have one.
        folder: where its files are; nothing else is looked at then. None: `$JAXROBUST_DATA`, `$SCRATCH`, the
            cache, and then a download into the cache.
        cache: where downloads and prepared arrays are kept; None for the user's cache folder.
        progress: called as `progress(what, done, total)` during downloads and preparations.

    Raises:
        DataNotFound: the files are nowhere and there is no network; `STAND_INS` names what may serve instead.
        InputError: an unknown name or split, damaged or incomplete files, a folder that cannot be written.
    """
    if (own := _own(name, _path(cache))) is not None:
        return registry.read_own(own, _path(cache))
    recipe = _recipe(name)
    split = _split(recipe, split)
    return load_recipe(
        recipe,
        split=split,
        folder=_path(folder),
        cache=_path(cache) or sources.default_cache(),
        progress=progress or (lambda what, done, total: None),
    )


def blank(name: str, *, split: str | None = None) -> Dataset:
    """One sample of zeros in the shape of the data set `name`, which need not be anywhere.

    Registered data come as they are: they are on disk, and only mapped.

    Raises:
        InputError: an unknown name or split.
    """
    if (own := _own(name)) is not None:
        return registry.read_own(own)
    recipe = _recipe(name)
    return recipe.blank(_split(recipe, split))


def available(
    name: str,
    folder: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    split: str | None = None,
) -> bool:
    """True if `load(name, split, folder=folder, cache=cache)` needs no network; of any split if None.

    Raises:
        InputError: an unknown name.
    """
    if _own(name) is not None:
        return True
    recipe = _recipe(name)
    if recipe.files is None:
        return True
    where = _path(cache) or sources.default_cache()
    given = _path(folder)
    if given is not None:
        return recipe.files.locate(given) is not None
    return sources.find(recipe, None, where) is not None or any(
        prepared(recipe, one, where) for one in ([split] if split else recipe.splits)
    )


def register(
    name: str,
    train: tuple[Any, Any],
    validation: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | None = None,
    classes: Sequence[str] | None = None,
    *,
    lengths: Mapping[str, Any] | None = None,
    groups: Mapping[str, Any] | None = None,
    source: str = "",
) -> str:
    """Make a data set of your own arrays, for trainings, evaluations and figures.

    The arrays are written once to the prepared cache under their digest, so that worker processes and jobs
    map them. Missing parts are drawn from the training data with seed 0, each class in proportion and no
    group divided, which is logged and said in captions.

    Args:
        name: What it is called in captions, and in this process.
        train: Inputs and labels. Inputs: `(n, height, width, channels)` in [0, 1] (uint8 is divided by 255),
            `(n, time, features)` for sequences (events may be bool or whole numbers) or `(n, features)`.
            Labels: whole numbers or words `(n,)`, one per sample; whole numbers `(n, time)`, one per time
            step; or floating-point targets of a regression.
        validation: The same for the validation part.
        test: The same for the test part.
        classes: Names of the classes; None for the numbers.
        lengths: Valid time steps of each sequence, by part: `{"train": (n,), …}`. What lies behind is not
            seen: inputs get a last feature that is 1 at valid steps and 0 at padding, which the LSNN reads.
        groups: Patient, speaker or file of each sample, by part.
        source: A phrase for captions; the name if not given.

    Returns:
        What grid points hold under `"dataset"`, such as `mine@1a2b3c4d5e6f`: the name and the digest.

    Raises:
        InputError: Arrays, classes or a name that cannot be used.

    Example:
        >>> import numpy as np, jaxrobust as jr
        >>> inputs = np.random.default_rng(0).normal(size=(60, 80, 5))
        >>> name = jr.data.register("series", train=(inputs, np.arange(60) % 3))
        >>> jr.data.load(name).train.inputs.shape
        (42, 80, 5)
    """
    parts = {"train": train, "validation": validation, "test": test}
    given = {
        part: None
        if arrays is None
        else Given(*arrays, lengths=(lengths or {}).get(part), groups=(groups or {}).get(part))
        for part, arrays in parts.items()
    }
    return registry.register_arrays(name, given, classes, source=source or name, taken=tuple(DATASETS))


def register_beats(
    name: str,
    folder: str | os.PathLike[str],
    train: Sequence[str],
    validation: Sequence[str] | None = None,
    test: Sequence[str] | None = None,
    *,
    symbols: Mapping[str, str],
    rate: float = 180.0,
    n_steps: int = 100,
    annotator: str = "atr",
    leads: Sequence[int] | None = None,
) -> str:
    """Make a data set of the annotated heartbeats in WFDB records of any rate, leads and format.

    Args:
        name: What it is called.
        folder: Where the records lie.
        train: Names of the training records, without ending.
        validation: Those of the validation records; None to draw records from the training ones.
        test: Those of the test records.
        symbols: Annotated symbol and its class, `{"N": "normal", "V": "PVC"}`; other beats are left out.
        rate: Sampling rate in Hz to which the signals are resampled.
        n_steps: Time steps of a window, centred on the annotation, each lead z-scored.
        annotator: Ending of the annotation files.
        leads: Which signals, by place; None for all.

    Returns:
        What grid points hold under `"dataset"`.

    Raises:
        InputError: Records that are missing, damaged or do not fit together.
    """
    where = _path(folder)
    assert where is not None
    from jaxrobust.data.own.records import read_beats

    how: Any = {"rate": rate, "n_steps": n_steps, "annotator": annotator, "leads": leads}
    records_of = {"train": train, "validation": validation, "test": test}
    with naming_extras():
        given = {
            part: None if records is None else read_beats(where, records, symbols, **how)
            for part, records in records_of.items()
        }
    classes = tuple(dict.fromkeys(symbols.values()))
    return registry.register_arrays(name, given, classes, source=name, taken=tuple(DATASETS))


def identify(name: str) -> str:
    """What stands for a data set in grid points and keys: built-in names, or a name with a digest.

    Args:
        name: A built-in or registered name, what `register` returned, or the path of a `.npz` file, a folder
            of images or a folder of recorded words.

    Raises:
        InputError: There is no such data set.

    Example:
        >>> import jaxrobust as jr
        >>> jr.data.identify("digits")
        'digits'
    """
    return _own(name) or _recipe(name).name


def check_identified(name: str) -> None:
    """Raise ``InputError`` for a name or path of own data where a grid point needs what stands for them."""
    if (found := identify(name)) != name:
        raise InputError(
            f"dataset={name!r} must say which numbers it is in a grid point: write {found!r}, which "
            f"jr.data.register and jr.data.identify({name!r}) return."
        )


def _own(name: str, cache: Path | None = None) -> str | None:
    """What stands for registered data, or for those in a file or folder; None for built-in sets."""
    if name in DATASETS or not isinstance(name, str):
        return None
    if (found := registry.registered(name)) is not None:
        return found
    if not files.looks_like_path(name):
        return None
    path = _path(name)
    assert path is not None
    with naming_extras():
        given, classes = files.read_path(path)
    called = re.sub(r"[^A-Za-z0-9_.-]", "_", path.resolve().name.removesuffix(".npz"))
    called = f"{called}_data" if called in DATASETS else called
    how: Any = {"source": called, "taken": tuple(DATASETS), "cache": cache, "is_path": True}
    return registry.register_arrays(called, given, classes, **how)


def _path(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(os.path.expandvars(path)).expanduser()


def _recipe(name: str) -> Recipe:
    if name not in DATASETS:
        known = (*DATASETS, *registry.names())
        raise InputError(
            f"There is no data set {name!r}: {_nearest(name, known)}; "
            f"for your own give the path of a .npz file or a folder."
        )
    return DATASETS[name]


def _split(recipe: Recipe, split: str | None) -> str:
    if split is None:
        return recipe.splits[0]
    if split not in recipe.splits:
        raise InputError(f"{recipe.name} has no split {split!r}: {_nearest(split, recipe.splits)}.")
    return split


def _nearest(name: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    choice = f"it has {', '.join(names)}"
    return f"did you mean {near[0]!r}? ({choice})" if near else choice
