"""What a data set's module hands to `load`: where its files lie, and how its arrays are made of them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jaxrobust.data.dataset import Dataset, Examples, Parts

Progress = Callable[[str, int, int], None]
"""Called as `progress(what, done, total)` during long work; `done` counts files, samples or bytes."""


@dataclass(frozen=True)
class Files:
    """The files of a data set that needs some.

    Attributes:
        locate: the folder that holds the set, in or below a given place; None if it is not there.
        contents: every file in the located folder that the arrays depend on.
        fetch: downloads the set into an existing empty folder; None where it cannot be downloaded.
            Raises OSError when there is no network, InputError when what came is damaged.
        advice: how a person gets the files, as the second half of a sentence.
    """

    locate: Callable[[Path], Path | None]
    contents: Callable[[Path], Iterable[Path]]
    fetch: Callable[[Path, Progress], None] | None
    advice: str


@dataclass(frozen=True)
class Recipe:
    """How one data set is found and prepared.

    Attributes:
        name: the name in `DATASETS`.
        splits: the splits it offers; the first is the default.
        build: makes the arrays: `build(split, folder, progress)`. `folder` is what `files.locate` found,
            or an unused path for a set without files.
        version: raised by hand when `build` changes its numbers, so that old prepared arrays are not reused.
        shape: of one sample: height, width and channels, or time and features.
        classes: the name of each label.
        settings: every constant the arrays depend on; written into the prepared folder and its name.
        files: None for a generator, or for a set that comes with an installed package.
        synthetic: True for a generator.
        classes_of: the classes of splits that have others.
    """

    name: str
    splits: tuple[str, ...]
    build: Callable[[str, Path, Progress], Parts]
    version: int
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)
    files: Files | None = None
    synthetic: bool = False
    classes_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def settings_digest(self) -> str:
        """A short digest of the version and the settings."""
        text = json.dumps([self.version, dict(self.settings)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def blank(self, split: str) -> Dataset:
        """One sample of zeros with the shape and the classes: what is known before the data are there."""
        part = Examples(np.zeros((1, *self.shape), np.float32), np.zeros(1, np.int32))
        classes = self.classes_of.get(split, self.classes)
        return Dataset(self.name, "nothing", split, classes, part, part, part, self.synthetic, "")


def identity(folder: Path, files: Iterable[Path]) -> str:
    """A short digest of names, sizes and modification times.

    Contents are not read: 100,000 sound files would take minutes at every start. Copying a folder may
    therefore prepare it once more, which costs time but is never wrong.
    """
    digest = hashlib.sha256()
    for file in sorted(files):
        status = file.stat()
        digest.update(
            f"{file.relative_to(folder).as_posix()}|{status.st_size}|{status.st_mtime_ns}\n".encode()
        )
    return digest.hexdigest()[:12]
