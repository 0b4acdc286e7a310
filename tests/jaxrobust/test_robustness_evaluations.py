"""Full-set losses, accuracies, worst case, landscapes, spectra and path rules against slow versions."""

import logging
from collections import namedtuple
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxrobust.attacks.parameter_attack import ParameterAttack, attack
from jaxrobust.errors import InputError
from jaxrobust.losses import kl
from jaxrobust.measures.full_set import cross_entropy, divergence_from, mean_over
from jaxrobust.measures.landscape import (
    adversarial_landscapes,
    losses_along,
    mean_slope,
    random_direction,
    random_landscapes,
)
from jaxrobust.measures.mismatch import accuracy, mismatch_accuracies, perturbed_accuracies
from jaxrobust.measures.spectra import density, hessian_spectrum, top_eigenvalue
from jaxrobust.measures.worst_case import worst_case
from jaxrobust.path_rules import assign, match, paths
from jaxrobust.perturbations.mismatch import GaussianMismatch, gaussian_mismatch

RNG = np.random.default_rng(0)
INPUTS = jnp.asarray(RNG.standard_normal((23, 6)), jnp.float32)
LABELS = jnp.asarray(RNG.integers(0, 4, 23))
THETA = {
    "w": jnp.asarray(RNG.standard_normal((6, 8)), jnp.float32),
    "out": jnp.asarray(RNG.standard_normal((8, 4)), jnp.float32),
    "b": jnp.zeros(4),
}
KEY = jax.random.key(0)


pytestmark = pytest.mark.usefixtures("quick_compilation")


def apply(parameters, inputs):
    return jnp.tanh(inputs @ parameters["w"]) @ parameters["out"] + parameters["b"]


def plain_cross_entropy(parameters):
    return -jnp.mean(jax.nn.log_softmax(apply(parameters, INPUTS))[jnp.arange(23), LABELS])


def assert_close(a, b, **how):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **how), a, b)


@pytest.mark.parametrize("batch_size", [None, 1, 10, 23, 50])
def test_full_set_loss_and_gradient_do_not_depend_on_the_chunks(batch_size):
    loss = cross_entropy(apply, INPUTS, LABELS, batch_size=batch_size)
    expected, gradient = jax.value_and_grad(plain_cross_entropy)(THETA)
    value, found = jax.jit(jax.value_and_grad(loss))(THETA)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(loss(THETA), expected, rtol=1e-6)  # without a gradient
    assert_close(found, gradient, rtol=1e-5, atol=1e-7)


def test_full_set_divergence_equals_the_plain_one():
    moved = jax.tree.map(lambda p: 1.2 * p, THETA)
    found = divergence_from(apply, THETA, INPUTS, "kl", batch_size=7)(moved)
    np.testing.assert_allclose(found, kl(apply(THETA, INPUTS), apply(moved, INPUTS)), rtol=1e-5)


def test_full_set_loss_has_second_derivatives():
    direction = jax.tree.map(jnp.cos, THETA)

    def along(loss):
        return jax.jit(lambda p: jax.jvp(jax.grad(loss), (p,), (direction,))[1])(THETA)

    found = along(cross_entropy(apply, INPUTS, LABELS, batch_size=5))
    assert_close(found, along(plain_cross_entropy), rtol=1e-4, atol=1e-6)


def test_gradient_memory_does_not_grow_with_the_number_of_chunks():
    def scratch(n_chunks):
        inputs, labels = jnp.ones((n_chunks * 64, 6)), jnp.zeros(n_chunks * 64, int)

        def wide(p, x):
            return jnp.tanh(jnp.tile(x @ p["w"], 50)) @ jnp.tile(p["out"], (50, 1))

        gradient = jax.jit(jax.grad(cross_entropy(wide, inputs, labels, batch_size=64)))
        analysis = gradient.lower(THETA).compile().memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    # Each chunk makes intermediate results of 64 * 400 * 4 bytes = 100 kB; inputs and labels are constants.
    assert scratch(16) < scratch(2) + 100_000


@pytest.mark.parametrize(
    ("samples", "batch_size", "says"),
    [
        ((jnp.ones((3, 2)), jnp.ones(4)), None, "Inputs and labels must be as many"),
        ((jnp.ones((0, 2)), jnp.ones(0)), None, "There are no samples"),
        ((jnp.ones((3, 2)), jnp.ones(3)), 0, "batch_size must be at least 1, not 0"),
    ],
)
def test_bad_samples_are_refused(samples, batch_size, says):
    with pytest.raises(InputError, match=says):
        mean_over(lambda p, chunk: chunk[1], samples, batch_size=batch_size)


