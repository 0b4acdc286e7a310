"""Variance-aware noisy training: every sample of a batch has its own noise level."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.errors import InputError
from jaxrobust.networks.taps import Taps
from jaxrobust.perturbations.noise import AdditiveNoise
from jaxrobust.training.methods.objective import Loss, Method, Objective, keys_of
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static


@settings_tree
@dataclass(frozen=True)
class VarianceAwareNoise:
    """Additive noise on activations whose standard deviation differs between the samples of a batch.

    Sample ``i`` has ``std_i = share std + spread |e_i|`` with ``e_i ~ N(0, 1)``, drawn at every step and the
    same at all its positions, so that the network is trained for a range of levels ("VANT", the follow-up of
    arXiv 2212.10430). The mean level is ``share std + spread sqrt(2 / pi)``.

    Attributes:
        base: The method.
        std: The level of the device.
        share: Published alpha, 0.45.
        spread: Published theta, from 0.05 at a level of 0.1 to 0.85 at 2.1; 0 with a share of 1 is training
            at one level.
        positions: Where noise is added.

    Example:
        >>> from jaxrobust.training.methods import Standard
        >>> method = VarianceAwareNoise(Standard(), 1.5, 0.45, 0.65, ("input", "fc1"))
    """

    base: Method
    std: Number
    share: Number
    spread: Number
    positions: tuple[str, ...] = static()

    def __post_init__(self):
        check_numbers(self, "std", "share", "spread")
        if isinstance(self.positions, str) or not self.positions:
            raise InputError(f"positions must name where noise is added, not {self.positions!r}.")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base method's loss with noisy activations."""
        inputs = objective.inputs
        drawn = jax.random.normal(keys_of(key).noise, inputs.shape[:1], inputs.dtype)
        levels = (self.share * self.std + self.spread * jnp.abs(drawn)).astype(inputs.dtype)
        shapes = objective.network.positions
        Taps(record=self.positions).check(shapes)
        perturb = {
            name: AdditiveNoise(levels.reshape(-1, *(1 for _ in shapes[name]))) for name in self.positions
        }
        return self.base.loss(objective._replace(taps=Taps(perturb=perturb)), parameters, key)
