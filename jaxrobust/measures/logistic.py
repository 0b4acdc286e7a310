"""Least squares of falling logistic curves, many at once."""

import numpy as np
from jaxtyping import Bool, Float64

# Of a curve: log10 of the midpoint, slope per decade, accuracy before the fall and after it.
Curve = Float64[np.ndarray, "curves 4"]
N_STEPS = 60


def logistic(x: Float64[np.ndarray, " levels"], curves: Curve) -> Float64[np.ndarray, "curves levels"]:
    """Return ``c + (a - c) / (1 + exp(k (x - m)))`` for curves ``(m, k, a, c)``."""
    m, k, a, c = (curves[:, i, None] for i in range(4))
    return c + (a - c) * _share(k * (x - m))


def fit_logistic(
    x: Float64[np.ndarray, " levels"],
    y: Float64[np.ndarray, "curves levels"],
    start: Curve,
    is_free: Bool[np.ndarray, " 4"],
) -> Curve:
    """Fit every curve by Levenberg and Marquardt's method, within sensible bounds.

    Args:
        x: log10 of the levels.
        y: One curve per row.
        start: Where each begins.
        is_free: Which of the four numbers are fitted; the others keep their start.
    """
    curves, damping = np.array(start, float), np.full(len(y), 1e-2)
    low = np.array([x.min() - 2, 0.2, -0.5, -0.5])
    high = np.array([x.max() + 2, 200.0, 1.5, 1.5])
    cost = np.sum((y - logistic(x, curves)) ** 2, axis=1)
    for _ in range(N_STEPS):
        slopes = _derivatives(x, curves) * is_free
        residuals = y - logistic(x, curves)
        matrix = np.einsum("blp,blq->bpq", slopes, slopes)
        diagonal = np.einsum("bpp->bp", matrix)
        diagonal += damping[:, None] * diagonal + 1e-12 + ~is_free
        step = np.linalg.solve(matrix, np.einsum("blp,bl->bp", slopes, residuals)[..., None])[..., 0]
        new = np.where(is_free, np.clip(curves + step, low, high), curves)
        new_cost = np.sum((y - logistic(x, new)) ** 2, axis=1)
        is_better = new_cost < cost
        if np.all(np.abs(cost - new_cost) <= 1e-7 * cost + 1e-14):
            break
        curves = np.where(is_better[:, None], new, curves)
        cost = np.where(is_better, new_cost, cost)
        damping = np.clip(np.where(is_better, damping / 3, damping * 4), 1e-9, 1e9)
    return curves


def _share(z: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    return 1 / (1 + np.exp(np.clip(z, -500, 500)))


def _derivatives(x: Float64[np.ndarray, " levels"], curves: Curve) -> Float64[np.ndarray, "curves levels 4"]:
    m, k, a, c = (curves[:, i, None] for i in range(4))
    share = _share(k * (x - m))
    fall = (a - c) * share * (1 - share)
    return np.stack([fall * k, -fall * (x - m), share, 1 - share], axis=-1)
