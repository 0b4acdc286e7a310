"""Records in one folder of results: where they lie, and how they are read and checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from datajuicer.errors import UsageError
from datajuicer.store.reading import cannot_read, is_young, looks, read_bytes, read_start, retry
from datajuicer.store.record import FORMAT, Record, parse_record

# Has a record count as missing: the root of its folder, its path, what is wrong, its content.
Condemn = Callable[[Path, str, str, bytes], None]


def record_path(root: Path | str, function: str, key: str, outcome: str = "done") -> str:
    """Return the file of a record, as plain text: making Path objects would cost more than reading it."""
    suffix = ".json" if outcome == "done" else ".failed.json"
    return f"{root}/{function}/{key[:2]}/{key}{suffix}"


def read_record(
    root: Path,
    function: str,
    key: str,
    outcome: str,
    condemn: Condemn,
    is_known: Callable[[bytes], bool] = lambda _: False,
) -> Record | None:
    """Return a record, or None. One that is corrupt is condemned and counts as missing.

    Args:
        root: the folder of results.
        function: the name of the function.
        key: the key of the result.
        outcome: "done" or "failed".
        condemn: has it count as missing.
        is_known: whether content is known to be corrupt, so that a second look is in vain.

    Raises:
        CannotRead: the record is there and cannot be read now.
        UsageError: the record was written by a newer datajuicer, or the folder cannot be read at all.
    """
    path = record_path(root, function, key, outcome)
    try:
        found = parse_record(read_start(path))
        record = found if isinstance(found, dict) else _read_again(root, path, condemn, is_known)
    except (FileNotFoundError, NotADirectoryError) as error:
        return _nothing(root, error)
    except OSError:
        try:
            record = _read_again(root, path, condemn, is_known)
        except (FileNotFoundError, NotADirectoryError) as error:
            return _nothing(root, error)
        except OSError as error:
            raise cannot_read(path, error) from error
    if record is None:
        return None
    if record["format"] > FORMAT:
        raise UsageError(
            f"{path} was written by a newer datajuicer (format {record['format']}, this one knows "
            f"{FORMAT}): update datajuicer or name another store"
        )
    if record["key"] != key or record["function"] != function:
        reason = f"is the record of {record['function']}/{record['key']}"
        condemn(root, path, reason, read_bytes(path))
        return None
    return record


def _nothing(root: Path, error: OSError) -> None:
    if isinstance(error, NotADirectoryError) and not root.is_dir():
        raise UsageError(f"the store {root} is a file; name a folder (cache_dir=…)") from None


def _read_again(root: Path, path: str, condemn: Condemn, is_known: Callable[[bytes], bool]) -> Record | None:
    """Read a record that seemed damaged to its end, look again, and only then condemn it."""
    data, reason = b"", ""
    for _ in looks(os.path.dirname(path), is_young(path)):
        data = retry(lambda: read_bytes(path))
        record = parse_record(data)
        if not isinstance(record, str):
            return record
        if is_known(data):
            return None
        reason = record
    condemn(root, path, reason, data)
    return None
