"""What guessing would score, as a line in panels of accuracy."""

from matplotlib.axes import Axes

from jaxrobust import data
from jaxrobust.errors import InputError
from jaxrobust.figures.series import Points


def mark_chance(axes: Axes, points: Points) -> None:
    """Draw the accuracy of guessing among the classes of the points' data, which must be one data set.

    Points without a known data set, such as of targets that are no classes, get no line.
    """
    chance = _chance(points)
    if chance is None:
        return
    axes.axhline(chance, color="0.55", linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=0.5)
    axes.annotate(
        "chance",
        (0, chance),
        xycoords=("axes fraction", "data"),
        xytext=(3, 2),
        textcoords="offset points",
        ha="left",
        fontsize=6.5,
        color="0.45",
    )


def _chance(points: Points) -> float | None:
    names = {point.get("dataset") for point in points}
    if len(names) != 1 or not isinstance(name := names.pop(), str):
        return None
    try:
        dataset = data.blank(name)
    except InputError:
        return None
    return None if dataset.is_regression else 1 / dataset.n_outputs
