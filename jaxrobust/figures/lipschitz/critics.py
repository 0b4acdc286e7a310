"""Table 4 and the curves of critics: estimates of Wasserstein distances beside the published ones."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxrobust.errors import InputError
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.lipschitz.comparison import COLORS, Points, mean_and_deviation
from jaxrobust.figures.lipschitz.published import WASSERSTEIN, WASSERSTEIN_RATES
from jaxrobust.figures.lipschitz.table_files import MISSING, NOT_RUN, write_table_files
from jaxrobust.figures.style import LineStyle
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.networks.generative import N_COMPARED

METHODS = ("OSSN", "RKO", "BCOP")
ACTIVATIONS = {"maxmin": "MaxMin", "relu": "ReLU"}
_KNOWN = {"ShiftedGaussians": "Shifted Gaussians", "PointAndSphere": "Point and sphere"}
_IMAGES = {"stl10_64": "STL-10", "cifar10": "CIFAR-10", "mnist": "MNIST"}
_NOTE = (
    "Larger is better: each is a lower bound of the distance. Ours is divided by the measured constant "
    "and taken on samples that the critic was not trained on; images lie in [-1, 1]. Published: on samples "
    "of the training, not divided; CIFAR-10 in units of images enlarged to 64x64, twice its own. The images "
    "of another generator have another distance: compare the order of methods, not the numbers."
)


def wasserstein_table(points: Points) -> Table:
    """Return table 4: estimates by distributions, activation and learning rate, the published ones below."""
    rows = list(map(_row, _groups(points)))
    ran = {(_name(p), p["activation"]) for p in points}
    for (images, activation), found in WASSERSTEIN.items():
        name = f"{images} and generated"
        if (name, activation) not in ran:
            rows.append([name, ACTIVATIONS[activation], "ours", MISSING, *[NOT_RUN] * (len(METHODS) + 2)])
        cells = [f"{mean:.2f}±{deviation:.2f}" for mean, deviation in (found[m] for m in METHODS)]
        rate = f"{WASSERSTEIN_RATES[activation]:g}"
        rows.append([name, ACTIVATIONS[activation], "published", rate, *cells, MISSING, MISSING])
    header = ("Distributions", "Activation", "Source", "Rate", *METHODS, "Standard error", "True")
    return Table("Table 4, Wasserstein distances", header, rows, _NOTE)


def draw_critics(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw the estimates of critics while they are trained, and write table 4.

    Args:
        points: Finished critics; others, such as generators, are left out.
        folder: Where to.
        name: Of the files.

    Raises:
        InputError: There are no critics.
    """
    critics = [point for point in points if "distance" in point]
    if not critics:
        raise InputError(f"{name} needs finished critics; were they filtered away?")
    panels: dict[str, list[Any]] = {}
    for point in critics:
        rates = {p["learning_rate"] for p in critics if _name(p) == _name(point)}
        rate = f", rate {point['learning_rate']:g}" if len(rates) > 1 else ""
        panels.setdefault(f"{_name(point)}{rate}", []).append(point)
    styles = {
        f"{method}, {ACTIVATIONS[activation]}": LineStyle(COLORS[method], 1.2, dashed=activation == "relu")
        for method in METHODS
        for activation in ACTIVATIONS
    }

    def draw(axes: Axes, alike: Sequence[Any]) -> None:
        lines: dict[str, dict[float, list[float]]] = {}
        for point in alike:
            label = f"{point['parameterization']}, {ACTIVATIONS[point['activation']]}"
            for x, value in zip(_steps(point), point["estimates"], strict=True):
                lines.setdefault(label, {}).setdefault(x, []).append(value)
        draw_curves(axes, lines, styles)
        if "pair" in alike[0]:
            axes.axhline(alike[0]["pair"].distance, color="0.7", linewidth=0.8, zorder=0)
        else:
            axes.set_ylim(0, 1.05 * max(max(point["estimates"]) for point in critics))
        axes.set_xlabel("Training step")

    explanation = "Wasserstein-1 distances estimated by critics."
    tables = [wasserstein_table(critics)]
    numbers = Numbers(tables, [*map(_record, critics), *_published()], explanation)
    if "pair" in critics[0]:
        caption = "Estimates on the batches of the training, not divided by the constant; gray: the distance."
    else:
        caption = (
            f"Estimates on validation images and the same {N_COMPARED} generated ones for all critics, whose "
            "small number shifts all curves alike. The table compares as many as there are test images."
        )
    figure = Composition(panels, [Row(draw, "Estimate")], 3.2, 2.8, legend=Legend(n_columns=3))
    return [*figure.write(folder, name, caption, numbers), *write_table_files(tables, folder, name)]


def _name(point: Mapping[str, Any]) -> str:
    if "pair" in point:
        kind = type(point["pair"]).__name__
        return _KNOWN.get(kind, kind)
    dataset = point["generator"]["dataset"]
    return f"{_IMAGES.get(dataset, dataset)} and generated"


def _steps(point: Mapping[str, Any]) -> Sequence[float]:
    if "steps" in point:
        return point["steps"]
    stride = point["n_steps"] / len(point["estimates"])
    return [place * stride for place in range(len(point["estimates"]))]


def _groups(points: Points) -> Iterator[list[Mapping[str, Any]]]:
    def kind(point: Mapping[str, Any]) -> tuple[Any, ...]:
        return _name(point), repr(point.get("pair")), point["activation"], point["learning_rate"]

    for one in dict.fromkeys(map(kind, points)):
        yield [point for point in points if kind(point) == one]


def _row(alike: Points) -> list[str]:
    first = alike[0]
    cells = [
        mean_and_deviation([p["distance"] for p in alike if p["parameterization"] == method], 1.0)
        for method in METHODS
    ]
    error = max(p["standard_error"] for p in alike)
    true = f"{first['pair'].distance:g}" if "pair" in first else MISSING
    named = [_name(first), ACTIVATIONS[first["activation"]], "ours", f"{first['learning_rate']:g}"]
    return [*named, *cells, f"{error:.2f}", true]


def _record(point: Mapping[str, Any]) -> dict[str, Any]:
    keys = (
        "parameterization",
        "activation",
        "learning_rate",
        "seed",
        "distance",
        "standard_error",
        "constant",
    )
    return {"source": "ours", "pair": _name(point), **{key: point[key] for key in keys}}


def _published() -> list[dict[str, Any]]:
    return [
        {
            "source": "published",
            "pair": f"{images} and generated",
            "parameterization": method,
            "activation": activation,
            "learning_rate": WASSERSTEIN_RATES[activation],
            "distance": mean,
        }
        for (images, activation), found in WASSERSTEIN.items()
        for method, (mean, _) in found.items()
    ]
