"""The loss along lines through trained parameters, and the table of how steep it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.landscapes import WINDOW, draw_landscapes
from jaxrobust.figures.line_tables import BOLD, clear_best
from jaxrobust.figures.parameter_noise.panels import panels_by_network
from jaxrobust.figures.series import Points, label_of
from jaxrobust.figures.style import METHOD_STYLES, LineStyle
from jaxrobust.figures.tables import Numbers, Table, write_tables


def compare_landscapes(
    points: Points,
    folder: Path,
    name: str,
    *,
    direction: str,
    unit: str,
    line: str = "method",
    styles: Mapping[str, LineStyle] = METHOD_STYLES,
    legend_title: str | None = None,
) -> list[Path]:
    """Draw smoothed and raw landscapes, one panel per network, and write the table of slopes.

    Args:
        points: Trained points with their ``landscape``.
        folder: Where the files go.
        name: Their name without ending; the raw ones end in ``_raw``.
        direction: What the lines follow, in words.
        unit: Where on the line α is 1, in words.
        line: The key whose values label the lines.
        styles: Styles by label.
        legend_title: Above the legend.

    Returns:
        The files written, the picture first.
    """
    how = {
        True: f"smoothed by a moving average of {WINDOW} points",
        False: "thin lines: single directions",
    }
    n_directions = len(points[0]["landscape"]["losses"])
    part = points[0].get("part", "test")
    files = []
    for smooth in (True, False):

        def draw(axes: Axes, of_network: Points, *, smooth: bool = smooth) -> None:
            curves: dict[str, list[Sequence[float]]] = {}
            for point in of_network:
                curves.setdefault(label_of(point, line), []).extend(point["landscape"]["losses"])
            alphas = np.asarray(of_network[0]["landscape"]["alphas"])
            draw_landscapes(axes, alphas, curves, styles, smooth=smooth)
            axes.set_xlabel(f"Distance α (1: {unit})")

        figure = Composition(
            panels_by_network(points),
            [Row(draw, "Cross-entropy (nats)")],
            width=3.6,
            height=3.6,
            margin=0.4,
            legend=Legend(legend_title),
        )
        caption = (
            f"Loss on the {part} set along {direction}s ({n_directions} a network), mean over networks and "
            f"directions, {how[smooth]}.\n{describe(points)}"
        )
        files += figure.write(folder, name if smooth else f"{name}_raw", caption)
    explanation = f"Mean slope of the smoothed landscape along {direction}s, mean over networks."
    return files + write_tables(folder, name, _slopes(points, line, explanation))


def _slopes(points: Points, line: str, explanation: str) -> Numbers:
    slopes: dict[str, dict[str, list[float]]] = {}
    panels = panels_by_network(points)
    for title, of_network in panels.items():
        for point in of_network:
            slopes.setdefault(label_of(point, line), {}).setdefault(title, []).append(
                point["landscape"]["slope"]
            )
    flattest = {
        title: clear_best(
            {label: row[title] for label, row in slopes.items() if title in row}, higher_is_better=False
        )
        for title in panels
    }
    rows = []
    for label, row in slopes.items():
        means = {title: np.mean(row[title]) for title in row}
        numbers = {title: f"{mean:.4f}" for title, mean in means.items()}
        best = {title: f"**{text}**" for title, text in numbers.items() if label == flattest[title]}
        rows.append([label, *((numbers | best).get(title, "–") for title in panels)])
    records = [
        {"panel": title, "line": label, "slope": float(np.mean(values)), "n": len(values)}
        for label, row in slopes.items()
        for title, values in row.items()
    ]
    return Numbers(
        [Table("Slopes", [line, *panels], rows, describe(points))], records, f"{explanation} {BOLD}"
    )
