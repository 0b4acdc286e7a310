"""Stitching matrices as heat maps: which channel of the front reaches which channel of the end."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxrobust.errors import InputError
from jaxrobust.figures.composer import Composition, Row
from jaxrobust.figures.kinds.heat_maps import draw_heat_map
from jaxrobust.figures.series import Points
from jaxrobust.figures.stitching.profiles import kind_of

TRAINED = "trained"


def draw_kernels(points: Points, folder: Path, name: str) -> tuple[list[Path], str]:
    """Draw the kernels of stitches: a column per pair, a row per cut.

    Args:
        points: Evaluated stitches, with ``kernel``; of several repeats the first is drawn, and of several
            ways to find the stitches of a pair the trained one or, if there is none, the first.
        folder: Where to.
        name: Of the files, which get ``_kernels`` behind it.

    Returns:
        The files written, the picture first, and the caption.

    Raises:
        InputError: There are no stitches among the points.
    """
    stitches = [point for point in points if "cut" in point]
    if not stitches:
        raise InputError("Stitching matrices need stitched points; were they filtered away?")
    repeat = stitches[0]["repeat"]
    kinds: dict[str, str] = {}
    for point in stitches:
        if point["pair"] not in kinds or kind_of(point) == TRAINED:
            kinds[point["pair"]] = kind_of(point)
    chosen = [p for p in stitches if p["repeat"] == repeat and kind_of(p) == kinds[p["pair"]]]
    cuts = list(dict.fromkeys(point["cut"].front for point in chosen))
    panels: dict[str, dict[str, Mapping[str, Any]]] = {}
    for point in chosen:
        panels.setdefault(point["pair"].replace("→", " → "), {})[point["cut"].front] = point

    def draw(cut: str, axes: Axes, content: Mapping[str, Mapping[str, Any]]) -> None:
        if cut not in content:
            axes.set_axis_off()
            return
        draw_heat_map(axes, np.asarray(content[cut]["kernel"]["entries"]), "channel of the end")

    rows = [Row(partial(draw, cut), f"{cut}\nchannel of the front") for cut in cuts]
    caption = (
        f"Entries of the stitching matrix, repeat {repeat}. {_ways(kinds)} Of matrices with more than "
        f"{chosen[0]['kernel']['largest']} channels, the entry of largest magnitude in each block."
    )
    composition = Composition(panels, rows, width=2.6, height=1.9 * len(rows) + 0.4)
    return composition.write(folder, f"{name}_kernels", caption), caption


def _ways(kinds: Mapping[str, str]) -> str:
    return "; ".join(f"{pair.replace('→', ' → ')}: {kind}" for pair, kind in kinds.items()) + "."
