"""Losses of a stitch, and training on a share of attacked samples, against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.network import Network, Variables
from jaxrobust.networks.taps import Taps
from jaxrobust.stitching.layers import Pointwise
from jaxrobust.stitching.objectives import DonorTargets, StitchPenalty
from jaxrobust.stitching.stitched import Cut, Stitched
from jaxrobust.training.methods import AttackedSamples, Batch, Objective, Standard

pytestmark = pytest.mark.usefixtures("quick_compilation")
KEY = jax.random.key(0)
DONOR = MLP(6, (5,), 3)
STITCHED = Stitched(DONOR, DONOR, Cut.at("relu1"))
RNG = np.random.default_rng(0)
BATCH = Batch(jnp.asarray(RNG.standard_normal((8, 6)), jnp.float32), jnp.arange(8) % 3)


@pytest.fixture(scope="module")
def variables():
    return jax.jit(STITCHED.init)(KEY)


def objective(variables, network: Network = STITCHED):
    return Objective(network, variables.statistics, BATCH)


def shift(loss, inputs, key):
    """An attack that leaves a mark on every sample it gets."""
    return inputs + 1


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8, 1.0])
def test_as_many_samples_are_attacked_as_the_share_says(variables, share):
    seen = []

    class Look:
        def loss(self, objective, parameters, key):
            seen.append(objective.inputs)
            return Standard().loss(objective, parameters, key)

    method = AttackedSamples(Look(), shift, share)
    loss, outputs = method.loss(objective(variables), variables.parameters, KEY)
    clean, expected = Standard().loss(objective(variables), variables.parameters, KEY)
    changed = np.abs(np.asarray(seen[-1] - BATCH.inputs)).max(1)
    assert (changed > 0.9).sum() == (changed > 0).sum() == int(share * 8)
    np.testing.assert_array_equal(outputs.logits, expected.logits)  # logged, without attack
    assert (loss == clean) == (share == 0)


def test_a_share_is_a_fraction():
    with pytest.raises(InputError, match="between 0 and 1"):
        AttackedSamples(Standard(), shift, 1.5)


def soft(outputs, targets, tau):
    return -np.mean(np.sum(jax.nn.softmax(targets / tau) * jax.nn.log_softmax(outputs / tau), -1))


@pytest.mark.parametrize("targets", ["front", "end", "both", "mean_logits"])
def test_the_donors_answers_as_targets(variables, targets):
    parameters, _ = variables
    found, outputs = DonorTargets(targets, 2.0).loss(objective(variables), parameters, KEY)
    f, g = (DONOR.forward(parameters[name], {}, BATCH.inputs).logits for name in ("front", "end"))
    z = outputs.logits
    expected = {
        "front": soft(z, f, 2.0),
        "end": soft(z, g, 2.0),
        "both": (soft(z, f, 2.0) + soft(z, g, 2.0)) / 2,
        "mean_logits": soft(z, (f + g) / 2, 2.0),
    }
    np.testing.assert_allclose(found, expected[targets], rtol=1e-5)


def test_the_ends_answers_are_no_news_to_a_self_stitch(variables):
    """The loss is then the entropy of the answers, and its gradient 0."""
    donor = Variables(variables.parameters["end"], {})
    layer = Pointwise("identity").init(KEY, (5,), (5,))
    parameters, statistics = STITCHED.join(donor, donor, layer)

    def loss(stitch):
        return DonorTargets("end").loss(
            Objective(STITCHED, statistics, BATCH), {**parameters, "stitch": stitch}, KEY
        )[0]

    value, slope = jax.jit(jax.value_and_grad(loss))(parameters["stitch"])
    p = jax.nn.softmax(DONOR.forward(*donor, BATCH.inputs).logits)
    np.testing.assert_allclose(value, -np.mean(np.sum(p * np.log(p), -1)), rtol=1e-5)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slope)) < 1e-6


def test_terms_on_the_stitch(variables):
    parameters, statistics = variables
    base, _ = Standard().loss(objective(variables), parameters, KEY)
    slope = jax.grad(
        lambda p: (
            StitchPenalty(Standard(), l1=0.3).loss(objective(variables), p, KEY)[0]
            - Standard().loss(objective(variables), p, KEY)[0]
        )
    )(parameters)["stitch"]["kernel"]
    np.testing.assert_allclose(slope, 0.3 / 25 * np.sign(parameters["stitch"]["kernel"]), atol=1e-7)
    given = STITCHED.forward(parameters, statistics, BATCH.inputs, tap=Taps(record=("stitch",))).activations[
        "stitch"
    ]
    own = DONOR.forward(parameters["end"], {}, BATCH.inputs, tap=Taps(record=("relu1",))).activations["relu1"]
    k, m = ((a - a.mean(0)) @ (a - a.mean(0)).T for a in (np.asarray(given), np.asarray(own)))
    cka = (k * m).sum() / np.linalg.norm(k) / np.linalg.norm(m)
    for weight in (2.0, -2.0):
        found, _ = StitchPenalty(Standard(), cka=weight).loss(objective(variables), parameters, KEY)
        np.testing.assert_allclose(found - base, weight * cka, rtol=1e-4)


def test_other_networks_and_targets_are_refused():
    variables = jax.jit(DONOR.init)(KEY)
    with pytest.raises(InputError, match="the network is a MLP"):
        DonorTargets().loss(objective(variables, DONOR), variables.parameters, KEY)
    with pytest.raises(InputError, match="not 'soft_1'"):
        DonorTargets("soft_1")  # pyright: ignore[reportArgumentType]
