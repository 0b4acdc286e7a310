"""Parameter mismatch: what a device makes of the parameters it is given (section 3.1)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.models.network import Parameters

Apply = Callable[[Parameters, Float[Array, "batch ..."]], Float[Array, "batch classes"]]


def normal_like(key: Array, parameters: Parameters) -> Parameters:
    """Draw a standard normal tree of the shapes and dtypes of ``parameters``, one key a leaf."""
    leaves, structure = jax.tree.flatten(parameters)
    keys = jax.random.split(key, len(leaves))
    draws = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, draws)


def gaussian_mismatch(key: Array, parameters: Parameters, level: Float[Array, ""] | float) -> Parameters:
    """Draw one device: every parameter deviates in proportion to its own size.

    ``theta (1 + level * N(0, 1))``, elementwise (equation 1 of the paper).

    Args:
        key: PRNG key of the device.
        parameters: Any tree of floating-point arrays.
        level: Relative standard deviation, zeta in the paper; 0 gives the parameters themselves.
    """
    return jax.tree.map(
        lambda p, n: p + p * (level * n).astype(p.dtype), parameters, normal_like(key, parameters)
    )


def accuracy(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    *,
    batch_size: int | None = None,
) -> Float[Array, ""]:
    """Fraction of samples whose largest logit is that of their label.

    Args:
        apply: ``apply(parameters, inputs) -> logits``.
        parameters: Tree of parameters.
        inputs: All samples.
        labels: Their classes.
        batch_size: Samples computed at once; all of them if not given. Memory grows with it, the result
            does not depend on it.
    """
    n_samples = labels.shape[0]
    if batch_size is None or batch_size >= n_samples:
        return jnp.mean(jnp.argmax(apply(parameters, inputs), axis=-1) == labels)
    n_batches = -(-n_samples // batch_size)
    # Padding repeats the first samples with a label that no logit can have.
    padding = n_batches * batch_size - n_samples
    inputs = jnp.concatenate([inputs, inputs[:padding]]).reshape(n_batches, batch_size, *inputs.shape[1:])
    labels = jnp.concatenate([labels, jnp.full(padding, -1, labels.dtype)]).reshape(n_batches, batch_size)
    hits = jax.lax.map(
        lambda b: jnp.sum(jnp.argmax(apply(parameters, b[0]), axis=-1) == b[1]), (inputs, labels)
    )
    return jnp.sum(hits) / n_samples


def mismatch_accuracies(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    key: Array,
    *,
    level: Float[Array, ""] | float,
    n_draws: int,
    draws_at_once: int = 1,
    batch_size: int | None = None,
) -> Float[Array, " n_draws"]:
    """Accuracy of ``n_draws`` devices with Gaussian mismatch, all in one program.

    Device ``i`` depends on ``key`` and ``i`` alone, whatever ``draws_at_once`` is.

    Args:
        apply: ``apply(parameters, inputs) -> logits``.
        parameters: Tree of parameters.
        inputs: All samples.
        labels: Their classes.
        key: PRNG key of all devices.
        level: Relative standard deviation of the mismatch.
        n_draws: Number of devices.
        draws_at_once: Devices computed side by side; 1 is fastest on a CPU, many on a GPU.
        batch_size: Samples computed at once.
    """

    def of_device(index):
        device = gaussian_mismatch(jax.random.fold_in(key, index), parameters, level)
        return accuracy(apply, device, inputs, labels, batch_size=batch_size)

    return jax.lax.map(of_device, jnp.arange(n_draws), batch_size=draws_at_once)