def slow_accuracy(parameters):
    x = np.tanh(np.asarray(INPUTS) @ parameters["w"]) @ parameters["out"] + parameters["b"]
    return float(np.mean(np.argmax(x, -1) == LABELS))


def test_accuracies_of_devices_do_not_depend_on_chunks_or_company():
    assert accuracy(apply, THETA, INPUTS, LABELS, batch_size=5) == pytest.approx(slow_accuracy(THETA))
    devices = [gaussian_mismatch(jax.random.fold_in(KEY, i), THETA, 0.5) for i in range(6)]
    expected = [slow_accuracy(device) for device in devices]
    assert len(set(expected)) > 2
    for n_draws, at_once, batch_size in ((6, 1, None), (6, 4, 10), (3, 3, 23)):
        found = mismatch_accuracies(
            apply,
            THETA,
            INPUTS,
            LABELS,
            KEY,
            level=0.5,
            n_draws=n_draws,
            draws_at_once=at_once,
            batch_size=batch_size,
        )
        np.testing.assert_allclose(found, expected[:n_draws], rtol=1e-6)
    perturb = GaussianMismatch({"w": 0.5, "out": 0.5, "b": 0.5}).perturb
    found = perturbed_accuracies(apply, THETA, INPUTS, LABELS, KEY, perturb=perturb, n_draws=6)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    still = mismatch_accuracies(apply, THETA, INPUTS, LABELS, KEY, level=0.0, n_draws=2)
    np.testing.assert_allclose(still, slow_accuracy(THETA), rtol=1e-6)
    with pytest.raises(InputError, match="must be at least 1, but they are 0 and 1"):
        mismatch_accuracies(apply, THETA, INPUTS, LABELS, KEY, level=0.1, n_draws=0)
    for level in (-0.3, float("nan"), {"w": 0.1, "out": -0.3, "b": 0.1}):
        with pytest.raises(InputError, match="level of mismatch must be a finite number of at least 0"):
            mismatch_accuracies(apply, THETA, INPUTS, LABELS, KEY, level=level, n_draws=1)


ATTACK = ParameterAttack(relative_size=0.3, initial_relative_std=0.05, n_steps=4)


@pytest.mark.parametrize("loss", ["madry", "kl"])
def test_worst_case_is_the_worst_of_plain_attacks_on_the_whole_set(loss):
    plain = {"madry": plain_cross_entropy, "kl": lambda p: kl(apply(THETA, INPUTS), apply(p, INPUTS))}[loss]
    run_plain = jax.jit(lambda i: attack(plain, THETA, jax.random.fold_in(KEY, i), ATTACK))
    runs = [run_plain(i) for i in range(3)]
    found = jax.jit(
        lambda: worst_case(
            apply,
            THETA,
            INPUTS,
            LABELS,
            KEY,
            ATTACK,
            loss=loss,
            n_restarts=3,
            restarts_at_once=2,
            batch_size=10,
        )
    )()
    losses = [[*run.losses, plain(run.parameters)] for run in runs]
    np.testing.assert_allclose(found.losses, losses, rtol=1e-3)
    assert np.all(found.losses[:, -1] > found.losses[:, 0])
    accuracies = [slow_accuracy(run.parameters) for run in runs]
    np.testing.assert_allclose(found.accuracies, accuracies, rtol=1e-6)
    worst = int(np.argmin(accuracies))
    assert found.accuracy == pytest.approx(min(accuracies))
    assert found.accuracy < slow_accuracy(THETA) or loss == "kl"
    assert found.loss == found.losses[worst, -1]
    assert_close(found.parameters, runs[worst].parameters, rtol=1e-4, atol=1e-5)


def test_a_worst_case_that_starts_where_its_loss_is_flat_says_that_it_had_no_gradient():
    still = ParameterAttack(relative_size=0.3, initial_relative_std=0.0, n_steps=2)
    found = worst_case(apply, THETA, INPUTS, LABELS, KEY, still, loss="l2")
    assert not found.has_gradient.any()
    assert_close(found.parameters, THETA)
    assert worst_case(apply, THETA, INPUTS, LABELS, KEY, ATTACK, loss="l2").has_gradient.all()


