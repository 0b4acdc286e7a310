"""The main figure: what two networks make of examples under mismatch, above how accurate their devices are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrobust.plotting.comparison import caption_of, draw_two_methods, write_comparison
from jaxrobust.plotting.examples import draw_examples
from jaxrobust.plotting.panels import panels_by_network
from jaxrobust.plotting.style import figure_of_parts, save_figure

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
    for (title, of_network), top, bottom in zip(
        panels.items(), parts[: len(panels)], parts[len(panels) :], strict=True
    ):
        top.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        network = of_network[0]["architecture"]
        stored = {
            point["method"]: point["examples"] for point in examples if point["architecture"] == network
        }
        draw_examples(top, network, stored, left, right)
        draw_two_methods(bottom.subplots(), of_network, left, right)
    caption = (
        f"Top: test samples at even distances and what one device of each network answers at mismatch "
        f"{example_level:g}. Bottom: accuracy of all devices, with quartiles.\n{caption_of(panels)}"
    )
    files = save_figure(figure, folder, name, caption)
    return files + write_comparison(panels, folder, name, left=left, right=right)
