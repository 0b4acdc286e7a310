"""The suite ``standard``: a worst case inside the box of which one may say that the search was serious.

What AutoAttack did for inputs (Croce and Hein 2020), for parameters: three losses (cross-entropy, a margin
and the Kullback-Leibler divergence from the network's own answers) from random starts anywhere in the box,
ten steps each with the step halved on the way, then random corners, then the network itself. The answer is
the lowest accuracy of everything that was seen.

The argmax does not change if all logits are multiplied by a number, and neither does what the suite finds:
its losses take the logits in units of their own spread (``SPREAD``). A cross-entropy of large logits has no
gradient where the answer is right, and a network could look robust by its large last layer alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Bool, Float, Int

from jaxrobust.attacks.ascent import Value, better_of
from jaxrobust.attacks.logit_losses import kl, margin
from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.criteria import is_answer, is_hit
from jaxrobust.errors import InputError
from jaxrobust.losses import Apply
from jaxrobust.measures.failures import mean_value
from jaxrobust.measures.full_set import check_samples, logits_of, n_outputs_of
from jaxrobust.numerics import divide
from jaxrobust.perturbations.mismatch import BoxCorner
from jaxrobust.trees import Parameters, PerLeaf, check_range

LOSSES = ("cross_entropy", "margin", "kl")
# Root mean square of the nominal logits about their mean, as the losses see them. Of 1, 3 and 10, tried on
# ten MLPs and ten LSNNs, 10 finds most in boxes of 0.02 and 0.1, never less than 50 random corners do.
SPREAD = 10.0


@dataclass(frozen=True)
class AttackSuite:
    """How much is tried.

    Attributes:
        n_starts: Random starts of each loss. Start ``i`` depends on the key and ``i`` alone, so that more of
            them, or more corners, never find less.
        n_steps: Gradient steps of each start.
        n_corners: Random corners of the box.
    """

    n_starts: int = 2
    n_steps: int = 10
    n_corners: int = 20

    def __post_init__(self):
        for name in ("n_starts", "n_steps", "n_corners"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of an attack suite is at least 1, not {getattr(self, name)!r}.")

    @property
    def n_gradients(self) -> int:
        """Gradients of the whole data set that the suite computes."""
        return len(LOSSES) * self.n_starts * self.n_steps


STANDARD = AttackSuite()


class SuiteResult(NamedTuple):
    """What the suite finds.

    Attributes:
        accuracy: The lowest accuracy of everything seen.
        nominal: Accuracy of the parameters themselves.
        attacks: Lowest accuracy on the way of each loss in ``LOSSES`` and each start.
        corners: Accuracy at each random corner.
        parameters: Where the lowest accuracy was found.
        has_gradient: Whether each attack met any gradient that is not zero; without one it has not searched,
            and only the corners speak for the network.
        is_finite: Whether every loss on the way of each attack was finite.
    """

    accuracy: Float[Array, ""]
    nominal: Float[Array, ""]
    attacks: Float[Array, "losses starts"]
    corners: Float[Array, " corners"]
    parameters: Parameters
    has_gradient: Bool[Array, "losses starts"]
    is_finite: Bool[Array, "losses starts"]


def standard_worst_case(
    apply: Apply,
    parameters: Parameters,
    inputs: Float[Array, "samples ..."],
    labels: Int[Array, " samples"],
    key: Array,
    *,
    size: PerLeaf,
    absolute_size: PerLeaf = 0.0,
    suite: AttackSuite = STANDARD,
    batch_size: int | None = None,
) -> SuiteResult:
    """Search the box ``|theta' - theta| <= size |theta| + absolute_size`` for the lowest accuracy.

    Args:
        apply: ``apply(parameters, inputs) -> logits``, without dropout.
        parameters: Any tree of floating-point arrays.
        inputs: All samples.
        labels: Their classes.
        key: PRNG key of starts and corners.
        size: Half the width of the box relative to each parameter.
        absolute_size: What is added to it.
        suite: How much is tried; ``STANDARD`` takes 60 gradients of the whole data set.
        batch_size: Samples computed at once.

    Raises:
        InputError: A size is negative or not finite; samples or labels do not fit.

    Example:
        >>> found = standard_worst_case(
        ...     lambda p, x: x @ p, jnp.eye(2), jnp.eye(2), jnp.arange(2), jax.random.key(0), size=0.5
        ... )
        >>> float(found.accuracy), bool(found.has_gradient.all())
        (1.0, True)
    """
    check_range(size, "size of a box")
    check_range(absolute_size, "absolute_size of a box")
    inputs, labels = check_samples(inputs, labels)
    check_samples(inputs, labels, n_outputs=n_outputs_of(apply, parameters, inputs, labels))
    nominal = jax.lax.stop_gradient(logits_of(apply, parameters, inputs, batch_size=batch_size))
    unit = jnp.full(labels.shape, _unit_of(nominal))
    start_key, corner_key = jax.random.split(key)
    settings = ParameterAttack(
        relative_size=size,
        absolute_size=absolute_size,
        n_steps=suite.n_steps,
        start="box",
        halving=True,
        keep="best",
    )

    def value_of(which: Array):
        samples = (inputs, labels, nominal, unit, jnp.full(labels.shape, which))
        return mean_value(lambda p, chunk: _values(apply, p, chunk), samples, batch_size=batch_size)

    def run(index: tuple[Array, Array]):
        which, start = index
        own_key = jax.random.fold_in(jax.random.fold_in(start_key, start), which)
        found = attack(value_of(which), parameters, own_key, settings)
        assert found.value is not None
        return found.value.failure, found.parameters, found.has_gradient, found.is_finite

    n_losses = len(LOSSES)
    runs = jnp.repeat(jnp.arange(n_losses), suite.n_starts), jnp.tile(jnp.arange(suite.n_starts), n_losses)
    failures, attacked, has_gradient, is_finite = jax.lax.map(run, runs)

    failure_at = value_of(jnp.int32(0))

    def corner(index: Array) -> Array:
        # Only the key of the worst one is needed to have its parameters again.
        at = _corner(jax.random.fold_in(corner_key, index), parameters, size, absolute_size)
        return failure_at(at).failure

    of_corners = jax.lax.map(corner, jnp.arange(suite.n_corners))
    own = failure_at(parameters).failure

    best = jnp.argmax(failures)
    by_attack = jax.tree.map(lambda leaf: leaf[best], attacked), Value(failures[best], failures[best])
    at = _corner(jax.random.fold_in(corner_key, jnp.argmax(of_corners)), parameters, size, absolute_size)
    by_corner = at, Value(jnp.max(of_corners), jnp.max(of_corners))
    worst, value = better_of((parameters, Value(own, own)), better_of(by_attack, by_corner))
    as_table = (n_losses, suite.n_starts)
    return SuiteResult(
        accuracy=1 - value.failure,
        nominal=1 - own,
        attacks=1 - failures.reshape(as_table),
        corners=1 - of_corners,
        parameters=worst,
        has_gradient=has_gradient.reshape(as_table),
        is_finite=is_finite.reshape(as_table),
    )


def _unit_of(logits: Float[Array, "samples classes"]) -> Float[Array, ""]:
    """What the losses divide logits by; masked classes (-inf) and samples without an answer do not count."""
    counts = jnp.isfinite(logits)
    known = jnp.where(counts, logits, 0)
    means = divide(jnp.sum(known, -1), jnp.sum(counts, -1))
    squares = jnp.where(counts, (known - means[:, None]) ** 2, 0)
    spread = jnp.sqrt(divide(jnp.sum(squares), jnp.sum(counts)))
    return jnp.where(spread > 0, spread / SPREAD, 1)


def _values(apply: Apply, parameters: Parameters, chunk) -> tuple[Array, Array]:
    inputs, labels, nominal, unit, which = chunk
    logits = apply(parameters, inputs)
    failures = (~is_hit(logits, labels)).astype(logits.dtype)
    # A sample without an answer is wrong and pulls no further; its NaN would stop the search for all others.
    answered = is_answer(logits)[:, None]
    attacked, own = jnp.where(answered, logits, nominal) / unit[:, None], nominal / unit[:, None]
    losses = jnp.stack(
        [
            optax.softmax_cross_entropy_with_integer_labels(attacked, labels),
            jax.nn.sigmoid(margin(attacked, labels, own)),
            kl(attacked, labels, own),
        ]
    )
    return jnp.take_along_axis(losses, which[None], axis=0)[0], failures


def _corner(key: Array, parameters: Parameters, size: PerLeaf, absolute_size: PerLeaf) -> Parameters:
    corner = BoxCorner(size).perturb(key, parameters)
    if isinstance(absolute_size, int | float) and absolute_size == 0:
        return corner
    # The same signs again: an absolute size is a corner of parameters that are all 1.
    ones = jax.tree.map(jnp.ones_like, parameters)
    signs = jax.tree.map(jnp.subtract, BoxCorner(1.0).perturb(key, ones), ones)
    widths = jax.tree.map(jnp.abs, parameters)
    return jax.tree.map(lambda p, s, w: p + s * (size * w + absolute_size), parameters, signs, widths)
