"""Verified accuracy: samples whose answer no parameters in a box can change."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jaxtyping import Bool, Float, Int

from jaxrobust.certificates.intervals import Interval
from jaxrobust.certificates.margins import verified_by_margins
from jaxrobust.criteria import check_label_form
from jaxrobust.measures.full_set import check_samples, in_chunks
from jaxrobust.trees import Parameters, PerLeaf, check_range, for_every_leaf

BoundsOf = Callable[[Interval, Float[Array, "batch ..."]], Interval]
MarginsOf = Callable[
    [Interval, Float[Array, "batch ..."], Int[Array, " batch"]], Float[Array, "batch classes"]
]


def box_around(parameters: Parameters, relative_size: PerLeaf, absolute_size: PerLeaf = 0.0) -> Interval:
    """The box ``|theta' - theta| <= relative_size |theta| + absolute_size``, as two trees of parameters.

    Widened by a few roundings, so that parameters computed as ``theta (1 + zeta r)``, ``|r| <= 1``, lie
    inside; where the size is 0 the box holds ``theta`` alone. A traced size that is negative or not finite
    gives a box without bounds, in which nothing is verified.

    Args:
        parameters: Any tree of floating-point arrays.
        relative_size: zeta, one number or a tree like the parameters.
        absolute_size: What is added to it.

    Raises:
        InputError: A size is negative or not finite.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> box = jr.box_around({"w": jnp.array([1.0, -2.0])}, relative_size=0.5)
        >>> bool(jnp.all(box.lower["w"] <= jnp.array([0.5, -3.0])))
        True
    """
    for size, name in ((relative_size, "relative_size"), (absolute_size, "absolute_size")):
        known = [s for s in jax.tree.leaves(size) if not isinstance(s, Tracer)]
        check_range([np.asarray(s) for s in known], f"{name} of a box")

    def leaf(p: Array, relative: Array, absolute: Array) -> tuple[Array, Array]:
        if not jnp.issubdtype(jnp.result_type(p), jnp.floating):
            return p, p  # whole numbers and masks are exactly known
        p = jnp.asarray(p)
        radius = (relative * jnp.abs(p) + absolute).astype(p.dtype)
        rounding = 4 * jnp.finfo(p.dtype).eps * (jnp.abs(p) + radius)
        # Comparisons with NaN are false: what is not known to be a size makes the box unbounded.
        radius = jnp.where(radius > 0, radius + rounding, jnp.where(radius == 0, 0, jnp.inf))
        radius = jnp.where((relative >= 0) & (absolute >= 0), radius, jnp.inf)
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

    Args:
        logits: Bounds ``(batch, classes)``, as ``output_bounds`` gives them.
        labels: The correct classes.

    Raises:
        InputError: The labels are not one class per sample.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> from jaxrobust.certificates.intervals import Interval
        >>> logits = Interval(jnp.array([[2.0, 0.0], [0.0, 0.0]]), jnp.array([[3.0, 1.0], [3.0, 1.0]]))
        >>> print(jr.verified(logits, jnp.array([0, 0])))
        [ True False]
    """
    check_label_form(labels, logits.lower.shape)
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
    """Fraction of samples that are classified correctly by every network in the box, by bounds of logits.

    ``accuracy_verified_by_margins`` proves more.

    Args:
        bounds_of: ``bounds_of(box, inputs) -> logits``: ``partial(output_bounds, apply)`` for a feed-forward
            network, ``partial(lsnn_bounds, constants=...)`` for the LSNN.
        box: The parameters, from ``box_around``.
        inputs: All samples.
        labels: Their classes.
        batch_size: Samples computed at once.
    """
    return _share(lambda x, y: verified(bounds_of(box, x), y), inputs, labels, batch_size=batch_size)


def accuracy_verified_by_margins(
    margins_of: MarginsOf,
    box: Interval,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    *,
    batch_size: int | None = None,
) -> Float[Array, ""]:
    """Fraction of samples that are classified correctly by every network in the box, by bounds of margins.

    Args:
        margins_of: ``margins_of(box, inputs, labels) -> lower bounds of margins``: ``partial(output_margins,
            apply)`` for a feed-forward network, ``partial(lsnn_margins, constants=...)`` for the LSNN.
        box: The parameters, from ``box_around``.
        inputs: All samples.
        labels: Their classes.
        batch_size: Samples computed at once.
    """
    return _share(
        lambda x, y: verified_by_margins(margins_of(box, x, y), y), inputs, labels, batch_size=batch_size
    )


def _share(
    is_verified: Callable[[Array, Array], Array], inputs: Array, labels: Array, *, batch_size: int | None
) -> Float[Array, ""]:
    inputs, labels = check_samples(inputs, labels)
    chunks, is_real = in_chunks((inputs, labels), batch_size)

    def count(chunk) -> Array:
        (some_inputs, some_labels), some_real = chunk
        check_label_form(some_labels, (*some_inputs.shape[:1], 0))
        return jnp.sum(is_verified(some_inputs, some_labels) & some_real)

    return jnp.sum(jax.lax.map(count, (chunks, is_real))) / labels.shape[0]
