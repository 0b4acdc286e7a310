"""Training under noise on the activations."""

from collections.abc import Mapping
from dataclasses import dataclass

from jax import Array

from jaxrobust.networks.taps import Placed, Taps
from jaxrobust.perturbations.perturbation import Perturbation
from jaxrobust.training.methods.objective import Loss, Method, Objective
from jaxrobust.trees import Parameters, settings_tree


@settings_tree
@dataclass(frozen=True)
class NoisyActivations:
    """A method whose network perturbs its activations in every forward pass of training.

    The draws are fresh at every step and the same wherever the method computes the network, as dropout's.
    Validation, and attacks on inputs, see the network without this noise.

    Attributes:
        base: The method.
        perturb: Perturbations by position, ``{"fc1": AdditiveNoise(0.3)}``, or several of ``at(...)``.

    Example:
        >>> from jaxrobust.perturbations.noise import AdditiveNoise
        >>> from jaxrobust.training.methods import Standard
        >>> method = NoisyActivations(Standard(), {"relu1": AdditiveNoise(0.3)})
    """

    base: Method
    perturb: Mapping[str, Perturbation] | tuple[Placed, ...]

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base method's loss with noisy activations."""
        return self.base.loss(objective._replace(taps=Taps(perturb=self.perturb)), parameters, key)
