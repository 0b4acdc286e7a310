"""Verified accuracy: samples whose answer no parameters in a box can change."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from jaxrobust.certificates.intervals import Interval
from jaxrobust.measures.full_set import in_chunks
from jaxrobust.trees import Parameters, PerLeaf, for_every_leaf

BoundsOf = Callable[[Interval, Float[Array, "batch ..."]], Interval]


def box_around(parameters: Parameters, relative_size: PerLeaf, absolute_size: PerLeaf = 0.0) -> Interval:
    """The box ``|theta' - theta| <= relative_size |theta| + absolute_size``, as two trees of parameters.

    Widened by a few roundings, so that parameters computed as ``theta (1 + zeta r)``, ``|r| <= 1``, lie
    inside; where the size is 0 the box holds ``theta`` alone.

    Args:
        parameters: Any tree of floating-point arrays.
        relative_size: zeta, one number or a tree like the parameters.
        absolute_size: What is added to it.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> box = jr.box_around({"w": jnp.array([1.0, -2.0])}, relative_size=0.5)
        >>> bool(jnp.all(box.lower["w"] <= jnp.array([0.5, -3.0])))
        True
    """

    def leaf(p: Array, relative: Array, absolute: Array) -> tuple[Array, Array]:
        radius = (relative * jnp.abs(p) + absolute).astype(p.dtype)
        rounding = 4 * jnp.finfo(p.dtype).eps * (jnp.abs(p) + radius)
        radius = jnp.where(radius > 0, radius + rounding, 0)
        return p - radius, p + radius

    ends = jax.tree.map(
        leaf,
        parameters,
        for_every_leaf(relative_size, parameters, "relative_size"),
        for_every_leaf(absolute_size, parameters, "absolute_size"),
    )
    structure = jax.tree.structure(parameters)
    return Interval(*jax.tree.transpose(structure, jax.tree.structure((0, 0)), ends))


def verified(logits: Interval, labels: Int[Array, " batch"]) -> Bool[Array, " batch"]:
    """Whether the lower bound of the correct logit is above the upper bound of every other one.

    That is the published rule, "the largest lower bound, in an interval disjoint from every other", in fewer
    words: if two closed intervals are disjoint, that with the larger lower bound lies above the other as a
    whole. Bounds that are not numbers verify nothing.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> from jaxrobust.certificates.intervals import Interval
        >>> logits = Interval(jnp.array([[2.0, 0.0], [0.0, 0.0]]), jnp.array([[3.0, 1.0], [3.0, 1.0]]))
        >>> print(jr.verified(logits, jnp.array([0, 0])))
        [ True False]
    """
    is_label = jax.nn.one_hot(labels, logits.lower.shape[-1], dtype=bool)
    correct = jnp.take_along_axis(logits.lower, labels[:, None], axis=-1)
    return jnp.all(is_label | (correct > logits.upper), axis=-1)


def verified_accuracy(
    bounds_of: BoundsOf,
    box: Interval,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    *,
    batch_size: int | None = None,
) -> Float[Array, ""]:
    """Fraction of samples that are classified correctly by every network in the box.

    Args:
        bounds_of: ``bounds_of(box, inputs) -> logits``: ``partial(output_bounds, apply)`` for a feed-forward
            network, ``partial(lsnn_bounds, constants=...)`` for the LSNN.
        box: The parameters, from ``box_around``.
        inputs: All samples.
        labels: Their classes.
        batch_size: Samples computed at once.
    """
    chunks, is_real = in_chunks((inputs, labels), batch_size)

    def count(chunk) -> Array:
        (some_inputs, some_labels), some_real = chunk
        return jnp.sum(verified(bounds_of(box, some_inputs), some_labels) & some_real)

    return jnp.sum(jax.lax.map(count, (chunks, is_real))) / labels.shape[0]
