"""Tickets on imperfect hardware: accuracy of devices with mismatch, and at the worst parameters in a box."""

from pathlib import Path

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.series import Points, Series
from jaxrobust.figures.sparse_tickets.lines import STYLES, TRAININGS, describe, draw_over_density, with_dense
from jaxrobust.figures.style import accuracy_axis


def draw_hardware(mismatch: Points, worst: Points, folder: Path, name: str) -> list[Path]:
    """One panel per training and mismatch level or size of a box; lines are strategies over density."""
    panels: dict[str, Series] = {}
    for training, title in TRAININGS.items():
        for level in sorted({p["level"] for p in mismatch if p["training"] == training}):
            chosen = [p for p in mismatch if (p["training"], p["level"]) == (training, level)]
            panels[f"{title}, mismatch {level:g}"] = with_dense(chosen, lambda p: _mean(p["accuracies"]))
        for size in sorted({p["size"] for p in worst if p["training"] == training}):
            chosen = [p for p in worst if (p["training"], p["size"]) == (training, size)]
            panels[f"{title}, worst case {size:g}"] = with_dense(
                chosen, lambda p: p["worst_case"]["accuracy"]
            )
    figure = Composition(
        panels,
        [Row(draw_over_density(STYLES, accuracy_axis), "Test accuracy")],
        width=3.3,
        height=3.6,
        legend=Legend("Start of the kept weights", 4),
    )
    note = describe(mismatch)
    n_devices = max(len(p["accuracies"]) for p in mismatch)
    caption = (
        f"Pruned networks whose weights deviate: mean accuracy of {n_devices} devices per network with "
        f"relative Gaussian mismatch, and accuracy under an attack of ten steps on all weights inside a "
        f"relative box. Clean images. Lines: mean over networks, bands: smallest to largest. {note}"
    )
    tables = [LineTable(title, "density", "accuracy", lines, note=note) for title, lines in panels.items()]
    numbers = line_numbers("Test accuracy in %: mean over networks [smallest, largest].", tables)
    return figure.write(folder, name, caption, numbers)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
