"""The attack against slow NumPy and against differentiation through an unrolled loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.attacks.robust_loss import BOUNDARY_LOSSES, robust_loss
from jaxrobust.errors import InputError
from jaxrobust.losses import DIVERGENCES

INPUTS = np.random.default_rng(0).standard_normal((6, 3))
LABELS = np.array([0, 1, 2, 3, 0, 1])


pytestmark = pytest.mark.usefixtures("quick_compilation")


def apply(parameters, inputs):
    return jnp.tanh(inputs @ parameters["w"]) @ parameters["out"] + parameters["b"]


def parameters_in_double():
    rng = np.random.default_rng(1)
    return {
        "w": jnp.asarray(rng.standard_normal((3, 5))),
        "out": jnp.asarray(rng.standard_normal((5, 4))),
        "b": jnp.asarray([0.3, -0.2, 0.0, 0.1]),
    }


def task_loss(parameters):
    return -jnp.mean(jax.nn.log_softmax(apply(parameters, INPUTS))[np.arange(6), LABELS])


def drawn(theta, key):
    """The random numbers of the start: those relative to the parameters, and the absolute ones."""
    flat, as_tree = ravel_pytree(theta)
    return [as_tree(row) for row in jax.random.normal(key, (2, flat.size), flat.dtype)]


def unrolled(loss, theta, key, settings):
    """The published attack, step by step, with nothing constant but the directions."""
    relative, absolute = drawn(theta, key)
    # The slope of |x| at 0 is taken as 0.
    size = jax.tree.map(lambda p: jnp.where(p == 0, 0, jnp.abs(jnp.where(p == 0, 1, p))), theta)
    star = jax.tree.map(
        lambda p, s, r1, r2: p + s * settings.initial_relative_std * r1 + settings.initial_absolute_std * r2,
        theta,
        size,
        relative,
        absolute,
    )
    radius = jax.tree.map(lambda s: settings.relative_size * s + settings.absolute_size, size)

    def projected(star):
        if not settings.project:
            return star
        return jax.tree.map(lambda p, t, r: t + jnp.clip(p - t, -r, r), star, theta, radius)

    for _ in range(settings.n_steps):
        gradient = jax.lax.stop_gradient(jax.grad(loss)(projected(star)))
        if settings.norm == "inf":
            direction = jax.tree.map(jnp.sign, gradient)
        else:
            direction = jax.tree.map(lambda g: g / jnp.sqrt(jnp.sum(g**2)), gradient)
        star = jax.tree.map(lambda p, d, r: p + r / settings.n_steps * d, star, direction, radius)
    return projected(star)


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize("boundary_loss", BOUNDARY_LOSSES)
def test_gradient_equals_differentiation_through_the_unrolled_attack(boundary_loss, norm):
    # A wide start, so that the projection clips some elements and leaves others.
    settings = ParameterAttack(
        relative_size=0.2,
        absolute_size=0.01,
        initial_relative_std=0.1,
        initial_absolute_std=0.01,
        n_steps=2,
        norm=norm,
    )
    with jax.enable_x64(True):
        theta, key = parameters_in_double(), jax.random.key(0)

        def fast(theta):
            return robust_loss(
                apply,
                theta,
                jnp.asarray(INPUTS),
                key,
                settings,
                boundary_loss=boundary_loss,
                task_loss=task_loss,
            )

        def slow(theta):
            if boundary_loss == "madry":
                return task_loss(unrolled(task_loss, theta, key, settings))
            divergence = DIVERGENCES[boundary_loss]
            logits = apply(theta, INPUTS)
            nominal = jax.lax.stop_gradient(logits)
            star = unrolled(lambda p: divergence(nominal, apply(p, INPUTS)), theta, key, settings)
            return divergence(logits, apply(star, INPUTS))

        value, gradient = jax.jit(jax.value_and_grad(fast))(theta)
        expected, expected_gradient = jax.jit(jax.value_and_grad(slow))(theta)
    assert value > 1e-4
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for name, leaf in gradient.items():
        assert np.abs(expected_gradient[name]).max() > 1e-4
        np.testing.assert_allclose(leaf, expected_gradient[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize("project", [True, False])
def test_equals_slow_numpy(norm, project):
    """A linear classifier, whose gradient is (probabilities - one-hot)ᵀ x."""
    rng = np.random.default_rng(2)
    w, x, y = rng.standard_normal((3, 4)), rng.standard_normal((7, 3)), rng.integers(0, 4, 7)
    settings = ParameterAttack(0.3, 0.02, 0.2, 0.03, n_steps=4, norm=norm, project=project)
    key = jax.random.key(3)
    with jax.enable_x64(True):

        def loss(w):
            return -jnp.mean(jax.nn.log_softmax(x @ w)[np.arange(7), y])

        found, losses, *_ = attack(loss, jnp.asarray(w), key, settings)
        r1, r2 = map(np.asarray, drawn(jnp.asarray(w), key))

    star, seen = w + np.abs(w) * 0.2 * r1 + 0.03 * r2, []
    radius = 0.3 * np.abs(w) + 0.02
    for _ in range(4):
        start = star
        inside = np.clip(star, w - radius, w + radius) if project else star
        p = np.exp(x @ inside) / np.exp(x @ inside).sum(1, keepdims=True)
        seen.append(-np.mean(np.log(p[np.arange(7), y])))
        p[np.arange(7), y] -= 1
        gradient = x.T @ p / 7
        direction = np.sign(gradient) if norm == "inf" else gradient / np.linalg.norm(gradient)
        star = start + radius / 4 * direction
    star = np.clip(star, w - radius, w + radius) if project else star
    np.testing.assert_allclose(found, star, rtol=1e-12)
    np.testing.assert_allclose(losses, seen, rtol=1e-12)
    assert np.any(np.abs(star - w) > radius + 1e-12) != project


def test_zero_parameters_are_moved_by_an_absolute_size_alone():
    theta = {"b": jnp.zeros(4)}

    def loss(p):
        return jnp.sum(p["b"])

    relative = attack(loss, theta, jax.random.key(0), ParameterAttack(relative_size=0.5)).parameters
    np.testing.assert_array_equal(relative["b"], 0)
    absolute = attack(loss, theta, jax.random.key(0), ParameterAttack(absolute_size=0.5)).parameters
    np.testing.assert_allclose(absolute["b"], 0.5, rtol=1e-6)


def test_a_flat_loss_has_no_direction_and_no_nan():
    for norm in ("inf", "2"):
        settings = ParameterAttack(norm=norm, initial_relative_std=0.0)
        found = attack(lambda p: 0 * jnp.sum(p), jnp.ones(3), jax.random.key(0), settings).parameters
        np.testing.assert_array_equal(found, 1)


def test_more_steps_make_no_larger_program():
    def n_equations(n_steps):
        settings = ParameterAttack(n_steps=n_steps)
        program = jax.make_jaxpr(lambda p: attack(jnp.sum, p, jax.random.key(0), settings).parameters)
        return len(program(jnp.ones(3)).jaxpr.eqns)

    assert n_equations(2) == n_equations(50)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"norm": "1"}, 'norm of an attack is "inf" or "2", not \'1\''),
        ({"n_steps": 0}, "at least one step, but n_steps is 0"),
        ({"n_steps": 2.5}, "at least one step, but n_steps is 2.5"),
        ({"relative_size": -0.1}, "relative_size of ParameterAttack must be a finite number of at least 0"),
        ({"absolute_size": float("nan")}, "absolute_size of ParameterAttack must be a finite number"),
        ({"initial_relative_std": {"w": -1.0}}, "initial_relative_std of ParameterAttack must be"),
    ],
)
def test_bad_settings_are_refused(settings, says):
    with pytest.raises(InputError, match=says):
        ParameterAttack(**settings)


def test_sizes_of_another_tree_are_refused():
    with pytest.raises(InputError, match="relative_size of an attack must be one number or a tree like"):
        attack(lambda p: jnp.sum(p["w"]), {"w": jnp.ones(2)}, jax.random.key(0), ParameterAttack({"v": 0.1}))
