"""Real data where they can be had, else stand-ins, as ordinary settings of grid points."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxrobust import data
from jaxrobust.studies.side_by_side import dataset_of


def with_available_data(
    grid: Sequence[Mapping[str, Any]],
    notice: Callable[[str], None],
    *,
    download: bool = True,
    stand_ins: Mapping[str, str] = data.STAND_INS,
) -> list[dict[str, Any]]:
    """Prepare every data set of a grid; where one cannot be had, its stand-in takes its place.

    The stand-in is an ordinary setting of the point, so its results have keys of their own and never mix with
    those on real data.

    Args:
        grid: Grid points.
        notice: Called with one sentence for each data set that is replaced.
        download: Whether a data set may be downloaded and prepared now; if not, only what lies ready counts.
        stand_ins: What takes the place of which data set.

    Raises:
        InputError: Files are damaged, a data set or split does not exist, or one that has no stand-in, or
            that is one of ``data.REAL_STAND_INS``, cannot be had.
    """
    replaced: dict[tuple[str, str, str], bool] = {}
    points = []
    for point in grid:
        wanted = (point["dataset"], point["split"], point["data_folder"])
        if wanted not in replaced:
            replaced[wanted] = not _obtain(point, stand_ins, notice, download)
            if replaced[wanted]:
                _obtain(_on_stand_in(point, stand_ins), {}, notice, download)
        points.append(_on_stand_in(point, stand_ins) if replaced[wanted] else dict(point))
    return points


def _obtain(
    point: Mapping[str, Any], stand_ins: Mapping[str, str], notice: Callable[[str], None], download: bool
) -> bool:
    name, folder = point["dataset"], point["data_folder"] or None
    try:
        if download:
            dataset_of(point)
        elif name in stand_ins and not data.available(name, folder, split=point["split"]):
            raise data.DataNotFound(f"The data set {name!r} is not prepared here.")
    except data.DataNotFound as error:
        if name not in stand_ins:
            raise
        instead = stand_ins[name]
        kind = "real" if data.REAL_STAND_INS.get(name) == instead else "built-in"
        notice(f"{error} The {kind} stand-in {instead!r} takes its place; its results say so.")
        return False
    return True


def on_stand_ins(
    grid: Sequence[Mapping[str, Any]], stand_ins: Mapping[str, str] = data.STAND_INS
) -> list[dict[str, Any]]:
    """The same grid with every data set that has a stand-in replaced by it; points without one stay."""
    return [
        _on_stand_in(point, stand_ins) if point.get("dataset") in stand_ins else dict(point) for point in grid
    ]


def _on_stand_in(point: Mapping[str, Any], stand_ins: Mapping[str, str]) -> dict[str, Any]:
    name = stand_ins[point["dataset"]]
    return {**point, "dataset": name, "split": data.DATASETS[name].splits[0], "data_folder": ""}
