"""Critics between real images and those of a generator: a first stage trains the generator, a second critics.

Both are trained in the block loop, with checkpoints and metrics: the generator as any typed point, a critic
with the generator frozen beside it. Its distance is measured on test images and images generated afresh, and
divided by the measured constant. Images lie in [-1, 1], as published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

import datajuicer as dj
from jaxrobust.certificates.lipschitz import lipschitz_bound
from jaxrobust.data.dataset import Dataset
from jaxrobust.errors import InputError
from jaxrobust.measures.wasserstein import EstimatedDistance, wasserstein_estimate
from jaxrobust.networks.generative import ONLY_THE_CRITIC, GenerativePair, ImageGAN
from jaxrobust.networks.lipschitz import Activation, LipschitzCritic
from jaxrobust.networks.network import Variables
from jaxrobust.studies.lipschitz.protocols import parameterization
from jaxrobust.studies.side_by_side import dataset_of, only, train_as_jobs
from jaxrobust.studies.sources import LOOP, WITHIN, reader_of
from jaxrobust.studies.training_points import load_variables, network_of, training_point
from jaxrobust.training.methods import Standard
from jaxrobust.training.methods.gradient_penalty import GradientPenalty
from jaxrobust.training.optimizers import Adversaries, RMSProp
from jaxrobust.training.schedule import FallingSteps, Steps
from jaxrobust.training.training import Training

BATCH_SIZE = 64
# Published: 128 epochs of CIFAR-10, a step of the generator every fifth batch.
N_GENERATOR_STEPS = 20_000
GENERATOR_RATE = 2e-4
# Published: 256 epochs of 100 batches, the rate divided by ten every sixty.
N_CRITIC_STEPS = 25_600
FINAL_SHARE = 10 ** (-256 / 60)
SETTINGS = ("generator", "network", "optimizer", "schedule", "batch_size", "seed", "eval_step_interval")
_CHUNK = 250


def generator_point(
    dataset: str, *, width: int = 32, n_steps: int = N_GENERATOR_STEPS, seed: int = 0, interval: int = 500
) -> dict[str, Any]:
    """A grid point that trains a generator with the critic of WGAN-GP.

    Args:
        dataset: Of images whose height and width 4 divides.
        width: Channels of the generator between dense layers and convolutions.
        n_steps: Steps of the generator; the critic takes five to each.
        seed: Of all that is random.
        interval: Steps between validations.

    Raises:
        InputError: The data set does not exist, or holds no such images.
    """
    return training_point(
        ImageGAN(width),
        dataset,
        schedule=Steps(n_steps, GENERATOR_RATE),
        method=GradientPenalty(),
        optimizer=Adversaries(),
        criterion=EstimatedDistance(),
        batch_size=BATCH_SIZE,
        seed=seed,
        eval_step_interval=min(interval, n_steps),
        keep="last",
    )


def image_critics(
    generator: Mapping[str, Any],
    methods: Sequence[str],
    activations: Sequence[Activation] = ("maxmin", "relu"),
    *,
    learning_rates: Sequence[float] = (1e-4, 1e-3),
    channels: tuple[int, ...] = LipschitzCritic().channels,
    upsample: int = 1,
    n_steps: int = N_CRITIC_STEPS,
    batch_size: int = BATCH_SIZE,
    seeds: Sequence[int] = (0,),
) -> list[dict[str, Any]]:
    """Return points for every parameterization, activation, learning rate and seed.

    A shorter schedule falls to the same last rate.

    Args:
        generator: A point of ``generator_point``, planned or finished.
        methods: Names in ``protocols.PARAMETERIZATIONS``.
        activations: Of the critics.
        learning_rates: Of RMSprop at the first step.
        channels: Of the critics' convolutions.
        upsample: How often each pixel is repeated; published 2 for CIFAR-10.
        n_steps: Training steps of a critic.
        batch_size: Real images per step, and as many generated ones.
        seeds: Of each critic.

    Raises:
        InputError: The generator is none, or there is no such method.
    """
    if not isinstance(generator.get("network"), ImageGAN):
        raise InputError("The generator of a critic is a point whose network is an ImageGAN.")
    grid = [
        {
            "generator": generator,
            "network": LipschitzCritic(parameterization(method), activation, channels, upsample),
            "parameterization": method,
            "activation": activation,
            "learning_rate": rate,
            "optimizer": RMSProp(),
            "schedule": FallingSteps(n_steps, rate, FINAL_SHARE),
            "batch_size": batch_size,
            "eval_step_interval": max(1, n_steps // 50),
            "critic": image_critic_distance,
        }
        for method in methods
        for activation in activations
        for rate in learning_rates
    ]
    return dj.split(grid, "seed", list(seeds))


def _code_of(model: Mapping[str, Any]) -> tuple[Any, ...]:
    """Whose code a distance depends on; the generator's counts through its key."""
    parts = (model.get("network"), model.get("optimizer"), GenerativePair, EstimatedDistance)
    return (*LOOP, *parts, wasserstein_estimate, lipschitz_bound, *reader_of(model["generator"]))


