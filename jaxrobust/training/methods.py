"""Training methods: each a loss over (parameters, batch, key), put together from small parts.

A method is a frozen dataclass whose numbers are leaves of a tree, so that they can change, or become an axis
of many models, without compiling anew; which parts it has is its structure. A new method is a new class with
``loss``; the training loop knows none of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.models.network import Forward, Network, Parameters, Statistics
from jaxrobust.robustness.attack import ParameterAttack, static
from jaxrobust.robustness.loss import BoundaryLoss, check_boundary_loss, robust_loss
from jaxrobust.robustness.mismatch import normal_like

Number = Float[Array, ""] | float

# The firing rate towards which the published regulariser pulls: 10 Hz at a time step of 1 ms.
TARGET_RATE = 0.01


class Batch(NamedTuple):
    """Inputs and labels of one training step."""

    inputs: Float[Array, "batch ..."]
    labels: Int[Array, " batch"]


class Task(NamedTuple):
    """One batch and the network that learns it, as the methods see them.

    Attributes:
        inputs: The batch's inputs.
        forward: The network, a function of (parameters, inputs, key).
        loss: Task loss and the forward pass behind it, a function of (parameters, key).
    """

    inputs: Float[Array, "batch ..."]
    forward: Callable[[Parameters, Array, Array], Forward]
    loss: Callable[[Parameters, Array], tuple[Float[Array, ""], Forward]]


def task_of(network: Network, statistics: Statistics, batch: Batch, rate_regularisation: Number) -> Task:
    """The published task loss (section 1.3): cross-entropy and a pull of the firing rates to 10 Hz.

    The rate term is summed over units and batch, as published; networks without spikes have none.
    """

    def forward(parameters: Parameters, inputs: Array, key: Array) -> Forward:
        return network.forward(parameters, statistics, inputs, key=key, training=True)

    def loss(parameters: Parameters, key: Array) -> tuple[Float[Array, ""], Forward]:
        result = forward(parameters, batch.inputs, key)
        cross_entropy = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(result.logits, batch.labels))
        return cross_entropy + rate_regularisation * jnp.sum((result.rates - TARGET_RATE) ** 2), result

    return Task(batch.inputs, forward, loss)


class Method(Protocol):
    """What the training loop asks of a method."""

    def loss(self, task: Task, parameters: Parameters, key: Array) -> tuple[Float[Array, ""], Forward]:
        """The number whose gradient trains the parameters, and the natural forward pass."""
        ...


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Standard:
    """Plain training on the task loss."""

    def loss(self, task: Task, parameters: Parameters, key: Array) -> tuple[Float[Array, ""], Forward]:
        """The task loss."""
        return task.loss(parameters, key)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ForwardNoise:
    """Training under fresh Gaussian mismatch at every step (section 3.3).

    Attributes:
        std: Standard deviation relative to each parameter's absolute value.
    """

    std: Number = 0.3

    def loss(self, task: Task, parameters: Parameters, key: Array) -> tuple[Float[Array, ""], Forward]:
        """The task loss at noisy parameters; the noise itself is constant in the gradient."""
        key_noise, key_task = jax.random.split(key)
        noisy = jax.tree.map(
            lambda p, n: p + jax.lax.stop_gradient(jnp.abs(p) * self.std * n),
            parameters,
            normal_like(key_noise, parameters),
        )
        return task.loss(noisy, key_task)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ParameterAttackTraining:
    """The task loss plus ``beta`` times the robust term of a parameter attack (section 3.3, "beta").

    Attributes:
        natural: The method that gives the first term; ``ForwardNoise`` for the published combination.
        beta: Weight of the robust term.
        attack: The attack, computed on the parameters without noise.
        boundary_loss: What the attack increases and training decreases.
        treat_as_constant: Whether the attacked parameters are held fixed in the gradient.
    """

    natural: Method
    beta: Number
    attack: ParameterAttack
    boundary_loss: BoundaryLoss = static(default="kl")
    treat_as_constant: bool = static(default=False)

    def __post_init__(self):
        check_boundary_loss(self.boundary_loss, treat_as_constant=self.treat_as_constant)

    def loss(self, task: Task, parameters: Parameters, key: Array) -> tuple[Float[Array, ""], Forward]:
        """The natural loss plus beta times the robust term."""
        key_task, key_attack = jax.random.split(key)
        natural, forward = self.natural.loss(task, parameters, key_task)
        robust = robust_loss(
            lambda p, inputs: task.forward(p, inputs, key_task).logits,
            parameters,
            task.inputs,
            key_attack,
            self.attack,
            boundary_loss=self.boundary_loss,
            treat_as_constant=self.treat_as_constant,
            logits=forward.logits if isinstance(self.natural, Standard) else None,
            task_loss=lambda p: task.loss(p, key_task)[0],
        )
        return natural + self.beta * robust, forward
