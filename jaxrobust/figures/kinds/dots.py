"""Dots: one row per method, one dot per level."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from jaxrobust.figures.style import in_percent, light_grid


def draw_dots(
    axes: Axes,
    means: Mapping[str, Mapping[float, float]],
    colours: Sequence[str],
    *,
    size: float,
    labels: Mapping[float, str],
) -> None:
    """Draw accuracies (fractions) by method and level, the first method on top, each row on a gray line.

    Args:
        axes: Where to draw.
        means: Accuracy by method and level; the same levels for every method.
        colours: One per level.
        size: Area of a dot, in square points.
        labels: Legend entries by level; levels without one stay out of the legend.
    """
    rows = range(len(means))
    levels = list(next(iter(means.values())))
    axes.hlines(
        rows,
        [min(of_method.values()) for of_method in means.values()],
        [max(of_method.values()) for of_method in means.values()],
        color="0.85",
        linewidth=1,
        zorder=0,
    )
    for level, colour in zip(levels, colours, strict=False):
        values = [of_method[level] for of_method in means.values()]
        axes.scatter(values, rows, s=size, color=colour, label=labels.get(level), zorder=2)
    axes.set_yticks(rows, list(means))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    in_percent(axes.xaxis)
    axes.set_xlabel("Mean test accuracy")
    light_grid(axes, axis="x")
