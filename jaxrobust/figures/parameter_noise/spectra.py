"""Densities of the eigenvalues of a Hessian, one panel per network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.densities import draw_densities
from jaxrobust.figures.parameter_noise.panels import panels_by_network
from jaxrobust.figures.series import Points
from jaxrobust.figures.style import METHOD_STYLES
from jaxrobust.figures.tables import Numbers, Table

N_PLACES = 600
# Width of the Gaussians relative to the range shown, and the lowest density shown.
RELATIVE_WIDTH = 1 / 150
LOWEST = 1e-9


def density_of(spectrum: Mapping[str, Any], places: np.ndarray, width: float) -> np.ndarray:
    """Compute the density of eigenvalues from nodes and weights of a quadrature, smoothed by a Gaussian."""
    nodes, weights = np.ravel(spectrum["nodes"]), np.ravel(spectrum["weights"])
    bumps = np.exp(-(((places[:, None] - nodes) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
    return bumps @ weights / len(spectrum["nodes"])


def draw_spectra(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw the density of each method, mean over networks, and tabulate the largest eigenvalues.

    Args:
        points: Trained points with their ``spectrum``.
        folder: Where the files go.
        name: Their name without ending.

    Returns:
        The files written, the picture first.
    """
    panels = panels_by_network(points)
    figure = Composition(panels, [Row(_draw_panel, "Density")], width=3.8, height=3.6, legend=Legend())
    first = points[0]
    caption = (
        f"Cross-entropy on {first['n_samples']} training samples, {len(first['spectrum']['nodes'][0])} "
        "Lanczos steps from one random vector, smoothed by Gaussians of 1/150 of the range shown; mean over "
        f"networks. Networks:\n{describe([{**point, 'n_samples': 0} for point in points])}"
    )
    return figure.write(folder, name, caption, _largest(panels, caption))


def _draw_panel(axes: Axes, points: Points) -> None:
    nodes = np.concatenate([np.ravel(point["spectrum"]["nodes"]) for point in points])
    margin = 0.03 * np.ptp(nodes)
    places = np.linspace(nodes.min() - margin, nodes.max() + margin, N_PLACES)
    width = float(np.ptp(places)) * RELATIVE_WIDTH
    densities: dict[str, list[np.ndarray]] = {}
    for point in points:
        densities.setdefault(point["method"], []).append(density_of(point["spectrum"], places, width))
    draw_densities(axes, places, densities, METHOD_STYLES, lowest=LOWEST)
    axes.set_xlabel("Eigenvalue of the Hessian (nats)")


def _largest(panels: Mapping[str, Points], note: str) -> Numbers:
    largest: dict[str, dict[str, list[float]]] = {}
    for title, points in panels.items():
        for point in points:
            of_method = largest.setdefault(point["method"], {})
            of_method.setdefault(title, []).append(point["spectrum"]["largest"])
    rows = [
        [method, *(f"{np.mean(by_panel[title]):.2f}" if title in by_panel else "–" for title in panels)]
        for method, by_panel in largest.items()
    ]
    records = [
        {"panel": title, "method": method, "largest_eigenvalue": float(np.mean(values)), "n": len(values)}
        for method, by_panel in largest.items()
        for title, values in by_panel.items()
    ]
    table = Table("Largest eigenvalues", ["Method", *panels], rows, note)
    return Numbers([table], records, "Largest eigenvalue of the Hessian that was found, mean over networks.")
