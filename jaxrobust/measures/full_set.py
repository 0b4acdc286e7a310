"""Losses over a whole data set, computed chunk by chunk in bounded memory.

The last chunk is padded, so that all have one shape and one compiled program; what is padded never counts.
The gradient is accumulated over the chunks along with the value: neither keeps more than one chunk's
intermediate results, and no forward pass is computed twice.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.core import Tracer
from jaxtyping import Bool, Float, Int, PyTree

from jaxrobust.criteria import (
    CrossEntropy,
    check_finite_labels,
    check_label_form,
    check_labels,
    counted_steps,
)
from jaxrobust.errors import InputError
from jaxrobust.losses import DIVERGENCES, Apply
from jaxrobust.numerics import mean_where
from jaxrobust.settings import nearest
from jaxrobust.trees import Parameters, check_finite

Loss = Callable[[Parameters], Float[Array, ""]]
ValuesOf = Callable[[Parameters, PyTree[Array]], Float[Array, " batch"]]


def check_samples(
    inputs: Any, labels: Any = None, *, n_outputs: int | None = None
) -> tuple[Float[Array, "samples ..."], Any]:
    """Check inputs and labels before anything is computed, and return them as arrays.

    Every measure and certificate calls this. What is traced (under ``jit``) can be checked for shape and
    dtype only; ``criteria.is_hit`` and the cross-entropy check these of each chunk against the outputs.

    Args:
        inputs: All samples; a list or a NumPy array will do.
        labels: Their classes or targets, if any.
        n_outputs: Outputs of the network, if labels are indices of classes.

    Raises:
        InputError: There are no samples, as many labels as inputs are missing, inputs hold NaN or infinity,
            or a label is no class.
    """
    inputs = _as_array(inputs, "inputs")
    check_finite(inputs, "The inputs")
    if labels is None:
        return inputs, None
    labels = _as_array(labels, "labels")
    if not inputs.ndim or not labels.ndim or inputs.shape[0] != labels.shape[0]:
        raise InputError(
            f"Inputs and labels must be as many, but their shapes are {tuple(inputs.shape)} and "
            f"{tuple(labels.shape)}."
        )
    check_finite_labels(labels, "The labels")
    if n_outputs is not None and not isinstance(labels, Tracer):
        check_labels(CrossEntropy(), np.asarray(labels), n_outputs, "the labels")
    return inputs, labels


def _as_array(values: Any, what: str) -> Array:
    if isinstance(values, jax.Array):
        return values
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError(f"The {what} are no array: their rows differ in length ({error}).") from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"The {what} must be numbers, but they are {array.dtype}.")
    return jnp.asarray(array)


def n_outputs_of(apply: Apply, parameters: Parameters, inputs: Array, labels: Any) -> int | None:
    """How many outputs a network has, if that is needed: traced labels cannot be compared with it."""
    if isinstance(labels, Tracer) or not len(inputs):
        return None
    one = jax.eval_shape(apply, parameters, jax.ShapeDtypeStruct((1, *inputs.shape[1:]), inputs.dtype))
    return one.shape[-1]


def in_chunks(
    samples: PyTree[Array], batch_size: int | None
) -> tuple[PyTree[Array], Bool[Array, "chunks batch"]]:
    """Cut arrays along their first axis into chunks of one size.

    Args:
        samples: Tree of arrays ``(samples, ...)``.
        batch_size: Samples a chunk at most; all of them if not given.

    Returns:
        The arrays as ``(chunks, batch, ...)``, and which samples are real: the last chunk is filled up with
        the first samples.

    Raises:
        InputError: There are no samples, the arrays differ in their number, or a chunk would be empty.
    """
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(samples)}
    if len(sizes) != 1:
        raise InputError(f"Inputs and labels must be as many, but there are {sorted(sizes)} of them.")
    (n_samples,) = sizes
    if n_samples == 0:
        raise InputError("There are no samples to evaluate; check the data set and its split.")
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size must be at least 1, not {batch_size}.")
    n_chunks = 1 if batch_size is None else -(-n_samples // batch_size)
    chunk_size = -(-n_samples // n_chunks)  # as even as they can be, so that little is computed in vain
    padding = n_chunks * chunk_size - n_samples

    def cut(leaf: Array) -> Array:
        # Only what does not fit is copied; padding < chunk_size <= n_samples.
        filled = jnp.concatenate([leaf, leaf[:padding]]) if padding else leaf
        return filled.reshape(n_chunks, chunk_size, *leaf.shape[1:])

    is_real = (jnp.arange(n_chunks * chunk_size) < n_samples).reshape(n_chunks, chunk_size)
    return jax.tree.map(cut, samples), is_real


def _sum_of_chunk(values_of: ValuesOf, parameters: Parameters, chunk, is_real: Array) -> Array:
    return jnp.sum(jnp.where(is_real, values_of(parameters, chunk), 0))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sum_of_chunks(values_of: ValuesOf, parameters: Parameters, chunks, is_real: Array) -> Array:
    sums = jax.lax.map(lambda chunk: _sum_of_chunk(values_of, parameters, *chunk), (chunks, is_real))
    return jnp.sum(sums)


def _sum_forward(values_of: ValuesOf, parameters: Parameters, chunks, is_real: Array):
    value_and_gradient = jax.value_and_grad(partial(_sum_of_chunk, values_of))

    def add(total, chunk):
        return jax.tree.map(jnp.add, total, value_and_gradient(parameters, *chunk)), None

    first = jax.tree.map(lambda leaf: leaf[0], (chunks, is_real))
    shapes = jax.eval_shape(value_and_gradient, parameters, *first)
    nothing = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    (value, gradient), _ = jax.lax.scan(add, nothing, (chunks, is_real))
    return value, gradient


def _sum_backward(values_of: ValuesOf, gradient: Parameters, bar: Array):
    del values_of
    return jax.tree.map(lambda g: (bar * g).astype(g.dtype), gradient), None, None


_sum_of_chunks.defvjp(_sum_forward, _sum_backward)


def mean_over(
    values_of: ValuesOf, samples: PyTree[Float[Array, "samples ..."]], *, batch_size: int | None = None
) -> Loss:
    """The mean of a value of each sample, as a function of the parameters with an exact gradient.

    Args:
        values_of: ``values_of(parameters, chunk) -> (batch,)``, one value a sample, none of which depends on
            the other samples of the chunk. The gradient is with respect to ``parameters`` alone.
        samples: Tree of arrays ``(samples, ...)``; ``chunk`` is a part of it.
        batch_size: Samples computed at once. Memory grows with it, the mean does not depend on it.
    """
    chunks, is_real = in_chunks(samples, batch_size)
    n_samples = jax.tree.leaves(samples)[0].shape[0]
    return lambda parameters: _sum_of_chunks(values_of, parameters, chunks, is_real) / n_samples


def cross_entropy(
    apply: Apply,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    *,
    batch_size: int | None = None,
) -> Loss:
    """Mean cross-entropy in nats over all samples, as a function of the parameters.

    Args:
        apply: ``apply(parameters, inputs) -> logits``.
        inputs: All samples.
        labels: Their classes.
        batch_size: Samples computed at once.

    Raises:
        InputError: As ``check_samples``, a label out of range when the loss is first computed.
    """
    inputs, labels = check_samples(inputs, labels)

    def values_of(parameters: Parameters, chunk: tuple[Array, Array]) -> Array:
        logits = apply(parameters, chunk[0])
        check_label_form(chunk[1], logits.shape)
        if (counts := counted_steps(chunk[1])) is None:
            return optax.softmax_cross_entropy_with_integer_labels(logits, chunk[1])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(chunk[1], 0))
        return mean_where(losses, counts, axis=1)

    mean, is_checked = mean_over(values_of, (inputs, labels), batch_size=batch_size), False

    def loss(parameters: Parameters) -> Float[Array, ""]:
        nonlocal is_checked
        if not is_checked:
            check_samples(inputs, labels, n_outputs=n_outputs_of(apply, parameters, inputs, labels))
            is_checked = True
        return mean(parameters)

    return loss


def logits_of(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    *,
    batch_size: int | None = None,
) -> Float[Array, "samples classes"]:
    """The logits of all samples, computed chunk by chunk."""
    inputs, _ = check_samples(inputs)
    chunks, _ = in_chunks(inputs, batch_size)
    logits = jax.lax.map(lambda chunk: apply(parameters, chunk), chunks)
    return logits.reshape(-1, *logits.shape[2:])[: inputs.shape[0]]


def divergence_from(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    divergence: str = "kl",
    *,
    labels: Int[Array, "samples ..."] | None = None,
    batch_size: int | None = None,
) -> Loss:
    """How far the logits move away from those at ``parameters``, averaged over all samples.

    Args:
        apply: ``apply(parameters, inputs) -> logits``.
        parameters: Where to measure from; held constant.
        inputs: All samples.
        divergence: ``"kl"``, ``"reverse_kl"``, ``"js"`` or ``"l2"``.
        labels: With labels per time step, these: only steps that have one count.
        batch_size: Samples computed at once.

    Raises:
        InputError: There is no such divergence.
    """
    if divergence not in DIVERGENCES:
        hint = nearest(divergence, DIVERGENCES)
        raise InputError(f"There is no divergence {divergence!r}; there are {', '.join(DIVERGENCES)}.{hint}")
    inputs, _ = check_samples(inputs)
    counts = None if labels is None else counted_steps(labels)
    nominal = jax.lax.stop_gradient(logits_of(apply, parameters, inputs, batch_size=batch_size))

    # The divergences are means over a batch; of batches of one sample, they are values of samples.
    def of_sample(p: Array, q: Array, counts: Array | None) -> Array:
        return DIVERGENCES[divergence](p[None], q[None], counts if counts is None else counts[None])

    def values_of(attacked: Parameters, chunk: tuple[Array, Array, Array | None]) -> Array:
        return jax.vmap(of_sample)(chunk[1], apply(attacked, chunk[0]), chunk[2])

    return mean_over(values_of, (inputs, nominal, counts), batch_size=batch_size)
