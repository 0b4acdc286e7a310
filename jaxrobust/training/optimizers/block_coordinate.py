"""Adversarial block coordinate descent: some parameters go uphill, the others down."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.attacks.parameter_attack import radius_of_box
from jaxrobust.training.optimizers.adam import Adam
from jaxrobust.training.optimizers.optimizer import Evaluate, Memory, Step, descend
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static


@settings_tree
@dataclass(frozen=True)
class BlockCoordinateDescent:
    """ABCD, ``n_cycles`` times a step, with a fresh random half ``M`` of all parameters::

        theta' = theta + M clip(ascent_rate grad f(theta), -size |theta|, size |theta|)
        theta  = theta' - (1 - M) learning_rate Adam(grad f(theta'))

    The published clip was around ``theta'`` itself and so did nothing; ours is around ``theta``. A parameter
    that is zero never goes uphill. One step costs ``2 n_cycles`` gradients, all on the step's batch.

    Attributes:
        ascent_rate: Learning rate uphill (``abcd_etaA``).
        size: Half the width of the box that bounds one ascent, relative to each parameter (zeta).
        n_cycles: Ascents and descents a step (``abcd_L``).
        descent: The optimizer downhill.
    """

    ascent_rate: Number = 0.1
    size: Number = 0.2
    n_cycles: int = static(default=2)
    descent: Adam = field(default_factory=Adam)

    def __post_init__(self):
        check_numbers(self, "ascent_rate", "size")

    def init(self, parameters: Parameters) -> Memory:
        """The means of Adam."""
        return self.descent.init(parameters)

    def step(
        self,
        evaluate: Evaluate,
        parameters: Parameters,
        memory: Memory,
        learning_rate: Float[Array, ""],
        key: Array,
    ) -> Step:
        """``n_cycles`` ascents and descents."""

        def cycle(carry, key: Array):
            parameters, memory = carry
            key_mask, key_up, key_down = jax.random.split(key, 3)
            mask = random_half(key_mask, parameters)
            before = evaluate(parameters, key_up)
            raised = self.ascend(parameters, before.gradient, mask)
            direction, memory = self.descent.direction(evaluate(raised, key_down).gradient, memory)
            lowered = descend(
                raised, learning_rate, jax.tree.map(lambda m, d: jnp.where(m, 0, d), mask, direction)
            )
            return (lowered, memory), (before.loss, before.forward)

        keys = jax.random.split(key, self.n_cycles)
        (new, memory), seen = jax.lax.scan(cycle, (parameters, memory), keys)
        loss, forward = jax.tree.map(lambda x: x[0], seen)
        return Step(new, memory, loss, forward)

    def ascend(self, parameters: Parameters, gradient: Parameters, mask: Parameters) -> Parameters:
        """Move the parameters of ``mask`` uphill, inside the box around where they are."""

        def leaf(theta: Array, g: Array, m: Array) -> Array:
            radius = radius_of_box(theta, self.size)
            shift = jnp.clip(self.ascent_rate * g, -radius, radius)
            return jnp.where(m, theta + shift, theta).astype(theta.dtype)

        return jax.tree.map(leaf, parameters, gradient, mask)


def random_half(key: Array, parameters: Parameters) -> Parameters:
    """A tree of booleans, each true with probability one half."""
    leaves, structure = jax.tree.flatten(parameters)
    keys = jax.random.split(key, len(leaves))
    return jax.tree.unflatten(
        structure, [jax.random.bernoulli(k, 0.5, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    )