@dj.cachable(
    dependencies=[f"model:{name}" for name in SETTINGS],
    table_name="image_critic_distance",
    code_of=_code_of,
    code_within=WITHIN,
)
def image_critic_distance(model: dict[str, Any], job: dj.Job) -> dict[str, Any]:
    """Train a critic between images and a generator's, and estimate the distance on those of the test part.

    Returns:
        ``distance`` and ``standard_error``, divided by the measured ``constant``; ``raw``, not divided;
        ``estimates`` on validation images over the training, not divided, and their ``steps``;
        ``data_source`` and ``n_test_samples``.
    """
    dataset = dataset_of(model["generator"])
    pair, start = _pair_of(model, dataset)
    training = Training(
        network=pair,
        method=Standard(),
        schedule=model["schedule"],
        optimizer=model["optimizer"],
        batch_size=model["batch_size"],
        seed=model["seed"],
        eval_step_interval=model["eval_step_interval"],
        folder=job.folder,
        criterion=EstimatedDistance(),
        start=start,
        trainable=ONLY_THE_CRITIC,
        keep="last",
    )
    trained = only(train_as_jobs([training], dataset, [job]))
    variables = Variables(trained.parameters, trained.statistics)
    critic, statistics = (tree["critic"] for tree in variables)
    baked = jax.jit(pair.critic.bake)(critic, statistics)
    key = jax.random.fold_in(jax.random.key(model["seed"]), 2)  # trainings split the seed's key in two
    images = jnp.asarray(dataset.test.inputs)
    stored = Variables({**variables.parameters, "critic": baked}, variables.statistics)
    real, generated = map(np.asarray, held_out_values(pair, stored, images, key))
    constant = lipschitz_bound(pair.critic, baked).constant
    found = wasserstein_estimate(real, generated, constant)
    return {
        "distance": found.distance,
        "standard_error": found.standard_error,
        "raw": found.distance * constant,
        "constant": constant,
        "estimates": trained.history["validation_score"],
        "steps": trained.history["step"],
        "data_source": dataset.source,
        "n_test_samples": len(dataset.test.labels),
    }


def _pair_of(model: Mapping[str, Any], dataset: Dataset) -> tuple[GenerativePair, Variables]:
    """The generator with the critic to be trained, and their variables at the start.

    Raises:
        InputError: The generator is not trained, or the critic does not fit its images.
    """
    point = model["generator"]
    trained = network_of(point, dataset)
    assert isinstance(trained, GenerativePair)
    found = load_variables(point, trained)
    generator = Variables(*(tree["generator"] for tree in found))
    critic = model["network"].build(trained.shape, 1)
    pair = replace(trained, critic=critic, is_generator_trained=False)
    key, _ = jax.random.split(jax.random.key(model["seed"]))
    return pair, pair.join(generator, critic.init(key))


@partial(jax.jit, static_argnums=0)
def held_out_values(
    pair: GenerativePair, variables: Variables, images: Array, key: Array
) -> tuple[Float[Array, " samples"], Float[Array, " samples"]]:
    """Return a critic's values on images in [0, 1], and on as many that are generated; chunk by chunk.

    Args:
        pair: The critic with its generator.
        variables: Theirs; the critic's parameters may be baked.
        images: Real ones.
        key: PRNG key of the generated ones, one for each.
    """
    parameters, statistics = variables

    def value(image: Array) -> Array:
        critic = parameters["critic"], statistics["critic"]
        return pair.critic.forward(*critic, image[None]).logits[0, 0]

    def of_real(image: Array) -> Array:
        return value(2 * image - 1)

    def of_generated(key: Array) -> Array:
        return value(pair.generate(parameters["generator"], statistics["generator"], key, 1).logits[0])

    keys = jax.random.split(key, len(images))
    return (
        jax.lax.map(of_real, images, batch_size=_CHUNK),
        jax.lax.map(of_generated, keys, batch_size=_CHUNK),
    )
