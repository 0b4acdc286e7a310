"""Test samples with the answers of two networks: spectrograms, a row of heartbeats, images."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.patches import Patch, Rectangle

from jaxrobust.figures.style import panels_in
from jaxrobust.studies.evaluations.examples import example_inputs

# One example evaluation (``evaluations.example_answers``) for each method.
Stored = Mapping[str, Mapping[str, Any]]

RIGHT, WRONG = "#1a7f37", "#d1242f"
CLASS_COLOURS = ("#cfe8d5", "#f9d9a8", "#c8dcf5", "#f3c1c6")
N_SPECTROGRAMS = (2, 4)
N_BEATS = 12
N_IMAGES = (4, 10)


def draw_examples(
    figure: Figure, part: SubplotSpec, network: str, stored: Stored, left: str, right: str
) -> None:
    """Draw the examples of one network in the way that suits its data.

    Args:
        figure: Where to draw.
        part: Which part of it.
        network: Its architecture.
        stored: What each method's network answered.
        left: The method named first.
        right: The other.
    """
    draw: Callable[[Figure, SubplotSpec, Stored, str, str], None] = {
        "speech_lsnn": draw_spectrograms,
        "ecg_lsnn": draw_heartbeats,
    }.get(network, draw_images)
    draw(figure, part, {left: stored[left], right: stored[right]}, left, right)


def draw_spectrograms(figure: Figure, part: SubplotSpec, stored: Stored, left: str, right: str) -> None:
    """Words as their spectral features, with what was said and what either network understood."""
    rows, columns = N_SPECTROGRAMS
    any_of = stored[left]
    inputs, classes = example_inputs(any_of["inputs"]), any_of["classes"]
    for index, ax in enumerate(panels_in(figure, part, rows, columns, hspace=1.0, wspace=0.15)):
        _blank(ax)
        if index >= len(inputs):
            continue
        # The first coefficient is the loudness and would hide the others.
        ax.imshow(inputs[index].T[1:], aspect="auto", origin="lower", cmap="magma")
        label = any_of["labels"][index]
        ax.set_title(f"said: {_word(classes[label])}", fontsize=7, loc="left", pad=2)
        for line, method in enumerate((left, right)):
            answer = stored[method]["answers"][index]
            ax.text(
                0,
                -0.06 - 0.2 * line,
                f"{_short(method)}: {_word(classes[answer])}",
                transform=ax.transAxes,
                fontsize=6.5,
                va="top",
                color=RIGHT if answer == label else WRONG,
            )


def draw_heartbeats(figure: Figure, part: SubplotSpec, stored: Stored, left: str, right: str) -> None:
    """Beats one after the other, three times: on the colours of their classes and of either's answers."""
    any_of = stored[left]
    inputs, classes = example_inputs(any_of["inputs"])[:N_BEATS], any_of["classes"]
    length = inputs.shape[1]
    signal = inputs[..., 0].ravel()
    strips = {
        _short(right): stored[right]["answers"],
        "Truth": any_of["labels"],
        _short(left): stored[left]["answers"],
    }
    axes = panels_in(figure, part, len(strips), hspace=0.12)
    for ax, (name, answers) in zip(axes, strips.items(), strict=True):
        _blank(ax)
        for beat in range(len(inputs)):
            wrong = answers[beat] != any_of["labels"][beat]
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


def draw_images(figure: Figure, part: SubplotSpec, stored: Stored, left: str, right: str) -> None:
    """The same images for either network, with a frame around those that it takes for something else."""
    rows, columns = N_IMAGES
    axes = panels_in(figure, part, 2, hspace=0.1)
    for ax, method in zip(axes, (left, right), strict=True):
        _blank(ax)
        its = stored[method]
        inputs = example_inputs(its["inputs"])[: rows * columns, ..., 0]
        height, width = inputs.shape[1:]
        montage = np.zeros((rows * height, columns * width))
        wrong = 0
        for index, image in enumerate(inputs):
            top, start = index // columns * height, index % columns * width
            montage[top : top + height, start : start + width] = image
            if its["answers"][index] != its["labels"][index]:
                wrong += 1
                ax.add_patch(
                    Rectangle((start, top), width - 1, height - 1, fill=False, color=WRONG, linewidth=1.3)
                )
        ax.imshow(montage, cmap="gray_r")
        ax.set_title(f"{method}: {wrong} of {len(inputs)} misclassified", fontsize=7.5, loc="left", pad=2)


def _blank(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _short(method: str) -> str:
    return {"Forward noise + beta": "Robust"}.get(method, method)


def _word(name: str) -> str:
    return name.strip("_")
