"""One label per time step, with sequences of different lengths: padding has no part in any mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.criteria import CrossEntropy, Hinge, SoftTargets, SquaredError, check_finite_labels
from jaxrobust.data.own.arrays import with_lengths
from jaxrobust.errors import InputError
from jaxrobust.losses import DIVERGENCES
from jaxrobust.measures.full_set import cross_entropy, divergence_from, logits_of
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.padded_lsnn import PaddedLSNN
from jaxrobust.training.methods import Batch, Objective, ParameterAttackTraining, Standard

pytestmark = pytest.mark.usefixtures("quick_compilation")
RANDOM = np.random.default_rng(0)
LENGTHS = np.array([4, 6])
VALID = np.arange(6) < LENGTHS[:, None]
OUTPUTS = jnp.float32(RANDOM.normal(size=(2, 6, 3)))
CLASSES = np.where(VALID, RANDOM.integers(0, 3, (2, 6)), -1).astype(np.int32)
TARGETS = np.where(VALID[..., None], RANDOM.normal(size=(2, 6, 3)), np.nan).astype(np.float32)
NETWORK = PaddedLSNN(3, 3, n_hidden=5, readout="each_step")
PARAMETERS = NETWORK.init(jax.random.key(0)).parameters
PARAMETERS |= {"w_out": 10 * PARAMETERS["w_out"]}
SIGNAL = (0.3 * RANDOM.normal(size=(2, 6, 3)) + 0.1).astype(np.float32)


@pytest.mark.parametrize(
    ("criterion", "labels"),
    [
        (CrossEntropy(), CLASSES),
        (CrossEntropy(smoothing=0.1, class_weights=(1.0, 2.0, 3.0)), CLASSES),
        (Hinge(0.5), CLASSES),
        (SoftTargets(2.0), TARGETS),
        (SquaredError(), TARGETS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_criteria_are_means_over_the_steps_that_have_a_label(criterion, labels):
    loss, gradient = jax.value_and_grad(criterion.loss)(OUTPUTS, jnp.asarray(labels))
    np.testing.assert_allclose(loss, criterion.loss(OUTPUTS[VALID], labels[VALID]), rtol=1e-6)
    assert not np.any(gradient[~VALID])
    assert np.isfinite(gradient).all()
    scores = criterion.score(OUTPUTS, jnp.asarray(labels))
    each = [jnp.mean(criterion.score(OUTPUTS[i, :n], labels[i, :n])) for i, n in enumerate(LENGTHS)]
    np.testing.assert_allclose(scores, jnp.stack(each), rtol=1e-6)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_divergences_are_means_over_the_steps_that_count(name):
    divergence, other = DIVERGENCES[name], OUTPUTS[..., ::-1]
    padded = jax.value_and_grad(divergence)(OUTPUTS, other, jnp.asarray(VALID))
    np.testing.assert_allclose(padded[0], divergence(OUTPUTS[VALID], other[VALID], None), rtol=1e-6)
    assert not np.any(padded[1][~VALID])


def objective_of(n_steps: int) -> Objective:
    """The same two sequences, padded to some number of steps by numbers that do not matter."""
    signal = np.full((2, n_steps, 3), 7.0, np.float32)
    labels = np.full((2, n_steps), -1, np.int32)
    for i, n in enumerate(LENGTHS):
        signal[i, :n], labels[i, :n] = SIGNAL[i, :n], CLASSES[i, :n]
    inputs = with_lengths(signal, LENGTHS, "train")
    return Objective(NETWORK, {}, Batch(jnp.asarray(inputs), jnp.asarray(labels)))


def test_the_robust_loss_and_its_gradient_do_not_depend_on_padding():
    method = ParameterAttackTraining(Standard(), 0.5, ParameterAttack(relative_size=0.2, n_steps=2))

    @jax.jit
    def both(objective_inputs, labels):
        objective = Objective(NETWORK, {}, Batch(objective_inputs, labels))
        return jax.value_and_grad(lambda p: method.loss(objective, p, jax.random.key(1))[0])(PARAMETERS)

    one, other = (both(*objective_of(n).batch) for n in (6, 8))
    assert one[0] > jnp.float32(0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, other)
    alone = LSNN(3, 3, n_hidden=5, readout="each_step").forward(PARAMETERS, {}, jnp.asarray(SIGNAL[:1, :4]))
    padded = NETWORK.forward(PARAMETERS, {}, objective_of(8).inputs)
    np.testing.assert_allclose(padded.logits[0, :4], alone.logits[0], atol=1e-6)
    np.testing.assert_allclose(padded.activations["rates"][0], alone.activations["rates"][0], atol=1e-6)


@pytest.mark.parametrize("batch_size", [None, 1])
def test_measures_over_a_data_set_leave_padding_out(batch_size):
    labels, other = jnp.asarray(CLASSES), {"scale": jnp.float32(2.0)}

    def apply(parameters, inputs):
        return parameters["scale"] * inputs

    found = cross_entropy(apply, OUTPUTS, labels, batch_size=batch_size)({"scale": jnp.float32(1.0)})
    each = [CrossEntropy().loss(OUTPUTS[i, :n], labels[i, :n]) for i, n in enumerate(LENGTHS)]
    np.testing.assert_allclose(found, np.mean(each), rtol=1e-6)
    assert logits_of(apply, other, OUTPUTS, batch_size=batch_size).shape == (2, 6, 3)
    away = divergence_from(apply, {"scale": jnp.float32(1.0)}, OUTPUTS, labels=labels, batch_size=batch_size)
    each = [DIVERGENCES["kl"](OUTPUTS[i, :n], 2 * OUTPUTS[i, :n], None) for i, n in enumerate(LENGTHS)]
    np.testing.assert_allclose(away(other), np.mean(each), rtol=1e-6)


def test_a_target_that_is_missing_in_part_is_refused():
    check_finite_labels(TARGETS, "The targets")
    broken = TARGETS.copy()
    broken[0, 0, 1] = np.nan
    with pytest.raises(InputError, match="The targets hold 1 numbers that are NaN"):
        check_finite_labels(broken, "The targets")
