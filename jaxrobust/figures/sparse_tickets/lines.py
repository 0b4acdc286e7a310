"""What all figures of the sparse tickets share: styles of strategies, panels over density, captions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from jaxrobust.figures.captions import counted, listed
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.series import Points, Series
from jaxrobust.figures.style import LineStyle

STYLES = {
    "original": LineStyle("#4c84e6", 2.5),
    "continued": LineStyle("#32a83a", 1.5),
    "end of dense training": LineStyle("#9b32a8", 1.5, dashed=True),
    "random": LineStyle("#fc033d", 1.5),
    "one-shot": LineStyle("#000000", 1.0),
    "one-shot, global": LineStyle("#000000", 1.0, dashed=True),
    "random mask": LineStyle("#aaa2b8", 1.5),
}
TRAININGS = {"natural": "natural training", "fgsm": "FGSM training", "pgd": "PGD training"}
TICKS = (1.0, 0.513, 0.169, 0.087, 0.036, 0.018)


def over_density(axes: Axes) -> None:
    """Let the horizontal axis show the share of kept weights, from dense to sparse, logarithmically."""
    axes.set_xscale("log")
    axes.set_xlim(1.15, 0.0145)
    axes.set_xticks(TICKS)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.3g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Kept weights (%)")


def draw_over_density(
    styles: Mapping[str, LineStyle], finish: Callable[[Axes], None]
) -> Callable[[Axes, Series], None]:
    """Return the way to draw lines over density; ``finish`` sets the vertical axis."""

    def draw(axes: Axes, lines: Series) -> None:
        draw_curves(axes, lines, styles)
        over_density(axes)
        finish(axes)

    return draw


def with_dense(
    points: Points, value: Callable[[Mapping[str, Any]], float | Sequence[float]], line: str = "strategy_name"
) -> dict[str, dict[float, list[float]]]:
    """Sort values into lines over density; every line begins with the dense networks, which all share."""
    lines: dict[str, dict[float, list[float]]] = {}
    dense = [point for point in points if point["strategy_name"] == "dense"]
    for point in points:
        if point["strategy_name"] == "dense":
            continue
        lines.setdefault(str(point[line]), {}).setdefault(round(point["density"], 4), []).extend(
            _values(value(point))
        )
    for values in lines.values():
        for point in dense:
            values.setdefault(1.0, []).extend(_values(value(point)))
    order = [*STYLES, *lines]
    return {name: lines[name] for name in dict.fromkeys(order) if name in lines}


def _values(value: float | Sequence[float]) -> list[float]:
    return [float(value)] if isinstance(value, int | float) else [float(one) for one in value]


def describe(points: Points, *, is_validation: bool = False) -> str:
    """Data, samples, steps, networks and seeds behind a figure, in one sentence.

    Args:
        points: What is drawn.
        is_validation: Whether it is what probes measured, on samples of the validation set.
    """
    first = points[0]
    n_all, n_used = first["n_test_samples"], first.get("n_samples", 0)
    samples = f"{n_used} of {n_all} test samples" if 0 < n_used < n_all else f"{n_all} test samples"
    if is_validation:
        n_probed = getattr(first.get("probes"), "n_samples", 0)
        samples = f"{n_probed} validation samples" if n_probed else "validation samples"
    synthetic = " (synthetic data)" if first["data_is_synthetic"] else ""
    steps = {point["n_steps"] for point in points if point["training"] != "dense control"}
    networks, seeds = {point["trained"] for point in points}, {point["seed"] for point in points}
    return (
        f"{first['data_source']}{synthetic}, {samples}, {listed(steps)} steps per round "
        f"(published: 50040), {counted(len(networks), 'network')} with "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(seeds)}."
    )
