"""Every training method of the library on heartbeats, speech, Fashion-MNIST and CIFAR-10.

The published comparison covers six methods on three networks; this one has all that the library offers, so
that a new method is one more line in METHODS. One network each: what ranks methods is mismatch_experiment;
this table shows what each costs and whether it is worth a closer look.
Command: python train.py -exp=methods_comparison (-protocol=short for two cores)
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

import datajuicer as dj
from jaxrobust.figures.captions import describe
from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.dots import draw_dots
from jaxrobust.figures.parameter_noise.panels import panels_by_network
from jaxrobust.figures.series import Points
from jaxrobust.figures.tables import Numbers, Table
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.parameter_noise import protocols
from jaxrobust.studies.parameter_noise.catalogue import cifar_cnn, cnn, ecg_lsnn, speech_lsnn

METHODS: tuple[Mapping[str, Any], ...] = (
    protocols.STANDARD,
    protocols.FORWARD_NOISE_BETA,
    protocols.FORWARD_NOISE,
    protocols.BETA,
    {
        "method": "Gradient difference",
        "beta_robustness": 0.1,
        "attack_size_mismatch": 0.1,
        "hessian_robustness": True,
    },
    protocols.AWP,
    {**protocols.AWP, "method": "AWP, inputs attacked", "eps_pga": 0.01},
    protocols.adversarial_model_perturbation(0.005),
    {"method": "SAM", "beta_robustness": 0.0, "sam_rho": 0.05},
    {"method": "ASAM", "beta_robustness": 0.0, "sam_rho": 0.5, "sam_adaptive": True},
    protocols.DROPOUT,
    {"method": "L1 penalty", "beta_robustness": 0.0, "l1_weight_decay": 1e-5},
    {"method": "L2 penalty", "beta_robustness": 0.0, "l2_weight_decay": 1e-4, "l2_squared": True},
    {"method": "Contractive", "beta_robustness": 0.0, "contractive": 0.01},
    {"method": "Weight clipping", "beta_robustness": 0.0, "weight_clipping": 2.0},
    {"method": "Entropy-SGD", "beta_robustness": 0.0, "optimizer": "esgd"},
    # Uphill with the published default of 0.1, the images' networks climb faster than they descend.
    {"method": "ABCD", "beta_robustness": 0.0, "optimizer": "abcd", "abcd_etaA": 0.001},
)

# Published: Entropy-SGD takes plain steps along an averaged direction, which need a larger rate than Adam's.
ENTROPY_SGD_RATES = (0.1, 0.01)
LEVELS = (0.0, 0.3, 0.5)
# From the smallest level to the largest: light to dark.
SHADES = ("#b9cdee", "#4c84e6", "#1b3a75")


class methods_comparison:
    """Seventeen methods, four networks, one seed."""

    short = replace(
        protocols.SHORT_SWEEP,
        settings={
            **protocols.SHORT_SWEEP.settings,
            "cifar_cnn": protocols.SHORT_SWEEP.settings["cnn"],
        },
    ).evaluating(n_draws=10, n_samples=500)

    def train_grid(self) -> list[dict[str, Any]]:
        """Sixty-eight models."""
        ecg = ecg_lsnn.make() | {"split": "published"}
        grid = protocols.with_methods(
            [speech_lsnn.make(), ecg, cnn.make(), cifar_cnn.make()], METHODS, seeds=(0,)
        )
        return dj.configure(grid, {"learning_rate": ENTROPY_SGD_RATES}, where={"optimizer": "esgd"})

    def evaluate(self, grid: list[dict[str, Any]], **how: Any) -> list[dict[str, Any]]:
        """Accuracy of devices at three mismatch levels."""
        return mismatch_sweep(grid, LEVELS, **how)

    def visualize(self, grid: list[dict[str, Any]], folder: Path) -> list[Path]:
        """One panel per network with one row per method, and one table."""
        panels = panels_by_network(grid)
        means = {title: _means(points) for title, points in panels.items()}
        first = next(iter(means.values()))

        def draw(axes: Axes, of_network: dict[str, dict[float, float]]) -> None:
            labels = {level: f"ζ = {level:g}" for level in LEVELS}
            draw_dots(axes, of_network, SHADES, size=22, labels=labels)
            if of_network is first:
                axes.legend(loc="lower left", fontsize=7)
            else:
                axes.set_yticklabels([])

        caption = describe(grid)
        records = [
            {"network": title, "method": method, "level": level, "mean_percent": f"{100 * mean:.2f}"}
            for title, of_network in means.items()
            for method, of_method in of_network.items()
            for level, mean in of_method.items()
        ]
        explanation = (
            f"Mean test accuracy in % over devices at mismatch {', '.join(f'{level:g}' for level in LEVELS)}."
        )
        figure = Composition(means, [Row(draw)], width=3.2, height=4.2)
        numbers = Numbers([_table(means, caption)], records, explanation)
        return figure.write(folder, "methods_comparison", caption, numbers)


def _means(points: Points) -> dict[str, dict[float, float]]:
    """Mean accuracy by method and level."""
    means: dict[str, dict[float, float]] = {}
    for point in points:
        means.setdefault(point["method"], {})[point["level"]] = float(np.mean(point["accuracies"]))
    return means


def _table(means: Mapping[str, Mapping[str, Mapping[float, float]]], note: str) -> Table:
    def cell(title: str, method: str) -> str:
        numbers = means[title][method]
        best = {level: max(of[level] for of in means[title].values()) for level in numbers}
        texts = [(f"{100 * mean:.1f}", mean == best[level]) for level, mean in numbers.items()]
        return " / ".join(f"**{text}**" if is_best else text for text, is_best in texts)

    methods = list(next(iter(means.values())))
    rows = [[method, *(cell(title, method) for title in means)] for method in methods]
    return Table("All methods", ["Method", *means], rows, note)
