"""What ``train.py -positions`` prints: the positions of networks, and where they can be cut."""

from collections.abc import Iterator, Mapping
from typing import Any

from jaxrobust import data
from jaxrobust.errors import InputError
from jaxrobust.networks.cuts import PositionRow, position_rows
from jaxrobust.networks.network import Network, Shape
from jaxrobust.studies.parameter_noise.catalogue import network_of

HEADER = ("position", "shape", "channels", "front", "end")
NOTE = (
    "front: the first layers up to here can be stitched; end: the last layers from here on can. Where a "
    "shortcut leads around a position, a stitch that ends there still lets the original inputs by."
)


def describe_positions(grids: Mapping[str, list[dict[str, Any]]]) -> str:
    """Return one table per distinct network of the grids that learns a data set; needs no data.

    Raises:
        InputError: There is no such network.
    """
    tables = []
    for name, grid in grids.items():
        for network, dataset in _distinct(grid):
            kind = type(getattr(network, "module", network)).__name__
            rows = position_rows(network)
            lines = _lines([HEADER, *map(_cells, rows)]) if rows else ["  no positions"]
            tables.append("\n".join([f"{name}: {kind} on {dataset}", *lines]))
    if not tables:
        raise InputError(
            f"No network of {', '.join(grids)} learns a data set: there are no positions to show."
        )
    return "\n\n".join([*tables, NOTE])


def _distinct(grid: list[dict[str, Any]]) -> Iterator[tuple[Network, str]]:
    seen: set[tuple[Network, str]] = set()
    for point in grid:
        if "dataset" not in point:
            continue
        blank = data.blank(point["dataset"], split=point["split"] or None)
        found = network_of(point, blank), blank.name
        if found not in seen:
            seen.add(found)
            yield found


def _cells(row: PositionRow) -> tuple[str, ...]:
    channels = "any" if row.channels is None else str(row.channels)
    return row.name, _shape(row.shape), channels, *("yes" if can else "no" for can in (row.front, row.end))


def _shape(shape: Shape) -> str:
    return " x ".join("any" if n is None else str(n) for n in shape)


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (zip(row, widths, strict=True) for row in rows)
    return [("  " + "  ".join(f"{cell:{width}}" for cell, width in row)).rstrip() for row in padded]
