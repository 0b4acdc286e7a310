"""Depth profiles: accuracy of stitches over the cut, beside that of their donors."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.errors import InputError
from jaxrobust.figures.captions import counted
from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.series import Points
from jaxrobust.figures.style import LineStyle, accuracy_axis
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.stitching.controls import ShuffledLabels
from jaxrobust.training.methods import AttackedSamples, Trades

DONORS = {"front alone": "front", "end alone": "end"}
STYLES = {
    "front alone": LineStyle("#1b9e77", 1.2, dashed=True),
    "end alone": LineStyle("#d95f02", 1.2, dashed=True),
}
COLOURS = ("#000000", "#7570b3", "#e7298a", "#666666", "#a6761d", "#66a61e")
COMMON = ("trained", "closed form")
# Rows of a figure: what of an evaluated point is drawn.
Measures = Mapping[str, Callable[[Mapping[str, Any]], list[float]]]
MEASURES: Measures = {
    "Clean accuracy": lambda point: [point["accuracy"]["clean"]],
    "Accuracy under attack": lambda point: [point["accuracy"]["all"]],
}
# How donors were trained, by name.
ABOUT = {
    "N": "trained on clean images",
    "N'": "the same from another seed",
    "R": "on attacked images",
    "R'": "by TRADES",
    "0": "not trained",
    "M": "on MNIST",
    "F": "on Fashion-MNIST",
    "RM": "on attacked MNIST",
    "RF": "on attacked Fashion-MNIST",
    "P": "under attack on the parameters",
}
COLUMNS = ("clean", "robust", "clean, front", "robust, front", "clean, end", "robust, end", "CKA", "distance")
EXPLANATION = (
    "Test accuracy in % of stitched networks, clean and under attack, with that of their donors; CKA and "
    "mean squared distance of what the end gets and its own activations."
)


def kind_of(point: Mapping[str, Any]) -> str:
    """How a stitch was found, as its line is called."""
    method = point.get("method")
    if method is None:
        return "closed form"
    if "attacked" in point:
        return f"trained on attacks: {point['attacked']}"
    if isinstance(method, ShuffledLabels):
        return "trained, shuffled labels"
    if isinstance(method, AttackedSamples):
        return f"trained, {method.share:.0%} attacked"
    return "trained, TRADES" if isinstance(method, Trades) else "trained"


def draw_profiles(
    points: Points, folder: Path, name: str, measures: Measures = MEASURES, numbers: Numbers | None = None
) -> list[Path]:
    """Draw one column per pair of donors, one row per measure over the cut, and write the table.

    Args:
        points: Evaluated donors and stitches, with ``accuracy`` and, for stitches, ``similarity``.
        folder: Where to.
        name: Of the files.
        measures: What is drawn, by the label of its axis; clean and robust accuracy by default.
        numbers: The tables; those of ``profile_numbers`` by default.

    Raises:
        InputError: There are no stitches among the points.
    """
    stitches, donors = _divided(points)
    # trained and closed form first: each has one colour in all figures
    kinds = list(dict.fromkeys([*COMMON, *(kind_of(point) for point in stitches)]))
    styles = {**STYLES, **{k: LineStyle(c, 1.6) for k, c in zip(kinds, COLOURS, strict=False)}}
    panels: dict[str, list[Mapping[str, Any]]] = {}
    for point in stitches:
        panels.setdefault(point["pair"], []).append(point)

    def draw(
        measure: Callable[[Mapping[str, Any]], list[float]], axes: Axes, content: list[Mapping[str, Any]]
    ) -> None:
        cuts = list(dict.fromkeys(point["cut"].front for point in content))
        lines: dict[str, dict[float, list[float]]] = {}
        for point in content:
            depth = cuts.index(point["cut"].front)
            found = {kind_of(point): measure(point)}
            for label, donor in zip(DONORS, _donors(point, donors), strict=True):
                found[label] = measure(donor)
            for label, values in found.items():
                lines.setdefault(label, {}).setdefault(depth, []).extend(values)
        draw_curves(axes, {k: lines[k] for k in (*DONORS, *kinds) if k in lines}, styles)
        accuracy_axis(axes)
        axes.set_xticks(range(len(cuts)), cuts, rotation=30 if len(cuts) > 5 else 0)
        axes.set_xlabel("Cut after")

    rows = [Row(partial(draw, measure), label) for label, measure in measures.items()]
    titled = {f"{pair.replace('→', ' → ')}": content for pair, content in panels.items()}
    height = 0.6 + 2.3 * len(rows)
    composition = Composition(titled, rows, width=2.9, height=height, legend=Legend(n_columns=5))
    return composition.write(
        folder, name, profile_caption(points, measures), numbers or profile_numbers(points)
    )


def profile_numbers(points: Points) -> Numbers:
    """Return one table per pair of donors, and one record per stitch."""
    stitches, donors = _divided(points)
    panels: dict[str, list[Mapping[str, Any]]] = {}
    for point in stitches:
        panels.setdefault(point["pair"], []).append(point)
    tables = [_table(pair, content, donors) for pair, content in panels.items()]
    return Numbers(tables, [_record(point, donors) for point in stitches], EXPLANATION)


def _divided(
    points: Points,
) -> tuple[list[Mapping[str, Any]], dict[tuple[str, int], Mapping[str, Any]]]:
    """Return the stitches, and the donors by name and repeat."""
    stitches = [point for point in points if "cut" in point]
    if not stitches:
        raise InputError("A depth profile needs stitched points; were they filtered away?")
    return stitches, {(point["donor"], point["repeat"]): point for point in points if "donor" in point}


def _donors(point: Mapping[str, Any], donors: Mapping[tuple[str, int], Mapping[str, Any]]) -> list[Any]:
    return [donors[name, point["repeat"]] for name in point["pair"].split("→")]


def _record(point: Mapping[str, Any], donors: Mapping[tuple[str, int], Mapping[str, Any]]) -> dict[str, Any]:
    front, end = _donors(point, donors)
    return {
        "pair": point["pair"],
        "front_cut": point["cut"].front,
        "end_cut": point["cut"].end,
        "stitch": kind_of(point),
        "repeat": point["repeat"],
        "clean": point["accuracy"]["clean"],
        "robust": point["accuracy"]["all"],
        "no_gradient": point["accuracy"]["no_gradient"],
        "clean_front": front["accuracy"]["clean"],
        "robust_front": front["accuracy"]["all"],
        "clean_end": end["accuracy"]["clean"],
        "robust_end": end["accuracy"]["all"],
        "cka": point["similarity"]["cka"],
        "debiased_cka": point["similarity"]["debiased_cka"],
        "distance": point["similarity"]["distance"],
        "agreement_end": point["similarity"]["agreement"]["end"],
        "agreement_front": point["similarity"]["agreement"]["front"],
    }


def _table(pair: str, content: Points, donors: Mapping[tuple[str, int], Mapping[str, Any]]) -> Table:
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for point in content:
        cells.setdefault((point["cut"].front, kind_of(point)), []).append(_record(point, donors))
    names = ("clean", "robust", "clean_front", "robust_front", "clean_end", "robust_end")
    rows = [
        [
            cut,
            kind,
            *(_percent([record[name] for record in records]) for name in names),
            f"{np.mean([record['cka'] for record in records]):.3f}",
            f"{np.mean([record['distance'] for record in records]):.3g}",
        ]
        for (cut, kind), records in cells.items()
    ]
    return Table(pair.replace("→", " to "), ["cut after", "stitch", *COLUMNS], rows)


def _percent(values: list[float]) -> str:
    mean = f"{100 * np.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * np.std(values, ddof=1):.1f}"


def profile_caption(points: Points, measures: Measures = MEASURES) -> str:
    """Return what the caption of the profiles says of their data."""
    stitches, _ = _divided(points)
    first = stitches[0]
    n_devices = max(len(measure(first)) for measure in measures.values())
    repeats = len({point["repeat"] for point in stitches})
    names = dict.fromkeys(name for point in stitches for name in point["pair"].split("→"))
    about = "; ".join(f"{name}: {ABOUT[name]}" for name in names if name in ABOUT)
    over = [f"{n_devices} devices"] * (n_devices > 1) + ["the repeats"] * (repeats > 1)
    band = f" Lines: means; bands: smallest to largest of {' and '.join(over)}." if over else ""
    return (
        f"{first['data_source']}, {first['accuracy']['n']} of {first['n_test_samples']} test samples. Front "
        f"→ end; {about}. {counted(repeats, 'repeat')} of every training.{band} Dashed: the donors by "
        f"themselves."
    )
