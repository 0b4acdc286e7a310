"""Stitches trained on the attacked inputs of their donors."""

from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.attacks.input_attack import AttackOnInputs
from jaxrobust.errors import InputError
from jaxrobust.stitching.objectives import stitched_network
from jaxrobust.training.methods.objective import Loss, Method, Objective, keys_of
from jaxrobust.trees import Parameters, settings_tree, static

Source = Literal["front", "end"]


@settings_tree
@dataclass(frozen=True)
class TransferredAttacks:
    """The sum of the base losses on inputs that were attacked at the donors, by themselves.

    The published variants attack the front, the end, or both; the "representation union" attacks the donors
    that are robust, and takes the clean inputs as well unless both are.

    Attributes:
        base: The method that gives the loss.
        attack: What finds attacked inputs, held constant; it raises the criterion of a donor as it is
            evaluated.
        sources: Which donors: ``("front",)``, ``("end",)`` or both; part of the program's structure.
        with_clean: Whether the base loss of the clean inputs is added.

    Example:
        >>> from jaxrobust.attacks.input_attack import pgd
        >>> from jaxrobust.training.methods.standard import Standard
        >>> TransferredAttacks(Standard(), pgd(0.1), ("end",), with_clean=True).sources
        ('end',)
    """

    base: Method
    attack: AttackOnInputs
    sources: tuple[Source, ...] = static(default=("front", "end"))
    with_clean: bool = static(default=False)

    def __post_init__(self):
        known = get_args(Source)
        if not self.sources or any(source not in known for source in self.sources):
            raise InputError(f'sources are ("front",), ("end",) or both, not {self.sources!r}.')
        if len(set(self.sources)) < len(self.sources):
            raise InputError(f"Each source is named once, not as in {self.sources!r}.")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The sum; the forward pass is that of the clean inputs."""
        network = stitched_network(objective)
        clean, outputs = self.base.loss(objective, parameters, key)
        fixed = jax.lax.stop_gradient(parameters)
        total = clean if self.with_clean else jnp.zeros_like(clean)
        for place, source in enumerate(self.sources):
            donor, statistics = getattr(network, source), objective.statistics[source]

            def criterion(inputs: Array, donor=donor, statistics=statistics, source=source) -> Array:
                logits = donor.forward(fixed[source], statistics, inputs).logits
                return objective.criterion.loss(logits, objective.labels)

            own_key = jax.random.fold_in(keys_of(key).attack_on_inputs, place)
            attacked = self.attack(criterion, objective.inputs, own_key)
            total = total + self.base.loss(objective.with_inputs(attacked), parameters, key)[0]
        return total, outputs
