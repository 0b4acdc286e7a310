"""How large weights become with the robust term, and what large weights do for robustness."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from jaxrobust.figures.captions import describe
from jaxrobust.figures.style import new_figure, save_figure
from jaxrobust.figures.tables import Table, write_tables

Points = Sequence[Mapping[str, Any]]

CONSTANT, RELATIVE = "Constant attack", "Relative attack"
COLOURS = {CONSTANT: "#4c84e6", RELATIVE: "#fc033d"}
# The two quantities over training, and the two trainings.
MAGNITUDE_COLOUR, ROBUSTNESS_COLOUR = "#4c84e6", "#fc033d"
HIDDEN = ("w1", "w2")


def draw_weight_magnitudes(points: Points, folder: Path, name: str) -> list[Path]:
    """Draw input and recurrent weights over beta, and the MLPs over training; write their table.

    Args:
        points: Trained points with ``magnitudes``; MLPs with ``accuracies`` under noise.
        folder: Where the files go.
        name: Their name without ending.

    Returns:
        The files written, the picture first.
    """
    spiking = [point for point in points if point["architecture"] == "speech_lsnn"]
    perceptrons = [point for point in points if point["architecture"] == "mnist_mlp"]
    figure, axes = new_figure(1, 3, width=11.6, height=3.6)
    for ax, title, tensor, label in (
        (axes[0], "a  Speech, input weights", "w_in", "Mean |W_in|"),
        (axes[1], "b  Speech, recurrent weights", "w_rec", "Mean |W_rec|"),
    ):
        for attack, colour in COLOURS.items():
            of_attack = [point for point in spiking if _attack(point) == attack]
            ax.scatter(
                [point["beta_robustness"] for point in of_attack],
                [point["magnitudes"][tensor] for point in of_attack],
                s=22,
                alpha=0.8,
                color=colour,
                label=attack,
            )
        ax.set_title(title, loc="left")
        ax.set_xlabel("Weight of the robust term β")
        ax.set_ylabel(label)
        ax.grid(linewidth=0.4, color="0.9")
        ax.set_axisbelow(True)
    axes[0].legend(fontsize=8, frameon=False)
    _over_training(axes[2], perceptrons)
    n_devices = len(perceptrons[0]["accuracies"])
    caption = (
        f"a, b: a dot a network. c: mean test accuracy of {n_devices} devices with uniform noise up to "
        "±0.2 on all hidden weights (red); sum of the mean absolute weights of the hidden layers (blue); "
        "each dot is a training of its own, at the step with the best validation accuracy.\n"
        + describe([{**point, "n_samples": 0} for point in spiking])
        + "\n"
        + describe(perceptrons)
    )
    return save_figure(figure, folder, name, caption) + _write(points, folder, name, caption)


def _attack(point: Mapping[str, Any]) -> str:
    return CONSTANT if point["attack_size_constant"] else RELATIVE


def _epoch(point: Mapping[str, Any]) -> float:
    """When the parameters that were kept were reached."""
    return sum(point["n_epochs"]) * point["best_step"] / point["n_steps"]


def _magnitude(point: Mapping[str, Any]) -> float:
    return sum(point["magnitudes"][tensor] for tensor in HIDDEN)


def _over_training(axes: Axes, perceptrons: Points) -> None:
    other = axes.twinx()
    other.spines["right"].set_visible(True)
    for weight in sorted({point["weight_increase"] for point in perceptrons}):
        of_weight = sorted((p for p in perceptrons if p["weight_increase"] == weight), key=_epoch)
        epochs = [_epoch(point) for point in of_weight]
        label = "Weights driven up" if weight else "Plain training"
        look: dict[str, Any] = {"linestyle": "-" if weight else "--", "marker": "."}
        axes.plot(epochs, [_magnitude(p) for p in of_weight], color=MAGNITUDE_COLOUR, **look)
        robustness = [np.mean(point["accuracies"]) for point in of_weight]
        other.plot(epochs, robustness, color=ROBUSTNESS_COLOUR, **look)
        axes.plot([], [], color="0.3", label=label, **look)
    axes.set_title("c  Digits, MLP", loc="left")
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Sum of mean |W| of hidden layers", color=MAGNITUDE_COLOUR)
    axes.set_ylim(bottom=0)
    other.set_ylabel("Test accuracy under uniform noise", color=ROBUSTNESS_COLOUR)
    other.set_ylim(0, 1.02)
    other.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(fontsize=8, frameon=False)


def _write(points: Points, folder: Path, name: str, note: str) -> list[Path]:
    records = []
    for point in points:
        is_spiking = point["architecture"] == "speech_lsnn"
        records.append(
            {
                "network": point["architecture"],
                "training": _attack(point) if is_spiking else f"weight increase {point['weight_increase']:g}",
                "beta": point["beta_robustness"],
                "seed": point["seed"],
                "epoch": f"{_epoch(point):.2f}",
                "first_weights": f"{point['magnitudes']['w_in' if is_spiking else 'w1']:.5f}",
                "second_weights": f"{point['magnitudes']['w_rec' if is_spiking else 'w2']:.5f}",
                "accuracy_under_noise": "–" if is_spiking else f"{np.mean(point['accuracies']):.4f}",
            }
        )
    header = list(records[0])
    rows = [[f"{record[key]}" for key in header] for record in records]
    table = Table("", [key.replace("_", " ") for key in header], rows, note)
    explanation = "Mean absolute weights: input and recurrent (spiking), first and second layer (MLP)."
    return write_tables(folder, name, [table], explanation=explanation, records=records)
