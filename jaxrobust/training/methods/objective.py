"""What a training method is given, one batch and the network that learns it, and what it gives back."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Bool, Float, Int

from jaxrobust.networks.network import Network, Outputs, Statistics
from jaxrobust.trees import Number, Parameters

Loss = tuple[Float[Array, ""], Outputs]

# The firing rate towards which the published regularizer pulls: 10 Hz at a time step of 1 ms.
TARGET_RATE = 0.01


class Keys(NamedTuple):
    """The keys of one training step, one for each purpose.

    They all come from the step's key, whatever parts the method has: a model draws the same alone and in a
    program with models that have more parts.
    """

    noise: Array
    attack: Array
    attack_on_inputs: Array
    dropout: Array


def keys_of(key: Array) -> Keys:
    """The keys of a training step."""
    return Keys(*jax.random.split(key, 4))


class Batch(NamedTuple):
    """Inputs and labels of one training step."""

    inputs: Float[Array, "batch ..."]
    labels: Int[Array, " batch"]


class Objective(NamedTuple):
    """One batch and the network that learns it, as the methods see them.

    Attributes:
        network: The architecture.
        statistics: Its running statistics before this step.
        inputs: The batch's inputs; ``objective._replace(inputs=...)`` is the same objective on others.
        labels: The batch's classes.
        rate_regularization: Weight of the firing-rate term.
        epoch: Epochs trained so far, with fractions.
    """

    network: Network
    statistics: Statistics
    inputs: Float[Array, "batch ..."]
    labels: Int[Array, " batch"]
    rate_regularization: Number = 0.0
    epoch: Number = 0.0

    def forward(self, parameters: Parameters, inputs: Float[Array, "batch ..."], key: Array) -> Outputs:
        """The network in training: the same key of a step gives the same dropout mask."""
        return self.network.forward(
            parameters, self.statistics, inputs, key=keys_of(key).dropout, training=True
        )

    def loss(self, parameters: Parameters, key: Array) -> Loss:
        """The published task loss: cross-entropy and a pull of the firing rates to 10 Hz.

        The rate term is summed over units and batch, as published; networks without spikes have none.
        """
        result = self.forward(parameters, self.inputs, key)
        cross_entropy = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(result.logits, self.labels))
        if "rates" not in result.activations:
            return cross_entropy, result
        deviation = result.activations["rates"] - TARGET_RATE
        return cross_entropy + self.rate_regularization * jnp.sum(deviation**2), result


def objective_of(
    network: Network,
    statistics: Statistics,
    batch: Batch,
    rate_regularization: Number,
    epoch: Number = 0.0,
) -> Objective:
    """The objective of learning one batch."""
    return Objective(network, statistics, *batch, rate_regularization, epoch)


class Method(Protocol):
    """What the training loop asks of a method."""

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The number whose gradient trains the parameters, and the base forward pass.

        The forward pass is that of the base method: what is logged as training accuracy and what the
        running statistics come from, so that neither depends on an attack.
        """
        ...


def after_warmup(
    objective: Objective,
    warmup: Number,
    robust: Callable[[], Float[Array, ""]],
    before: Float[Array, ""],
) -> Float[Array, ""]:
    """``robust()`` once ``warmup`` epochs are over; ``before`` until then, when ``robust`` is not computed.

    (Under ``vmap`` it always is, as the models of a program may be in different phases.)
    """
    over: Bool[Array, ""] = jnp.asarray(objective.epoch >= warmup)
    return jax.lax.cond(over, lambda: robust().astype(before.dtype), lambda: before)
