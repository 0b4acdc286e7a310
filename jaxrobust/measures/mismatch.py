"""Parameter mismatch: what a device makes of its parameters, and how well it then works.

A sample whose logits are not finite is wrong: a device that overflows is a device that fails. How many
samples that concerns is returned beside the accuracies by ``perturbed_devices``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.criteria import Score, is_answer, is_hit, scores_classes
from jaxrobust.losses import Apply
from jaxrobust.measures.full_set import check_samples, in_chunks, n_outputs_of
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

    Raises:
        InputError: There are no samples, inputs hold NaN, or labels are not one class of the network per
            sample.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> inputs, labels = jnp.eye(2), jnp.array([0, 0])
        >>> print(jr.accuracy(lambda p, x: x @ p, jnp.eye(2), inputs, labels))
        0.5
    """
    how = {"batch_size": batch_size, "score": score}
    return _device(apply, parameters, *_checked(apply, parameters, inputs, labels, score), **how).accuracies


class Devices(NamedTuple):
    """What devices do.

    Attributes:
        accuracies: Share of samples with the right answer, or the mean of another score.
        unanswered: Share of samples whose outputs are not finite; where it is not 0 the device has failed.
    """

    accuracies: Float[Array, "*draws"]
    unanswered: Float[Array, "*draws"]


def _checked(apply: Apply, parameters: Parameters, inputs: Any, labels: Any, score: Score):
    inputs, labels = check_samples(inputs, labels)
    if scores_classes(score):
        check_samples(inputs, labels, n_outputs=n_outputs_of(apply, parameters, inputs, labels))
    return inputs, labels


def _device(
    apply: Apply,
    parameters: Parameters,
    inputs: Array,
    labels: Array,
    *,
    batch_size: int | None,
    score: Score,
) -> Devices:
    chunks, is_real = in_chunks((inputs, labels), batch_size)

    def count(chunk: tuple[tuple[Array, Array], Array]) -> tuple[Array, Array]:
        (some_inputs, some_labels), some_real = chunk
        outputs = apply(parameters, some_inputs)
        scores = score(outputs, some_labels)
        hits = jnp.sum(jnp.where(some_real, scores, jnp.zeros_like(scores)))
        answers = is_answer(
            outputs.reshape(some_real.shape[0], -1, outputs.shape[-1] if outputs.ndim > 1 else 1)
        )
        return hits, jnp.sum(some_real & ~answers.all(-1))

    # Hits are counted in whole numbers, so that the accuracy does not depend on the chunks.
    hits, unanswered = jax.lax.map(count, (chunks, is_real))
    return Devices(*(jnp.sum(counts) / labels.shape[0] for counts in (hits, unanswered)))


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
        InputError: There is no device to compute; or as ``accuracy``.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> data = jnp.eye(2), jnp.array([0, 1]), jax.random.key(0)
        >>> perturb = jr.Quantization(bits=1).perturb
        >>> print(jr.perturbed_accuracies(lambda p, x: x @ p, jnp.eye(2), *data, perturb=perturb, n_draws=2))
        [1. 1.]
    """
    return perturbed_devices(
        apply,
        parameters,
        inputs,
        labels,
        key,
        perturb=perturb,
        n_draws=n_draws,
        draws_at_once=draws_at_once,
        batch_size=batch_size,
        score=score,
    ).accuracies


def perturbed_devices(
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
) -> Devices:
    """As ``perturbed_accuracies``, with the share of samples to which each device gives no finite answer."""
    inputs, labels = _checked(apply, parameters, inputs, labels, score)

    def of_device(device_key: Array) -> Devices:
        device = perturb(device_key, parameters)
        return _device(apply, device, inputs, labels, batch_size=batch_size, score=score)

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
