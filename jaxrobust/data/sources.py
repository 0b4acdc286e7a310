"""Where the files of a data set are looked for, and how they are downloaded."""

import errno
import hashlib
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

from jaxrobust.data.appearing import appearing
from jaxrobust.data.recipe import Progress, Recipe
from jaxrobust.errors import InputError

_TIMEOUT = 20  # seconds without an answer after which a server counts as out of reach
_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # our disk's fault, not the network's


class DataNotFound(InputError):
    """The data set is nowhere and cannot be downloaded; a stand-in may serve instead."""


def default_cache() -> Path:
    """The folder in the user's cache that keeps downloads and prepared arrays."""
    from platformdirs import user_cache_path

    return user_cache_path("jaxrobust")


def places(cache: Path) -> dict[str, Path]:
    """The places where data sets are looked for when no folder is named, in this order."""
    found = {f"${name}": os.environ.get(name, "") for name in ("JAXROBUST_DATA", "SCRATCH")}
    return {what: Path(path).expanduser() for what, path in found.items() if path} | {
        "the cache": cache / "downloads"
    }


def find(recipe: Recipe, folder: Path | None, cache: Path) -> Path | None:
    """The folder that holds the files of `recipe`, or None if no place has them.

    Raises:
        InputError: a `folder` was named and does not hold the data set. Nothing else is looked at then: a
            mistyped path must not quietly give other data.
    """
    assert recipe.files is not None
    if folder is not None:
        located = recipe.files.locate(folder)
        if located is None:
            raise InputError(f"{recipe.name} is not in {folder}: {recipe.files.advice}.")
        return located
    for place in places(cache).values():
        located = recipe.files.locate(place)
        if located is not None:
            return located
    return None


def fetch(recipe: Recipe, cache: Path, progress: Progress) -> Path:
    """Download `recipe` into the cache and return its folder; the folder appears whole or not at all.

    Raises:
        DataNotFound: there is no network, or the set cannot be downloaded.
        InputError: what came is damaged, or the cache cannot be written.
    """
    assert recipe.files is not None
    looked = "; ".join(f"{what} ({path})" for what, path in places(cache).items())
    if "$JAXROBUST_DATA" not in looked:
        looked = f"$JAXROBUST_DATA (not set); {looked}"
    if recipe.files.fetch is None:
        raise DataNotFound(
            f"{recipe.name} is in none of: {looked}, and cannot be downloaded: {recipe.files.advice}."
        )
    downloads = cache / "downloads"
    try:
        with appearing(downloads / recipe.name) as partial:
            if partial is not None:
                _fetch(recipe, partial, looked, progress)
    except OSError as error:
        raise InputError(
            f"{downloads} cannot be written ({error.strerror or error}): "
            "make room there, or name another folder in cache= or XDG_CACHE_HOME."
        ) from error
    located = recipe.files.locate(downloads)
    if located is None:
        raise InputError(
            f"{downloads / recipe.name} is incomplete and in the way of a download: delete it and try again."
        )
    return located


def _fetch(recipe: Recipe, folder: Path, looked: str, progress: Progress) -> None:
    assert recipe.files is not None
    assert recipe.files.fetch is not None
    try:
        recipe.files.fetch(folder, progress)
    except OSError as error:
        if error.errno in _STORAGE:
            raise
        raise DataNotFound(
            f"{recipe.name} is in none of: {looked}, and could not be downloaded ({error}): "
            f"{recipe.files.advice}."
        ) from error


def reach(url: str) -> None:
    """Return if a server answers at `url`, for libraries that would wait without end.

    Raises:
        OSError: nobody answers, or there is no such page.
    """
    urllib.request.urlopen(url, timeout=_TIMEOUT).close()


def download(url: str, target: Path, sha256: str, progress: Progress) -> None:
    """Write what `url` holds to `target`, if it has the checksum.

    Raises:
        OSError: no network, or no such page.
        InputError: another checksum.
    """
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, target.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        while block := answer.read(1 << 20):
            file.write(block)
            digest.update(block)
            progress(f"downloading {target.name}", file.tell(), total)
    if digest.hexdigest() != sha256:
        target.unlink()
        raise InputError(
            f"The download of {target.name} from {url} has a wrong checksum "
            "and was thrown away: try again later."
        )


def check_sha256(path: Path, sha256: str) -> None:
    """Refuse the file at `path` unless it has the checksum.

    Raises:
        InputError: another checksum, or no such file.
    """
    if not path.is_file():
        raise InputError(f"{path.name} is missing in {path.parent}: put the original file there.")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise InputError(
                f"{path} has a wrong checksum, so it is cut short or not the original: "
                "delete it and get it again."
            )


def below(*folders: str, holding: Callable[[Path], bool]) -> Callable[[Path], Path | None]:
    """A `locate`: the place itself or the first of `folders` below it for which `holding` is true."""

    def locate(place: Path) -> Path | None:
        for candidate in (place, *(place / folder for folder in folders)):
            if candidate.is_dir() and holding(candidate):
                return candidate
        return None

    return locate
