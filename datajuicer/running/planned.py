"""Planning ahead: the points of a run with the keys of their results, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datajuicer.errors import UsageError
from datajuicer.grids.grid import Grid
from datajuicer.grids.points import as_points
from datajuicer.running.cachable import Cachable
from datajuicer.running.parent import Parent
from datajuicer.running.plan import plan
from datajuicer.running.settling import settle_all
from datajuicer.store.listing import Listing
from datajuicer.store.store import Store, StoreLike


def planned(
    grid: Any,
    func: Any,
    store_key: str | None = None,
    cache_dir: StoreLike | None = None,
) -> Callable[..., Grid]:
    """Return the points of a run as parents for later points: `planned(grid, func)(*args, **kwargs)`.

    Nothing is computed or loaded. Later points hold parents under any name, or in lists; their keys contain
    those of the parents, and where they are computed each parent also holds the entries of its result.

    Args:
        grid: as for `run`.
        func: as for `run`; it must be cachable.
        store_key: where each point shows the key of its result; None: nowhere.
        cache_dir: the store that will be used, or its folder. With it the keys are those under which `run`
            keeps the results, also where the store has other results of that name: of another default or
            function. Without it later runs find that out, but a key that was copied out of `store_key` stays.

    Example:
        >>> trained = planned(grid, train)("{*}")
        >>> pairs = [{"front": a, "end": b} for a in trained for b in trained]
        >>> run(grid, train)("{*}"), run(pairs, stitch)("{front}", "{end}")

    Raises:
        UsageError: the function is not cachable, or something in the call does not work.
    """

    def call(*args: Any, **kwargs: Any) -> Grid:
        points = as_points(grid)
        found: dict[int, Parent] = {}
        calls = plan(points, func, args, kwargs)
        if cache_dir is not None:
            store = Store(cache_dir)
            calls = settle_all(store, calls, Listing(store.outcomes))
        for one in calls:
            if not isinstance(one.function, Cachable) or one.key is None:
                raise UsageError(
                    f"{one.name} is not cachable, so its results have no keys; add @dj.cachable()"
                )
            for index in one.indices:
                found[index] = Parent(points[index], one, store_key)
        return Grid([found[index] for index in range(len(points))])

    return call
