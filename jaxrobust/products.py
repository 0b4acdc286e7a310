"""In which precision matrix products are computed, and how records say so.

By default JAX rounds the operands of float32 products to TF32 (10 bits) on GPUs that have it, which is up to
eight times as fast. Training does so. Evaluations compute in full float32, so that a number in a table is
that of the network as it is stored, on every device.
"""

from contextlib import AbstractContextManager, nullcontext

import jax

FULL = "float32"


def full_precision() -> AbstractContextManager[None]:
    """Compute products in full float32 within this context; on a CPU they always are."""
    return nullcontext() if jax.default_backend() == "cpu" else jax.default_matmul_precision(FULL)


def precision_of_products() -> str:
    """How float32 products are computed here, for records.

    Example:
        >>> with full_precision():
        ...     precision_of_products()
        'float32'
    """
    chosen = getattr(jax.config, "jax_default_matmul_precision")  # noqa: B009 - no part of its declared type
    if jax.default_backend() == "cpu" or chosen in (FULL, "highest"):
        return FULL
    return chosen or "default (TF32 on GPUs that have it)"
