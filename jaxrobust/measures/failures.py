"""A loss and the share of wrong answers over a whole data set, from the same forward passes.

An attack that is judged by accuracy compares points by their failures first and by its loss among equals
(``attacks.ascent.Value``). Both come from one pass over the chunks; only the loss has a gradient.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PyTree

from jaxrobust.attacks.ascent import Value
from jaxrobust.measures.full_set import in_chunks
from jaxrobust.trees import Parameters

# ``values_of(parameters, chunk) -> (losses, failures)``, one number of either kind per sample.
ValuesOf = Callable[[Parameters, PyTree[Array]], tuple[Float[Array, " batch"], Float[Array, " batch"]]]


def mean_value(
    values_of: ValuesOf, samples: PyTree[Float[Array, "samples ..."]], *, batch_size: int | None = None
) -> Callable[[Parameters], Value]:
    """The mean loss and the share of failures, as a function of the parameters.

    Args:
        values_of: ``values_of(parameters, chunk) -> (losses, failures)``, each ``(batch,)``; it closes over
            nothing that is traced.
        samples: Tree of arrays ``(samples, ...)``; ``chunk`` is a part of it.
        batch_size: Samples computed at once; memory grows with it, the means do not depend on it.

    Returns:
        A function whose loss has an exact gradient, accumulated over the chunks.
    """
    chunks, is_real = in_chunks(samples, batch_size)
    n_samples = jax.tree.leaves(samples)[0].shape[0]

    def value(parameters: Parameters) -> Value:
        sums: Any = _sums(values_of, parameters, chunks, is_real)
        loss, failures = sums
        return Value(loss / n_samples, failures / n_samples)

    return value


def _sums_of_chunk(values_of: ValuesOf, parameters: Parameters, chunk, is_real: Array) -> tuple[Array, Array]:
    losses, failures = values_of(parameters, chunk)
    return jnp.sum(jnp.where(is_real, losses, 0)), jnp.sum(jnp.where(is_real, failures, 0))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sums(values_of: ValuesOf, parameters: Parameters, chunks, is_real: Array) -> tuple[Array, Array]:
    sums = jax.lax.map(lambda chunk: _sums_of_chunk(values_of, parameters, *chunk), (chunks, is_real))
    return jax.tree.map(jnp.sum, sums)


def _sums_forward(values_of: ValuesOf, parameters: Parameters, chunks, is_real: Array):
    value_and_gradient = jax.value_and_grad(partial(_sums_of_chunk, values_of), has_aux=True)

    def add(total, chunk):
        return jax.tree.map(jnp.add, total, value_and_gradient(parameters, *chunk)), None

    first = jax.tree.map(lambda leaf: leaf[0], (chunks, is_real))
    shapes = jax.eval_shape(value_and_gradient, parameters, *first)
    nothing = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    totals, _ = jax.lax.scan(add, nothing, (chunks, is_real))
    return totals  # the sums, and the gradient of the first


def _sums_backward(values_of: ValuesOf, gradient: Parameters, bars: tuple[Array, Array]):
    del values_of
    return jax.tree.map(lambda g: (bars[0] * g).astype(g.dtype), gradient), None, None


_sums.defvjp(_sums_forward, _sums_backward)
