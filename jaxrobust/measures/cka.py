"""Similarity of representations: CKA, Procrustes, and linear regression.

All take features as rows, ``(samples, features)``; flatten images first.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.numerics import divide

Features = Float[Array, "samples features"]


def linear_cka(x: Features, y: Float[Array, "samples others"]) -> Float[Array, ""]:
    """Compute linear centered kernel alignment (Kornblith et al. 2019, eq. 6), biased.

    ``|Xc^T Yc|_F^2 / (|Xc^T Xc|_F |Yc^T Yc|_F)`` with centered columns, between 0 and 1; the smaller of the
    feature and the sample form is computed. It does not change under rotations and scaling of either side.
    With many features and few samples it is large even for independent ones: see ``debiased_cka``.

    Raises:
        InputError: The samples are not as many.

    Example:
        >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
        >>> round(float(linear_cka(x, 3 * x + 1)), 6)
        1.0
    """
    _check(x, y)
    x, y = (a - jnp.mean(a, axis=0, keepdims=True) for a in (x, y))
    if len(x) < min(x.shape[1], y.shape[1]):
        k, m = x @ x.T, y @ y.T
        return divide(jnp.sum(k * m), jnp.linalg.norm(k) * jnp.linalg.norm(m))
    across, own, other = x.T @ y, x.T @ x, y.T @ y
    return divide(jnp.sum(across**2), jnp.linalg.norm(own) * jnp.linalg.norm(other))


def debiased_cka(x: Features, y: Float[Array, "samples others"]) -> Float[Array, ""]:
    """Compute linear CKA with unbiased estimates of its three terms (Song et al. 2012); about 0 by chance.

    Raises:
        InputError: The samples are not as many, or fewer than four.
    """
    _check(x, y)
    n = len(x)
    if n < 4:
        raise InputError(f"The debiased CKA needs at least 4 samples, not {n}.")

    def term(k: Array, m: Array) -> Array:
        mean = jnp.sum(k) * jnp.sum(m) / ((n - 1) * (n - 2))
        return jnp.sum(k * m) + mean - 2 / (n - 2) * jnp.sum(jnp.sum(k, 0) * jnp.sum(m, 0))

    # Centering changes nothing in theory, and much in float32.
    x, y = (a - jnp.mean(a, axis=0, keepdims=True) for a in (x, y))
    k, m = (a @ a.T * (1 - jnp.eye(n, dtype=a.dtype)) for a in (x, y))
    return divide(term(k, m), jnp.sqrt(jnp.abs(term(k, k)) * jnp.abs(term(m, m))))


class CkaSums:
    """Linear CKA, biased, of any number of samples: sums over batches, in float64.

    Memory depends on the numbers of features alone.

    Example:
        >>> sums = CkaSums()
        >>> sums.add(np.eye(3), np.eye(3))
        >>> round(sums.cka(), 6)
        1.0
    """

    def __init__(self) -> None:
        self.n = 0
        self._sums: list[np.ndarray] = []
        self._products: list[np.ndarray] = []

    def add(self, x: Float[np.ndarray, "rows features"], y: Float[np.ndarray, "rows others"]) -> None:
        """Add samples.

        Raises:
            InputError: The samples are not as many.
        """
        _check(x, y)
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        sums, products = [x.sum(0), y.sum(0)], [x.T @ y, x.T @ x, y.T @ y]
        self._sums = [a + b for a, b in zip(self._sums, sums, strict=True)] if self.n else sums
        self._products = (
            [a + b for a, b in zip(self._products, products, strict=True)] if self.n else products
        )
        self.n += len(x)

    def cka(self) -> float:
        """Return the CKA of all samples so far; 0 where one side is constant."""
        if not self.n:
            raise InputError("A CKA needs samples; none were added.")
        x, y = (total / self.n for total in self._sums)
        across, own, other = (
            product / self.n - np.outer(a, b)
            for product, (a, b) in zip(self._products, ((x, y), (x, x), (y, y)), strict=True)
        )
        scale = np.linalg.norm(own) * np.linalg.norm(other)
        return float((across**2).sum() / scale) if scale > 0 else 0.0


def procrustes(x: Features, y: Float[Array, "samples others"]) -> Float[Array, ""]:
    """Compute the orthogonal Procrustes distance of centered features of norm 1: 0 if rotated, at most 2.

    ``|X|^2 + |Y|^2 - 2 |X^T Y|_*`` (Ding et al. 2021).

    Raises:
        InputError: The samples are not as many.
    """
    _check(x, y)
    x, y = (a - jnp.mean(a, axis=0, keepdims=True) for a in (x, y))
    x, y = (divide(a, jnp.linalg.norm(a)) for a in (x, y))
    return 2 - 2 * jnp.sum(jnp.linalg.svd(x.T @ y, compute_uv=False))


def _check(x: Array | np.ndarray, y: Array | np.ndarray) -> None:
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise InputError(
            f"Similarity compares rows of features of the same samples, not arrays of shapes {x.shape} and "
            f"{y.shape}; flatten images with x.reshape(len(x), -1)."
        )
