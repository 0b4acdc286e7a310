"""A generator of images and its critics: networks, penalty, optimizer, and the loop that trains them."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxrobust import data
from jaxrobust.errors import InputError
from jaxrobust.measures.wasserstein import EstimatedDistance
from jaxrobust.networks.generative import ONLY_THE_CRITIC, ImageGAN
from jaxrobust.networks.linen import LinenNetwork
from jaxrobust.networks.mlp import MLP
from jaxrobust.studies.lipschitz.generated_images import generator_point, image_critics
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.loop import train
from jaxrobust.training.methods import Batch, Objective, Standard
from jaxrobust.training.methods.gradient_penalty import GradientPenalty
from jaxrobust.training.optimizers import Adam, Adversaries, Evaluation, RMSProp
from jaxrobust.training.schedule import FallingSteps, Steps
from jaxrobust.training.training import Training, TrainingStopped

pytestmark = pytest.mark.usefixtures("quick_compilation")
PAIR = ImageGAN(width=2, n_latent=3).build((4, 4, 1), 1)
X = jnp.asarray(np.random.default_rng(0).random((6, 4, 4, 1), np.float32))


@pytest.fixture(scope="module")
def variables():
    return jax.jit(PAIR.init)(jax.random.key(0))


class Slope(nn.Module):
    """A critic whose slope is ``w`` everywhere, 3 at the start."""

    @nn.compact
    def __call__(self, x):
        w = self.param("w", nn.initializers.constant(3.0), ())
        return w * x.reshape(len(x), -1).sum(1, keepdims=True) / x[0].size ** 0.5


def test_a_pair_compares_images_with_generated_ones(variables):
    @jax.jit
    def run(variables, key):
        trees = variables.parameters["generator"], variables.statistics["generator"]
        critic = variables.parameters["critic"], variables.statistics["critic"]
        made = PAIR.generate(*trees, key, 6, training=True).logits
        real, generated = (PAIR.critic.forward(*critic, x).logits for x in (2 * X - 1, made))
        frozen = replace(PAIR, is_generator_trained=False)
        return (
            made,
            real - generated.mean(),
            PAIR.forward(*variables, X, key=key, training=True),
            frozen.forward(*variables, X, key=key, training=True),
            PAIR.forward(*variables, X).logits,
            PAIR.forward(*variables, X[:2]).logits,
        )

    made, expected, trained, frozen, evaluated, two = run(variables, jax.random.key(5))
    assert np.abs(made).max() < 1
    np.testing.assert_allclose(trained.logits, expected, atol=1e-6)
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), trained.statistics, variables.statistics)
    assert all(jax.tree.leaves(moved["generator"]))
    assert jax.tree.all(jax.tree.map(np.array_equal, frozen.statistics, variables.statistics))
    # In evaluation the generated images are always the same, and a sample's value is its own.
    np.testing.assert_allclose(two, evaluated[:2], atol=1e-6)
    with pytest.raises(InputError, match="draws its images in training"):
        PAIR.forward(*variables, X, training=True)


def test_the_penalty_is_that_of_the_slope_and_leaves_the_generator_alone():
    pair = replace(PAIR, critic=LinenNetwork(Slope(), (4, 4, 1)))

    @jax.jit
    def penalty_and_slopes(key):
        parameters, statistics = pair.init(key)
        objective = Objective(pair, statistics, Batch(X, jnp.zeros(6, int)), EstimatedDistance())

        def penalty(parameters):
            losses = [
                m.loss(objective, parameters, key)[0] for m in (GradientPenalty(weight=50.0), Standard())
            ]
            return losses[0] - losses[1]

        return jax.value_and_grad(penalty)(parameters)

    found, slopes = penalty_and_slopes(jax.random.key(1))
    np.testing.assert_allclose(found, 50 * (3 - 1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(slopes["critic"]["w"], 50 * 2 * (3 - 1), rtol=1e-5)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(slopes["generator"])) < 1e-6
    other = MLP(3, (2,), 1)
    with pytest.raises(InputError, match="needs a generator with its critic"):
        GradientPenalty().loss(Objective(other, {}, Batch(X, X)), other.init(jax.random.key(0)), None)


def test_the_critic_descends_and_the_generator_climbs_one_loss():
    """On ``c^2 / 2 + c g``: three steps of Adam in c by hand, then one in g."""
    optimizer = Adversaries(n_descents=3)
    start = {"critic": jnp.float32(1.0), "generator": jnp.float32(0.5)}

    def evaluate(p, key):
        loss, gradient = jax.value_and_grad(lambda p: p["critic"] ** 2 / 2 + p["critic"] * p["generator"])(p)
        return Evaluation(loss, p["critic"], gradient)

    found = optimizer.step(evaluate, start, optimizer.init(start), jnp.float32(0.1), jax.random.key(0))
    adam, c = Adam(0.5, 0.999), start["critic"]
    means = adam.init(c)
    for _ in range(3):
        direction, means = adam.direction(c + 0.5, means)
        c = c - 0.1 * direction
    np.testing.assert_allclose(found.parameters["critic"], c, rtol=1e-6)
    np.testing.assert_allclose(found.parameters["generator"], 0.5 + 0.1, rtol=1e-5)  # the slope in g is c > 0
    np.testing.assert_allclose((found.loss, found.forward), (1.0, 1.0))
    with pytest.raises(InputError, match="a critic and a generator"):
        optimizer.init({"w": jnp.ones(2)})


def a_training(folder, n_steps=4):
    digits = data.load("digits")
    network = ImageGAN(width=2, n_latent=3).build((8, 8, 1), 1)
    training = Training(
        network=network,
        method=GradientPenalty(),
        schedule=Steps(n_steps, 2e-4),
        optimizer=Adversaries(n_descents=2),
        batch_size=8,
        seed=0,
        eval_step_interval=1,
        folder=folder,
        criterion=EstimatedDistance(),
        keep="last",
    )
    return training, digits.train.at_even_distances(40), digits.validation.at_even_distances(10)


@pytest.mark.slow
def test_a_stopped_generator_goes_on_with_the_same_bits(tmp_path):
    training, *examples = a_training(tmp_path / "whole")
    (whole,) = train([training], *examples)
    stopped = replace(training, folder=tmp_path / "stopped")
    with pytest.raises(TrainingStopped, match="Stopped at step 1 of 4"):
        train([stopped], *examples, stop_requested=lambda: True)
    (resumed,) = train([stopped], *examples)
    assert jax.tree.all(jax.tree.map(np.array_equal, resumed.parameters, whole.parameters))
    assert jax.tree.all(jax.tree.map(np.array_equal, resumed.statistics, whole.statistics))
    assert resumed.history == whole.history


@pytest.mark.slow
def test_every_step_of_a_frozen_generator_leaves_its_numbers_alone(tmp_path):
    """A critic of it is trained by the same loop."""
    training, *examples = a_training(tmp_path, 2)
    start = jax.jit(training.network.init)(jax.random.key(3))
    network = replace(training.network, is_generator_trained=False)
    how = {"method": Standard(), "optimizer": RMSProp(), "trainable": ONLY_THE_CRITIC, "start": start}
    (trained,) = train([replace(training, network=network, **how)], *examples)
    for old, new in ((start.parameters, trained.parameters), (start.statistics, trained.statistics)):
        same = jax.tree.map(np.array_equal, old, new)
        assert jax.tree.all(same["generator"])
    moved = (trained.parameters["critic"]["fc1"], start.parameters["critic"]["fc1"])
    assert np.abs(moved[0]["kernel"] - moved[1]["kernel"]).min() > 0


def test_the_schedule_of_critics_does_not_depend_on_the_data():
    schedule = FallingSteps(100, 0.1, 1e-4)
    rates = [schedule.rates(0, 100, n_samples=n, batch_size=7) for n in (10, 1000)]
    np.testing.assert_array_equal(*rates)
    np.testing.assert_allclose(rates[0][[0, 50]], [0.1, 1e-3], rtol=1e-6)
    assert schedule.n_steps(3, 2) == 100


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: generator_point("mitdb"), "makes images .* whose height and width 4 divides"),
        (lambda: ImageGAN().build((6, 8, 1)), r"4 divides, but samples have the shape \(6, 8, 1\)"),
        (lambda: ImageGAN(width=0), "are at least 1"),
        (lambda: Adversaries(n_descents=0), "n_descents of Adversaries is at least 1, not 0"),
        (lambda: FallingSteps(0, 0.1, 0.5), "length of FallingSteps is a whole number of at least 1"),
        (lambda: FallingSteps(5, 0.1, 0.0), r"lies in \(0, 1\]"),
        (
            lambda: image_critics(generator_point("digits"), ("BCOB",)),
            "no method 'BCOB'.*Did you mean 'BCOP'",
        ),
        (
            lambda: image_critics(
                training_point(MLP(64, (8,), 10), "digits", schedule=Steps(1, 0.1)), ("RKO",)
            ),
            "is a point whose network is an ImageGAN",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(make, says):
    with pytest.raises(InputError, match=says) as error:
        make()
    assert "\n" not in str(error.value)
