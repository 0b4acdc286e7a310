"""Prepared arrays on disk: written whole or not at all, then memory-mapped by every process."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from jaxrobust.data.appearing import appearing
from jaxrobust.data.dataset import Dataset, Examples, Parts
from jaxrobust.errors import InputError

FORMAT = 1
MANIFEST = "manifest.json"
_PARTS = ("train", "validation", "test")
_ARRAYS = ("inputs", "labels", "groups")


def prepare(folder: Path, build: Callable[[], Parts], facts: Mapping[str, object]) -> Dataset:
    """The data set in `folder`, made there first if it is not there yet.

    The folder appears whole or not at all. Several processes may call this at once: one builds, the others
    wait for it.

    Args:
        folder: where the prepared arrays belong; its name must say everything that they depend on.
        build: makes the arrays.
        facts: `name`, `split` and `synthetic` of the data set, and its `settings`, for the manifest.

    Raises:
        InputError: `folder` cannot be written, or what lies there is damaged.
    """
    if not folder.exists():
        try:
            with appearing(folder) as partial:
                if partial is not None:
                    _write(partial, build, facts)
        except OSError as error:
            raise InputError(
                f"Prepared data cannot be written to {folder.parent} ({error.strerror or error}): "
                "make room there, or name another folder in cache= or XDG_CACHE_HOME."
            ) from error
    return read(folder)


def read(folder: Path) -> Dataset:
    """The prepared data set in `folder`, memory-mapped and read-only.

    Raises:
        InputError: a file is missing or does not have the size in the manifest.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        for name, entry in manifest["arrays"].items():
            size = (folder / f"{name}.npy").stat().st_size
            if size != entry["bytes"]:
                raise ValueError(f"{name}.npy has {size} bytes instead of {entry['bytes']}")
        parts = {part: _read_part(folder, part, manifest["arrays"]) for part in _PARTS}
        return Dataset(
            name=manifest["name"],
            source=manifest["source"],
            split=manifest["split"],
            classes=tuple(manifest["classes"]),
            synthetic=manifest["synthetic"],
            fingerprint=manifest["fingerprint"],
            has_lengths=manifest.get("has_lengths", False),
            **parts,
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"The prepared data in {folder} are damaged ({error}): "
            "delete that folder and they are prepared again."
        ) from error


def check(folder: Path) -> None:
    """Read every byte in the prepared `folder` and compare it with the checksums in the manifest.

    Raises:
        InputError: an array is not the one that was written.
    """
    read(folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    for name, entry in manifest["arrays"].items():
        if _sha256(folder / f"{name}.npy") != entry["sha256"]:
            raise InputError(
                f"{name}.npy in {folder} does not have its checksum: "
                "delete that folder and it is prepared again."
            )


def _read_part(folder: Path, part: str, arrays: Mapping[str, object]) -> Examples:
    loaded = {
        name: np.load(folder / f"{part}_{name}.npy", mmap_mode="r")
        for name in _ARRAYS
        if f"{part}_{name}" in arrays
    }
    return Examples(**loaded)


def _write(folder: Path, build: Callable[[], Parts], facts: Mapping[str, object]) -> None:
    try:
        parts = build()
    except OSError as error:  # told apart from trouble with writing, which asks for another remedy
        raise InputError(
            f"The files of {facts['name']} cannot be read ({error}): "
            "check that they are complete and readable."
        ) from error
    _check_parts(str(facts["name"]), parts)
    arrays: dict[str, dict[str, object]] = {}
    for part in _PARTS:
        for name in _ARRAYS:
            array = getattr(getattr(parts, part), name)
            if array is not None:
                arrays[f"{part}_{name}"] = _write_array(folder / f"{part}_{name}.npy", array)
    digest = hashlib.sha256("".join(f"{n}{e['sha256']}" for n, e in sorted(arrays.items())).encode())
    manifest = {
        "format": FORMAT,
        **facts,
        "source": parts.source,
        "classes": parts.classes,
        "fingerprint": digest.hexdigest(),
        "arrays": arrays,
    }
    with (folder / MANIFEST).open("w") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _write_array(path: Path, array: np.ndarray) -> dict[str, object]:
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(array))
        file.flush()
        os.fsync(file.fileno())
    return {
        "shape": array.shape,
        "dtype": str(array.dtype),
        "bytes": path.stat().st_size,
        "sha256": _sha256(path),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_parts(name: str, parts: Parts) -> None:
    for part in _PARTS:
        examples: Examples = getattr(parts, part)
        is_regression = examples.labels.dtype == np.float32
        counts = () if is_regression else examples.counts(len(parts.classes))
        lowest = 0 if examples.labels.ndim == 1 else -1  # the padding of labels per time step
        if len(counts) > len(parts.classes) or (counts and len(examples) and examples.labels.min() < lowest):
            raise InputError(
                f"{name} has labels outside 0..{len(parts.classes) - 1} in {part}: fix the labels."
            )
        if parts.needs_every_class and 0 in counts:
            raise InputError(
                f"{name} has no sample of class {parts.classes[counts.index(0)]!r} in its {part} part: "
                "check that the data are complete."
            )
        # Row by row: a mask for all of them at once would be as large as a byte a number.
        if not all(np.isfinite(row).all() for row in examples.inputs):
            raise InputError(f"{name} has inputs that are not finite in {part}: mend the data.")
