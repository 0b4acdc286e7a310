"""Compile the programs of a whole grid side by side, before the first of its models trains.

A training compiles its own programs when it begins, while other cores of the host are idle. A grid of several
kinds of networks and methods would compile them kind by kind, for seconds each on a GPU.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax

from jaxrobust.data.dataset import Dataset
from jaxrobust.errors import InputError
from jaxrobust.studies import training_points
from jaxrobust.studies.parameter_noise.catalogue import FAMILIES
from jaxrobust.studies.side_by_side import dataset_of, joining_pays, programs_of
from jaxrobust.training.compilation import compile_side_by_side, programs_with_data
from jaxrobust.training.loop import first_block
from jaxrobust.training.placement import place
from jaxrobust.training.training import Training, start_of

Point = Mapping[str, Any]


def compile_ahead(points: Sequence[Point], models_per_job: int) -> int:
    """Compile all programs that will train grid points, if they are more than one.

    Args:
        points: Points of a stage that trains.
        models_per_job: How many models of one kind train side by side.

    Returns:
        How many kinds of models there are.
    """
    kinds = _kinds(points, models_per_job)
    if len(kinds) > 1:
        compile_side_by_side(_lowered(kinds))
    return len(kinds)


def _kinds(points: Sequence[Point], models_per_job: int) -> list[list[Point]]:
    """One job of each kind: points that train in one program, and how many of them do."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        with suppress(InputError):  # the training itself says so
            if (program := _program_of(point)) is not None:
                groups.setdefault(program, []).append(point)
    kinds: list[list[Point]] = []
    for group in groups.values():
        jobs = [group[i : i + models_per_job] for i in range(0, len(group), models_per_job)]
        kinds += {len(job): job for job in jobs}.values()
    return kinds


def _program_of(point: Point) -> str | None:
    """What points of one program share; None for those that train in another way than the library's."""
    name = getattr(point.get("train"), "table_name", None)
    if name == training_points.train.table_name:
        return training_points.program_of(point)
    family = FAMILIES.get(point.get("architecture", ""))
    return family.program_of(point) if family is not None and name == family.train.table_name else None


def _lowered(kinds: Sequence[Sequence[Point]]) -> Iterator[jax.stages.Lowered]:
    for points in kinds:
        with suppress(InputError):  # as above
            yield from _lowered_for(points)


def _lowered_for(points: Sequence[Point]) -> Iterator[jax.stages.Lowered]:
    dataset = dataset_of(points[0])
    trainings = [_training_of(point, dataset) for point in points]
    for program in programs_of(trainings, join_methods=joining_pays(trainings[0].network)):
        models = list(program.values())
        placement = place(len(models), jax.local_devices())
        programs = programs_with_data(models, placement, dataset.train, dataset.validation)
        state = placement.join([start_of(training) for training in models])
        yield from programs.lowered(state, first_block(models, len(dataset.train.labels), placement))


def _training_of(point: Point, dataset: Dataset) -> Training:
    if "network" in point:
        network = training_points.network_of(point, dataset)
        return training_points.training_of(point, network, Path(), start=None)  # whatever it starts from
    family = FAMILIES[point["architecture"]]
    return family.training_of(point, family.network(point, dataset), dataset, Path())
