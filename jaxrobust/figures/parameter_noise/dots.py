"""Many methods under mismatch: one row per method, one dot per level at the mean accuracy."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds import dots
from jaxrobust.figures.parameter_noise.mismatch import EXPLANATION, accuracies_by, mismatch_records
from jaxrobust.figures.series import Points
from jaxrobust.figures.style import shades
from jaxrobust.figures.tables import Numbers, Table


def draw_dots(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw the mean accuracy of each method at each level, and write the table.

    Args:
        points: Grid points with ``method``, ``level`` and ``accuracies``.
        folder: Where the files go.
        name: Their name without ending.

    Returns:
        The files written, the picture first.
    """
    accuracies = accuracies_by(points)
    levels = sorted({level for by_level in accuracies.values() for level in by_level})
    means = {
        method: {level: float(np.mean(of_method[level])) for level in levels}
        for method, of_method in accuracies.items()
    }
    labels = {level: f"{level:g}" for level in levels}
    colours = [style.colour for style in shades(labels.values()).values()]

    def draw(axes: Axes, means: dict[str, dict[float, float]]) -> None:
        dots.draw_dots(axes, means, colours, size=26, labels=labels)
        axes.legend(
            title="Mismatch ζ",
            fontsize=8,
            title_fontsize=8,
            frameon=False,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
        )

    rows = [
        [
            method,
            *(
                f"{100 * np.mean(values):.2f} ({100 * np.std(values):.2f}) [{100 * np.min(values):.2f}]"
                for values in (accuracies[method][level] for level in levels)
            ),
        ]
        for method in accuracies
    ]
    table = Table("", ["Method", *(f"ζ = {level:g}" for level in levels)], rows, describe(points))
    figure = Composition({"": means}, [Row(draw)], width=6.6, height=0.8 + 0.27 * len(means))
    numbers = Numbers([table], mismatch_records("", points), EXPLANATION)
    return figure.write(folder, name, describe(points), numbers)
