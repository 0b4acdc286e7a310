"""Test samples with the answers of two networks: spectrograms, a row of heartbeats, images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.patches import Patch, Rectangle

from jaxrobust.figures.style import panels_in

RIGHT, WRONG = "#1a7f37", "#d1242f"
CLASS_COLOURS = ("#cfe8d5", "#f9d9a8", "#c8dcf5", "#f3c1c6")
N_SPECTROGRAMS = (2, 4)
N_BEATS = 12
N_IMAGES = (4, 10)


@dataclass(frozen=True)
class Answers:
    """The answers of one network to test samples.

    Attributes:
        name: Of the network's method.
        short_name: For narrow places.
        inputs: The samples, shape (samples, ...).
        labels: The true class of each.
        answers: The network's class of each.
        classes: Names of the classes.
    """

    name: str
    short_name: str
    inputs: np.ndarray
    labels: Sequence[int]
    answers: Sequence[int]
    classes: Sequence[str]


def draw_spectrograms(figure: Figure, part: SubplotSpec, left: Answers, right: Answers) -> None:
    """Draw spectral features of words, with the true word and both answers."""
    rows, columns = N_SPECTROGRAMS
    inputs, classes = left.inputs, left.classes
    for index, ax in enumerate(panels_in(figure, part, rows, columns, hspace=1.0, wspace=0.15)):
        _blank(ax)
        if index >= len(inputs):
            continue
        # The first coefficient is the loudness and would hide the others.
        ax.imshow(inputs[index].T[1:], aspect="auto", origin="lower", cmap="magma")
        label = left.labels[index]
        ax.set_title(f"said: {_word(classes[label])}", fontsize=7, loc="left", pad=2)
        for line, network in enumerate((left, right)):
            answer = network.answers[index]
            ax.text(
                0,
                -0.06 - 0.2 * line,
                f"{network.short_name}: {_word(classes[answer])}",
                transform=ax.transAxes,
                fontsize=6.5,
                va="top",
                color=RIGHT if answer == label else WRONG,
            )


def draw_heartbeats(figure: Figure, part: SubplotSpec, left: Answers, right: Answers) -> None:
    """Draw consecutive beats three times, on the colours of the true and of the predicted classes."""
    inputs, classes = left.inputs[:N_BEATS], left.classes
    length = inputs.shape[1]
    signal = inputs[..., 0].ravel()
    strips = {
        right.short_name: right.answers,
        "Truth": left.labels,
        left.short_name: left.answers,
    }
    axes = panels_in(figure, part, len(strips), hspace=0.12)
    for ax, (name, answers) in zip(axes, strips.items(), strict=True):
        _blank(ax)
        for beat in range(len(inputs)):
            wrong = answers[beat] != left.labels[beat]
            ax.axvspan(beat * length, (beat + 1) * length, color=CLASS_COLOURS[answers[beat]], linewidth=0)
            if wrong:
                ax.text((beat + 0.5) * length, signal.max(), "×", color=WRONG, ha="center", va="top")
        ax.plot(signal, color="black", linewidth=0.6)
        ax.set_xlim(0, len(signal))
        ax.set_ylabel(name, fontsize=7.5, rotation=0, ha="right", va="center")
    patches = [
        Patch(color=colour, label=label) for colour, label in zip(CLASS_COLOURS, classes, strict=False)
    ]
    axes[-1].legend(
        handles=patches,
        ncols=len(patches),
        fontsize=7,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        frameon=False,
    )


def draw_images(figure: Figure, part: SubplotSpec, left: Answers, right: Answers) -> None:
    """Draw the same images for either network, with a frame around those that it misclassifies."""
    rows, columns = N_IMAGES
    axes = panels_in(figure, part, 2, hspace=0.1)
    for ax, network in zip(axes, (left, right), strict=True):
        _blank(ax)
        inputs = network.inputs[: rows * columns, ..., 0]
        height, width = inputs.shape[1:]
        montage = np.zeros((rows * height, columns * width))
        wrong = 0
        for index, image in enumerate(inputs):
            top, start = index // columns * height, index % columns * width
            montage[top : top + height, start : start + width] = image
            if network.answers[index] != network.labels[index]:
                wrong += 1
                ax.add_patch(
                    Rectangle((start, top), width - 1, height - 1, fill=False, color=WRONG, linewidth=1.3)
                )
        ax.imshow(montage, cmap="gray_r")
        ax.set_title(
            f"{network.name}: {wrong} of {len(inputs)} misclassified", fontsize=7.5, loc="left", pad=2
        )


def _blank(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _word(name: str) -> str:
    return name.strip("_")
