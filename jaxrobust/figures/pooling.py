"""What may be averaged: values that differ by their network's seed, and by nothing that is not drawn.

A line or a cell of a table pools grid points. Two points that differ in a setting which is neither the line
nor the axis would be averaged in silence; ``check_pooled`` refuses them. ``spread_of`` says in a caption what
the pooled values are, so that no caption speaks of bands where there are none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxrobust.errors import InputError
from jaxrobust.studies.parameter_noise.catalogue import FAMILIES, family_of

# What evaluations are given, beside the settings of the training.
EVALUATED = ("level", "size", "time", "bits", "attack_loss", "perturbation", "n_samples", "rule")


def check_pooled(points: Sequence[Mapping[str, Any]], drawn: Iterable[str]) -> None:
    """Raise ``InputError`` if points to be averaged differ in a setting other than their seed.

    Args:
        points: Grid points of one line, at one place.
        drawn: Keys that the caption says are averaged over; ``seed`` always is.

    Raises:
        InputError: Names the setting and its values.
    """
    first, allowed = points[0], {"seed", *drawn}
    for point in points[1:]:
        for name in (*_settings_of(first), *EVALUATED):
            if name in allowed or point.get(name) == first.get(name):
                continue
            raise InputError(
                f"Points that differ in {name} ({first.get(name)!r} and {point.get(name)!r}) would be "
                f"averaged as if they were repetitions: draw one figure, panel or line per value of {name}."
            )


def _settings_of(point: Mapping[str, Any]) -> Sequence[str]:
    if point.get("architecture") not in FAMILIES:
        return ()
    return ("architecture", *family_of(point).settings)


def spread_of(groups: Iterable[Sequence[float]], of: str = "networks") -> str:
    """What lines and bands show: ``lines: mean over networks, bands: …``, or that there is one value each."""
    if any(len(values) > 1 for values in groups):
        return f"lines: mean over {of}, bands: smallest to largest"
    return f"one {of.removesuffix('s')} per point, hence no bands"
