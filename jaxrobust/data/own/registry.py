"""Registered data sets: their arrays lie in the prepared cache, under a name that contains their digest.

The name that grid points hold, such as ``mine@1a2b3c4d5e6f``, therefore says which numbers they are: other
arrays give other results, and worker processes and jobs need nothing but this name to map them.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrobust.data.dataset import Dataset, Examples, Parts
from jaxrobust.data.own.arrays import Given, make_parts
from jaxrobust.data.preparation import MANIFEST, prepare, read
from jaxrobust.data.sources import default_cache
from jaxrobust.errors import InputError

SPLIT = "own"
_ID = re.compile(r"[A-Za-z0-9_.-]+@[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_log = logging.getLogger(__name__)
# Names that this process registered, with what stands for them in grid points.
_ids: dict[str, str] = {}
# Those whose missing parts were said to be drawn.
_said: set[str] = set()


def is_own(name: str) -> bool:
    """Whether a name is that of registered arrays, such as ``mine@1a2b3c4d5e6f``."""
    return _ID.fullmatch(name) is not None


def registered(name: str) -> str | None:
    """What stands for a registered name in grid points; None if this process did not register it."""
    return name if is_own(name) else _ids.get(name)


def names() -> tuple[str, ...]:
    """The names that this process registered."""
    return tuple(_ids)


def register_arrays(
    name: str,
    given: dict[str, Given | None],
    classes: Sequence[str] | None,
    *,
    source: str,
    taken: Sequence[str],
    cache: Path | None = None,
    is_path: bool = False,
) -> str:
    """Write arrays to the prepared cache, unless they are there; return what stands for them.

    Files of one name in several folders, or written again, are data sets of their own (``is_path``).

    Raises:
        InputError: Arrays or a name that cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a data set: use letters, digits, '_', '-' and '.'.")
    if name in taken:
        raise InputError(f"There is a data set {name!r} already: choose another name.")
    has_lengths = any(part is not None and part.lengths is not None for part in given.values())
    if has_lengths and not all(part is None or part.lengths is not None for part in given.values()):
        raise InputError("lengths are given for some parts only: give them for all parts.")
    parts, sentence = make_parts(source, given, classes)
    found = f"{name}@{_digest(parts, has_lengths)}"
    if _ids.get(name, found) != found and not is_path:
        raise InputError(
            f"There is a data set {name!r} already, of other arrays ({_ids[name]}): choose another name."
        )
    if sentence and found not in _said:
        _log.warning("%s: %s.", name, sentence)
    facts = {"name": name, "split": SPLIT, "synthetic": False, "has_lengths": has_lengths}
    prepare(_folder(found, cache), lambda: parts, facts)
    _said.add(found)
    _ids[name] = found
    return found


def read_own(name: str, cache: Path | None = None) -> Dataset:
    """The registered data set of a name with a digest, memory-mapped.

    Raises:
        InputError: The prepared cache does not have it.
    """
    folder = _folder(name, cache)
    if not (folder / MANIFEST).exists():
        raise InputError(
            f"The arrays of {name} are not in {folder.parent}: register them again on this machine, or set "
            f"XDG_CACHE_HOME to the cache that has them."
        )
    return read(folder)


def _folder(name: str, cache: Path | None) -> Path:
    return (cache or default_cache()) / "prepared" / name


def _digest(parts: Parts, has_lengths: bool) -> str:
    """Twelve hexadecimal digits of everything that the numbers of a training depend on."""
    digest = hashlib.sha256(repr((parts.classes, has_lengths)).encode())
    for part in (parts.train, parts.validation, parts.test):
        digest.update(_described(part).encode())
        for array in (part.inputs, part.labels):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:12]


def _described(part: Examples) -> str:
    arrays: Any = (part.inputs, part.labels)
    return repr([(array.shape, str(array.dtype)) for array in arrays])
