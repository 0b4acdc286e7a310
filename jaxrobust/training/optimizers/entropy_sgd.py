"""Entropy-SGD (Chaudhari et al. 2017): descent on a loss averaged over the neighbourhood."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxrobust.training.optimizers.optimizer import Evaluate, Step, descend, momentum_step
from jaxrobust.trees import Number, Parameters, check_numbers, normal_like, settings_tree, static


class EntropyMemory(NamedTuple):
    """Momentum of the outer steps, and how many there were."""

    momentum: Parameters
    n_steps: Int[Array, ""]


class _Chain(NamedTuple):
    position: Parameters
    momentum: Parameters
    mean: Parameters


@settings_tree
@dataclass(frozen=True)
class EntropySGD:
    """A chain of Langevin steps ``x`` around the parameters ``w``, then a step to its mean::

        x, mu <- w, w; m <- 0
        n_langevin times:  m  <- momentum m + grad f(x)
                           g  <- grad f(x) + momentum m - gamma (w - x) + noise / sqrt(rate / 2) N(0, 1)
                           x  <- x - rate g
                           mu <- averaging mu + (1 - averaging) x
        w <- w - learning_rate (w - mu), with Nesterov momentum
        gamma = min(scope (1 + scope_growth)^t, 1 / rate) at the t-th step

    At its limit, which these constants reach after 6,900 steps, gamma leads the chain back to ``w`` at once;
    beyond twice that, after 7,600 steps, the chain would overshoot ``w`` ever further.

    The published code never counts ``t`` and so keeps gamma constant; ``scope_growth=0`` does the same.
    One step costs ``n_langevin`` gradients, all on the step's batch; noise and dropout of the method are
    drawn anew for each.

    Attributes:
        n_langevin: Length of the chain, 20 or so in the paper, 10 as published here.
        rate: Step of the chain.
        noise: Thermal noise.
        averaging: Memory of the mean.
        momentum: Nesterov momentum of the chain and of the outer steps.
        scope: gamma at the first step.
        scope_growth: Its relative growth a step, up to ``1 / rate``.
    """

    n_langevin: int = static(default=10)
    rate: Number = 0.1
    noise: Number = 1e-4
    averaging: Number = 0.75
    momentum: Number = 0.9
    scope: Number = 1e-2
    scope_growth: Number = 1e-3

    def __post_init__(self):
        check_numbers(self, "rate", "noise", "scope", "scope_growth")
        check_numbers(self, "averaging", "momentum", maximum=1.0)

    def init(self, parameters: Parameters) -> EntropyMemory:
        """Momentum at rest."""
        return EntropyMemory(jax.tree.map(jnp.zeros_like, parameters), jnp.int32(0))

    def step(
        self,
        evaluate: Evaluate,
        parameters: Parameters,
        memory: EntropyMemory,
        learning_rate: Float[Array, ""],
        key: Array,
    ) -> Step:
        """One chain, one step."""
        gamma = jnp.minimum(
            self.scope * (1 + self.scope_growth) ** memory.n_steps.astype(float), jnp.divide(1.0, self.rate)
        )

        def langevin(chain: _Chain, key: Array):
            key_loss, key_noise = jax.random.split(key)
            evaluation = evaluate(chain.position, key_loss)
            slope, momentum = momentum_step(evaluation.gradient, chain.momentum, self.momentum, nesterov=True)
            force = jax.tree.map(
                lambda g, w, x, n: g - gamma * (w - x) + self.noise / jnp.sqrt(0.5 * self.rate) * n,
                slope,
                parameters,
                chain.position,
                normal_like(key_noise, parameters),
            )
            position = descend(chain.position, self.rate, force)
            mean = jax.tree.map(
                lambda mu, x: (self.averaging * mu + (1 - self.averaging) * x).astype(x.dtype),
                chain.mean,
                position,
            )
            return _Chain(position, momentum, mean), (evaluation.loss, evaluation.forward)

        start = _Chain(parameters, jax.tree.map(jnp.zeros_like, parameters), parameters)
        chain, seen = jax.lax.scan(langevin, start, jax.random.split(key, self.n_langevin))
        loss, forward = jax.tree.map(lambda x: x[0], seen)
        apart = jax.tree.map(jnp.subtract, parameters, chain.mean)
        direction, momentum = momentum_step(apart, memory.momentum, self.momentum, nesterov=True)
        return Step(
            descend(parameters, learning_rate, direction),
            EntropyMemory(momentum, memory.n_steps + 1),
            loss,
            forward,
        )