def test_bad_worst_cases_are_refused():
    with pytest.raises(InputError, match="must be one of madry, kl, reverse_kl, js, l2, not 'mardy'"):
        worst_case(apply, THETA, INPUTS, LABELS, KEY, ATTACK, loss="mardy")
    with pytest.raises(InputError, match="n_restarts and restarts_at_once must be at least 1"):
        worst_case(apply, THETA, INPUTS, LABELS, KEY, ATTACK, n_restarts=0)
    with pytest.raises(InputError, match=r"There is no divergence 'kll'.*Did you mean 'kl'"):
        divergence_from(apply, THETA, INPUTS, "kll")


def test_random_landscapes_equal_a_loop():
    alphas = jnp.linspace(-2, 2, 7)
    found = random_landscapes(plain_cross_entropy, THETA, KEY, alphas, std=0.2, n_repeats=2, points_at_once=3)
    for repeat in range(2):
        direction = random_direction(jax.random.fold_in(KEY, repeat), THETA, 0.2)
        expected = [
            plain_cross_entropy(jax.tree.map(lambda p, d, a=a: p + a * d, THETA, direction)) for a in alphas
        ]
        np.testing.assert_allclose(found[repeat], expected, rtol=1e-5)
    np.testing.assert_allclose(found[:, 3], plain_cross_entropy(THETA), rtol=1e-6)


def test_directions_have_the_relative_size():
    draw = np.asarray(random_direction(KEY, jnp.full(40_000, -0.7), 0.2))
    assert draw.std() == pytest.approx(0.14, rel=0.02)
    assert np.all(np.asarray(random_direction(KEY, jnp.zeros(5), 0.2)) == 0)


def test_adversarial_landscape_meets_the_attacked_network():
    alphas = jnp.asarray([0.0, 0.5, 1.0])
    found = adversarial_landscapes(plain_cross_entropy, THETA, KEY, alphas, ATTACK, scale=2.0, n_repeats=2)
    run = jax.jit(lambda i: attack(plain_cross_entropy, THETA, jax.random.fold_in(KEY, i), ATTACK).parameters)
    ends = [plain_cross_entropy(run(repeat)) for repeat in range(2)]
    np.testing.assert_allclose(found[:, 0], plain_cross_entropy(THETA), rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], ends, rtol=1e-4)
    straight = jax.tree.map(jnp.ones_like, THETA)
    line = losses_along(lambda p: jnp.sum(p["b"]), THETA, straight, alphas)
    np.testing.assert_allclose(line, 4 * alphas, rtol=1e-6)


