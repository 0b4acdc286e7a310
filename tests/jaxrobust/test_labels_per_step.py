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
    @jax.jit
    def padded(outputs, labels):
        return *jax.value_and_grad(criterion.loss)(outputs, labels), criterion.score(outputs, labels)

    @jax.jit
    def without(outputs, labels):
        return criterion.loss(outputs, labels), criterion.score(outputs, labels).astype(jnp.float32)

    loss, gradient, scores = padded(OUTPUTS, labels)
    expected, of_steps = without(np.asarray(OUTPUTS)[VALID], labels[VALID])
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert not np.any(np.asarray(gradient)[~VALID])
    assert np.isfinite(gradient).all()
    each = np.split(np.asarray(of_steps), LENGTHS[:1])
    np.testing.assert_allclose(scores, [np.mean(one) for one in each], rtol=1e-6)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_divergences_are_means_over_the_steps_that_count(name):
    divergence, outputs = DIVERGENCES[name], np.asarray(OUTPUTS)
    other = outputs[..., ::-1]
    value, gradient = jax.jit(jax.value_and_grad(divergence))(outputs, other, VALID)
    expected = jax.jit(divergence)(outputs[VALID], other[VALID])
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert not np.any(np.asarray(gradient)[~VALID])


def objective_of(n_steps: int) -> Objective:
    """The same two sequences, padded to some number of steps by numbers that do not matter."""
    signal = np.full((2, n_steps, 3), 7.0, np.float32)
    labels = np.full((2, n_steps), -1, np.int32)
    for i, n in enumerate(LENGTHS):
        signal[i, :n], labels[i, :n] = SIGNAL[i, :n], CLASSES[i, :n]
    inputs = with_lengths(signal, LENGTHS, "train")
    return Objective(NETWORK, {}, Batch(jnp.asarray(inputs), jnp.asarray(labels)))


@pytest.mark.slow
def test_the_robust_loss_and_its_gradient_do_not_depend_on_padding():
    method = ParameterAttackTraining(Standard(), 0.5, ParameterAttack(relative_size=0.2, n_steps=2))

    @jax.jit
    def both(objective_inputs, labels):
        objective = Objective(NETWORK, {}, Batch(objective_inputs, labels))
        return jax.value_and_grad(lambda p: method.loss(objective, p, jax.random.key(1))[0])(PARAMETERS)

    one, other = (both(*objective_of(n).batch) for n in (6, 8))
    assert one[0] > jnp.float32(0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, other)


def test_logits_and_rates_are_those_of_the_sequence_without_padding():
    plain = LSNN(3, 3, n_hidden=5, readout="each_step")
    alone = jax.jit(plain.forward)(PARAMETERS, {}, jnp.asarray(SIGNAL[:1, :4]))
    padded = jax.jit(NETWORK.forward)(PARAMETERS, {}, objective_of(8).inputs)
    np.testing.assert_allclose(padded.logits[0, :4], alone.logits[0], atol=1e-6)
    np.testing.assert_allclose(padded.activations["rates"][0], alone.activations["rates"][0], atol=1e-6)


@pytest.mark.parametrize("batch_size", [None, 1])
def test_measures_over_a_data_set_leave_padding_out(batch_size):
    def apply(parameters, inputs):
        return parameters * inputs

    @jax.jit
    def measured(scale):
        task = cross_entropy(apply, OUTPUTS, jnp.asarray(CLASSES), batch_size=batch_size)
        away = divergence_from(
            apply, jnp.float32(1.0), OUTPUTS, labels=jnp.asarray(CLASSES), batch_size=batch_size
        )
        return task(jnp.float32(1.0)), away(scale), logits_of(apply, scale, OUTPUTS, batch_size=batch_size)

    log_p, log_q = (log_softmax(scale * np.float64(OUTPUTS)) for scale in (1, 2))
    picked = np.take_along_axis(log_p, np.maximum(CLASSES, 0)[..., None], axis=-1)[..., 0]
    kl = np.sum(np.exp(log_p) * (log_p - log_q), axis=-1)
    task, away, logits = measured(jnp.float32(2.0))
    np.testing.assert_allclose(
        task, np.mean([-picked[i, :n].mean() for i, n in enumerate(LENGTHS)]), rtol=1e-5
    )
    np.testing.assert_allclose(away, np.mean([kl[i, :n].mean() for i, n in enumerate(LENGTHS)]), rtol=1e-5)
    np.testing.assert_allclose(logits, 2 * OUTPUTS, rtol=1e-6)


def log_softmax(x):
    return x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))


def test_a_target_that_is_missing_in_part_is_refused():
    check_finite_labels(TARGETS, "The targets")
    broken = TARGETS.copy()
    broken[0, 0, 1] = np.nan
    with pytest.raises(InputError, match="The targets hold 1 numbers that are NaN"):
        check_finite_labels(broken, "The targets")
