"""Parameter mismatch: what a device makes of its parameters, and how well it then works."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.criteria import Score, is_hit
from jaxrobust.losses import Apply
from jaxrobust.measures.full_set import in_chunks
from jaxrobust.numerics import map_draws
from jaxrobust.perturbations.mismatch import gaussian_mismatch
from jaxrobust.trees import Parameters, PerLeaf, check_range


def accuracy(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    *,
    batch_size: int | None = None,
    score: Score = is_hit,
) -> Float[Array, ""]:
    """Fraction of samples whose largest logit is that of their label, or the mean of another score.

    Args:
        apply: ``apply(parameters, inputs) -> logits``.
        parameters: Tree of parameters.
        inputs: All samples.
        labels: Their classes.
        batch_size: Samples computed at once; all of them if not given. Memory grows with it, the result
            does not depend on it.
        score: The metric of a criterion, ``criterion.score``: one number per sample.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> inputs, labels = jnp.eye(2), jnp.array([0, 0])
        >>> print(jr.accuracy(lambda p, x: x @ p, jnp.eye(2), inputs, labels))
        0.5
    """
    chunks, is_real = in_chunks((inputs, labels), batch_size)

    def hits(chunk: tuple[tuple[Array, Array], Array]) -> Array:
        (some_inputs, some_labels), some_real = chunk
        return jnp.sum(jnp.where(some_real, score(apply(parameters, some_inputs), some_labels), False))

    # Hits are counted in whole numbers, so that the accuracy does not depend on the chunks.
    return jnp.sum(jax.lax.map(hits, (chunks, is_real))) / labels.shape[0]


def perturbed_accuracies(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    key: Array,
    *,
    perturb: Callable[[Array, Parameters], Parameters],
    n_draws: int,
    draws_at_once: int = 1,
    batch_size: int | None = None,
    score: Score = is_hit,
) -> Float[Array, " n_draws"]:
    """Accuracy of ``n_draws`` devices whose parameters are perturbed at random, all in one program.

    Device ``i`` depends on ``key`` and ``i`` alone, whatever ``n_draws`` and ``draws_at_once`` are.

    Args:
        apply: ``apply(parameters, inputs) -> logits``.
        parameters: Tree of parameters.
        inputs: All samples.
        labels: Their classes.
        key: PRNG key of all devices.
        perturb: ``perturb(key, parameters) -> parameters`` of one device, such as
            ``Quantization(bits=4).perturb``.
        n_draws: Number of devices.
        draws_at_once: Devices computed side by side; 1 is fastest on a CPU, many on a GPU.
        batch_size: Samples computed at once.
        score: The metric; accuracy by default.

    Raises:
        InputError: There is no device to compute.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> data = jnp.eye(2), jnp.array([0, 1]), jax.random.key(0)
        >>> perturb = jr.Quantization(bits=1).perturb
        >>> print(jr.perturbed_accuracies(lambda p, x: x @ p, jnp.eye(2), *data, perturb=perturb, n_draws=2))
        [1. 1.]
    """

    def of_device(device_key: Array) -> Array:
        device = perturb(device_key, parameters)
        return accuracy(apply, device, inputs, labels, batch_size=batch_size, score=score)

    return map_draws(of_device, key, n_draws, name="draws", at_once=draws_at_once)


def mismatch_accuracies(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    key: Array,
    *,
    level: PerLeaf,
    n_draws: int,
    draws_at_once: int = 1,
    batch_size: int | None = None,
    score: Score = is_hit,
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
        score: The metric; accuracy by default.

    Raises:
        InputError: A level is negative or not finite, or there is no device to compute.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> data = jnp.eye(2), jnp.array([0, 1]), jax.random.key(0)
        >>> print(jr.mismatch_accuracies(lambda p, x: x @ p, jnp.eye(2), *data, level=0.1, n_draws=3))
        [1. 1. 1.]
    """
    check_range(level, "level of mismatch")
    return perturbed_accuracies(
        apply,
        parameters,
        inputs,
        labels,
        key,
        perturb=lambda k, p: gaussian_mismatch(k, p, level),
        n_draws=n_draws,
        draws_at_once=draws_at_once,
        batch_size=batch_size,
        score=score,
    )
