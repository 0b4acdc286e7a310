"""Replacing a result: the new one is computed in a folder beside the old one, which stays until then.

A call says what it replaces: None, `"any <id of the run>"`, or the start time of the one result that is not
good any more. The name of the folder follows from that. When a cluster queues the same work again, it finds
its checkpoint there, or its result.
"""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

from datajuicer.store.store import Store

ANY = "any"


def replace_any() -> str:
    """What the calls of one run say that replace whatever is there."""
    return f"{ANY} {uuid.uuid4().hex[:8]}"


def folder_for(store: Store, function: str, key: str, replaces: str | None) -> Path | None:
    """The folder to compute a result in; None if the result was stored between look-up and claim."""
    plain = store.folder(function, key)
    if replaces is None:
        return None if store.has(function, key) else plain
    which, _, run = replaces.partition(" ")
    is_any = which == ANY
    run = run if is_any else hashlib.blake2b(replaces.encode(), digest_size=4).hexdigest()
    beside = store.folder(function, key, run)
    current = store.read(function, key)
    if current is not None:
        is_replaced = store.folder_of(current) == beside or (not is_any and current["started"] != replaces)
        return None if is_replaced else beside
    is_new = not (plain.exists() or store.path(function, key, "failed").exists())
    return plain if is_new else beside
