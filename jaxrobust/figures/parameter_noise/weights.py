"""Weight magnitudes with the robust term, and the robustness that large weights bring."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.figures.captions import describe
from jaxrobust.figures.composer import Composition, Row, draw_each
from jaxrobust.figures.series import Points
from jaxrobust.figures.style import accuracy_axis, light_grid
from jaxrobust.figures.tables import Numbers, Table

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

    def draw_input(axes: Axes) -> None:
        _over_beta(axes, spiking, "w_in", "Mean |W_in|")
        axes.legend(fontsize=8, frameon=False)

    def draw_recurrent(axes: Axes) -> None:
        _over_beta(axes, spiking, "w_rec", "Mean |W_rec|")

    def draw_training(axes: Axes) -> None:
        _over_training(axes, perceptrons)

    panels = {
        "a  Speech, input weights": draw_input,
        "b  Speech, recurrent weights": draw_recurrent,
        "c  Digits, MLP": draw_training,
    }
    figure = Composition(panels, [Row(draw_each)], width=11.6 / 3, height=3.6)
    n_devices = len(perceptrons[0]["accuracies"])
    caption = (
        f"a, b: one dot per network. c: mean test accuracy of {n_devices} devices with uniform noise up to "
        "±0.2 on all hidden weights (red); sum of the mean absolute weights of the hidden layers (blue); "
        "each dot is another training, at the step with the best validation accuracy.\n"
        + describe([{**point, "n_samples": 0} for point in spiking])
        + "\n"
        + describe(perceptrons)
    )
    return figure.write(folder, name, caption, _numbers(points, caption))


def _over_beta(axes: Axes, points: Points, tensor: str, label: str) -> None:
    for attack, colour in COLOURS.items():
        of_attack = [point for point in points if _attack(point) == attack]
        axes.scatter(
            [point["beta_robustness"] for point in of_attack],
            [point["magnitudes"][tensor] for point in of_attack],
            s=22,
            alpha=0.8,
            color=colour,
            label=attack,
        )
    axes.set_xlabel("Weight of the robust term β")
    axes.set_ylabel(label)
    light_grid(axes)


def _attack(point: Mapping[str, Any]) -> str:
    return CONSTANT if point["attack_size_constant"] else RELATIVE


def _epoch(point: Mapping[str, Any]) -> float:
    """Return the epoch of the parameters that were kept."""
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
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Sum of mean |W| of hidden layers", color=MAGNITUDE_COLOUR)
    axes.set_ylim(bottom=0)
    other.set_ylabel("Test accuracy under uniform noise", color=ROBUSTNESS_COLOUR)
    accuracy_axis(other)
    axes.legend(fontsize=8, frameon=False)


def _numbers(points: Points, note: str) -> Numbers:
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
    return Numbers([table], records, explanation)
