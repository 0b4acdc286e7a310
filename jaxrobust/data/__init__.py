"""Data sets: found or downloaded, prepared once, then memory-mapped.

`load("mitdb")` gives a `Dataset`; docs/data.md says what each set is and how it was prepared.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from jaxrobust.data import sources
from jaxrobust.data.dataset import Dataset, Examples
from jaxrobust.data.ecg import generated_ecg, mitdb
from jaxrobust.data.images import cifar10, digits, fashion_mnist, mnist
from jaxrobust.data.loading import load_recipe, prepared
from jaxrobust.data.recipe import Progress, Recipe
from jaxrobust.data.sources import DataNotFound
from jaxrobust.data.speech import arabic_speech, generated_speech, speech_commands
from jaxrobust.errors import InputError

__all__ = [
    "DATASETS",
    "STAND_INS",
    "DataNotFound",
    "Dataset",
    "Examples",
    "Progress",
    "available",
    "blank",
    "load",
]

DATASETS: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            mitdb.RECIPE,
            fashion_mnist.RECIPE,
            mnist.RECIPE,
            cifar10.RECIPE,
            speech_commands.RECIPE,
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
        "speech_commands": "generated_speech",
        "arabic_speech": "generated_speech",
    }
)
"""What serves in place of a data set that cannot be had: built in, of the same shape, with its own splits."""


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
        name: one of `DATASETS`.
        split: one of its splits; None for the default, which never leaks.
        folder: where its files are; nothing else is looked at then. None: `$JAXROBUST_DATA`, `$SCRATCH`, the
            cache, and then a download into the cache.
        cache: where downloads and prepared arrays are kept; None for the user's cache folder.
        progress: called as `progress(what, done, total)` during downloads and preparations.

    Raises:
        DataNotFound: the files are nowhere and there is no network; `STAND_INS` names what may serve instead.
        InputError: an unknown name or split, damaged or incomplete files, a folder that cannot be written.
    """
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

    Raises:
        InputError: an unknown name or split.
    """
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


def _path(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(os.path.expandvars(path)).expanduser()


def _recipe(name: str) -> Recipe:
    if name not in DATASETS:
        raise InputError(f"There is no data set {name!r}: {_nearest(name, tuple(DATASETS))}.")
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
