"""Controls of stitching: what a layer does that can learn nothing from its labels."""

from dataclasses import dataclass

import jax
from jax import Array

from jaxrobust.training.methods.objective import Loss, Method, Objective, keys_of
from jaxrobust.trees import Parameters, settings_tree


@settings_tree
@dataclass(frozen=True)
class ShuffledLabels:
    """The base loss of a batch whose labels are dealt out again at random, in every step.

    An accuracy on true labels is then not learned from labels. As they differ from step to step, they cannot
    be memorized either.

    Attributes:
        base: The method that gives the loss.
    """

    base: Method

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss on shuffled labels."""
        labels = jax.random.permutation(keys_of(key).noise, objective.labels)
        batch = objective.batch._replace(labels=labels)
        return self.base.loss(objective._replace(batch=batch), parameters, key)
