"""Adversarial training: the same loss on attacked inputs."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from jaxrobust.attacks.input_attack import AttackOnInputs
from jaxrobust.criteria import Criterion
from jaxrobust.errors import InputError
from jaxrobust.training.methods.objective import Loss, Method, Objective, keys_of
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static

AttackLabels = Literal["true", "predicted"]


@settings_tree
@dataclass(frozen=True)
class AdversarialTraining:
    """``(1 - share) L(x) + share L(x')`` with attacked inputs x', held constant (Madry et al. 2018).

    The attack raises the criterion of the network as it is evaluated, without dropout and with its running
    statistics; the loss on x' is the base method's. With share 0 the gradient is the base method's.

    Attributes:
        base: The method that gives L.
        attack: What finds x'.
        share: Weight of the attacked inputs: 1 in Madry et al., 0.5 in Goodfellow et al. 2015.
        labels: What the attack moves away from: ``"true"`` labels or the classes ``"predicted"`` for x, with
            which the attacked inputs tell nothing of the labels.
        criterion: What the attack raises; None for the criterion of the training. (The published sparse
            tickets smooth labels in training and not in the attack.)
    """

    neutral: ClassVar = {"share": 0.0}

    base: Method
    attack: AttackOnInputs
    share: Number = 1.0
    labels: AttackLabels = static(default="true")
    criterion: Criterion | None = None

    def __post_init__(self):
        check_numbers(self, "share", maximum=1)
        if self.labels not in get_args(AttackLabels):
            raise InputError(f'labels of an attack are "true" or "predicted", not {self.labels!r}.')

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The mean of the base loss on clean and on attacked inputs."""
        clean, outputs = self.base.loss(objective, parameters, key)
        fixed = jax.lax.stop_gradient(parameters)
        labels = self._labels(objective, fixed)

        criterion = objective.criterion if self.criterion is None else self.criterion

        def loss(inputs: Array) -> Array:
            return criterion.loss(objective.evaluate(fixed, inputs).logits, labels)

        attacked = self.attack(loss, objective.inputs, keys_of(key).attack_on_inputs)
        robust, _ = self.base.loss(objective.with_inputs(attacked), parameters, key)
        return (1 - self.share) * clean + self.share * robust, outputs

    def _labels(self, objective: Objective, parameters: Parameters) -> Shaped[Array, "batch ..."]:
        if self.labels == "true":
            return objective.labels
        logits = objective.evaluate(parameters, objective.inputs).logits
        return jnp.argmax(logits, axis=-1).astype(objective.labels.dtype)
