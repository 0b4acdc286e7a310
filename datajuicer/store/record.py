"""Records: the bytes of a result's file, and how to tell that they are whole."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import blake2b
from typing import Any

FORMAT = 2  # the newest that this version reads
PLAIN_FORMAT = 1  # what records have that need nothing newer, so that earlier versions can read them

LAYER = "layer"  # of a record in memory that was read from a store below: its root; never in a file

_CHECKSUM = b',\n"checksum": "'

Record = dict[str, Any]

# Types of the fields that the engine itself relies on; a field that is not there has none.
_TYPES: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "function": str,
    "key": str,
    "outcome": str,
    "started": str,
    "folder": str,
    "dependencies": dict,
    "omitted": dict,
    "reached": dict,
    "notes": dict,
    "error": str,
    "traceback": str,
    LAYER: (),  # no type fits: no file has it
}
_NEEDED = {"format", "function", "key", "outcome"}


class Damaged(ValueError):
    """A record says what nothing of ours writes; its checksum shows no damage, so somebody made it so."""


def format_record(record: Record) -> bytes:
    """The bytes of a record: JSON, one field a line, the checksum of everything before it last."""
    fields = (item for item in record.items() if item[0] not in ("checksum", LAYER))
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields]
    body = "{\n" + ",\n".join(lines)
    data = body.encode()
    checksum = blake2b(data, digest_size=20).hexdigest()
    return data + _CHECKSUM + checksum.encode() + b'"\n}\n'


def parse_record(data: bytes) -> Record | str:
    """A record with its checksum, or what is wrong with it."""
    body, mark, tail = data.rpartition(_CHECKSUM)
    if not mark:
        return "is cut short: it has no checksum"
    checksum = blake2b(body, digest_size=20).hexdigest()
    if tail != checksum.encode() + b'"\n}\n':
        return "has a wrong checksum"
    try:
        record = json.loads(body + b"\n}")
    except ValueError as error:
        return f"is not JSON: {error}"
    except RecursionError:
        return "is nested too deeply"
    if problem := _problem(record):
        return f"is no record: {problem}"
    record["checksum"] = checksum
    return record


def _problem(record: Any) -> str:
    if not isinstance(record, dict) or not record.keys() >= _NEEDED:
        return "fields are missing"
    for name, kind in _TYPES.items():
        if name in record and not isinstance(record[name], kind):
            return f"its field {name!r} is {str(record[name])[:80]!r}"
    if record["outcome"] not in ("done", "failed"):
        return f"its outcome is {record['outcome'][:80]!r}"
    if record["outcome"] == "done" and "value" not in record:
        return "it has no value"
    folder = record.get("folder", record["key"])
    if "/" in folder or folder.partition(".run-")[0] != record["key"]:
        return f"its folder is {folder[:80]!r}"
    return ""


def field_bytes(name: str, value: Any) -> bytes:
    """The bytes of one field in a record, from the end of the line before it to its own."""
    return f"\n{json.dumps(name)}: {json.dumps(value)},\n".encode()


def made_with(record: Record) -> str | None:
    """What tells records apart that were made with different code; None if nothing is known of it."""
    if "reached" not in record:
        return record.get("code")
    return _code_digest(record.get("code"), tuple((n, str(d)) for n, d in record["reached"].items()))


@lru_cache(maxsize=1024)
def _code_digest(code: str | None, reached: tuple[tuple[str, str], ...]) -> str:
    content = json.dumps([code, dict(reached)], sort_keys=True)
    return blake2b(content.encode(), digest_size=6).hexdigest()


def result_digest(record: Record) -> str:
    """What two computations of one key must agree in: the value and its arrays."""
    value = record.get("value")
    if type(value) is dict and "$files" in value:
        value = value["$files"]["files"]  # the folder has a random name
    content = json.dumps([value, record.get("arrays")], sort_keys=True)
    return blake2b(content.encode(), digest_size=20).hexdigest()


def difference(first: Record, second: Record) -> str:
    """Nothing, or a sentence if two results for one key are not the same."""
    if result_digest(first) == result_digest(second):
        return ""
    return (
        f"two computations of {first['function']}/{first['key']} gave different results (kept: the first, by "
        f"{first.get('host')}, process {first.get('pid')}); the function is not deterministic or depends on "
        "something it does not declare"
    )
