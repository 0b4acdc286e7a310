"""What AMP and SAM share: the gradient of a loss one step uphill."""

from collections.abc import Callable

import jax
from jax import Array
from jaxtyping import Float

from jaxrobust.attacks.ascent import Steps, ascend, loss_alone
from jaxrobust.training.methods.objective import Loss, Method, Objective, after_warmup
from jaxrobust.trees import Number, Parameters


def loss_uphill(
    base: Method,
    objective: Objective,
    parameters: Parameters,
    key: Array,
    *,
    direction: Callable[[Parameters], Parameters],
    length: Number,
    warmup: float | Float[Array, ""],
) -> Loss:
    """Compute the base loss one step uphill, differentiated as if the step were constant.

    Both losses have the same key, hence the same noise and dropout mask.

    Args:
        base: The method whose loss is increased.
        objective: Network, batch and criterion.
        parameters: Where the step starts.
        key: PRNG key of both losses.
        direction: Makes the direction of the step of the gradient of the base loss.
        length: Length of the step, in units of the direction.
        warmup: Epochs of base training before.
    """

    def loss(p: Parameters) -> Loss:
        return base.loss(objective, p, key)

    def uphill() -> Array:
        steps = Steps(1, length, keep="last")
        found = ascend(loss_alone(lambda p: loss(p)[0]), parameters, steps, direction=direction).point
        # Adding p - p changes no value; it makes the derivative with respect to the parameters the identity.
        return loss(jax.tree.map(lambda f, p: f + (p - jax.lax.stop_gradient(p)), found, parameters))[0]

    before, forward = loss(parameters)
    return after_warmup(objective, warmup, uphill, before), forward
