"""Real data where they can be had, else the built-in stand-ins, as ordinary settings of grid points."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxrobust import data
from jaxrobust.studies.side_by_side import dataset_of


def with_available_data(
    grid: Sequence[Mapping[str, Any]], notice: Callable[[str], None], *, download: bool = True
) -> list[dict[str, Any]]:
    """Prepare every data set of a grid; where one cannot be had, its built-in stand-in takes its place.

    The stand-in is an ordinary setting of the point, so its results have keys of their own and never mix with
    those on real data.

    Args:
        grid: Grid points.
        notice: Called with one sentence for each data set that is replaced.
        download: Whether a data set may be downloaded and prepared now; if not, only what lies ready counts.

    Raises:
        InputError: Files are damaged, or a data set or split does not exist.
    """
    replaced: dict[tuple[str, str, str], bool] = {}
    points = []
    for point in grid:
        wanted = (point["dataset"], point["split"], point["data_folder"])
        if wanted not in replaced:
            replaced[wanted] = not _obtain(point, notice, download)
        points.append(_on_stand_in(point) if replaced[wanted] else dict(point))
    return points


def _obtain(point: Mapping[str, Any], notice: Callable[[str], None], download: bool) -> bool:
    name, folder = point["dataset"], point["data_folder"] or None
    try:
        if download:
            dataset_of(point)
        elif name in data.STAND_INS and not data.available(name, folder, split=point["split"]):
            raise data.DataNotFound(f"The data set {name!r} is not prepared here.")
    except data.DataNotFound as error:
        if name not in data.STAND_INS:
            raise
        notice(f"{error} The built-in stand-in {data.STAND_INS[name]!r} takes its place; its results say so.")
        return False
    return True


def on_stand_ins(grid: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same grid on built-in data: every data set that has a stand-in replaced by it."""
    return [_on_stand_in(point) if point["dataset"] in data.STAND_INS else dict(point) for point in grid]


def _on_stand_in(point: Mapping[str, Any]) -> dict[str, Any]:
    name = data.STAND_INS[point["dataset"]]
    return {**point, "dataset": name, "split": data.DATASETS[name].splits[0], "data_folder": ""}
