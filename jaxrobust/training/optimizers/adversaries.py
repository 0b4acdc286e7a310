"""Two trees of parameters that train against each other: one descends, the other climbs."""

from dataclasses import dataclass, field
from typing import Any

import jax
from jax import Array
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.training.optimizers.adam import Adam
from jaxrobust.training.optimizers.optimizer import Evaluate, Memory, Step, descend
from jaxrobust.trees import Parameters, settings_tree, static


@settings_tree
@dataclass(frozen=True)
class Adversaries:
    """``n_descents`` steps of the critic down the loss, then one of the generator up the same loss.

    For parameters ``{"critic": ..., "generator": ...}``. All steps of the critic see the batch of the step,
    each with images that the generator draws afresh. Gradients that a step does not use are not computed.

    Attributes:
        n_descents: Steps of the critic; published 5.
        adam: Of both; each has its own means. Published decays 0.5 and 0.999.

    Raises:
        InputError: ``n_descents`` is less than 1.
    """

    n_descents: int = static(default=5)
    adam: Adam = field(default_factory=lambda: Adam(0.5, 0.999))

    def __post_init__(self):
        if self.n_descents < 1:
            raise InputError(f"n_descents of Adversaries is at least 1, not {self.n_descents!r}.")

    def init(self, parameters: Parameters) -> Memory:
        """The means of both.

        Raises:
            InputError: The parameters are not those of a critic and a generator.
        """
        if not isinstance(parameters, dict) or set(parameters) != {"critic", "generator"}:
            raise InputError("Adversaries trains the parameters of a critic and a generator, an ImageGAN's.")
        return {name: self.adam.init(tree) for name, tree in parameters.items()}

    def step(
        self,
        evaluate: Evaluate,
        parameters: Parameters,
        memory: Any,
        learning_rate: Float[Array, ""],
        key: Array,
    ) -> Step:
        """The critic's steps, then the generator's."""
        key_critic, key_generator = jax.random.split(key)
        generator = parameters["generator"]

        def improve(carry: tuple[Parameters, Memory], key: Array):
            critic, means = carry
            found = evaluate({"critic": critic, "generator": generator}, key)
            direction, means = self.adam.direction(found.gradient["critic"], means)
            return (descend(critic, learning_rate, direction), means), (found.loss, found.forward)

        start = parameters["critic"], memory["critic"]
        keys = jax.random.split(key_critic, self.n_descents)
        (critic, critic_means), seen = jax.lax.scan(improve, start, keys)
        loss, forward = jax.tree.map(lambda x: x[0], seen)
        slope = evaluate({"critic": critic, "generator": generator}, key_generator).gradient["generator"]
        uphill, generator_means = self.adam.direction(jax.tree.map(lambda g: -g, slope), memory["generator"])
        return Step(
            {"critic": critic, "generator": descend(generator, learning_rate, uphill)},
            {"critic": critic_means, "generator": generator_means},
            loss,
            forward,
        )
