"""Stages: what an experiment computes one after the other, each from the points of those before.

Most experiments have one stage, ``"train"``. One that prunes in rounds, or stitches trained networks, names
more of them in order::

    class stitching:
        stages = ("train", "stitch")

        def train_grid(self):
            return dj.split([network.make()], "seed", [0, 1])

        def stitch_grid(self, points):
            one, other = points["train"]
            return [{"front": one, "end": other, "stitch": stitch}]

The points of later stages hold points of earlier ones under names of their choice. While a grid is planned,
these hold their settings and, under ``"trained"``, the key of their result; no result is loaded. The result
of every stage is a dict, whose entries its points hold once they are computed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datajuicer as dj
from datajuicer.running.plan import Call, plan
from datajuicer.store.store import StoreLike
from jaxrobust.errors import InputError

Point = dict[str, Any]
Points = Mapping[str, Sequence[dict[Any, Any]]]  # by stage; each point is a `datajuicer.Parent`

TRAINED = "trained"  # where a planned or finished point shows the key of its result
DEFAULT = ("train",)


@dataclass(frozen=True)
class Stage:
    """One stage of an experiment.

    Attributes:
        name: As in ``-name.word=value``.
        grid: Makes the grid from the planned points of all earlier stages, by stage.
        compute: A cachable function, or the key under which each point holds one; called with the point.
        chained: On a cluster, whether the job that computes the parent of a point also computes the point, as
            for rounds of pruning. Otherwise the stage is an array job that waits for the one before.
    """

    name: str
    grid: Callable[[Points], Sequence[Mapping[str, Any]]]
    compute: str | dj.Cachable
    chained: bool = False


@dataclass(frozen=True)
class PlannedStage:
    """A stage with its grid."""

    stage: Stage
    grid: list[Point]

    def calls(self) -> list[Call]:
        """The computations of the stage, each once."""
        return plan(self.grid, self.stage.compute, ("{*}",), {})


def stages_of(experiment: Any) -> tuple[Stage, ...]:
    """The stages of an experiment, in order.

    A name in ``experiment.stages`` stands for the stage whose grid ``<name>_grid`` makes, and whose points
    hold their function under the name. The grid of the first stage takes no arguments.

    Raises:
        InputError: There is no such method, no stage, or a name stands twice.
    """
    found: list[Stage] = []
    for entry in getattr(experiment, "stages", DEFAULT):
        if isinstance(entry, Stage):
            stage = entry
        else:
            method = getattr(experiment, f"{entry}_grid", None)
            if method is None:
                kind = type(experiment).__name__
                raise InputError(f"{kind} names the stage {entry!r} but has no method {entry}_grid.")
            stage = Stage(entry, method if found else _without_points(method), entry)
        if any(stage.name == other.name for other in found):
            raise InputError(f"{type(experiment).__name__} has two stages named {stage.name!r}; rename one.")
        found.append(stage)
    if not found:
        raise InputError(f"{type(experiment).__name__} has no stages; leave `stages` out for ('train',).")
    return tuple(found)


def _without_points(method: Callable[[], Sequence[Mapping[str, Any]]]) -> Any:
    return lambda points: method()


def plan_stages(
    stages: Sequence[Stage],
    first: Sequence[Mapping[str, Any]],
    configure: Callable[[str, list[Point]], list[Point]] = lambda name, grid: grid,
    sessions: StoreLike | None = None,
) -> list[PlannedStage]:
    """Plan all stages without loading a result.

    Args:
        stages: The stages in order.
        first: The grid of the first.
        configure: Applied to the name and grid of every later stage, for typed words.
        sessions: The store, or its folder, for the keys of results that are there under a further key
            (``datajuicer.planned``).

    Raises:
        InputError: A grid reads results, which are not there yet, or is empty.
    """
    points: dict[str, Sequence[dict[Any, Any]]] = {}
    planned: list[PlannedStage] = []
    for stage in stages:
        grid = [dict(point) for point in first] if not planned else _grid(stage, points)
        if planned:
            grid = configure(stage.name, grid)
        planned.append(PlannedStage(stage, grid))
        points[stage.name] = dj.planned(grid, stage.compute, TRAINED, sessions)("{*}")
    return planned


def _grid(stage: Stage, points: Points) -> list[Point]:
    try:
        grid = [dict(point) for point in stage.grid(points)]
    except KeyError as error:
        raise InputError(
            f"The grid of stage {stage.name!r} reads {error}, which no point has while stages are planned: "
            f"grids are made from settings and keys, before there are results."
        ) from error
    if not grid:
        raise InputError(f"The grid of stage {stage.name!r} is empty.")
    return grid


def finished(planned: Sequence[PlannedStage], **how: Any) -> list[Point]:
    """The points of all stages with their results; with more than one stage also its name, under ``"stage"``.

    Args:
        planned: The stages.
        how: Options of ``datajuicer.run``, ``run_mode="load"`` or ``"load_any"`` among them.

    Raises:
        MissingResults: With ``"load"``, some points have no result.
    """
    points: list[Point] = []
    for one in planned:
        named = {} if len(planned) == 1 else {"stage": one.stage.name}
        keyed = dj.planned(one.grid, one.stage.compute, TRAINED, how.get("cache_dir"))("{*}")
        grid = [{**point, **named} for point in keyed]
        points += dj.run(grid, one.stage.compute, store_key="*", **how)("{*}")
    return points


def n_unfinished(planned: Iterable[PlannedStage], sessions: StoreLike) -> int:
    """How many points of all stages have no result."""
    return sum(
        len(one.grid) - len(dj.status(one.grid, one.stage.compute, sessions)("{*}").done) for one in planned
    )


def side_by_side(experiments: Iterable[Sequence[PlannedStage]]) -> list[PlannedStage]:
    """Join stages of experiments that stand at the same place and compute the same, in the order of places.

    What several experiments share is then computed once, and all of it in parallel.
    """
    joined: dict[tuple[int, Any, str, bool], PlannedStage] = {}
    for planned in experiments:
        for place, one in enumerate(planned):
            stage = one.stage
            name = stage.name if place else ""
            compute = stage.compute if isinstance(stage.compute, str) else stage.compute.table_name
            known = joined.get((place, compute, name, stage.chained))
            grid = [*(known.grid if known else []), *one.grid]
            joined[place, compute, name, stage.chained] = PlannedStage(stage, grid)
    return [joined[key] for key in sorted(joined, key=lambda key: key[0])]
