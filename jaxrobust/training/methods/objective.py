"""The objective of one training step: a batch, the network that learns it, and the criterion."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Shaped

from jaxrobust.criteria import Criterion, CrossEntropy, counted_steps
from jaxrobust.networks.network import Network, Outputs, Statistics
from jaxrobust.networks.taps import NO_TAPS, Taps
from jaxrobust.trees import Number, Parameters

Loss = tuple[Float[Array, ""], Outputs]
# Adds something to the task loss wherever it is computed: (loss, outputs) -> loss.
Term = Callable[[Float[Array, ""], Outputs], Float[Array, ""]]


class Keys(NamedTuple):
    """The keys of one training step, one for each purpose.

    All come from the step's key, whatever parts the method has: a model draws the same alone and in a program
    with models that have more parts.
    """

    noise: Array
    attack: Array
    attack_on_inputs: Array
    dropout: Array


def keys_of(key: Array) -> Keys:
    """Split the key of a training step."""
    return Keys(*jax.random.split(key, 4))


class Batch(NamedTuple):
    """Inputs and labels of one training step; what a label is depends on the criterion."""

    inputs: Float[Array, "batch ..."]
    labels: Shaped[Array, "batch ..."]


class Objective(NamedTuple):
    """One batch, the network that learns it, and how well it does, as the methods see them.

    Attributes:
        network: The network.
        statistics: Its running statistics before this step.
        batch: Inputs and labels.
        criterion: What compares outputs with labels.
        epoch: Epochs trained so far, with fractions.
        terms: What is added to the criterion, as the firing-rate term.
        taps: What is done to the network's activations in training.
    """

    network: Network
    statistics: Statistics
    batch: Batch
    criterion: Criterion = CrossEntropy()
    epoch: Number = 0.0
    terms: tuple[Term, ...] = ()
    taps: Taps = NO_TAPS

    @property
    def inputs(self) -> Float[Array, "batch ..."]:
        """The batch's inputs."""
        return self.batch.inputs

    @property
    def labels(self) -> Shaped[Array, "batch ..."]:
        """The batch's labels."""
        return self.batch.labels

    @property
    def counts(self) -> Bool[Array, "batch time"] | None:
        """Which time steps have a label; None with one label per sample."""
        return counted_steps(self.labels)

    def with_inputs(self, inputs: Float[Array, "batch ..."]) -> "Objective":
        """Return the same objective on other inputs with the same labels."""
        return self._replace(batch=self.batch._replace(inputs=inputs))

    def forward(self, parameters: Parameters, inputs: Float[Array, "batch ..."], key: Array) -> Outputs:
        """Compute the network in training; the same key of a step gives the same dropout mask."""
        dropout = keys_of(key).dropout
        return self.network.forward(
            parameters, self.statistics, inputs, key=dropout, training=True, tap=self.taps
        )

    def evaluate(self, parameters: Parameters, inputs: Float[Array, "batch ..."]) -> Outputs:
        """Compute the network as it is evaluated: without dropout, with its running statistics."""
        return self.network.forward(parameters, self.statistics, inputs)

    def loss(self, parameters: Parameters, key: Array) -> Loss:
        """Compute the task loss, the criterion plus all terms, and the forward pass it comes from."""
        outputs = self.forward(parameters, self.inputs, key)
        loss = self.criterion.loss(outputs.logits, self.labels)
        for term in self.terms:
            loss = term(loss, outputs)
        return loss, outputs


class Method(Protocol):
    """How the parameters are trained: a loss over (objective, parameters, key), put together from parts.

    A method is a frozen dataclass made a tree by ``settings_tree``: its numbers are leaves, so that they can
    change, or become an axis of many models, without a recompilation; which parts it has, and its ``static``
    fields, are the structure of the program. Most methods take a ``base`` method, whose loss they attack,
    perturb or add to. They call ``objective.loss`` for the task loss and ``objective.forward`` for the
    network, and draw from ``keys_of(key)`` only, one key per purpose.

    A method must keep what tests/contracts/test_methods.py checks of each: jit = eager and vmap = loop within
    rounding, dtypes kept, the same key the same numbers, no NaN where all parameters are zero, no
    recompilation for other numbers.

    A class may name the number that switches it off, ``neutral = {"weight": 0.0}``: with it, its loss is that
    of its base. Models whose methods differ in such parts alone can share a program (``joining.join``).

    Example:
        >>> @settings_tree
        ... @dataclass(frozen=True)
        ... class GradientPenalty:
        ...     base: Method
        ...     weight: Number
        ...     def loss(self, objective, parameters, key):
        ...         loss, outputs = self.base.loss(objective, parameters, key)
        ...         slope = jax.grad(lambda x: objective.with_inputs(x).loss(parameters, key)[0])
        ...         return loss + self.weight * jnp.sum(slope(objective.inputs) ** 2), outputs
    """

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """Compute the number whose gradient trains the parameters, and the base method's forward pass.

        The forward pass is that of the innermost method without attack: what is logged as training score and
        where the running statistics come from, so that neither depends on an attack.
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
