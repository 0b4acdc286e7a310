"""Each method's gradient against its formula, written out in float64; each optimizer's step in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from jax.flatten_util import ravel_pytree

from jaxrobust.attacks.input_attack import InputAttack
from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.networks.cnn import CNN
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.training.methods import (
    AdversarialWeights,
    Batch,
    ContractivePenalty,
    FiringRates,
    ForwardNoise,
    GradientDifference,
    ModelPerturbation,
    NormPenalty,
    Objective,
    ParameterAttackTraining,
    SharpnessAware,
    Standard,
    WeightMagnitude,
)

NETWORK = LSNN(n_in=2, n_out=3, n_hidden=5)
KEY = jax.random.key(5)
# Without a random start, so that the attack can be written out in two lines.
ATTACK = ParameterAttack(relative_size=0.1, initial_relative_std=0.0, n_steps=1)


@pytest.fixture(autouse=True)
def _in_double():
    with jax.enable_x64(True):
        yield


def problem(network=NETWORK, shape=(12, 2), seed=0):
    rng = np.random.default_rng(seed)
    parameters, statistics = network.init(jax.random.key(seed))
    parameters = jax.tree.map(
        lambda p: jnp.asarray(p + 0.1 * rng.standard_normal(p.shape), jnp.float64), parameters
    )
    inputs, labels = jnp.asarray(rng.standard_normal((6, *shape))), jnp.arange(6) % 3
    return Objective(network, statistics, Batch(inputs, labels)), parameters


with jax.enable_x64(True):
    TASK, PARAMETERS = problem()


def task_loss(p, inputs=None):
    """The published task loss, written out."""
    logits, activations, _ = NETWORK.forward(p, {}, TASK.inputs if inputs is None else inputs)
    log_p = logits - jax.scipy.special.logsumexp(logits, axis=1, keepdims=True)
    return -jnp.mean(log_p[np.arange(6), TASK.labels]) + 0.001 * jnp.sum((activations["rates"] - 0.01) ** 2)


@jax.jit
def gradient_of(method, epoch=0.0):
    return jax.grad(lambda p: FiringRates(method, 0.001).loss(TASK._replace(epoch=epoch), p, KEY)[0])(
        PARAMETERS
    )


def assert_close(one, other, atol=1e-12):
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(other)) > 1e-4
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=atol)


GRADIENT = jax.jit(jax.grad(task_loss))


def sign_step(gradient, size=0.1):
    return jax.tree.map(lambda p, g: p + size * jnp.abs(p) * jnp.sign(g), PARAMETERS, gradient)


def test_standard_is_the_task_loss():
    assert_close(gradient_of(Standard()), GRADIENT(PARAMETERS))


def test_weight_perturbation_is_the_gradient_at_part_of_the_attack():
    attacked = sign_step(GRADIENT(PARAMETERS))
    moved = jax.tree.map(lambda p, a: p + 0.3 * (a - p), PARAMETERS, attacked)
    assert_close(gradient_of(AdversarialWeights(Standard(), ATTACK, gamma=0.3)), GRADIENT(moved))


def test_input_attack_is_on_the_perturbed_network_and_inside_its_box():
    inputs = TASK.inputs

    def loss(x):
        return jnp.sum(jnp.sin(x))

    found = InputAttack(0.2, n_steps=3)(loss, inputs, KEY)
    assert np.abs(found - inputs).max() <= 0.2 + 1e-12
    assert jnp.sum(jnp.sin(found)) > jnp.sum(jnp.sin(inputs)) + 1
    inside = InputAttack(0.2, n_steps=3, bounds=(-0.1, 0.3))(loss, inputs, KEY)
    assert inside.min() >= -0.1
    assert inside.max() <= 0.3

    method = AdversarialWeights(Standard(), ATTACK, gamma=0.3, input_attack=InputAttack(0.2))
    attacked = sign_step(GRADIENT(PARAMETERS))
    moved = jax.tree.map(lambda p, a: p + 0.3 * (a - p), PARAMETERS, attacked)
    key_inputs = jax.random.split(KEY, 3)[2]
    changed = jax.jit(lambda: InputAttack(0.2)(lambda x: task_loss(moved, x), inputs, key_inputs))()
    assert_close(gradient_of(method), jax.jit(jax.grad(task_loss))(moved, changed))


def test_model_perturbation_is_the_gradient_uphill_and_not_inert():
    gradient = GRADIENT(PARAMETERS)
    moved = jax.tree.map(lambda p, g: p + 0.5 * g / np.linalg.norm(g), PARAMETERS, gradient)
    expected = GRADIENT(moved)
    assert_close(gradient_of(ModelPerturbation(Standard(), size=0.5)), expected)
    assert (
        max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (expected, gradient)), strict=True))
        > 1e-3
    )


def test_sharpness_aware_equals_optax():
    objective, parameters = problem(MLP(n_in=4, n_hidden=(5,), n_out=3), (4,))

    def loss(p):
        return objective.loss(p, KEY)[0]

    sam = optax.contrib.sam(
        optax.sgd(0.1),
        optax.chain(optax.contrib.normalize(), optax.sgd(0.3)),
        sync_period=2,
        opaque_mode=True,
    )

    @jax.jit
    def both(p):
        updates, _ = sam.update(jax.grad(loss)(p), sam.init(p), p, grad_fn=lambda p, _: jax.grad(loss)(p))
        method = SharpnessAware(Standard(), rho=0.3)
        return updates, jax.grad(lambda p: method.loss(objective, p, KEY)[0])(p)

    updates, ours = both(parameters)
    assert_close(jax.tree.map(lambda g: -0.1 * g, ours), updates)


def test_adaptive_sharpness_scales_with_the_parameters():
    gradient = GRADIENT(PARAMETERS)
    t = jax.tree.map(lambda p: np.abs(p) + 0.01, PARAMETERS)
    length = np.sqrt(
        sum(np.sum((a * b) ** 2) for a, b in zip(*map(jax.tree.leaves, (t, gradient)), strict=True))
    )
    moved = jax.tree.map(lambda p, t, g: p + 0.5 * t**2 * g / length, PARAMETERS, t, gradient)
    assert_close(gradient_of(SharpnessAware(Standard(), rho=0.5, adaptive=True)), GRADIENT(moved))


@pytest.mark.parametrize("constant", [False, True])
def test_gradient_difference_equals_its_formula(constant):
    """With the task loss attacked: a divergence has no gradient at a start without noise."""
    signs = jax.tree.map(jnp.sign, GRADIENT(PARAMETERS))

    def robust(p):
        still = jax.lax.stop_gradient(p) if constant else p
        attacked = jax.tree.map(lambda q, s: q + 0.1 * jnp.abs(q) * s, still, signs)
        pairs = zip(
            *map(jax.tree.leaves, (jax.grad(task_loss)(p), jax.grad(task_loss)(attacked))), strict=True
        )
        return task_loss(p) + 0.7 * jnp.sqrt(sum(jnp.sum((a - b) ** 2) for a, b in pairs))

    method = GradientDifference(Standard(), 0.7, ATTACK, boundary_loss="madry", treat_as_constant=constant)
    assert_close(gradient_of(method), jax.jit(jax.grad(robust))(PARAMETERS), atol=1e-9)


@pytest.mark.parametrize(
    ("norm", "slope"),
    [("l1", np.sign), ("l2", lambda x: x / np.linalg.norm(x)), ("l2_squared", lambda x: 2 * x)],
)
def test_norm_penalties_act_on_the_tensors_they_name(norm, slope):
    gradient = gradient_of(NormPenalty(Standard(), 0.3, norm=norm, parameters=("w_.*", "nothing|b_out")))
    named = gradient_of(NormPenalty(Standard(), 0.3, norm=norm, parameters=("w_in",)))
    plain = GRADIENT(PARAMETERS)
    for name, p in PARAMETERS.items():
        added = 0.3 * slope(np.asarray(p))
        np.testing.assert_allclose(gradient[name], plain[name] + added, atol=1e-12)
        np.testing.assert_allclose(named[name], plain[name] + added * (name == "w_in"), atol=1e-12)


def test_contractive_penalty_equals_finite_differences():
    """On a smooth network: the surrogate gradient of a spike is no derivative that differences could see."""
    objective, parameters = problem(MLP(n_in=4, n_hidden=(5,), n_out=3), (4,))
    method = ContractivePenalty(Standard(), 0.5, parameters=("w1", "b2"))

    def written_out(p):
        gradient = jax.grad(lambda p: objective.loss(p, KEY)[0])(p)
        return objective.loss(p, KEY)[0] + 0.5 * (
            jnp.abs(gradient["w1"]).max() + jnp.abs(gradient["b2"]).max()
        )

    rng = np.random.default_rng(0)
    direction = jax.tree.map(lambda p: jnp.asarray(rng.standard_normal(p.shape)), parameters)

    @jax.jit
    def at(size):
        return written_out(jax.tree.map(lambda p, d: p + size * d, parameters, direction))

    value, gradient = jax.jit(jax.value_and_grad(lambda p: method.loss(objective, p, KEY)[0]))(parameters)
    slope = sum(jnp.sum(g * d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    np.testing.assert_allclose(value, at(0.0), rtol=1e-12)
    np.testing.assert_allclose(slope, (at(1e-6) - at(-1e-6)) / 2e-6, rtol=1e-6)


def test_contractive_penalty_of_a_spiking_network_equals_autodiff():
    def written_out(p):
        return task_loss(p) + 0.5 * jnp.max(jnp.abs(jax.grad(task_loss)(p)["w_rec"]))

    gradient = gradient_of(ContractivePenalty(Standard(), 0.5, parameters=("w_rec",)))
    assert_close(gradient, jax.jit(jax.grad(written_out))(PARAMETERS))


def test_weight_magnitude_pushes_up_to_its_target_and_no_further():
    target = float(np.abs(PARAMETERS["w_in"]).mean() + np.abs(PARAMETERS["w_rec"]).mean())
    names = ("w_in", "w_rec")
    below = gradient_of(WeightMagnitude(Standard(), 10.0, target=target + 0.1, parameters=names))
    above = gradient_of(WeightMagnitude(Standard(), 10.0, target=target - 0.1, parameters=names))
    plain = GRADIENT(PARAMETERS)
    assert_close(above, plain)
    for name in PARAMETERS:
        push = -10 * np.sign(PARAMETERS[name]) / PARAMETERS[name].size * (name in names)
        np.testing.assert_allclose(below[name], plain[name] + push, atol=1e-12)


def test_forward_noise_is_constant_in_the_gradient():
    flat, as_tree = ravel_pytree(PARAMETERS)
    drawn = as_tree(jax.random.normal(jax.random.split(KEY)[0], flat.shape))
    moved = {name: p + 0.3 * jnp.abs(p) * drawn[name] for name, p in PARAMETERS.items()}
    assert_close(gradient_of(ForwardNoise(std=0.3)), GRADIENT(moved))


def test_penalties_and_attacks_compose():
    attack = ParameterAttackTraining(
        ForwardNoise(std=0.1), 0.5, ParameterAttack(relative_size=0.1, n_steps=2)
    )
    alone = gradient_of(attack)
    with_penalty = gradient_of(NormPenalty(attack, 0.3))
    for name, p in PARAMETERS.items():
        np.testing.assert_allclose(with_penalty[name], alone[name] + 0.6 * p, atol=1e-12)


@pytest.mark.parametrize(
    "method",
    [
        ParameterAttackTraining(Standard(), 0.5, ParameterAttack(relative_size=0.1, n_steps=1), warmup=2.0),
        AdversarialWeights(Standard(), ATTACK, gamma=0.5, warmup=2.0),
        ModelPerturbation(Standard(), size=0.1, warmup=2.0),
    ],
)
def test_warmup_counts_epochs(method):
    plain = GRADIENT(PARAMETERS)
    method = jax.tree.map(jnp.float64, method)
    assert_close(gradient_of(method, epoch=1.99), plain)
    robust = gradient_of(method, epoch=2.0)
    assert max(np.abs(robust[name] - plain[name]).max() for name in plain) > 1e-5


def test_running_statistics_come_from_the_natural_forward_pass():
    with jax.enable_x64(False):
        _check_running_statistics()


def _check_running_statistics():
    network = CNN(image=(12, 12, 1), n_out=3, kernels=(2, 2), dense=(4, 4))
    parameters, statistics = network.init(jax.random.key(0))
    inputs = jnp.asarray(np.random.default_rng(0).uniform(size=(6, 12, 12, 1)), jnp.float32)
    objective = Objective(network, statistics, Batch(inputs, jnp.arange(6) % 3))
    method = AdversarialWeights(Standard(), ATTACK, gamma=1.0, input_attack=InputAttack(0.5))
    _, forward = jax.jit(lambda p: method.loss(objective, p, KEY))(parameters)
    base = network.forward(parameters, statistics, inputs, key=KEY, training=True)
    for one, other in zip(jax.tree.leaves(forward), jax.tree.leaves(base), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
