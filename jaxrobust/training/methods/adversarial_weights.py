"""Adversarial weight perturbation (Wu et al. 2020), with or without an attack on the inputs."""

from dataclasses import dataclass

import jax
from jax import Array

from jaxrobust.attacks.input_attack import InputAttack
from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.training.methods.objective import Loss, Method, Objective, after_warmup, keys_of
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree


@settings_tree
@dataclass(frozen=True)
class AdversarialWeights:
    """The gradient of the task loss at ``theta' = theta + gamma (theta* - theta)`` (AWP).

    ``theta*`` is found by an attack on the task loss. The inputs, if attacked, are attacked on the perturbed
    network ``theta'`` whose loss trains; the published code attacked them on the unperturbed one, and only
    for two of its three networks.

    Attributes:
        base: The method whose loss is attacked.
        attack: The attack on the parameters; the published size is 0.2.
        gamma: Which part of the way to the attacked parameters is gone.
        input_attack: The attack on the inputs; None for none.
        warmup: Epochs of base training before.
    """

    base: Method
    attack: ParameterAttack
    gamma: Number = 0.1
    input_attack: InputAttack | None = None
    warmup: Number = 0.0

    def __post_init__(self):
        check_numbers(self, "gamma", "warmup")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base method's loss at the perturbed parameters (and inputs)."""

        def base(p: Parameters, inputs: Array) -> Array:
            return self.base.loss(objective.with_inputs(inputs), p, key)[0]

        def perturbed() -> Array:
            attacked = attack(
                lambda p: base(p, objective.inputs), parameters, keys_of(key).attack, self.attack
            )
            moved = jax.tree.map(
                lambda p, a: p + jax.lax.stop_gradient(self.gamma * (a - p)).astype(p.dtype),
                parameters,
                attacked.parameters,
            )
            if self.input_attack is None:
                return base(moved, objective.inputs)
            fixed = jax.lax.stop_gradient(moved)
            return base(
                moved,
                self.input_attack(lambda x: base(fixed, x), objective.inputs, keys_of(key).attack_on_inputs),
            )

        before, forward = self.base.loss(objective, parameters, key)
        return after_warmup(objective, self.warmup, perturbed, before), forward
