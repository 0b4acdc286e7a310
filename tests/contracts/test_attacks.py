"""Every attack on inputs keeps every promise: promise x case; and the driver against slow NumPy."""

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from contracts.numpy_apgd import numpy_apgd

from jaxrobust.attacks.ascent import Value
from jaxrobust.attacks.input_attack import InputAttack, apgd, attack_inputs, climb_inputs, fgsm, pgd
from jaxrobust.attacks.logit_losses import LOGIT_LOSSES, dlr
from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.errors import InputError

RNG = np.random.default_rng(0)
INPUTS = RNG.uniform(0, 1, (8, 2, 3)).astype(np.float32)
FIRST, SECOND = 2 * RNG.standard_normal((6, 7)), 2 * RNG.standard_normal((7, 4))
KEYS = jax.random.split(jax.random.key(1), 3)


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """These programs run once on tiny arrays: compiling them is all that takes time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def apply(inputs):
    flat = inputs.reshape(inputs.shape[0], -1)
    return jnp.tanh(flat @ jnp.asarray(FIRST, inputs.dtype)) @ jnp.asarray(SECOND, inputs.dtype)


# One of them is wrong on the clean inputs already.
LABELS = np.asarray(jnp.argmax(apply(INPUTS), -1))
LABELS = np.where(np.arange(8) == 3, (LABELS + 1) % 4, LABELS)


CASES = {
    "FGSM": fgsm(0.1),
    "FGSM, L2, predicted labels": fgsm(0.2, norm="2", labels="predicted"),
    "PGD": pgd(0.1, 4),
    "PGD, last point": pgd(0.1, 4, 0.05, keep="last", labels="predicted"),
    "PGD, L2, margin, from a cube": pgd(0.2, 4, 0.1, norm="2", loss="margin", start="cube"),
    "PGD, KL, restarts": pgd(0.1, 3, loss="kl", n_restarts=3),
    "APGD": apgd(0.1, 9),
    "APGD, DLR, L2": apgd(0.2, 9, norm="2", loss="dlr"),
    "no bounds": pgd(0.1, 3, bounds=None),
}


traced = []


@jax.jit
def attacked(settings, key, inputs):
    traced.append(settings)
    return attack_inputs(apply, inputs, LABELS, key, settings)


def assert_equal(a, b):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), a, b)


def equals_eager(settings):
    assert_equal(attacked(settings, KEYS[0], INPUTS), attack_inputs(apply, INPUTS, LABELS, KEYS[0], settings))


def under_vmap_equals_a_loop(settings):
    many = jax.jit(jax.vmap(lambda key: attack_inputs(apply, INPUTS, LABELS, key, settings)))(KEYS)
    for index, key in enumerate(KEYS):
        alone = attacked(settings, key, INPUTS)
        np.testing.assert_allclose(many.inputs[index], alone.inputs, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(many.fooled[index], alone.fooled)
    is_random = settings.start != "clean"
    if settings.keep == "last":
        assert np.array_equal(many.inputs[0], many.inputs[1]) != is_random


def stays_in_ball_and_bounds_and_moves(settings):
    found = attacked(settings, KEYS[1], INPUTS)
    shift = np.asarray(found.inputs, np.float64) - INPUTS
    length = np.abs(shift) if settings.norm == "inf" else np.sqrt(np.sum(shift**2, (1, 2)))
    assert length.max() <= settings.size * (1 + 4 * np.finfo(np.float32).eps) + 1.2e-7
    assert length.max() > 0.9 * settings.size
    if settings.bounds is not None:
        assert found.inputs.min() >= settings.bounds[0]
        assert found.inputs.max() <= settings.bounds[1]
    np.testing.assert_array_equal(found.moved, np.any(shift != 0, (1, 2)))


def recompiles_nothing_for_other_numbers(settings):
    one = attacked(settings, KEYS[0], INPUTS)
    n_compiled = len(traced)
    other = jax.tree.map(lambda n: n * 2, settings)
    two = attacked(other, KEYS[0], INPUTS)
    assert len(traced) == n_compiled
    assert not np.array_equal(one.inputs, two.inputs)


def reports_what_it_finds(settings):
    found = attacked(settings, KEYS[0], INPUTS)
    logits = apply(found.inputs)
    targets = jnp.argmax(apply(INPUTS), -1) if settings.labels == "predicted" else LABELS
    np.testing.assert_array_equal(found.fooled, jnp.argmax(logits, -1) != targets)
    np.testing.assert_array_equal(found.found, found.fooled & (jnp.argmax(apply(INPUTS), -1) == targets))
    loss = LOGIT_LOSSES[settings.loss]
    np.testing.assert_allclose(found.losses, loss(logits, targets, apply(INPUTS)), rtol=1e-4, atol=1e-4)
    assert found.has_gradient.all()
    assert found.is_finite.all()


def is_never_below_the_clean_inputs(settings):
    found = attacked(settings, KEYS[0], INPUTS)
    if settings.keep == "last":
        assert np.mean(found.losses) > np.mean(found.nominal_losses)
        return
    was_wrong = jnp.argmax(apply(INPUTS), -1) != LABELS if settings.labels == "true" else np.zeros(8, bool)
    assert np.all(found.fooled >= was_wrong)
    assert np.all((found.losses >= found.nominal_losses) | found.found)
    assert np.any(found.losses > found.nominal_losses)


def says_when_the_network_is_flat(settings):
    flat = jax.jit(
        lambda x: attack_inputs(lambda x: 0 * apply(x) + jnp.eye(4)[LABELS], x, LABELS, KEYS[0], settings)
    )(INPUTS)
    assert not flat.has_gradient.any()
    assert not flat.fooled.any()
    assert np.isfinite(flat.inputs).all()


def never_takes_nan_for_a_success(settings):
    """Wherever an element has moved up, these logits are NaN."""

    def broken(x):
        return jnp.where(jnp.any(x > INPUTS, (1, 2))[:, None], jnp.nan, apply(x))

    found = jax.jit(lambda x: attack_inputs(broken, x, LABELS, KEYS[0], settings))(INPUTS)
    assert np.isfinite(found.inputs).all()
    is_nan = np.isnan(broken(found.inputs)).any(-1)
    assert not np.any(found.fooled & is_nan)
    if settings.keep == "best":
        assert not is_nan.any()
        assert not found.is_finite.all()


def is_constant_in_a_gradient(settings):
    slope = jax.jit(jax.grad(lambda x: jnp.sum(attack_inputs(apply, x, LABELS, KEYS[0], settings).inputs)))(
        INPUTS
    )
    np.testing.assert_array_equal(slope, 0)


def keeps_shapes_and_dtypes(settings):
    for dtype in (jnp.float32, jnp.bfloat16):
        inputs = INPUTS.astype(dtype)
        found = jax.eval_shape(partial(attack_inputs, apply), inputs, LABELS, KEYS[0], settings)
        assert (found.inputs.shape, found.inputs.dtype) == (inputs.shape, dtype)
        assert found.losses.shape == found.fooled.shape == (8,)


PROMISES = (
    equals_eager,
    under_vmap_equals_a_loop,
    stays_in_ball_and_bounds_and_moves,
    recompiles_nothing_for_other_numbers,
    reports_what_it_finds,
    is_never_below_the_clean_inputs,
    says_when_the_network_is_flat,
    never_takes_nan_for_a_success,
    is_constant_in_a_gradient,
    keeps_shapes_and_dtypes,
)


# Eager execution compiles every operation by itself, half a minute for all cases: three have all the parts.
EAGER = ("FGSM, L2, predicted labels", "PGD", "APGD")


@pytest.mark.parametrize(
    ("promise", "settings"),
    [
        pytest.param(promise, settings, id=f"{name} {promise.__name__}")
        for name, settings in CASES.items()
        for promise in PROMISES
        if promise is not equals_eager or name in EAGER
    ],
)
def test_promise(promise, settings):
    promise(settings)


def numpy_value_and_gradient(x, labels):
    hidden = np.tanh(x @ FIRST)
    logits = hidden @ SECOND
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    one_hot = np.eye(4)[labels]
    losses = -np.log(np.sum(p * one_hot, 1))
    wrong = logits.argmax(1) != labels
    return wrong, losses, ((p - one_hot) @ SECOND.T * (1 - hidden**2)) @ FIRST.T


@pytest.mark.parametrize(("norm", "size"), [("inf", 0.08), ("2", 0.15)])
def test_apgd_equals_slow_numpy(norm, size):
    flat = INPUTS.reshape(8, 6).astype(np.float64)
    with jax.enable_x64(True):
        settings = apgd(size, 25, norm=norm, start="clean")
        found = jax.jit(lambda x: attack_inputs(apply, x, LABELS, KEYS[0], settings))(flat)
    n_halved = 0
    for index in range(8):
        (wrong, loss, point), n = numpy_apgd(
            numpy_value_and_gradient, flat[index], LABELS[index], size, 25, norm
        )
        np.testing.assert_allclose(found.inputs[index], point, rtol=1e-7)
        np.testing.assert_allclose(found.losses[index], loss, rtol=1e-9)
        assert found.fooled[index] == wrong
        n_halved += n
    assert n_halved > 8


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_pgd_equals_slow_numpy(norm):
    flat = INPUTS.reshape(8, 6).astype(np.float64)
    with jax.enable_x64(True):
        settings = pgd(0.1, 5, 0.04, norm=norm, start="clean", keep="last")
        found = jax.jit(lambda x: attack_inputs(apply, x, LABELS, KEYS[0], settings))(flat)
    x = flat
    for _ in range(5):
        _, _, gradient = numpy_value_and_gradient(x, LABELS)
        if norm == "inf":
            shift = np.clip(x + 0.04 * np.sign(gradient) - flat, -0.1, 0.1)
        else:
            shift = x + 0.04 * gradient / np.linalg.norm(gradient, axis=1, keepdims=True) - flat
            shift *= np.minimum(1, 0.1 / np.linalg.norm(shift, axis=1, keepdims=True))
        x = np.clip(flat + shift, 0, 1)
    np.testing.assert_allclose(found.inputs, x, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_of_a_linear_network_the_robust_accuracy_is_exact(norm):
    weights, x = RNG.standard_normal((6, 2)), RNG.standard_normal((200, 6))
    difference = weights[:, 0] - weights[:, 1]
    margins, labels = np.abs(x @ difference), np.where(x @ difference > 0, 0, 1)
    dual = np.abs(difference).sum() if norm == "inf" else np.linalg.norm(difference)
    weights, x = jnp.asarray(weights, jnp.float32), jnp.asarray(x, jnp.float32)
    run = jax.jit(lambda s: attack_inputs(lambda x: x @ weights, x, labels, KEYS[0], s))
    for size in (0.05, 0.2, 0.5):
        found = run(pgd(size, 20, size, bounds=None, norm=norm))
        certain = np.abs(margins - size * dual) > 1e-3  # beyond the rounding of float32
        np.testing.assert_array_equal(found.fooled[certain], (margins < size * dual)[certain])


def test_one_step_of_pgd_is_fgsm():
    one = attacked(pgd(0.1, 1, 0.1, start="clean"), KEYS[0], INPUTS)
    np.testing.assert_array_equal(one.inputs, attacked(fgsm(0.1), KEYS[0], INPUTS).inputs)


def test_more_restarts_never_find_less():
    few, many = (attacked(pgd(0.05, 2, loss="kl", n_restarts=n), KEYS[0], INPUTS) for n in (2, 5))
    assert np.all(many.fooled >= few.fooled)
    assert np.all((many.losses >= few.losses) | (many.fooled > few.fooled))


def test_dlr_does_not_depend_on_the_scale_of_the_logits():
    logits = apply(INPUTS)
    expected = []
    for z, y in zip(np.asarray(logits), LABELS, strict=True):
        ordered = np.sort(z)
        expected.append(-(z[y] - np.max(np.delete(z, y))) / (ordered[-1] - ordered[-3]))
    np.testing.assert_allclose(dlr(logits, LABELS, logits), expected, rtol=1e-5)
    np.testing.assert_allclose(dlr(1e4 * logits, LABELS, logits), expected, rtol=1e-5)
    assert np.isfinite(jax.grad(lambda z: jnp.sum(dlr(z, LABELS, z)))(jnp.zeros((8, 4)))).all()


def test_a_saturated_network_has_no_gradient_of_its_cross_entropy_but_one_of_its_margin():
    settings = {name: fgsm(0.1, loss=name) for name in ("cross_entropy", "dlr")}
    labels = jnp.argmax(apply(INPUTS), -1)
    # A power of two, whose product is exact: fused multiply and subtract would bring its rounding error back.
    large = 2.0**27
    found = {
        name: jax.jit(lambda x, s=s: attack_inputs(lambda x: large * apply(x), x, labels, KEYS[0], s))(INPUTS)
        for name, s in settings.items()
    }
    assert not found["cross_entropy"].has_gradient.any()
    assert found["dlr"].has_gradient.all()
    assert found["dlr"].found.sum() > found["cross_entropy"].found.sum()


def test_training_methods_get_the_last_point_of_one_loss():
    def loss(x):
        return jnp.mean(jnp.sin(5 * x))

    settings = InputAttack(0.1, 4, (0.0, 1.0))
    x = INPUTS + 0.1 * np.asarray(jax.random.uniform(KEYS[0], INPUTS.shape, jnp.float32, -1, 1))
    x = np.clip(np.clip(x, INPUTS - 0.1, INPUTS + 0.1), 0, 1)
    for _ in range(4):
        x = np.clip(np.clip(x + 0.025 * np.sign(np.cos(5 * x)), INPUTS - 0.1, INPUTS + 0.1), 0, 1)
    found = settings(loss, jnp.asarray(INPUTS), KEYS[0])
    np.testing.assert_allclose(found, x, rtol=1e-5)


def test_one_loss_for_the_whole_batch():
    def objective(x):
        loss = jnp.sum(jnp.sin(5 * x))
        return Value(loss, jnp.zeros_like(loss))

    found = climb_inputs(objective, jnp.asarray(INPUTS), KEYS[0], apgd(0.1, 6))
    assert found.value is not None
    assert found.value.loss.shape == ()
    assert found.value.loss > objective(INPUTS).loss


@pytest.mark.parametrize("start", ["near", "box", "corner"])
@pytest.mark.parametrize("halving", [False, True])
def test_the_best_parameters_are_never_below_the_unattacked_ones(start, halving):
    def value(p):
        logits = jnp.tanh(INPUTS.reshape(8, 6) @ p["first"]) @ p["second"]
        wrong = jnp.mean(jnp.argmax(logits, -1) != LABELS)
        return Value(-jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(8), LABELS]), wrong)

    parameters = {"first": jnp.asarray(FIRST, jnp.float32), "second": jnp.asarray(SECOND, jnp.float32)}
    settings = ParameterAttack(0.05, n_steps=6, start=start, halving=halving, keep="best")
    found = jax.jit(lambda key: attack(value, parameters, key, settings))(KEYS[0])
    reached, nominal = value(found.parameters), value(parameters)
    assert found.value is not None
    np.testing.assert_allclose(found.value, reached, rtol=1e-5)
    assert (reached.failure, reached.loss) > (nominal.failure, nominal.loss)
    assert reached.loss >= found.losses.max() or reached.failure > nominal.failure
    assert found.moved
    assert found.has_gradient


def test_an_attack_on_parameters_that_finds_nothing_says_so():
    near = ParameterAttack(initial_relative_std=0.0)
    flat = attack(lambda p: 0 * jnp.sum(p), jnp.ones(3), KEYS[0], near)
    assert not flat.has_gradient
    assert not flat.moved
    broken = attack(lambda p: jnp.sum(p) * jnp.nan, jnp.ones(3), KEYS[0], near)
    assert not broken.has_gradient
    assert not broken.is_finite
    np.testing.assert_array_equal(broken.parameters, 1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: pgd(-0.1), "size of InputAttack must be a finite number of at least 0"),
        (lambda: pgd(0.1, -1), "n_steps of InputAttack must be a finite number of at least 1"),
        (lambda: pgd(0.1, loss="hinge"), "loss of an attack on inputs must be one of cross_entropy, dlr"),
        (lambda: pgd(0.1, norm="1"), "norm of InputAttack must be one of inf, 2, not '1'"),
        (lambda: pgd(0.1, start="zero"), "start of InputAttack must be one of uniform, clean, cube"),
        (lambda: pgd(0.1, keep="last", n_restarts=2), "n_restarts of InputAttack is at least 1, and 1 with"),
        (lambda: ParameterAttack(start=cast(Any, "far")), "start of an attack is one of near, box, corner"),
        (lambda: ParameterAttack(step=0.1), "step of an attack needs start='box'"),
    ],
)
def test_bad_settings_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_two_classes_have_no_dlr():
    with pytest.raises(InputError, match="compares three classes, but there are 2: use 'margin'"):
        attack_inputs(lambda x: x[:, 0, :2], INPUTS, LABELS % 2, KEYS[0], pgd(0.1, loss="dlr"))
