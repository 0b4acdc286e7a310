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


def planned(grid: Any, func: Any, store_key: str | None = None) -> Callable[..., Grid]:
    """Return the points of a run as parents for later points: `planned(grid, func)(*args, **kwargs)`.

    Nothing is computed or loaded. Later points hold parents under any name, or in lists; their keys contain
    those of the parents, and where they are computed each parent also holds the entries of its result.

    Args:
        grid: as for `run`.
        func: as for `run`; it must be cachable.
        store_key: where each point shows the key of its result; None: nowhere.

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
        for one in plan(points, func, args, kwargs):
            if not isinstance(one.function, Cachable) or one.key is None:
                raise UsageError(
                    f"{one.name} is not cachable, so its results have no keys; add @dj.cachable()"
                )
            for index in one.indices:
                shown = {} if store_key is None else {store_key: one.key}
                found[index] = Parent({**points[index], **shown}, one.function, one.key)
        return Grid([found[index] for index in range(len(points))])

    return call
