"""Accuracy over density and over steps, early stopping, and the published tables beside ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Legend, Row
from jaxrobust.figures.kinds.curves import draw_history
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.series import Points, Series
from jaxrobust.figures.sparse_tickets.lines import STYLES, describe, draw_over_density, with_dense
from jaxrobust.figures.sparse_tickets.published import published_number
from jaxrobust.figures.style import accuracy_axis, light_grid, shades
from jaxrobust.figures.tables import Numbers, Table, write_tables
from jaxrobust.studies.sparse_tickets.protocol import REPORTED

TRAININGS = {"natural": "natural training", "fgsm": "FGSM training", "pgd": "PGD training"}
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


def draw_training(points: Points, folder: Path, name: str) -> list[Path]:
    """Validation accuracy over steps at the reported rounds, tickets that are rewound to their start."""
    probes = sorted({key for p in points for key in p["history"]} & {"FGSM", "PGD"})
    styles = shades([f"{share} %" for share in REPORTED.values()])
    panels: dict[str, tuple[str, list[Mapping[str, Any]]]] = {}
    for training, title in TRAININGS.items():
        chosen = [
            p
            for p in points
            if p["training"] == training
            and p["strategy_name"] in ("dense", "original")
            and p.get("round", 0) in REPORTED
        ]
        for column in ("clean", *probes):
            shown = [p for p in chosen if column in p["history"]]
            if shown:
                panels[f"{title}, {column}"] = (column, shown)

    def draw(axes: Axes, content: tuple[str, list[Mapping[str, Any]]]) -> None:
        column, shown = content
        steps = shown[0]["history"]["step"]
        lines = {}
        for round_, share in REPORTED.items():
            histories = [p["history"][column] for p in shown if p.get("round", 0) == round_]
            if histories:
                mean = np.mean(np.asarray(histories, float), axis=0)
                lines[f"{share} %"] = (mean, styles[f"{share} %"].colour)
        draw_history(axes, steps, lines)
        axes.set_xlabel("Step")
        light_grid(axes)

    figure = Composition(
        panels, [Row(draw, "Validation accuracy")], width=3.2, height=3.4, legend=Legend("Kept weights", 6)
    )
    stops = _early_stopping(points, probes)
    caption = (
        f"Validation accuracy while tickets train that are rewound to their start; means. {describe(points)}"
    )
    numbers = Numbers(
        [stops[0]], stops[1], "The step with the highest validation accuracy, and the test's last."
    )
    return figure.write(folder, name, caption, numbers)


def best_step(history: Mapping[str, Sequence[Any]], column: str) -> int:
    """The first of the measured steps with the highest value of a column; early stopping would stop there."""
    values = np.asarray([np.nan if value is None else value for value in history[column]], float)
    return int(history["step"][int(np.nanargmax(values))])


def _early_stopping(points: Points, probes: Sequence[str]) -> tuple[Table, list[dict[str, Any]]]:
    rows: list[list[str]] = []
    records: list[dict[str, Any]] = []
    for p in sorted(points, key=lambda p: (p["training"], p["strategy_name"], -p["density"], p["seed"])):
        if p["training"] not in TRAININGS or p.get("round", 0) not in REPORTED:
            continue
        for column in ("validation_accuracy", *probes):
            if column in p["history"]:
                records.append(
                    {
                        "training": p["training"],
                        "strategy": p["strategy_name"],
                        "density": p["density"],
                        "seed": p["seed"],
                        "measured": column,
                        "step": best_step(p["history"], column),
                        "highest": max(v for v in p["history"][column] if v is not None),
                        "last": p["history"][column][-1],
                    }
                )
    keys = dict.fromkeys((r["training"], r["strategy"], r["density"], r["measured"]) for r in records)
    for key in keys:
        same = [r for r in records if (r["training"], r["strategy"], r["density"], r["measured"]) == key]
        rows.append(
            [
                key[0],
                key[1],
                f"{100 * key[2]:.1f}",
                key[3],
                f"{np.mean([r['step'] for r in same]):.0f}",
                f"{100 * np.mean([r['highest'] for r in same]):.2f}",
                f"{100 * np.mean([r['last'] for r in same]):.2f}",
            ]
        )
    header = ["training", "strategy", "density (%)", "measured", "best step", "highest (%)", "last (%)"]
    return Table("Early stopping", header, rows, describe(points)), records


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
