"""The midpoint noise level: where accuracy is half-way between that without noise and chance.

With mean accuracy ``a(s)`` at noise level ``s``, fit

    a(s) = c + (a0 - c) / (1 + exp(k (log10 s - log10 mu)))

by least squares (Borras, Klein and Fröning, arXiv 2212.10430). A large midpoint ``mu`` means that the network
tolerates much noise there. A curve that never falls half-way within the levels measured has no midpoint: it
is censored, and only the last level is known to lie below it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64
from scipy.stats import t as student

from jaxrobust.errors import InputError
from jaxrobust.measures.logistic import fit_logistic

Censored = Literal["no", "above", "below"]
# A rise of this part of the whole fall makes a curve not monotone.
TOLERATED_RISE = 0.05
FIRST_SLOPE = 4.0


@dataclass(frozen=True)
class Midpoint:
    """A midpoint noise level with its interval.

    Attributes:
        value: The level; the largest (smallest) one measured if the midpoint is censored above (below).
        low: Lower end of the interval; NaN if there is one curve only.
        high: Upper end.
        censored: ``"above"`` if accuracy stays above half-way at the largest level, ``"below"`` if it is
            below from the smallest on.
        slope: ``k``, per decade.
        clean: ``a0``, the accuracy without noise.
        chance: ``c``, the accuracy under very large noise.
        is_monotone: Whether the mean curve falls only. If not, ``value`` is where it last crosses half-way.
    """

    value: float
    low: float
    high: float
    censored: Censored
    slope: float
    clean: float
    chance: float
    is_monotone: bool

    def __str__(self) -> str:
        """As in tables: ``0.47 [0.46, 0.48]``, ``> 1e+04`` or ``< 0.01``."""
        if self.censored != "no":
            return f"{'>' if self.censored == 'above' else '<'} {self.value:.4g}"
        interval = "" if np.isnan(self.low) else f" [{self.low:.3g}, {self.high:.3g}]"
        return f"{self.value:.3g}{interval}"


def fit_midpoint(
    levels: Float[np.ndarray, " levels"],
    accuracies: Float[np.ndarray, "*repeats levels"],
    *,
    clean: float | None = None,
    chance: float = 0.1,
    asymptotes: Literal["free", "fixed"] = "free",
    confidence: float = 0.95,
    n_bootstrap: int = 200,
    seed: int = 0,
) -> Midpoint:
    """Fit the midpoint of accuracies over noise levels.

    The interval comes from the spread of fits to curves drawn with replacement, over networks if there are
    several, else over draws, widened for their small number (Student's t).

    Args:
        levels: Noise levels in rising order; a level of 0 only gives the accuracy without noise.
        accuracies: Fractions: one curve, one per draw, or ``(networks, draws, levels)``.
        clean: Accuracy without noise; by default that at the smallest level.
        chance: Accuracy of guessing.
        asymptotes: Whether ``a0`` and ``c`` are fitted (``"free"``), or are ``clean`` and ``chance``
            (``"fixed"``).
        confidence: Of the interval.
        n_bootstrap: Number of curves drawn.
        seed: Of these.

    Raises:
        InputError: The levels do not rise or do not belong to the accuracies, or there are fewer than five.

    Example:
        >>> levels = np.logspace(-2, 2, 17)
        >>> falls = 0.1 + 0.8 / (1 + (levels / 0.5) ** 2)
        >>> print(fit_midpoint(levels, falls))
        0.5
    """
    levels, curves = _checked(levels, accuracies)
    if levels[0] == 0:
        clean = float(np.mean(curves[:, 0])) if clean is None else clean
        levels, curves = levels[1:], curves[:, 1:]
    x, mean = np.log10(levels), curves.mean(axis=0)
    top = float(mean[0]) if clean is None else float(clean)
    half = (top + chance) / 2
    is_monotone = bool(np.all(mean - np.minimum.accumulate(mean) <= TOLERATED_RISE * max(top - chance, 1e-9)))
    if not top > chance:
        raise InputError(
            f"Accuracy without noise ({top:.3g}) is not above chance ({chance:.3g}): nothing can fall."
        )
    if mean[-1] > half or np.all(mean <= half):
        side: Censored = "above" if mean[-1] > half else "below"
        end = float(levels[-1] if side == "above" else levels[0])
        nan = float("nan")
        return Midpoint(end, nan, nan, side, nan, top, chance, is_monotone)

    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(curves), size=(n_bootstrap if len(curves) > 1 else 0, len(curves)))
    resampled = np.concatenate([mean[None], curves[chosen].mean(axis=1).reshape(-1, len(x))])
    crossings = np.array([_last_crossing(x, curve, half) for curve in resampled])
    start = np.stack([crossings, *(np.full(len(crossings), v) for v in (FIRST_SLOPE, top, chance))], axis=1)
    fits = fit_logistic(x, resampled, start, np.array([True, True, *[asymptotes == "free"] * 2]))
    found = fits[:, 0] if is_monotone else crossings
    value, low, high = found[0], float("nan"), float("nan")
    if len(curves) > 1:
        n = len(curves)
        spread = np.std(found[1:]) * np.sqrt(n / (n - 1)) * student.ppf((1 + confidence) / 2, n - 1)
        low, high = 10 ** (value - spread), 10 ** (value + spread)
    _, slope, a0, c = fits[0]
    return Midpoint(
        float(10**value), float(low), float(high), "no", float(slope), float(a0), float(c), is_monotone
    )


def _checked(levels, accuracies) -> tuple[Float64[np.ndarray, " levels"], Float64[np.ndarray, "n levels"]]:
    levels, accuracies = np.asarray(levels, float), np.asarray(accuracies, float)
    if levels.ndim != 1 or np.any(np.diff(levels) <= 0) or levels.size == 0 or levels[0] < 0:
        raise InputError(f"Noise levels must be positive numbers in rising order, not {levels}.")
    if accuracies.ndim not in (1, 2, 3) or accuracies.shape[-1] != len(levels):
        raise InputError(
            f"Accuracies must be (levels,), (draws, levels) or (networks, draws, levels) with {len(levels)} "
            f"levels, not of shape {accuracies.shape}."
        )
    if np.sum(levels > 0) < 5:
        raise InputError(f"A midpoint needs at least five noise levels above 0, not {levels}.")
    if not np.isfinite(accuracies).all():
        raise InputError("Some accuracies are not finite.")
    # Draws of one network are alike: with several networks, these are what is drawn with replacement.
    is_nested = accuracies.ndim == 3 and accuracies.shape[0] > 1
    return levels, accuracies.mean(axis=1) if is_nested else accuracies.reshape(-1, len(levels))


def _last_crossing(x: Float64[np.ndarray, " levels"], curve: Float64[np.ndarray, " levels"], half) -> float:
    """Where a curve last falls below half-way, by linear interpolation; an end of ``x`` if it does not."""
    falls = np.flatnonzero((curve[:-1] > half) & (curve[1:] <= half))
    if not len(falls):
        return float(x[-1] if curve[-1] > half else x[0])
    i = falls[-1]
    return float(x[i] + (x[i + 1] - x[i]) * (curve[i] - half) / (curve[i] - curve[i + 1]))
