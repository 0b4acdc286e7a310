"""All figures and tables of an experiment with sparse tickets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrobust.figures.sparse_tickets.accuracy import draw_accuracy, published_tables
from jaxrobust.figures.sparse_tickets.attacks import attack_matrix, draw_sizes
from jaxrobust.figures.sparse_tickets.hardware import draw_hardware
from jaxrobust.figures.sparse_tickets.training import draw_early_stopping, draw_training
from jaxrobust.figures.sparse_tickets.weights import draw_overlaps, draw_pixels, draw_start_weights


def draw_all(grid: Sequence[Mapping[str, Any]], folder: Path, name: str) -> list[Path]:
    """Draw what an experiment measured, told apart by ``"measured"``; what it did not measure is left out.

    Args:
        grid: Finished points and what ``studies.sparse_tickets.measured`` makes of them.
        folder: Where the files go.
        name: What their names begin with.

    Returns:
        The files written.
    """
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for point in grid:
        kinds.setdefault(point.get("measured", "trained"), []).append(point)
    paths: list[Path] = []
    if points := kinds.get("published"):
        paths += draw_accuracy(points, folder, f"{name}_accuracy")
        paths += published_tables(points, folder, f"{name}_tables")
    if points := [p for p in kinds.get("trained", []) if p["training"] != "dense control"]:
        paths += draw_training(points, folder, f"{name}_training")
        paths += draw_early_stopping(points, folder, f"{name}_early_stopping")
    if points := kinds.get("matrix"):
        paths += attack_matrix(points, folder, f"{name}_attacks")
    if points := kinds.get("sizes"):
        paths += draw_sizes(points, folder, f"{name}_sizes")
    if points := kinds.get("mismatch"):
        paths += draw_hardware(points, kinds.get("worst case", []), folder, f"{name}_hardware")
    if points := kinds.get("overlap"):
        paths += draw_overlaps(points, folder, f"{name}_overlap")
    if points := kinds.get("weights"):
        paths += draw_start_weights(points, folder, f"{name}_start_weights")
        paths += draw_pixels(points, folder, f"{name}_pixels")
    return paths
