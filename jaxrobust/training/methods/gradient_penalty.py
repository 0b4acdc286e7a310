"""A penalty that keeps the slope of a critic near one between real and generated images (WGAN-GP)."""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.errors import InputError
from jaxrobust.networks.generative import GenerativePair
from jaxrobust.numerics import norm
from jaxrobust.training.methods.objective import Loss, Method, Objective, keys_of
from jaxrobust.training.methods.standard import Standard
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class GradientPenalty:
    """``base + weight mean (|grad critic(x)| - 1)^2`` at points between real and generated images.

    Each point lies at a random place between an image of the batch and a generated one (Gulrajani et al.
    2017). No gradient of the penalty reaches the generator.

    Attributes:
        base: The method whose loss it adds to; it must look at real and generated images.
        weight: Of the penalty; published 50.
    """

    base: Method = field(default_factory=Standard)
    weight: Number = 50.0

    def __post_init__(self):
        check_numbers(self, "weight")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss and the penalty.

        Raises:
            InputError: The network is no generator with its critic.
        """
        network, statistics = objective.network, objective.statistics
        if not isinstance(network, GenerativePair):
            raise InputError("A gradient penalty needs a generator with its critic, such as ImageGAN().")
        taps = replace(objective.taps, record=(*objective.taps.record, "generated"))
        loss, outputs = self.base.loss(objective._replace(taps=taps), parameters, key)
        real = 2 * objective.inputs - 1
        generated = jax.lax.stop_gradient(outputs.activations["generated"]).astype(real.dtype)
        share = jax.random.uniform(keys_of(key).noise, (len(real), *[1] * (real.ndim - 1)), real.dtype)

        def value(x: Array) -> Array:
            return jnp.sum(
                network.critic.forward(parameters["critic"], statistics["critic"], x, training=True).logits
            )

        slopes = jax.grad(value)(share * real + (1 - share) * generated)
        excess = jax.vmap(norm)(slopes) - 1
        return loss + (self.weight * jnp.mean(excess**2)).astype(loss.dtype), outputs
