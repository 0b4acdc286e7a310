"""Evaluated grid points sorted into lines: for each label and each x all values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Points = Sequence[Mapping[str, Any]]
# All values (of networks, devices or directions) by the label of the line and by x.
Series = Mapping[str, Mapping[Any, Sequence[float]]]


def label_of(point: Mapping[str, Any], line: str) -> str:
    """Return the label of a point's line: the value under the key ``line``, numbers in short."""
    return point[line] if isinstance(point[line], str) else f"{point[line]:g}"


def series(
    points: Points, *, x: str, y: Callable[[Mapping[str, Any]], float | Sequence[float]], line: str = "method"
) -> dict[str, dict[Any, list[float]]]:
    """Sort measured values into lines.

    Args:
        points: Evaluated grid points.
        x: The key of the horizontal axis.
        y: Returns one value of a point, or several.
        line: The key whose values label the lines.
    """
    result: dict[str, dict[Any, list[float]]] = {}
    for point in points:
        values = result.setdefault(label_of(point, line), {}).setdefault(point[x], [])
        values.extend(np.ravel(y(point)).tolist())
    return result
