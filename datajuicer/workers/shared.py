"""Shared objects: what many tasks of a run hold is pickled once and sent to each worker once.

Without them the function, and an array that all points share, would travel with every task.
"""

from __future__ import annotations

import inspect
import io
import linecache
import mmap
import os
import pickle
import uuid
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, ClassVar

# whether tasks may share the object itself, its pickle, and source lines by file name for tracebacks
Blob = tuple[bool, bytes, dict[str, list[str]]]


class SharedArray:
    """An array of which every call gets a copy-on-write mapping: only pages that are written to are copied.

    A plain copy per call would cost as much as a short evaluation.
    """

    def __init__(self, array: Any):
        import numpy as np

        self.dtype, self.shape, self.size = array.dtype, array.shape, array.nbytes
        self.file = os.fdopen(os.memfd_create("datajuicer"), "r+b")
        self.file.truncate(self.size)
        with mmap.mmap(self.file.fileno(), self.size) as pages:
            target = np.frombuffer(pages, self.dtype).reshape(self.shape)
            target[...] = array
            del target  # it would keep the mapping open

    def copy(self) -> Any:
        """Return an array of equal content that can be written to."""
        import numpy as np

        pages = mmap.mmap(self.file.fileno(), self.size, access=mmap.ACCESS_COPY)
        return np.frombuffer(pages, self.dtype).reshape(self.shape)


@dataclass
class SharedObjects:
    """The shared objects of a run, in the process that sends them. Objects are found by identity."""

    blobs: dict[str, Blob] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)  # by id
    kept: list[Any] = field(default_factory=list)  # keeps the ids valid

    def add(self, value: Any, *, immutable: bool) -> None:
        """Pickle an object for all tasks; one that cannot be pickled is left to the task that needs it.

        Args:
            value: the object.
            immutable: whether tasks of one worker may share it; otherwise each gets a copy.
        """

        if id(value) in self.names:
            return
        try:
            data = self.dumps(value)[0]
        except Exception:
            return
        name = uuid.uuid4().hex  # a worker may serve several runs
        self.names[id(value)] = name
        self.blobs[name] = immutable, data, _sources(value)
        self.kept.append(value)

    def dumps(self, value: Any) -> tuple[bytes, frozenset[str]]:
        """Pickle a value; return the pickle and the names of the shared objects that it needs."""
        import cloudpickle

        needed: set[str] = set()
        names = self.names

        class Pickler(cloudpickle.Pickler):
            dispatch_table: ClassVar[Any] = {**cloudpickle.Pickler.dispatch_table, CodeType: _reduce_code}

            def persistent_id(self, obj: Any) -> str | None:
                name = names.get(id(obj))
                if name is not None:
                    needed.add(name)
                return name

        file = io.BytesIO()
        Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
        return file.getvalue(), frozenset(needed)


def _reduce_code(code: CodeType) -> Any:
    """Pickle code with its file name, which cloudpickle replaces: tracebacks of workers show it."""
    import cloudpickle

    make, arguments, *rest = cloudpickle.Pickler.dispatch_table[CodeType](code)
    named = tuple(code.co_filename if part == "<dynamic-code>" else part for part in arguments)
    return (make, named, *rest)


def _sources(function: Any) -> dict[str, list[str]]:
    """Return the source lines of a function that is in no file, such as one of a notebook."""
    code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
    if code is None or os.path.exists(code.co_filename):
        return {}
    lines = linecache.getlines(code.co_filename)
    return {code.co_filename: lines} if lines else {}


class ReceivedObjects:
    """The shared objects in a worker process."""

    def __init__(self) -> None:
        self.blobs: dict[str, Blob] = {}
        self.loaded: dict[str, Any] = {}

    def add(self, name: str, blob: Blob) -> None:
        """Take an object; it is unpickled when a task needs it, so that an error is that task's."""
        self.blobs[name] = blob

    def get(self, name: str) -> Any:
        """Return an object, or a copy if it may change."""
        if name not in self.loaded:
            immutable, data, sources = self.blobs[name]
            for file, lines in sources.items():
                linecache.cache.setdefault(file, (sum(map(len, lines)), None, lines, file))
            value = pickle.loads(data)
            if not immutable:
                if not (type(value).__module__ == "numpy" and hasattr(os, "memfd_create")):
                    return value
                value = SharedArray(value)
            self.loaded[name] = value
            self.blobs[name] = immutable, b"", {}
        value = self.loaded[name]
        return value.copy() if isinstance(value, SharedArray) else value


RECEIVED = ReceivedObjects()  # of this process, if it is a worker


def loads(payload: bytes) -> Any:
    """Unpickle what `SharedObjects.dumps` or cloudpickle pickled."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, pid: Any) -> Any:
            return RECEIVED.get(pid)

    return Unpickler(io.BytesIO(payload)).load()