def test_mean_slope_equals_the_published_steps():
    alphas = np.linspace(-1, 1, 21)
    curves = np.random.default_rng(3).standard_normal((3, 21))
    mean = curves.mean(0)
    smooth = [None] * 2 + [mean[i - 2 : i + 3].mean() for i in range(2, 19)] + [None] * 2
    whole = [value for value in smooth if value is not None]
    expected = np.mean([abs(b - a) for a, b in pairwise(whole)]) / (alphas[1] - alphas[0])
    found = mean_slope(jnp.asarray(curves, jnp.float32), jnp.asarray(alphas, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    line = mean_slope(3 * jnp.asarray(alphas, jnp.float32)[None], jnp.asarray(alphas, jnp.float32))
    assert line == pytest.approx(3, rel=1e-5)
    with pytest.raises(InputError, match=r"more points than its moving average has \(5\), but there are 5"):
        mean_slope(jnp.ones((1, 5)), jnp.arange(5.0))


def quadratic(eigenvalues, seed=0):
    """A loss whose Hessian has these eigenvalues, in a random basis."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))
    matrix = jnp.asarray(basis * eigenvalues @ basis.T, jnp.float32)

    def loss(tree):
        vector = jnp.concatenate([tree["a"].ravel(), tree["b"]])
        return vector @ matrix @ vector / 2

    n = len(eigenvalues)
    return loss, {"a": jnp.ones((2, 5)), "b": jnp.ones(n - 10)}


def test_lanczos_finds_all_eigenvalues_in_as_many_steps_as_there_are():
    eigenvalues = np.sort(np.concatenate([np.linspace(-1, 2, 18), [5.0, 20.0]]))
    loss, parameters = quadratic(eigenvalues)
    spectrum = hessian_spectrum(loss, parameters, KEY, n_steps=20, n_probes=2, probes_at_once=2)
    for nodes in spectrum.nodes:
        np.testing.assert_allclose(nodes, eigenvalues, atol=2e-3)
    np.testing.assert_allclose(spectrum.weights.sum(1), 1, rtol=1e-4)
    assert top_eigenvalue(spectrum) == pytest.approx(20, rel=1e-5)
    # A probe's moments are Rayleigh quotients; their mean over probes is the trace over n.
    many = hessian_spectrum(loss, parameters, KEY, n_steps=6, n_probes=200, probes_at_once=50)
    mean = np.sum(many.nodes * many.weights, axis=1)
    assert mean.mean() == pytest.approx(eigenvalues.mean(), abs=float(5 * mean.std() / np.sqrt(200)))
    np.testing.assert_allclose(many.nodes[:2, -1], 20, rtol=1e-3)


def test_an_exhausted_space_ends_the_spectrum_without_nan():
    loss, parameters = quadratic(np.array([-3.0] * 8 + [-1.0] * 4))
    spectrum = hessian_spectrum(loss, parameters, KEY, n_steps=6)
    assert np.isfinite(spectrum.nodes).all()
    assert top_eigenvalue(spectrum) == pytest.approx(-1, rel=1e-4)
    points = jnp.linspace(-5, 3, 801)
    smooth = density(spectrum, points, width=0.2)
    assert np.trapezoid(smooth, points) == pytest.approx(1, rel=1e-3)
    with pytest.raises(InputError, match="n_steps must be 1 to the number of parameters, 12, not 13"):
        hessian_spectrum(loss, parameters, KEY, n_steps=13)


def test_spectrum_of_a_network_equals_its_dense_hessian():
    loss = cross_entropy(apply, INPUTS, LABELS, batch_size=8)
    small = {"w": THETA["w"][:, :8] * 0.5, "out": THETA["out"], "b": THETA["b"]}
    spectrum = jax.jit(lambda: hessian_spectrum(loss, small, KEY, n_steps=30))()
    flat, unravel = ravel_pytree(small)
    dense = np.linalg.eigvalsh(jax.hessian(lambda v: plain_cross_entropy(unravel(v)))(flat))
    assert top_eigenvalue(spectrum) == pytest.approx(dense[-1], rel=1e-3)
    assert spectrum.nodes.min() == pytest.approx(dense[0], rel=0.02, abs=1e-3)


Pair = namedtuple("Pair", "first second")
TREE = {"block1": {"kernel": 0, "bias": 0}, "w_rec": 0, "pair": Pair(0, [0, 0])}


def test_the_first_rule_that_fits_the_whole_path_counts_and_is_logged(caplog):
    assert paths(TREE) == [
        "block1/bias",
        "block1/kernel",
        "pair/first",
        "pair/second/0",
        "pair/second/1",
        "w_rec",
    ]
    rules = [("w_rec", 0.1), (".*bias", 0.0), ("pair/second/[0-9]", 0.3), (".*", 0.05)]
    with caplog.at_level(logging.INFO):
        values = assign(rules, TREE)
    assert values == {
        "block1": {"kernel": 0.05, "bias": 0.0},
        "w_rec": 0.1,
        "pair": Pair(0.05, [0.3, 0.3]),
    }
    assert "w_rec: 0.1 by rule 'w_rec'" in caplog.text
    assert [found.rule for found in match(rules, TREE)][:2] == [".*bias", ".*"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([("w_rec", 1), (".*bias", 0)], "No rule fits the parameter 'block1/kernel'"),
        ([("rec", 1), (".*", 0)], "The rule 'rec' fits no parameter; there are block1/bias"),
        ([("w_rek", 1), (".*", 0)], "Did you mean 'w_rec'"),
        ([(".*", 1), ("w_rec", 0)], "The rule 'w_rec' is never used"),
        ([("w_(rec", 1)], "is not a regular expression"),
        ([], "No rule fits the parameter 'block1/bias'; the rules are none"),
    ],
)
def test_rules_that_fit_nothing_and_leaves_without_a_rule_are_refused(rules, says):
    with pytest.raises(InputError, match=says.replace("(", r"\(") if "never" in says else says):
        assign(rules, TREE)


def test_sizes_by_rules_attack_layer_by_layer():
    sizes = assign([("out", 0.2), (".*", 0.0)], THETA)
    settings = ParameterAttack(relative_size=sizes, initial_relative_std=0.0, n_steps=1)
    found = attack(plain_cross_entropy, THETA, KEY, settings).parameters
    np.testing.assert_array_equal(found["w"], THETA["w"])
    np.testing.assert_allclose(np.abs(found["out"] - THETA["out"]), 0.2 * np.abs(THETA["out"]), rtol=1e-4)
