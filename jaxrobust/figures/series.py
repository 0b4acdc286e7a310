"""Evaluated grid points sorted into lines: for each label and each x all values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxrobust.figures.pooling import check_pooled

Points = Sequence[Mapping[str, Any]]
# All values (of networks, devices or directions) by the label of the line and by x.
Series = Mapping[str, Mapping[Any, Sequence[float]]]


def label_of(point: Mapping[str, Any], line: str) -> str:
    """Return the label of a point's line: the value under the key ``line``, numbers in short."""
    return point[line] if isinstance(point[line], str) else f"{point[line]:g}"


def series(
    points: Points,
    *,
    x: str,
    y: Callable[[Mapping[str, Any]], float | Sequence[float]],
    line: str = "method",
    pooled: Sequence[str] = (),
) -> dict[str, dict[Any, list[float]]]:
    """Sort measured values into lines.

    Args:
        points: Evaluated grid points.
        x: The key of the horizontal axis.
        y: Returns one value of a point, or several.
        line: The key whose values label the lines.
        pooled: Settings that are averaged over on purpose, beside the seed; the caption must say so.

    Raises:
        InputError: A setting varies that is neither ``x`` nor the line, nor pooled on purpose.
    """
    result: dict[str, dict[Any, list[float]]] = {}
    groups: dict[tuple[str, Any], list[Mapping[str, Any]]] = {}
    for point in points:
        label = label_of(point, line)
        groups.setdefault((label, point[x]), []).append(point)
        result.setdefault(label, {}).setdefault(point[x], []).extend(np.ravel(y(point)).tolist())
    for group in groups.values():
        check_pooled(group, pooled)
    return result
