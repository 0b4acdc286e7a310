"""Losses of a stitch besides the labels': the donors' answers as targets, and terms on the stitch itself."""

from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from jaxrobust.criteria import SoftTargets
from jaxrobust.errors import InputError
from jaxrobust.measures.cka import linear_cka
from jaxrobust.networks.taps import Taps
from jaxrobust.stitching.layers import kernel_of
from jaxrobust.stitching.stitched import Stitched
from jaxrobust.training.methods.objective import Loss, Method, Objective
from jaxrobust.trees import Number, Parameters, check_numbers, settings_tree, static

Targets = Literal["front", "end", "both", "mean_logits"]


@settings_tree
@dataclass(frozen=True)
class DonorTargets:
    """Cross-entropy with the donors' answers in place of the labels; a base method of a stitched network.

    ``-mean sum softmax(t / tau) log softmax(F(x) / tau)`` without a factor tau². Attacks of an enclosing
    method still raise the criterion on the labels.

    Attributes:
        targets: Whose logits t: ``"front"``, ``"end"``, ``"both"`` (the mean of the two losses), or
            ``"mean_logits"`` (one loss, of the mean of the logits). Published as soft_1, soft_2, soft_12 and
            soft_1_plus_2.
        temperature: tau.
    """

    targets: Targets = static(default="end")
    temperature: Number = 1.0

    def __post_init__(self):
        check_numbers(self, "temperature", minimum=1e-6)
        if self.targets not in get_args(Targets):
            raise InputError(f"targets are {', '.join(get_args(Targets))}, not {self.targets!r}.")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The mean over the targets."""
        network = stitched_network(objective)
        outputs = objective.forward(parameters, objective.inputs, key)
        fixed, statistics = jax.lax.stop_gradient(parameters), objective.statistics
        front, end = (
            donor.forward(fixed[name], statistics[name], objective.inputs).logits
            for name, donor in (("front", network.front), ("end", network.end))
        )
        targets = {
            "front": (front,),
            "end": (end,),
            "both": (front, end),
            "mean_logits": ((front + end) / 2,),
        }[self.targets]
        criterion = SoftTargets(self.temperature)
        loss = jnp.mean(jnp.stack([criterion.loss(outputs.logits, target) for target in targets]))
        for term in objective.terms:
            loss = term(loss, outputs)
        return loss, outputs


@settings_tree
@dataclass(frozen=True)
class StitchPenalty:
    """``L + l1 mean |W| + cka CKA(g(x), T(f(x)))``: terms on the stitch, added to the base method's loss.

    Attributes:
        base: The method that gives L.
        l1: Weight of the mean absolute entry of the kernel; None computes none.
        cka: Weight of the linear CKA between what the end gets and its own activations: a positive one lowers
            the similarity, as published, a negative one raises it. None computes none.
    """

    base: Method
    l1: Number | None = None
    cka: Number | None = None

    def __post_init__(self):
        check_numbers(self, "l1")

    def loss(self, objective: Objective, parameters: Parameters, key: Array) -> Loss:
        """The base loss and the terms."""
        network = stitched_network(objective)
        loss, outputs = self.base.loss(objective, parameters, key)
        if self.l1 is not None:
            loss = loss + self.l1 * jnp.mean(jnp.abs(kernel_of(parameters["stitch"])))
        if self.cka is not None:
            statistics, x = objective.statistics, objective.inputs
            given = network.forward(parameters, statistics, x, tap=Taps(record=("stitch",)))
            own = network.end.forward(
                jax.lax.stop_gradient(parameters["end"]),
                statistics["end"],
                x,
                tap=Taps(record=(network.cut.end,)),
            )
            rows = (value.reshape(len(x), -1) for value in (_only(given), _only(own)))
            loss = loss + self.cka * linear_cka(*rows)
        return loss, outputs


def _only(outputs) -> Array:
    return next(iter(outputs.activations.values()))


def stitched_network(objective: Objective) -> Stitched:
    """Return the stitched network of an objective.

    Raises:
        InputError: The network is another.
    """
    if not isinstance(objective.network, Stitched):
        raise InputError(
            f"This method trains a stitch, but the network is a {type(objective.network).__name__}; "
            f"train it as Stitched(front, end, cut)."
        )
    return objective.network
