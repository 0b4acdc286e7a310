"""Radii, the certified curve and the guard, on networks whose answer is known in closed form."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.attacks.input_attack import attack_inputs, fgsm, pgd
from jaxrobust.attacks.square import SquareAttack, attack_by_squares
from jaxrobust.certificates.lipschitz import (
    CertificateBroken,
    certified_accuracy,
    certified_radii,
    certify,
    check_pixels,
    check_unbroken,
    last_layer_radii,
    lipschitz_bound,
)
from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz import BCOP, OSSN, Unconstrained
from jaxrobust.networks.lipschitz import LipschitzCritic, LipschitzNetwork, clipped_images
from jaxrobust.training.optimizers.convolution_projection import (
    SingularValuesOfConvolutions,
    clip_convolution,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")
RNG = np.random.default_rng(0)


def linear(n=40):
    """Two classes, logits x w and -x w with |w| = 1 / sqrt(2): distances to the plane are |x w| sqrt(2)."""
    w = RNG.standard_normal(6)
    w /= np.linalg.norm(w) * 2**0.5
    x = RNG.standard_normal((n, 6))
    logits = np.stack([x @ w, -x @ w], 1)
    return w, x, logits, np.argmax(logits, 1)


def test_the_radius_of_a_linear_classifier_is_the_distance_to_its_plane():
    w, x, logits, labels = linear()
    constant = np.linalg.norm(np.stack([w, -w], 1), 2)
    distance = np.abs(x @ w) / np.linalg.norm(w)
    np.testing.assert_allclose(certified_radii(logits, labels, constant), distance, rtol=1e-6)
    np.testing.assert_allclose(
        last_layer_radii(logits, labels, np.stack([w, -w], 1), 1.0), distance, rtol=1e-6
    )
    assert np.all(certified_radii(logits, 1 - labels, constant) == 0)
    assert np.all(certified_radii(logits, labels, constant, slack=0.01) < distance)


def test_attacks_on_a_linear_classifier_find_exactly_what_is_not_certified():
    w, x, _, labels = linear()
    x = x * 0.05 + 0.5  # inside the image's bounds
    bias = 0.5 * w.sum()
    weights = jnp.float32(w)

    run_attack = jax.jit(attack_inputs, static_argnums=0)

    def apply(x):
        value = x.reshape(len(x), -1) @ weights - bias
        return jnp.stack([value, -value], 1)

    distance = np.abs(x @ w - bias) / np.linalg.norm(w)
    ordered = np.sort(distance)
    widest = np.argsort(np.diff(ordered))[-2:]  # no sample may lie nearer to its plane than rounding
    for size in (ordered[widest] + ordered[widest + 1]) / 2:
        for attack in (
            pgd(size, 100, norm="2", loss="margin"),
            fgsm(size, norm="2", loss="margin"),
        ):
            found = run_attack(apply, jnp.float32(x), jnp.asarray(labels), jax.random.key(0), attack)
            np.testing.assert_array_equal(found.fooled, distance <= size)
            assert np.linalg.norm(found.inputs - x, axis=1).max() <= size * 1.001
    start = pgd(0.1, 1, norm="2").draw_start(jax.random.key(0), jnp.float32(x))
    assert np.linalg.norm(start - x, axis=1).max() <= 0.1 + 1e-6


@pytest.mark.parametrize("norm", ["2", "inf"])
def test_the_square_attack_stays_in_the_ball_and_finds_what_there_is(norm):
    direction = jnp.asarray(RNG.standard_normal((1, 8, 8, 1)), jnp.float32)
    x = jnp.full((12, 8, 8, 1), 0.5)
    dual = jnp.linalg.norm(direction) if norm == "2" else jnp.sum(jnp.abs(direction))
    reach = jnp.linspace(0.05, 1.5, 12)  # in units of what the best change of size 0.1 gains

    def apply(x):
        gain = jnp.sum((x - 0.5) * direction, axis=(1, 2, 3)) / (0.1 * dual)
        return jnp.stack([reach, gain], 1)

    settings = SquareAttack(0.1, n_queries=600, norm=norm)
    found = jax.jit(attack_by_squares, static_argnums=0)(
        apply, x, jnp.zeros(12, int), jax.random.key(0), settings
    )
    shift = np.asarray(found.inputs - x).reshape(12, -1)
    sizes = np.linalg.norm(shift, axis=1) if norm == "2" else np.abs(shift).max(axis=1)
    assert sizes.max() <= 0.1 * (1 + 1e-5)
    assert not np.asarray(found.fooled)[reach > 1].any()
    assert np.asarray(found.fooled)[reach < 0.4].all()
    assert np.asarray(found.losses >= found.nominal_losses).all()


def test_a_network_with_random_weights_is_never_broken_inside_its_radii():
    network = LipschitzNetwork("small", width=0.25).build((8, 8, 1), 4)
    baked, statistics = prepared(network)
    x = RNG.random((20, 8, 8, 1), np.float32)
    repeated = np.repeat(x, 500, axis=0)
    forward = jax.jit(lambda x: network.forward(baked, statistics, x).logits)
    logits = forward(repeated)[::500]
    labels = np.argmax(logits, 1)
    certificate = certify(network, baked, x, labels, logits=logits, by_last_layer=True)
    assert certificate.constant == pytest.approx(1, abs=1e-5)
    assert certificate.preserves_gradient
    assert certificate.accuracy == 1
    plain = certify(network, baked, x, labels, logits=logits)
    assert np.all(certificate.radii >= plain.radii)
    radii = np.repeat(certificate.radii, 500)
    shift = np.random.default_rng(1).standard_normal(repeated.shape)
    shift *= (radii / np.linalg.norm(shift.reshape(10_000, -1), axis=1))[:, None, None, None]
    moved = np.float32(repeated + 0.999 * shift)
    fooled = np.argmax(forward(moved), 1) != np.repeat(labels, 500)
    assert not fooled.any()
    check_unbroken(radii, repeated, moved, fooled)
    with pytest.raises(CertificateBroken, match="20 certified samples changed their answer"):
        check_unbroken(certificate.radii, x, x, np.ones(20, bool))


def prepared(network):
    @jax.jit
    def prepare(key):
        parameters, statistics = network.init(key)
        return network.bake(parameters, statistics), statistics

    return prepare(jax.random.key(0))


def test_the_certificate_measures_perturbed_kernels():
    network = LipschitzNetwork("fc", width=0.01).build((4, 4, 1), 3)
    baked, _ = prepared(network)
    assert lipschitz_bound(network, jax.tree.map(lambda p: 1.1 * p, baked)).constant == pytest.approx(1.1**4)
    assert lipschitz_bound(network, jax.tree.map(lambda p: p * np.nan, baked)).constant == np.inf
    assert np.all(certified_radii(np.eye(3), np.arange(3), np.inf) == 0)


def test_the_certified_curve():
    np.testing.assert_allclose(certified_accuracy(np.array([0, 0.5, 2]), (0, 0.5, 1)), [2 / 3, 1 / 3, 1 / 3])


def test_layouts_have_the_published_shapes():
    for layout, image, shapes in (
        ("small", (28, 28, 1), {"conv1": (14, 14, 16), "conv2": (7, 7, 32), "fc1": (100,)}),
        ("large", (32, 32, 3), {"conv2": (16, 16, 32), "conv4": (8, 8, 64), "fc1": (512,), "fc2": (512,)}),
        ("fc", (32, 32, 3), {"fc1": (1024,), "fc3": (1024,)}),
    ):
        network = LipschitzNetwork(layout, Unconstrained()).build(image, 10)
        positions = network.positions
        assert {name: positions[name] for name in shapes} == shapes
    critic = LipschitzCritic(Unconstrained(), upsample=2).build((32, 32, 3))
    assert critic.positions["conv4"] == (4, 4, 512)
    parameters = jax.eval_shape(critic.init, jax.random.key(0)).parameters
    assert parameters["conv3"]["kernel"].shape == (2, 2, 512, 256)
    assert dict(clipped_images(critic))["conv1/kernel"] == (32, 32)
    # The published square matrices of the large network, 2 k - 1 per layer: section 4 of the specification.
    large = LipschitzNetwork("large", Unconstrained()).build((32, 32, 3), 10)
    kernels = jax.eval_shape(large.init, jax.random.key(0)).parameters
    published = sum((2 * k.shape[0] - 1) * max(k.shape[2:]) ** 2 for k in map(_kernel, kernels.values()) if k)
    published += 4096 * 512 + 512 * 512 + 512 * 10
    assert published == 2_635_776


def _kernel(layer):
    kernel = layer.get("kernel")
    return kernel if hasattr(kernel, "ndim") else None


def test_clipping_singular_values():
    taps = jnp.asarray(RNG.standard_normal((3, 3, 4, 4)), jnp.float32)
    clipped = jax.jit(clip_convolution, static_argnums=(1, 3))(taps, (6, 6), 1.0, 50)
    values = np.linalg.svd(np.fft.fft2(np.float64(clipped), (6, 6), axes=(0, 1)), compute_uv=False)
    assert 0.9 < values.max() < 1.005
    feasible = clipped / values.max() / 1.001
    again = jax.jit(clip_convolution, static_argnums=(1, 3))(feasible, (6, 6), 1.0, 50)
    np.testing.assert_allclose(again, feasible, atol=1e-6)
    projection = SingularValuesOfConvolutions((("conv/kernel", (6, 6)),), n_repeats=50)
    tree = {"conv": {"kernel": taps, "bias": jnp.ones(4)}}
    projected = projection.project(tree)
    np.testing.assert_allclose(projected["conv"]["kernel"], clipped, atol=1e-5)
    np.testing.assert_array_equal(projected["conv"]["bias"], 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: certified_radii(np.eye(3), np.arange(3), 0.0), "positive number"),
        (lambda: certified_radii(np.eye(3), np.arange(2), 1.0), "3 rows of logits, but 2 labels"),
        (lambda: certified_radii(np.eye(3), np.arange(3) + 1, 1.0), "there are 3 logits"),
        (lambda: check_pixels(np.array([-1.0, 1.0])), r"inputs in \[0, 1\]"),
        (lambda: LipschitzNetwork("huge"), "layout is one of fc, small, large"),
        (lambda: LipschitzNetwork(activation="gelu"), "activation is"),
        (lambda: SingularValuesOfConvolutions(()), "no kernels"),
        (lambda: SquareAttack(0.1, norm="1"), "norm of SquareAttack"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_networks_are_equal_by_their_settings():
    assert LipschitzNetwork("small", BCOP()) == LipschitzNetwork("small", BCOP())
    assert LipschitzNetwork("small", OSSN()) != LipschitzNetwork("small", BCOP())
    assert LipschitzNetwork().build((28, 28, 1), 10) == LipschitzNetwork().build((28, 28, 1), 10)
