"""Listings: what the names of a store's files say, without reading any of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from datajuicer.store.quarantine import QUARANTINE
from datajuicer.store.reading import cannot_read

CAMPAIGNS = "campaigns"  # what was sent to clusters; see clusters/campaign.py
PRUNED = ".pruned"  # what was moved aside; see pruning.py
NO_FUNCTIONS = (QUARANTINE, CAMPAIGNS)

_HEX = frozenset("0123456789abcdef")
_BY_SUFFIX = {"json": "done", "failed.json": "failed"}
_RANK = {"failed": 0, "claimed": 1, "done": 2}


def functions(root: Path) -> list[str]:
    """Return the names of all functions that have a folder in a store."""
    if not root.is_dir():
        return []
    names = (entry.name for entry in root.iterdir() if entry.is_dir())
    return sorted(name for name in names if name not in NO_FUNCTIONS and name[0] != ".")


def file_names(root: Path, function: str) -> Iterator[str]:
    """Yield the names of all files and folders of a function's results, in the order of their shelves."""
    try:
        shelves = [e.path for e in os.scandir(root / function) if len(e.name) == 2 and set(e.name) <= _HEX]
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_read(root / function, error) from error
    for shelf in sorted(shelves):
        yield from os.listdir(shelf)


def outcomes(root: Path, function: str, *, claims: bool = True) -> dict[str, str]:
    """Return key → "done", "failed" or, where claims count, "claimed" for everything of a function."""
    found: dict[str, str] = {}
    for name in file_names(root, function):
        key, _, suffix = name.partition(".")
        outcome = _BY_SUFFIX.get(suffix) or ("claimed" if claims and suffix.startswith("claim.") else "")
        if outcome and (key not in found or _RANK[outcome] > _RANK[found[key]]):
            found[key] = outcome
    return found


def counts_before(outcome: str, other: str | None) -> bool:
    """Whether an outcome says more of a key than another, or than nothing."""
    return other is None or _RANK[outcome] > _RANK[other]


class Listing:
    """The outcomes in a store as they were when a function was first asked for.

    Args:
        outcomes: those of a function by key: `store.outcomes`.
    """

    def __init__(self, outcomes: Callable[[str], Mapping[str, str]]):
        self._outcomes = outcomes
        self._known: dict[str, Mapping[str, str]] = {}

    def outcome(self, function: str, key: str) -> str | None:
        """Return "done", "failed" or "claimed", None if there is nothing under the key."""
        if function not in self._known:
            self._known[function] = self._outcomes(function)
        return self._known[function].get(key)
