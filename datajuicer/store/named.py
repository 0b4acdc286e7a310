"""The files that a record names. They lie in the folder of its result, or the record is damaged.

A checksum protects a record against bad disks, not against people: whoever can write a record can name any
file in it. So a name that leads out of the result's folder is never followed, read, copied or removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from datajuicer.store.record import Damaged, Record

PICKLE = "value.pickle"  # the file of saver="pickle"


class NamedFile(NamedTuple):
    """A file that a record names, relative to the folder of the result.

    Attributes:
        name: its path in the folder.
        sha256: the digest of its content.
        size: in bytes.
        needed: whether the value cannot be read without it.
    """

    name: str
    sha256: str
    size: int
    needed: bool


def member(folder: Path, name: Any) -> Path:
    """Return the path of a file in a folder by the name that a record gives it.

    Raises:
        Damaged: the name is absolute, climbs out of the folder, or leads out of it through a link.
    """
    inner = os.path.normpath(name) if isinstance(name, str) and name and "\0" not in name else os.pardir
    if os.path.isabs(inner) or inner == os.curdir or inner.split(os.sep, 1)[0] == os.pardir:
        raise Damaged(f"names the file {name!r}, which lies outside of its folder")
    path = folder
    for part in inner.split(os.sep):
        path = path / part
        if os.path.islink(path) and not path.resolve().is_relative_to(folder.resolve()):
            raise Damaged(f"names the file {name!r}, which is a link out of its folder")
    return path


def is_linked(root: Path, path: Path) -> bool:
    """Whether a folder between the root of a store and a path is a link, so that the path lies elsewhere."""
    return path.parent.resolve() != root.resolve() / path.parent.relative_to(root)


def named_file(entry: Any, needed: bool) -> NamedFile:
    """Return the file that an entry `[name, sha256, size]` describes.

    Raises:
        Damaged: it is no such entry.
    """
    match entry:
        case [str(name), str(sha256), int(size)]:
            return NamedFile(name, sha256, size, needed)
    raise Damaged(f"describes a file by {str(entry)[:80]}")


def named_files(record: Record) -> Iterator[NamedFile]:
    """Yield the files that a record names.

    Raises:
        Damaged: the record describes a file in a way that nothing of ours writes.
    """
    if "arrays" in record:
        yield named_file(record["arrays"], True)
    value = record.get("value")
    if type(value) is dict and "$files" in value:
        folder, files = saved_files(value["$files"])
        for file in files:
            yield NamedFile(f"{folder}/{file.name}", file.sha256, file.size, True)
    else:
        for entry in _artifacts(value):
            yield named_file(entry, False)


def saved_files(content: Any) -> tuple[str, list[NamedFile]]:
    """Return the folder that a saver filled, and its files by their names in it.

    Raises:
        Damaged: the record describes them in a way that nothing of ours writes.
    """
    match content:
        case {"folder": str(folder), "files": dict(files)}:
            described = files.items()
            return folder, [named_file([name, *_listed(digest)], True) for name, digest in described]
    raise Damaged(f"describes what its saver wrote by {str(content)[:80]}")


def is_pickled(record: Record) -> bool:
    """Whether a record names a pickle, which can run any code when it is read."""
    return any(os.path.basename(file.name) == PICKLE for file in named_files(record))


def _listed(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _artifacts(tree: Any) -> Iterator[Any]:
    waiting = [tree]  # a list of what is still to be looked at: a forged tree may be nested deeply
    while waiting:
        item = waiting.pop()
        if type(item) is list:
            waiting += item
        elif type(item) is dict:
            if len(item) == 1 and "$artifact" in item:
                yield item["$artifact"]
            else:
                waiting += item.values()
