"""Accuracy over density, and the published tables beside ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.series import Points, Series
from jaxrobust.figures.sparse_tickets.lines import STYLES, TRAININGS, describe, draw_over_density, with_dense
from jaxrobust.figures.sparse_tickets.published import published_number
from jaxrobust.figures.style import accuracy_axis
from jaxrobust.figures.tables import Numbers, Table, write_tables
from jaxrobust.studies.sparse_tickets.protocol import REPORTED

_ONCE = ("one-shot", "one-shot, global", "random mask")


def draw_accuracy(points: Points, folder: Path, name: str) -> list[Path]:
    """Test accuracy, clean and under the published attack, over the share of kept weights."""
    panels: dict[str, Series] = {}
    for training, title in TRAININGS.items():
        for attack in dict.fromkeys(point["attack_name"] for point in points):
            chosen = [p for p in points if p["training"] == training and p["attack_name"] == attack]
            if not chosen:
                continue
            if training == "fgsm":
                chosen += [{**p, "strategy_name": p["training"]} for p in points if p["training"] in _ONCE]
            panels.setdefault(
                f"{title}, clean", with_dense(chosen, lambda p: p["attacked"]["clean_accuracy"])
            )
            panels[f"{title}, {attack}"] = with_dense(chosen, lambda p: p["attacked"]["accuracy"])
    control = [p["attacked"] for p in points if p["training"] == "dense control"]
    draw_lines = draw_over_density(STYLES, accuracy_axis)

    def draw(axes: Axes, content: tuple[str, Series]) -> None:
        title, lines = content
        draw_lines(axes, lines)
        if control and title.startswith("FGSM"):
            key = "clean_accuracy" if title.endswith("clean") else "accuracy"
            level = float(np.mean([one[key] for one in control]))
            axes.axhline(level, color="0.5", linestyle=":", linewidth=1.2, label="dense, steps of all rounds")

    contents = {title: (title, lines) for title, lines in panels.items()}
    figure = Composition(
        contents,
        [Row(draw, "Test accuracy")],
        width=3.3,
        height=3.6,
        legend=Legend("Start of the kept weights", 4),
    )
    note = describe(points)
    caption = f"Accuracy of pruned networks. Lines: mean, bands: smallest to largest. {note}"
    tables = [LineTable(title, "density", "accuracy", lines, note=note) for title, lines in panels.items()]
    explanation = "Test accuracy in % over the share of kept weights: mean [smallest, largest]."
    return figure.write(folder, name, caption, line_numbers(explanation, tables))


def published_tables(points: Points, folder: Path, name: str) -> list[Path]:
    """Tables 1 and 2 of the paper beside ours, every strategy: mean ± sample deviation over seeds."""
    header = ["kept (%)", "strategy", "natural, clean", "adversarial, clean", "natural, attacked"]
    header.append("adversarial, attacked")
    tables: list[Table] = []
    records: list[dict[str, Any]] = []
    first = points[0]
    for attack in ("FGSM", "PGD"):
        ours = [p for p in points if p["attack_name"] == attack]
        if not any(p["training"] == attack.lower() for p in ours):
            continue
        rows = []
        for round_, share in REPORTED.items():
            cells = [
                published_number(first["dataset"], attack, share, adversarial=adversarial, attacked=attacked)
                for attacked in (False, True)
                for adversarial in (False, True)
            ]
            shown = ["–" if one is None else f"{one.mean:.2f} ± {one.deviation:.2f}" for one in cells]
            rows.append([share, "published", *shown])
            here = [p for p in ours if p.get("round", 0) == round_]
            for strategy in dict.fromkeys(p["strategy_name"] for p in here if p["training"] in TRAININGS):
                row = [share, strategy]
                for key in ("clean_accuracy", "accuracy"):
                    for training in ("natural", attack.lower()):
                        values = [
                            p["attacked"][key]
                            for p in here
                            if p["training"] == training and p["strategy_name"] == strategy
                        ]
                        row.append(mean_and_deviation(values))
                        records += [
                            {
                                "attack": attack,
                                "kept": share,
                                "strategy": strategy,
                                "training": training,
                                "measured": key,
                                "accuracy": value,
                            }
                            for value in values
                        ]
                rows.append(row)
        tables.append(Table(f"{first['data_source']}, {attack}", header, rows, describe(ours)))
    explanation = (
        "Test accuracy in %: mean ± sample standard deviation (seeds), beside the published means ± "
        "deviations of five trials. The paper's tables show the strategy it calls original, whose released "
        "code rewinds to the end of dense training; ours rewinds to the start."
    )
    return write_tables(folder, name, Numbers(tables, records, explanation)) if records else []


def mean_and_deviation(values: Sequence[float]) -> str:
    """Fractions as ``mean ± sample deviation (n)`` in percent; a dash without any.

    Example:
        >>> mean_and_deviation([0.5, 0.7])
        '60.00 ± 14.14 (2)'
    """
    if not values:
        return "–"
    deviation = f" ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.2f}{deviation} ({len(values)})"
