"""Values: how a result is written into its record and read back.

Plain values become typed JSON: what JSON has (None, bool, int, finite float, str, list, dict with text keys)
stands for itself; everything else is an object with one key that starts with "$", such as {"$tuple": [...]}.
Arrays go to one safetensors file and leave {"$array": [name, dtype, shape]} behind.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf, isfinite, nan
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.keys import as_array, digest, lasting_name
from datajuicer.keys.canonical import canonical
from datajuicer.store import codecs
from datajuicer.store.arrays import dtype_of, encode_array
from datajuicer.store.named import member
from datajuicer.store.reading import exists, holds, is_young
from datajuicer.store.record import Damaged
from datajuicer.template import Literal

SMALL_ARRAY = 32  # elements that a description of an array still lists
Known = Mapping[str, type]  # classes by their lasting names, besides those that are found by them
NONE_KNOWN: Known = MappingProxyType({})
READ_BACK = 50_000  # characters of a value that is read back before it is stored


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A file in the folder of a result, known by its digest. Nothing is read until `path()` is called."""

    filename: str
    sha256: str
    size: int
    folder: Path | None = dataclasses.field(default=None, compare=False)
    corrupt: Callable[[str], bool] | None = dataclasses.field(default=None, compare=False, repr=False)

    def path(self) -> Path:
        """Where the file lies, after its digest was checked.

        Raises:
            UsageError: the file is not there, which leaves the result as it is; or its content changed, and
                then the result counts as missing.
        """
        if self.folder is None:
            raise UsageError(f"the artifact {self.filename} belongs to no folder; load it through a store")
        try:
            path = member(self.folder, self.filename)
        except Damaged as error:
            if self.corrupt is not None:
                self.corrupt(str(error))
            raise UsageError(
                f"the record of {self.folder} {error}; the result counts as missing now and running the same "
                "command again computes it"
            ) from error
        if not path.is_file() and not exists(path):
            raise UsageError(
                f"{path} is not here: results can be copied without their large files. Bring it here, or "
                'compute the result again with run_mode="force" (on a command line -force)'
            )
        if not holds(path, self.size, self.sha256, is_young(path)):
            problem = "is corrupt: its content is not what its record says"
            if self.corrupt is not None and not self.corrupt(problem):
                raise UsageError(f"{path} {problem}; another result has taken its place: load that one")
            raise UsageError(
                f"{path} {problem}; the result counts as missing now and running the same command again "
                "computes it"
            )
        return path

    def __datajuicer_key__(self) -> tuple[str, str]:
        """As a dependency an artifact is its content."""
        return ("artifact", self.sha256)


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What a tree refers to: arrays by name, and classes by their lasting names."""

    arrays: dict[str, Any] = dataclasses.field(default_factory=dict)
    known: dict[str, type] = dataclasses.field(default_factory=dict)


def encode(value: Any) -> tuple[Any, dict[str, Any]]:
    """A value as a tree that JSON can write, and the arrays that were in it.

    A tree that is not large is read back at once, so that what cannot be read is never stored.

    Raises:
        UsageError: something in the value has no place in a record, or does not come back the same; the
            message says where and what.
    """
    parts = _Parts()
    try:
        tree = _encode(value, parts, "the result")
        text = json.dumps(tree)
        comes_back = len(text) > READ_BACK or _read_back(text, parts) == text
    except RecursionError:
        raise UsageError(
            "the result contains itself, or is nested too deeply for a record; return flat lists and dicts"
        ) from None
    if not comes_back:
        raise UsageError(
            f"the result, a {type(value).__qualname__}, would not come back from its record as it is; "
            "return plain values, or give cachable a saver and a loader"
        )
    return tree, parts.arrays


def _read_back(text: str, parts: _Parts) -> str:
    back = _decode(json.loads(text), parts.arrays, Artifact, parts.known)
    return json.dumps(_encode(back, _Parts(), "the result"))


def _encode(value: Any, parts: _Parts, where: str) -> Any:  # noqa: PLR0911, PLR0912 - one line a type
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if abs(value) < 1 << 4096 else {"$int": f"{value:x}"}
    if kind is float:
        return value if isfinite(value) else {"$float": repr(value)}
    if kind is list:
        return [_encode(item, parts, f"{where}[{i}]") for i, item in enumerate(value)]
    if kind is tuple:
        return {"$tuple": [_encode(item, parts, f"{where}[{i}]") for i, item in enumerate(value)]}
    if kind is Artifact:
        return {"$artifact": [value.filename, value.sha256, value.size]}
    if (coded := codecs.to_plain(value, where, parts.known)) is not None:
        return {"$value": [coded[0], _encode(coded[1], parts, where)]}
    if isinstance(value, dict):
        if all(type(k) is str and not k.startswith("$") for k in value):
            return {k: _encode(v, parts, f"{where}.{k}") for k, v in value.items()}
        return {
            "$dict": [
                [_encode(k, parts, where), _encode(v, parts, f"{where}[{k!r}]")] for k, v in value.items()
            ]
        }
    if isinstance(value, Literal):
        return str(value)
    if kind is bytes:
        return {"$bytes": base64.b64encode(value).decode()}
    if kind is complex:
        return {"$complex": [_encode(value.real, parts, where), _encode(value.imag, parts, where)]}
    if kind in (set, frozenset):
        items = [_encode(item, parts, where) for item in sorted(value, key=digest)]
        return {"$set" if kind is set else "$frozenset": items}
    if isinstance(value, PurePath):
        return {"$path": str(value)}
    if (array := as_array(value, where)) is not None and hasattr(array, "dtype"):
        return encode_array(array, parts.arrays, where)
    raise UsageError(
        f"{where} is of type {kind.__module__}.{kind.__qualname__}, which has no place in a record. Return "
        "plain values, arrays and dicts of them, or give cachable(saver=…, loader=…) (saver='pickle', "
        "loader='pickle' takes anything)"
    )


def decode(
    tree: Any,
    arrays: Mapping[str, Any],
    artifact: Callable[..., Artifact],
    known: Known = NONE_KNOWN,
) -> Any:
    """The value that `encode` took apart. `artifact(filename, sha256, size)` binds a file to its folder.

    Raises:
        Damaged: the tree is none that `encode` makes.
        UsageError: a part of the value is of a kind that this process does not know.
    """
    try:
        return _decode(tree, arrays, artifact, known)
    except (Damaged, UsageError):
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise Damaged(f"has a value that cannot be read ({type(error).__name__}: {error})") from error


def _decode(tree: Any, arrays: Mapping[str, Any], artifact: Callable[..., Artifact], known: Known) -> Any:
    kind = type(tree)
    if kind is list:
        return [_decode(item, arrays, artifact, known) for item in tree]
    if kind is not dict:
        return tree
    if len(tree) == 1:
        (tag, content) = next(iter(tree.items()))
        if tag.startswith("$"):
            return _decode_tagged(tag, content, arrays, artifact, known)
    return {k: _decode(v, arrays, artifact, known) for k, v in tree.items()}


def _decode_tagged(  # noqa: PLR0911, PLR0912 - one line a type
    tag: str,
    content: Any,
    arrays: Mapping[str, Any],
    artifact: Callable[..., Artifact],
    known: Known,
) -> Any:
    match tag:
        case "$float":
            return {"nan": nan, "inf": inf, "-inf": -inf}[content]
        case "$int":
            return int(content, 16)
        case "$bytes":
            return base64.b64decode(content)
        case "$path":
            return Path(content)
        case "$artifact":
            return artifact(*content)
        case "$scalar":
            import numpy as np

            dtype = dtype_of(content[0])
            if not dtype.itemsize:  # empty text
                return np.zeros((), dtype)[()]
            return np.frombuffer(bytes.fromhex(content[1]), dtype)[0]
        case "$array":
            name, dtype, shape = content
            return arrays[name].view(dtype_of(dtype)).reshape(shape)
        case "$value":
            return codecs.from_plain(content[0], _decode(content[1], arrays, artifact, known), known)
        case "$enum" | "$function" | "$unknown":
            return content
        case "$arraydigest":
            dtype, shape, hexdigest = content
            return f"{dtype}{shape} {hexdigest[:12]}"
        case "$dict":
            return {
                _decode(k, arrays, artifact, known): _decode(v, arrays, artifact, known) for k, v in content
            }
        case "$dataclass":
            return _decode(content[1], arrays, artifact, known)
    if tag not in _COLLECTIONS:
        raise UsageError(
            f"a record has a value of the unknown kind {tag}; it was written by a newer datajuicer: update it"
        )
    return _COLLECTIONS[tag]([_decode(item, arrays, artifact, known) for item in content])


_COLLECTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "$tuple": tuple,
    "$set": set,
    "$frozenset": frozenset,
    "$complex": lambda parts: complex(*parts),
}


def describe(value: Any) -> Any:  # noqa: PLR0911, PLR0912 - one line a type
    """A value that was keyed, as JSON for people to read: like `encode`, but arrays are told by their
    digest.
    """
    kind = type(value)
    if value is None or kind in (bool, str, int, float, bytes, complex):
        return _encode(value, _Parts(), "")
    if isinstance(value, list):
        return [describe(item) for item in value]
    as_key = getattr(kind, "__datajuicer_key__", None)
    if isinstance(value, dict) and as_key is None:
        if all(type(k) is str and not k.startswith("$") for k in value):
            return {k: describe(v) for k, v in value.items()}
        return {"$dict": [[describe(k), describe(v)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [describe(item) for item in value]}
    if kind in (set, frozenset):
        return {"$set": [describe(item) for item in sorted(value, key=digest)]}
    if isinstance(value, enum.Enum):
        return {"$enum": f"{lasting_name(kind)}.{value.name}"}
    if isinstance(value, (PurePath, Literal, Artifact)):
        return _encode(value, _Parts(), "")
    if as_key is not None:
        return describe(list(as_key(value)))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: describe(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"$dataclass": [lasting_name(kind), fields]}
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return {"$function": lasting_name(value) or value.__qualname__}
    with suppress(UsageError):  # a time of a zone that cannot be stored
        if (coded := codecs.registered(value)) is not None:
            return {"$value": [coded[0], describe(coded[1])]}
    if (form := canonical(value)) is not None:
        return {"$dataclass": [form[0], describe(list(form[1]))]}
    array = as_array(value)
    if array is None or not hasattr(array, "dtype"):
        return {"$unknown": f"{kind.__module__}.{kind.__qualname__}"}
    if array.ndim == 0:
        return _encode(array[()], _Parts(), "")
    if array.size <= SMALL_ARRAY and array.dtype.kind in "biuf":
        return {"$dataclass": [f"{array.dtype.name}{list(array.shape)}", describe(array.tolist())]}
    return {"$arraydigest": [array.dtype.name, list(array.shape), digest(array)]}
