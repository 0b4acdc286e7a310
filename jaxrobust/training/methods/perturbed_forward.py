"""Training under any random perturbation of the parameters."""

from dataclasses import dataclass

import jax
from jax import Array

from jaxrobust.perturbations.perturbation import Perturbation
from jaxrobust.training.methods.objective import Loss, Objective, keys_of
from jaxrobust.trees import Parameters, settings_tree


@settings_tree
@dataclass(frozen=True)
class PerturbedForward:
    """Training with freshly perturbed parameters at every step; ``ForwardNoise`` is the usual case.

    Attributes:
        perturbation: Such as ``Matching(WeightRangeNoise(0.1), "(?!.*bn).*")``.
    """

    perturbation: Perturbation

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The task loss at perturbed parameters; the deviation itself is constant in the gradient."""
        device = self.perturbation.perturb(keys_of(key).noise, parameters)
        perturbed = jax.tree.map(lambda p, d: p + jax.lax.stop_gradient(d - p), parameters, device)
        return objective.loss(perturbed, key)
