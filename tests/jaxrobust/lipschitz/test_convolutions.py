"""Every parameterization of convolutions: its norm, and what it promises."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.layers.images import convolve
from jaxrobust.layers.lipschitz import (
    AOL,
    BCOP,
    L2NE,
    OSSN,
    RKO,
    SLL,
    SOC,
    Cayley,
    LipschitzConv,
    Unconstrained,
    bcop_kernel,
    block_convolve,
    bound_of,
    convolution_norm,
    orthogonalize,
    singular_values,
)
from jaxrobust.layers.lipschitz.circular import pad_and_convolve
from jaxrobust.layers.lipschitz.frequency import skew_taps
from jaxrobust.layers.lipschitz.parameterizations import convolution_norm_estimate, l2ne_bound
from jaxrobust.networks.linen import LinenNetwork

pytestmark = pytest.mark.usefixtures("quick_compilation")
IMAGE = (8, 8)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def jacobian(apply, shape):
    """The matrix of an affine layer, inputs times outputs, from the images of all unit vectors."""
    n = int(np.prod(shape))
    points = jnp.concatenate([jnp.eye(n), jnp.zeros((1, n))]).reshape(n + 1, *shape)
    y = np.asarray(jax.jit(apply)(points), np.float64).reshape(n + 1, -1)
    return y[:-1] - y[-1]


def drawn(size, n_in, n_out):
    n = max(n_in, n_out)
    return {"matrix": normal(n_in, n_out), "projectors": normal(2 * size - 2, n, n // 2, seed=1)}


@cache
def bcop(size, n_in, n_out):
    return jax.jit(bcop_kernel)(**drawn(size, n_in, n_out))


@cache
def made(name, size=3, n_in=4, n_out=4, padding="circular", stride=1, **how):
    """A layer as a network, its baked parameters and its bound."""
    layer = LipschitzConv(n_out, size, stride, METHODS[name], padding=padding, **how)
    network = LinenNetwork(layer, (*IMAGE, n_in))

    @jax.jit
    def prepare(key):
        parameters, statistics = network.init(key)
        return network.bake(parameters, statistics), statistics

    baked, statistics = prepare(jax.random.key(1))
    return network, baked, statistics, bound_of(layer, jax.device_get(baked), (*IMAGE, n_in))


METHODS = {
    "bcop": BCOP(),
    "rko": RKO(),
    "ossn": OSSN(n_iterations=200),
    "l2ne": L2NE(),
    "aol": AOL(),
    "cayley": Cayley(),
    "soc": SOC(),
    "sll": SLL(),
    "plain": Unconstrained(),
}


def test_block_convolution_is_one_convolution_after_the_other():
    a, b, c = normal(2, 3, 2, 4), normal(3, 2, 4, 3, seed=1), normal(2, 2, 3, 2, seed=2)
    x = normal(1, *IMAGE, 2, seed=3)
    np.testing.assert_allclose(convolve(x, block_convolve(a, b)), convolve(convolve(x, a), b), atol=1e-4)
    np.testing.assert_allclose(
        block_convolve(block_convolve(a, b), c), block_convolve(a, block_convolve(b, c)), atol=1e-4
    )


CHANNELS = [
    (1, 4, 8),
    (2, 6, 3),
    (3, 4, 4),
    *(
        pytest.param(*sizes, marks=pytest.mark.slow)
        for sizes in ((3, 3, 32), (4, 5, 5), (5, 7, 4), (6, 3, 4))
    ),
    *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in ((1, 4, 4), (7, 8, 8), (2, 128, 32))),
]
QUICK = {"bcop", "cayley", "soc", "ossn"}
CASES = [
    pytest.param(name, *sizes, marks=[] if sizes == (2, 3, 5) and name in QUICK else pytest.mark.slow)
    for sizes in ((2, 3, 5), (3, 4, 4), (3, 6, 2))
    for name in ("bcop", "rko", "ossn", "l2ne", "aol", "cayley", "soc", "sll", "plain")
]


@pytest.mark.parametrize(("size", "n_in", "n_out"), CHANNELS)
def test_bcop_is_orthogonal_for_any_size_and_channels(size, n_in, n_out):
    for image in ((size, size + 1), IMAGE):
        values = singular_values(bcop(size, n_in, n_out), image)
        np.testing.assert_allclose(values, 1, atol=1e-5)


def test_the_jacobian_of_bcop_is_orthogonal():
    kernel = bcop(3, 4, 4)
    matrix = jacobian(lambda x: pad_and_convolve(x, kernel, "circular"), (*IMAGE, 4))
    values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(values, 1, atol=1e-5)
    # The tool that certificates use finds the same values; not only for orthogonal kernels.
    plain = normal(3, 2, 4, 3)
    matrix = jacobian(lambda x: pad_and_convolve(x, plain, "circular"), (*IMAGE, 4))
    np.testing.assert_allclose(
        np.linalg.svd(matrix, compute_uv=False), singular_values(plain, IMAGE), rtol=1e-5, atol=1e-5
    )


def test_the_transfer_function_of_bcop():
    parameters = drawn(3, 4, 4)
    columns = np.asarray(orthogonalize(parameters["projectors"]), np.float64)
    h = np.asarray(orthogonalize(parameters["matrix"]), np.float64)
    transfer = np.fft.fft2(np.asarray(bcop(3, 4, 4), np.float64), IMAGE, axes=(0, 1))
    z_y, z_x = (np.exp(-2j * np.pi * np.arange(8) / 8)[shape] for shape in (np.s_[:, None], np.s_[None]))
    expected = np.broadcast_to(h, (8, 8, 4, 4)).astype(complex)
    for index, each in enumerate(columns):
        p = each @ each.T
        z = (z_x if index % 2 else z_y)[..., None, None]
        expected = expected @ (p + (np.eye(4) - p) * z)
    np.testing.assert_allclose(transfer, expected, atol=1e-5)


@pytest.mark.parametrize("size", [3, *(pytest.param(size, marks=pytest.mark.slow) for size in (2, 4, 5))])
def test_every_projector_gets_a_gradient(size):
    parameters = drawn(size, 4, 4)
    weights = normal(size, size, 4, 4)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(weights * bcop_kernel(**p))))(parameters)
    norms = [np.linalg.norm(gradient["matrix"]), *np.linalg.norm(gradient["projectors"], axis=(1, 2))]
    assert len(norms) == 2 * size - 1
    assert min(norms) > 1e-3


def test_a_single_projector_has_a_rank_for_one_channel_too():
    assert bcop(2, 1, 1).shape == (2, 2, 1, 1)


@pytest.mark.parametrize(("name", "size", "n_in", "n_out"), CASES)
def test_the_measured_bound_is_that_of_the_jacobian(name, size, n_in, n_out):
    network, baked, statistics, bound = made(name, size, n_in, n_out)
    if name != "sll":  # not linear: see below
        matrix = jacobian(lambda x: network.forward(baked, statistics, x).logits, (*IMAGE, n_in))
        values = np.linalg.svd(matrix, compute_uv=False)
        assert values.max() == pytest.approx(bound.constant, abs=1e-5)
    if name != "plain":
        assert bound.constant <= 1 + (1e-3 if name == "ossn" else 1e-5)
    if METHODS[name].is_orthogonal and name != "soc":
        np.testing.assert_allclose(values, 1, atol=1e-5)
    assert bound.shape == (*IMAGE, n_out)


@pytest.mark.parametrize(
    "name", ["bcop", *(pytest.param(n, marks=pytest.mark.slow) for n in ("aol", "plain")), "soc"]
)
def test_zero_padding_stays_within_its_bound(name):
    network, baked, statistics, bound = made(name, padding="zero")
    matrix = jacobian(lambda x: network.forward(baked, statistics, x).logits, (*IMAGE, 4))
    values = np.linalg.svd(matrix, compute_uv=False)
    assert values.max() <= bound.constant + 1e-5
    assert not bound.preserves_gradient
    if name != "plain":
        assert bound.constant <= 1 + (1e-3 if name == "soc" else 1e-5)
    if name == "bcop":
        assert values.min() < 0.5  # marked so: not gradient-norm preserving
    if name == "soc":
        np.testing.assert_allclose(values, 1, atol=1e-4)  # skew with zeros outside too


def test_no_derivative_of_sll_expands_whatever_units_are_active():
    kernel, _ = jax.jit(SLL().kernel, static_argnums=(1, 2))(
        {"taps": normal(3, 3, 3, 3), "log_q": normal(3, seed=1)}, None, IMAGE
    )
    matrix = jacobian(lambda x: pad_and_convolve(x, kernel, "circular"), (*IMAGE, 3))
    rng = np.random.default_rng(0)
    for _ in range(50):
        active = rng.random(len(matrix)) < rng.random()
        part = matrix[:, active]
        assert np.linalg.norm(np.eye(len(matrix)) - 2 * part @ part.T, 2) <= 1 + 1e-6
    x = normal(2, *IMAGE, 3)
    y = SLL().apply(kernel, x, 3, "circular").reshape(2, -1)
    flat = np.asarray(x).reshape(2, -1)
    np.testing.assert_allclose(y, flat - 2 * np.maximum(flat @ matrix, 0) @ matrix.T, atol=1e-5)


def test_soc_is_the_exponential_of_a_skew_convolution():
    taps = skew_taps(normal(3, 3, 4, 4))
    taps = taps / convolution_norm(taps, IMAGE)
    matrix = jacobian(lambda x: pad_and_convolve(x, taps, "zero"), (*IMAGE, 4))
    np.testing.assert_allclose(matrix, -matrix.T, atol=1e-6)
    x = normal(1, *IMAGE, 4)
    exact = SOC(20).apply(taps, x, 4, "circular")
    for n_terms, error in ((5, 2e-3), (11, 1e-6)):
        short = SOC(n_terms).apply(taps, x, 4, "circular")
        assert np.linalg.norm(short - exact) < error * np.linalg.norm(x)
    large = 5 * taps  # cut off too early, the series expands; the certificate says so
    assert SOC(5).norm(large, IMAGE, (4, 4), "circular") > 1.1


@pytest.mark.parametrize("size", [2, 3, *(pytest.param(size, marks=pytest.mark.slow) for size in (4, 5))])
def test_the_estimate_of_ossn_comes_from_below_and_converges(size):
    taps = normal(size, size, 4, 3, seed=size)
    exact = convolution_norm(taps, IMAGE)
    start = OSSN().memory(taps.shape, IMAGE)
    estimate = jax.jit(convolution_norm_estimate, static_argnums=2)
    for n_iterations, error in ((100, 0.02), (600, 1e-4)):
        value = float(estimate(taps, start, IMAGE, n_iterations)[0])
        assert exact * (1 - error) <= value <= exact * (1 + 1e-5)


@pytest.mark.parametrize("size", [2, *(pytest.param(size, marks=pytest.mark.slow) for size in (3, 4, 5))])
def test_the_derivative_of_a_convolution_is_its_exact_adjoint(size):
    """For even kernels too, whose flipped taps are off by a shift."""
    taps, x, y = normal(size, size, 4, 3), normal(1, *IMAGE, 4, seed=1), normal(1, *IMAGE, 3, seed=2)
    for precise in (False, True):
        along, back = jax.vjp(
            lambda x, precise=precise: pad_and_convolve(x, taps, "circular", precise=precise), x
        )
        np.testing.assert_allclose(jnp.vdot(along, y), jnp.vdot(x, back(y)[0]), rtol=1e-4)


def test_the_bound_of_l2ne_is_above_the_norm_of_any_matrix():
    matrices = normal(100, 6, 9) * jnp.geomspace(1e-3, 1e3, 100)[:, None, None]
    bounds = jax.jit(jax.vmap(l2ne_bound))(matrices)
    norms = np.linalg.norm(np.asarray(matrices, np.float64), 2, axis=(1, 2))
    assert np.all(bounds >= norms * (1 - 1e-6))
    assert np.all(bounds <= 3 * norms)  # and not far above it


@pytest.mark.slow
def test_no_kernel_of_rko_expands_whatever_its_shape():
    rng = np.random.default_rng(0)
    kernel = jax.jit(lambda taps: RKO().kernel({"taps": taps}, None, IMAGE)[0])
    for index in range(20):
        size, (n_in, n_out) = int(rng.integers(1, 6)), rng.integers(1, 12, 2).tolist()
        taps = kernel(normal(size, size, n_in, n_out, seed=index))
        assert convolution_norm(taps, IMAGE) <= 1 + 1e-5


def test_ossn_remembers_its_vector_between_training_steps():
    network = LinenNetwork(LipschitzConv(3, 3, parameterization=OSSN(1)), (*IMAGE, 4))
    parameters, statistics = jax.jit(network.init)(jax.random.key(0))
    parameters = jax.tree.map(lambda p: 5 * p, parameters)
    forward, bake = jax.jit(network.forward, static_argnames="training"), jax.jit(network.bake)
    x = normal(2, *IMAGE, 4)

    def constant():
        return bound_of(network.module, jax.device_get(bake(parameters, statistics)), (*IMAGE, 4)).constant

    at_first = constant()
    for _ in range(30):
        statistics = forward(parameters, statistics, x, training=True).statistics
    assert 1 - 1e-5 <= constant() < at_first


def test_rko_of_one_pixel_is_the_dense_layer():
    taps = normal(1, 1, 6, 3)
    np.testing.assert_allclose(
        RKO().kernel({"taps": taps}, None, IMAGE)[0][0, 0], orthogonalize(taps[0, 0]), atol=1e-6
    )


@pytest.mark.parametrize(
    ("size", "stride", "n_in", "n_out", "striding"),
    [
        (4, 2, 4, 8, "unshuffle"),
        (3, 2, 4, 16, "true"),
        (3, 2, 4, 8, "true"),
        *(pytest.param(4, 2, *channels, "true", marks=pytest.mark.slow) for channels in ((8, 16), (4, 20))),
        pytest.param(2, 2, 3, 5, "true", marks=pytest.mark.slow),
    ],
)
def test_strided_convolutions_are_orthogonal(size, stride, n_in, n_out, striding):
    network, baked, statistics, bound = made("bcop", size, n_in, n_out, stride=stride, striding=striding)
    matrix = jacobian(lambda x: network.forward(baked, statistics, x).logits, (*IMAGE, n_in))
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), 1, atol=1e-5)
    assert matrix.shape == (64 * n_in, 16 * n_out)
    assert bound.constant == pytest.approx(1, abs=1e-5)
    assert bound.shape == (4, 4, n_out)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"padding": "SAME"}, 'convolution by BCOP is "circular" or "zero"'),
        ({"padding": 1}, "not 1"),
        (
            {"padding": "zero", "parameterization": Cayley()},
            "no bound with zero padding for a convolution by Cayley",
        ),
        ({"kernel_size": 3, "stride": 2}, "stride 2 must divide the kernel size 3"),
        ({"kernel_size": 3, "stride": 3}, "3 does not divide an image of 8x8"),
        ({"kernel_size": 9}, "kernel of 9x9 is larger than the image of 8x8"),
        ({"stride": 2, "striding": "true", "parameterization": RKO()}, "needs BCOP"),
    ],
)
def test_settings_that_do_not_fit_are_refused(how, message):
    x = jnp.zeros((1, *IMAGE, 3))
    with pytest.raises(InputError, match=message):
        LipschitzConv(4, **{"kernel_size": 4, **how}).init(jax.random.key(0), x)


def test_unbaked_parameters_have_no_bound():
    layer = LipschitzConv(3)
    parameters = jax.eval_shape(LinenNetwork(layer, (*IMAGE, 2)).init, jax.random.key(0)).parameters
    with pytest.raises(InputError, match=r"network\.bake"):
        bound_of(layer, parameters, (*IMAGE, 2))


def test_a_baked_layer_runs_without_orthogonalization():
    network, baked, statistics, _ = made("bcop")
    program = str(jax.make_jaxpr(network.forward)(baked, statistics, jnp.zeros((1, *IMAGE, 4))))
    assert "while" not in program
    assert "dot_general" not in program
