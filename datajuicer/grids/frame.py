"""Data frames of grids and of what a store holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.grids.points import as_points
from datajuicer.store import codecs, values
from datajuicer.store.record import Damaged, Record, made_with
from datajuicer.store.store import Store


def to_dataframe(source: Any, function: Any = None) -> Any:
    """A pandas data frame of a grid, or of all results of a function in a store.

    Args:
        source: a grid: one row a point; or the folder of a function, such as `"sessions/train"`, or a store,
            with what lies below it: one row a result, with its dependencies under their names, its value
            under `value` (a dict: one column `value.name` for each entry) and `key`, `started`, `seconds`,
            `version`, `host`, `commit` and `code`, which is different for results that were made with
            different code. A dependency that was left out has the default that was used. A dependency of one
            of these names stands under `dependency.name`. Arrays are told by dtype and shape, what a saver
            wrote by its files' names; neither is loaded.
        function: the cachable function whose results are wanted; needed with a store. Results of earlier
            versions of the engine do not name their defaults, they have those that it declares
            (`earlier_defaults`).

    Raises:
        UsageError: there is no such folder, or the function is not cachable.
    """
    import pandas as pd

    if not isinstance(source, (str, os.PathLike, Store)):
        return pd.DataFrame(as_points(source))
    store, table = _store_and_name(source, function)
    earlier = {} if function is None else function.earlier_defaults_described
    columns: dict[str, list[Any]] = {}
    count = -1
    for record in store.records(table):
        try:
            row = _row(record, earlier)
        except Damaged as error:
            store.quarantine_result(table, record["key"], record["checksum"], f"it {error}")
            continue
        count += 1
        for name, cell in row.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = [None] * count
            column.append(cell)
        for column in columns.values():
            if len(column) <= count:
                column.append(None)
    return pd.DataFrame(columns)


def _store_and_name(source: str | os.PathLike[str] | Store, function: Any) -> tuple[Store, str]:
    """Return the store that is meant, and the name of the function in it."""
    is_store = isinstance(source, Store)
    if not is_store and not Path(source).is_dir():
        raise UsageError(f"there is no folder {source}; name that of a function, such as 'sessions/train'")
    if (is_store or function is not None) and not hasattr(function, "earlier_defaults_described"):
        where = source.root if is_store else source
        raise UsageError(f"{function!r} is not cachable; give the function whose results are in {where}")
    name: str = getattr(function, "table_name", "")
    return (source, name) if is_store else (Store(Path(source).parent), Path(source).name)


_OWN_COLUMNS = ("key", "value", "started", "seconds", "version", "code", "host", "commit")


def _row(record: Record, earlier: Mapping[str, Any]) -> dict[str, Any]:
    row = {"key": record["key"]}
    used = record["omitted"].get("defaults", {}) if "omitted" in record else earlier
    for name, dependency in {**used, **record["dependencies"]}.items():
        row[f"dependency.{name}" if name in _OWN_COLUMNS else name] = _plain(dependency)
    value = record["value"]
    if type(value) is dict and not (len(value) == 1 and next(iter(value)).startswith("$")):
        for name, inner in value.items():
            row[f"value.{name}"] = _plain(inner)
    else:
        row["value"] = _plain(value)
    row["started"], row["seconds"] = record["started"], record["seconds"]
    row["version"], row["code"] = _plain(record["version"]), made_with(record)
    row["host"], row["commit"] = record.get("host"), record.get("commit")
    return row


def _plain(tree: Any) -> Any:
    if _is_json(tree):
        return tree
    try:
        shown = _without_files(tree)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Damaged(f"has a value that cannot be read ({type(error).__name__}: {error})") from error
    return values.decode(shown, {}, values.Artifact)


def _is_json(tree: Any) -> bool:
    """Whether a tree stands for itself: nothing in it is tagged."""
    if type(tree) is dict:
        return not any(name[:1] == "$" for name in tree) and all(map(_is_json, tree.values()))
    return type(tree) is not list or all(map(_is_json, tree))


def _without_files(tree: Any) -> Any:
    """A tree in which text stands for arrays and for what a saver wrote."""
    if type(tree) is list:
        return [_without_files(item) for item in tree]
    if type(tree) is not dict:
        return tree
    if len(tree) == 1 and "$array" in tree:
        _, dtype, shape = tree["$array"]
        return f"{dtype}{shape}"
    if len(tree) == 1 and "$value" in tree and (shown := codecs.summary(*tree["$value"])) != tree:
        return _without_files(shown)
    if len(tree) == 1 and "$files" in tree:
        return ", ".join(tree["$files"]["files"])
    return {name: _without_files(inner) for name, inner in tree.items()}
