"""Densities of the eigenvalues of a Hessian, a panel for each network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrobust.figures.captions import describe
from jaxrobust.figures.curves import METHOD_STYLES, legend_above
from jaxrobust.figures.panels import panels_by_network
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import Table, write_tables

Points = Sequence[Mapping[str, Any]]

N_PLACES = 600
# Width of the Gaussians relative to the range shown, and the lowest density shown.
RELATIVE_WIDTH = 1 / 150
LOWEST = 1e-9


def density_of(spectrum: Mapping[str, Any], places: np.ndarray, width: float) -> np.ndarray:
    """The density of eigenvalues from nodes and weights of a quadrature, smoothed by a Gaussian."""
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
    figure, axes = new_figure(1, len(panels), width=3.8 * len(panels), height=3.6)
    largest: dict[str, dict[str, list[float]]] = {}
    for ax, (title, of_network) in zip(axes, panels.items(), strict=True):
        nodes = np.concatenate([np.ravel(point["spectrum"]["nodes"]) for point in of_network])
        margin = 0.03 * np.ptp(nodes)
        places = np.linspace(nodes.min() - margin, nodes.max() + margin, N_PLACES)
        width = float(np.ptp(places)) * RELATIVE_WIDTH
        densities: dict[str, list[np.ndarray]] = {}
        for point in of_network:
            method, spectrum = point["method"], point["spectrum"]
            densities.setdefault(method, []).append(density_of(spectrum, places, width))
            largest.setdefault(method, {}).setdefault(title, []).append(spectrum["largest"])
        for method, curves in densities.items():
            style = METHOD_STYLES[method]
            ax.semilogy(
                places,
                _above(np.mean(curves, axis=0), LOWEST),
                color=style.colour,
                linewidth=style.width,
                linestyle="--" if style.dashed else "-",
                label=method,
            )
        ax.set_ylim(bottom=LOWEST)
        ax.set_title(title, loc="left")
        ax.set_xlabel("Eigenvalue of the Hessian (nats)")
    axes[0].set_ylabel("Density")
    legend_above(figure, axes)
    first = points[0]
    caption = (
        f"Cross-entropy on {first['n_samples']} training samples, {len(first['spectrum']['nodes'][0])} "
        "Lanczos steps from one random vector, smoothed by Gaussians of 1/150 of the range shown; mean over "
        f"networks. Networks:\n{describe([{**point, 'n_samples': 0} for point in points])}"
    )
    return save_figure(figure, folder, name, caption) + _write_largest(largest, panels, folder, name, caption)


def _above(values: np.ndarray, lowest: float) -> np.ndarray:
    """The values, with gaps in the line where they are lower."""
    return np.where(values >= lowest, values, np.nan)


def _write_largest(
    largest: Mapping[str, Mapping[str, Sequence[float]]],
    panels: Mapping[str, Points],
    folder: Path,
    name: str,
    note: str,
) -> list[Path]:
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
    explanation = "Largest eigenvalue of the Hessian that was found, mean over networks."
    return write_tables(folder, name, [table], explanation=explanation, records=records)
