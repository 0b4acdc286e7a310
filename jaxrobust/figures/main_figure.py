"""The main figure: what two networks make of examples under mismatch, above the accuracy of their devices."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrobust.figures.comparison import caption_of, draw_two_methods, write_comparison
from jaxrobust.figures.examples import draw_examples
from jaxrobust.figures.panels import panels_by_network
from jaxrobust.figures.style import figure_of_parts, panels_in, save_figure

Points = Sequence[Mapping[str, Any]]


def draw_main_figure(
    points: Points,
    examples: Points,
    folder: Path,
    name: str,
    *,
    left: str,
    right: str,
    example_level: float,
) -> list[Path]:
    """Draw a column for each network, and write the tables of all methods.

    Args:
        points: Points with ``level`` and ``accuracies``.
        examples: A point of either method and each network, with ``examples``.
        folder: Where the files go.
        name: Their name without ending.
        left: The method drawn on the left of the violins.
        right: The one on the right.
        example_level: The mismatch under which the examples were classified.

    Returns:
        The files written, the picture first.
    """
    panels = panels_by_network(points)
    figure, parts = figure_of_parts(2, len(panels), width=4.9 * len(panels), height=6.2)
    tops, bottoms = parts[: len(panels)], parts[len(panels) :]
    for (title, of_network), top, bottom in zip(panels.items(), tops, bottoms, strict=True):
        place = top.get_position(figure)
        figure.text(place.x0, place.y1 + 0.035, title, fontsize=10, fontweight="bold")
        network = of_network[0]["architecture"]
        stored = {
            point["method"]: point["examples"] for point in examples if point["architecture"] == network
        }
        draw_examples(figure, top, network, stored, left, right)
        (violins,) = panels_in(figure, bottom)
        draw_two_methods(violins, of_network, left, right)
        violins.set_xlabel("Mismatch level ζ")
    caption = (
        f"Top: test samples at even distances and what one device of each network answers at mismatch "
        f"{example_level:g}. Bottom: accuracy of all devices, with quartiles.\n{caption_of(panels)}"
    )
    files = save_figure(figure, folder, name, caption)
    return files + write_comparison(panels, folder, name, left=left, right=right)
