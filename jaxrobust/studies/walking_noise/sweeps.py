"""Sweeps of noise over levels or plans of executions, described in one value that keys an evaluation."""

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np

from jaxrobust.errors import InputError
from jaxrobust.perturbations.noise import AdditiveNoise, CombinedNoise, MultiplicativeNoise, Order
from jaxrobust.perturbations.perturbation import Perturbation

MapAxes = Literal["amplitude, ratio", "multiplicative, additive"]
Kind = Literal["additive", "multiplicative", "multiply_then_add", "add_then_multiply"]


class Sweep(Protocol):
    """Several placements of one kind of noise."""

    def placements(self) -> list[dict[str, Perturbation]]:
        """Noise by position, one entry per placement."""
        ...


def decades(first: float, last: float, per_decade: int = 4) -> tuple[float, ...]:
    """Noise levels from 10^first to 10^last, published four per decade.

    Example:
        >>> decades(-1, 0)
        (0.1, 0.177828, 0.316228, 0.562341, 1.0)
    """
    n = round((last - first) * per_decade) + 1
    return tuple(float(f"{level:.6g}") for level in np.logspace(first, last, n))


@dataclass(frozen=True)
class NoiseSweep:
    """One kind of noise at some positions at once, at several levels, with several plans of executions.

    Attributes:
        positions: Where; several positions get independent noise of one level.
        levels: Standard deviations, relative to the activation for multiplicative noise; the amplitude of
            combined noise.
        kind: ``"additive"``, ``"multiplicative"``, or combined in one of two orders.
        ratio: Share of the amplitude that is additive, for combined noise.
        executions: Plans: executions of every position that are averaged; none: one execution each.
    """

    positions: tuple[str, ...]
    levels: tuple[float, ...]
    kind: Kind = "additive"
    ratio: float = 0.5
    executions: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self):
        if self.kind not in get_args(Kind):
            raise InputError(f"The kind of noise is one of {', '.join(get_args(Kind))}, not {self.kind!r}.")
        if any(len(plan) != len(self.positions) for plan in self.executions):
            raise InputError(f"A plan needs a number of executions for each of {', '.join(self.positions)}.")

    def placements(self) -> list[dict[str, Perturbation]]:
        """Noise by position, for every level and, within it, every plan."""
        plans = self.executions or ((1,) * len(self.positions),)
        return [
            {name: self._noise(level, n) for name, n in zip(self.positions, plan, strict=True)}
            for level in self.levels
            for plan in plans
        ]

    def _noise(self, level: float, n: int) -> Perturbation:
        if self.kind == "additive":
            return AdditiveNoise(level, n_executions=n)
        if self.kind == "multiplicative":
            return MultiplicativeNoise(level, n_executions=n)
        order: Order = "multiply_then_add" if self.kind == "multiply_then_add" else "add_then_multiply"
        return CombinedNoise.of_amplitude(level, self.ratio, order, n_executions=n)


@dataclass(frozen=True)
class NoiseMap:
    """Combined noise at some positions, at every pair of two numbers.

    Attributes:
        positions: Where.
        rows: Amplitudes, or standard deviations of the multiplicative part.
        columns: Shares of the amplitude that are additive, or standard deviations of the additive part.
        axes: What rows and columns are.
        order: Which part comes first.

    Raises:
        InputError: There are no axes or no order of that name.
    """

    positions: tuple[str, ...]
    rows: tuple[float, ...]
    columns: tuple[float, ...]
    axes: MapAxes = "amplitude, ratio"
    order: Order = "multiply_then_add"

    def __post_init__(self):
        if self.axes not in get_args(MapAxes):
            raise InputError(f"The axes of a map are one of {get_args(MapAxes)}, not {self.axes!r}.")
        if self.order not in get_args(Order):
            raise InputError(f"The order of a map is one of {get_args(Order)}, not {self.order!r}.")

    def placements(self) -> list[dict[str, Perturbation]]:
        """Noise by position, for every row and, within it, every column."""
        return [
            dict.fromkeys(self.positions, self._noise(row, column))
            for row in self.rows
            for column in self.columns
        ]

    def _noise(self, row: float, column: float) -> CombinedNoise:
        if self.axes == "amplitude, ratio":
            return CombinedNoise.of_amplitude(row, column, self.order)
        return CombinedNoise(std_add=column, std_mul=row, order=self.order)
