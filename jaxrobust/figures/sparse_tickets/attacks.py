"""Other attacks than that of the training: a matrix, and accuracy over the size of the attack."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.curves import draw_curves
from jaxrobust.figures.line_tables import LineTable, line_numbers
from jaxrobust.figures.series import Points, Series, series
from jaxrobust.figures.sparse_tickets.accuracy import mean_and_deviation
from jaxrobust.figures.sparse_tickets.lines import TRAININGS, describe
from jaxrobust.figures.style import accuracy_axis, shades
from jaxrobust.figures.tables import Numbers, Table, write_tables


def attack_matrix(points: Points, folder: Path, name: str) -> list[Path]:
    """One row per training and density, one column per attack; the check of gradient masking below."""
    attacks = list(dict.fromkeys(p["attack_name"] for p in points))
    groups: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    for p in points:
        groups.setdefault((p["training"], round(p["density"], 3)), []).append(p)
    rows = []
    checks = []
    for (training, density), here in groups.items():
        by_attack = {a: [p["attacked"] for p in here if p["attack_name"] == a] for a in attacks}
        kept = f"{100 * density:.1f}"
        clean = [one["clean_accuracy"] for one in by_attack[attacks[0]]]
        cells = [mean_and_deviation([one["accuracy"] for one in by_attack[a]]) for a in attacks]
        rows.append([TRAININGS.get(training, training), kept, mean_and_deviation(clean), *cells])
        silent = [mean_and_deviation([one["without_gradient"] for one in by_attack[a]]) for a in attacks]
        checks.append([TRAININGS.get(training, training), kept, *silent])
    note = describe(points)
    tables = [
        Table("Accuracy under attacks, true labels", ["training", "kept (%)", "clean", *attacks], rows, note),
        Table(
            "Samples without any gradient",
            ["training", "kept (%)", *attacks],
            checks,
            "Such samples only look robust. A network is also suspicious if more steps find less, or if it "
            "is much better under one step than under ten: then training hid its gradients from one step.",
        ),
    ]
    records = [
        {
            "training": p["training"],
            "strategy": p["strategy_name"],
            "density": p["density"],
            "seed": p["seed"],
            "attack": p["attack_name"],
            **p["attacked"],
        }
        for p in points
    ]
    explanation = "In %: mean ± sample standard deviation (seeds); tickets that are rewound to their start."
    return write_tables(folder, name, Numbers(tables, records, explanation))


def draw_sizes(points: Points, folder: Path, name: str) -> list[Path]:
    """Accuracy over the size of FGSM and PGD-10, one line per density."""
    labeled = [{**p, "kept": f"{100 * p['density']:.1f} %"} for p in points]
    names = dict.fromkeys(p["kept"] for p in sorted(labeled, key=lambda p: -p["density"]))
    styles = shades(names)
    panels: dict[str, Series] = {
        attack: series(
            [p for p in labeled if p["attack_name"] == attack],
            x="size",
            y=lambda p: p["attacked"]["accuracy"],
            line="kept",
        )
        for attack in dict.fromkeys(p["attack_name"] for p in labeled)
    }

    def draw(axes: Axes, lines: Series) -> None:
        draw_curves(axes, lines, styles)
        axes.axvline(0.3, color="0.7", linewidth=0.8, linestyle=":")
        axes.set_xlabel("Size of the attack (L∞)")
        accuracy_axis(axes)
        axes.legend(title="Kept weights", fontsize=8, title_fontsize=8)

    figure = Composition(panels, [Row(draw, "Test accuracy")], width=3.4, height=3.2)
    note = describe(points)
    caption = (
        f"Networks trained with FGSM of size 0.3 (dotted) under attacks of other sizes, true labels; tickets "
        f"rewound to their start. Lines: mean, bands: smallest to largest. {note}"
    )
    tables = [LineTable(attack, "size", "accuracy", lines, note=note) for attack, lines in panels.items()]
    numbers = line_numbers("Test accuracy in %: mean [smallest, largest].", tables)
    return figure.write(folder, name, caption, numbers)
