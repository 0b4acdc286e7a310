"""Adversarial training of a share of each batch: the published rule of the stitching study."""

from dataclasses import dataclass

import jax
from jax import Array

from jaxrobust.attacks.input_attack import AttackOnInputs
from jaxrobust.errors import InputError
from jaxrobust.training.methods.objective import Loss, Method, Objective, keys_of
from jaxrobust.trees import Parameters, settings_tree, static


@settings_tree
@dataclass(frozen=True)
class AttackedSamples:
    """The base loss of a batch in which ``int(share B)`` random samples are attacked, the others clean.

    ``AdversarialTraining`` attacks every sample and weighs both losses; here only the chosen samples are
    attacked, which costs the share. With share 0 this is the base method, bit for bit.

    Attributes:
        base: The method that gives the loss.
        attack: What finds attacked inputs, held constant; it raises the criterion of the network as it is
            evaluated.
        share: Of each batch, between 0 and 1; part of the program's structure.

    Example:
        >>> from jaxrobust.attacks.input_attack import pgd
        >>> from jaxrobust.training.methods.standard import Standard
        >>> AttackedSamples(Standard(), pgd(8 / 255), share=0.5).n_attacked(129)
        64
    """

    base: Method
    attack: AttackOnInputs
    share: float = static(default=1.0)

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise InputError(f"share of AttackedSamples lies between 0 and 1, not at {self.share!r}.")

    def n_attacked(self, batch_size: int) -> int:
        """Return how many samples of a batch are attacked."""
        return int(self.share * batch_size + 1e-9)

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss of the mixed batch."""
        _, outputs = clean = self.base.loss(objective, parameters, key)
        n = self.n_attacked(objective.inputs.shape[0])
        if n == 0:
            return clean
        key_rows, key_attack = jax.random.split(keys_of(key).attack_on_inputs)
        rows = jax.random.permutation(key_rows, objective.inputs.shape[0])[:n]
        fixed, labels = jax.lax.stop_gradient(parameters), objective.labels[rows]

        def criterion(inputs: Array) -> Array:
            return objective.criterion.loss(objective.evaluate(fixed, inputs).logits, labels)

        attacked = self.attack(criterion, objective.inputs[rows], key_attack)
        mixed = objective.with_inputs(objective.inputs.at[rows].set(attacked))
        return self.base.loss(mixed, parameters, key)[0], outputs
