"""The main figure: answers of two networks to examples, above the accuracy of their devices."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from jaxrobust.figures.composer import write_figure
from jaxrobust.figures.kinds.examples import Answers, draw_heartbeats, draw_images, draw_spectrograms
from jaxrobust.figures.parameter_noise.comparison import caption_of, comparison_numbers, draw_two_methods
from jaxrobust.figures.parameter_noise.panels import panels_by_network
from jaxrobust.figures.series import Points
from jaxrobust.figures.style import figure_of_parts, panels_in
from jaxrobust.studies.evaluations.examples import example_inputs

# How the test samples of a network are drawn; those of all others are images.
EXAMPLES: dict[str, Callable[[Figure, SubplotSpec, Answers, Answers], None]] = {
    "speech_lsnn": draw_spectrograms,
    "ecg_lsnn": draw_heartbeats,
}
SHORT_NAMES = {"Forward noise + beta": "Robust"}


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
    """Draw one column per network, and write the tables of all methods.

    Args:
        points: Points with ``level`` and ``accuracies``.
        examples: One point per network of either method, with ``examples``.
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
        answers = {point["method"]: _answers(point) for point in examples if point["architecture"] == network}
        EXAMPLES.get(network, draw_images)(figure, top, answers[left], answers[right])
        (violins,) = panels_in(figure, bottom)
        draw_two_methods(violins, of_network, left, right)
        violins.set_xlabel("Mismatch level ζ")
    caption = (
        f"Top: test samples at even distances and what one device of each network answers at mismatch "
        f"{example_level:g}. Bottom: accuracy of all devices, with quartiles.\n{caption_of(panels)}"
    )
    return write_figure(figure, folder, name, caption, comparison_numbers(panels, left, right))


def _answers(point: Mapping[str, Any]) -> Answers:
    method: str = point["method"]
    stored = point["examples"]
    return Answers(
        name=method,
        short_name=SHORT_NAMES.get(method, method),
        inputs=example_inputs(stored["inputs"]),
        labels=stored["labels"],
        answers=stored["answers"],
        classes=stored["classes"],
    )
