"""The non-spiking networks against slow NumPy versions, and what they remember between batches."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.errors import InputError
from jaxrobust.layers.dropout import dropout
from jaxrobust.layers.images import convolve
from jaxrobust.layers.normalization import BatchNorm
from jaxrobust.networks.cnn import CNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.network import Network
from jaxrobust.networks.resnet import ResNet

TINY_CNN = CNN(image=(12, 13, 2), n_out=3, kernels=(3, 5), dense=(6, 4))
TINY_RESNET = ResNet(image=(8, 8, 2), n_out=3, n_blocks=2, channels=(2, 4, 8))
TINY_MLP = MLP(n_in=6, n_hidden=(5, 4), n_out=3)
NETWORKS = [
    (TINY_CNN, (12, 13, 2)),
    (CNN(image=(12, 13, 2), n_out=3, kernels=(3, 5), dense=(6, 4), dropout=0.3), (12, 13, 2)),
    (TINY_RESNET, (8, 8, 2)),
    (TINY_MLP, (6,)),
    (MLP(n_in=6, n_hidden=(5, 4), n_out=3, dropout=0.3), (2, 3)),
]


def images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


def started(network, seed=0):
    """Parameters without zeros or ones, so that nothing can hide behind a fresh bias or scale."""
    parameters, statistics = init(network, seed)
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda p: p + 0.1 * rng.standard_normal(p.shape, np.float32), parameters), statistics


@partial(jax.jit, static_argnums=(0, 1))
def init(network, seed=0):
    return network.init(jax.random.key(seed))


@partial(jax.jit, static_argnames=("network", "training"))
def forward(network, p, statistics, x, training=False, key=None):
    return network.forward(p, statistics, x, training=training, key=key)


def relu(x):
    return np.maximum(x, 0)


def slow_convolution(x, kernel, stride=1, before=0, behind=0):
    x = np.pad(x, ((0, 0), (before, behind), (before, behind), (0, 0)))
    size = kernel.shape[0]
    rows, columns = ((length - size) // stride + 1 for length in x.shape[1:3])
    out = np.zeros((x.shape[0], rows, columns, kernel.shape[3]))
    for i in range(rows):
        for j in range(columns):
            patch = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            out[:, i, j] = np.einsum("nhwc,hwco->no", patch, kernel)
    return out


def slow_pool(x):
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    out = np.zeros((x.shape[0], rows, columns, x.shape[3]))
    for i in range(rows):
        for j in range(columns):
            out[:, i, j] = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((1, 2))
    return out


def slow_norm(x, moments=None):
    axes = tuple(range(x.ndim - 1))
    mean, variance = (x.mean(axes), x.var(axes)) if moments is None else moments
    return (x - mean) / np.sqrt(variance + 1e-5)


def slow_cnn(p, x, moments=None):
    p = {name: np.asarray(value, np.float64) for name, value in p.items()}
    x = slow_norm(x.astype(np.float64), moments and moments["input"])
    x = slow_pool(relu(slow_convolution(x, p["k1"], before=2, behind=1) + p["cb1"]))
    x = slow_pool(relu(slow_convolution(x, p["k2"]) + p["cb2"]))
    x = relu(x.reshape(len(x), -1) @ p["w1"] + p["b1"])
    x = relu(x @ p["w2"] + p["b2"])
    return slow_norm(x, moments and moments["last"]) @ p["w3"] + p["b3"]


def slow_resnet(network, p, x, statistics=None):
    def norm(x, block, layer):
        own = p[block][layer]
        return slow_norm(x, statistics and statistics[block][layer]) * own["scale"] + own["offset"]

    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), p)
    x = slow_convolution(x.astype(np.float64), p["stem"]["conv"], 1, 1, 1)
    x = relu(norm(x, "stem", "bn"))
    for stage, n_out in enumerate(network.channels):
        for number in range(network.n_blocks):
            block, stride = f"stage{stage + 1}_block{number + 1}", 2 if stage and not number else 1
            inner = relu(norm(slow_convolution(x, p[block]["conv1"], stride, 1, 1), block, "bn1"))
            inner = norm(slow_convolution(inner, p[block]["conv2"], 1, 1, 1), block, "bn2")
            if stride == 2:
                straight = np.zeros_like(inner)
                quarter = n_out // 4
                straight[..., quarter : quarter + n_out // 2] = x[:, ::2, ::2]
                x = straight
            x = relu(x + inner)
    return x.mean((1, 2)) @ p["readout"]["w"] + p["readout"]["b"]


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (CNN(normalization="batch", channel_biases=False), 493_579),  # as published
        (CNN(), 493_579 + 63),
        (CNN(image=(32, 32, 3)), 675_914),
        (MLP(n_in=784, n_hidden=(1024, 1024), n_out=10), 1_863_690),
        (ResNet(), 464_154),
    ],
)
def test_parameter_counts(network, count):
    parameters = jax.eval_shape(network.init, jax.random.key(0)).parameters
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == count


def test_layer_sizes_of_the_published_cnn():
    shapes = jax.tree.map(
        lambda leaf: leaf.shape,
        jax.eval_shape(CNN(channel_biases=False).init, jax.random.key(0)).parameters,
    )
    assert shapes["k1"] == (4, 4, 1, 64)
    assert shapes["cb1"] == (1,)
    assert shapes["w1"] == (1600, 256)
    cifar = jax.eval_shape(CNN(image=(32, 32, 3)).init, jax.random.key(0)).parameters
    assert cifar["w1"].shape == (2304, 256)


def test_published_widths_of_the_cnn_and_the_mlp():
    p, _ = init(CNN())
    factor = 0.87962566  # standard deviation of the truncated normal distribution
    for name, width in {"k1": 0.1083, "k2": 0.01353, "w1": (6 / 1856) ** 0.5, "w3": (6 / 74) ** 0.5}.items():
        assert np.std(p[name]) == pytest.approx(factor * width, rel=0.05)
    assert not np.allclose(p["w2"].ravel()[:640], p["w3"].ravel())
    q, _ = init(MLP(n_in=784, n_hidden=(100, 100), n_out=10, start="published"))
    assert np.std(q["w1"]) == pytest.approx(0.1, rel=0.02)
    assert np.std(q["b1"]) == pytest.approx(0.1, rel=0.25)
    assert np.corrcoef(q["w1"][0, :100], q["b1"])[0, 1] < 0.5


def test_cnn_equals_the_slow_one_under_either_normalisation():
    x = images(5, 12, 13, 2)
    p, statistics = started(TINY_CNN)
    running = forward(TINY_CNN, p, statistics, x)
    moments = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), statistics)
    np.testing.assert_allclose(running.logits, slow_cnn(p, x, moments), atol=1e-4)
    by_batch = slow_cnn(p, x)
    np.testing.assert_allclose(forward(TINY_CNN, p, statistics, x, training=True).logits, by_batch, atol=1e-4)
    published = CNN(image=(12, 13, 2), n_out=3, kernels=(3, 5), dense=(6, 4), normalization="batch")
    np.testing.assert_allclose(forward(published, p, {}, x).logits, by_batch, atol=1e-4)


def test_resnet_equals_the_slow_one():
    x = images(4, 8, 8, 2)
    p, statistics = started(TINY_RESNET)
    slow_running = slow_resnet(TINY_RESNET, p, x, jax.tree.map(np.asarray, statistics))
    np.testing.assert_allclose(forward(TINY_RESNET, p, statistics, x).logits, slow_running, atol=1e-4)
    training = forward(TINY_RESNET, p, statistics, x, training=True)
    np.testing.assert_allclose(training.logits, slow_resnet(TINY_RESNET, p, x), atol=1e-4)


def test_mlp_equals_the_slow_one():
    x = images(4, 6)
    p, _ = started(TINY_MLP)
    q = {name: np.asarray(value, np.float64) for name, value in p.items()}
    slow = relu(relu(x @ q["w1"] + q["b1"]) @ q["w2"] + q["b2"]) @ q["w3"] + q["b3"]
    np.testing.assert_allclose(TINY_MLP.forward(p, {}, x).logits, slow, atol=1e-5)


@pytest.mark.parametrize(("network", "shape"), NETWORKS)
def test_predictions_do_not_depend_on_the_other_samples(network, shape):
    assert isinstance(network, Network)
    assert hash(network) == hash(network)
    x = images(6, *shape)
    p, statistics = started(network)
    together = forward(network, p, statistics, x)
    alone = jnp.concatenate([forward(network, p, statistics, x[i : i + 1]).logits for i in range(3)])
    np.testing.assert_allclose(together.logits[:3], alone, atol=1e-5)
    for old, new in zip(jax.tree.leaves(statistics), jax.tree.leaves(together.statistics), strict=True):
        np.testing.assert_array_equal(old, new)


def test_published_normalisation_depends_on_the_other_samples():
    network = CNN(image=(12, 13, 2), n_out=3, kernels=(3, 5), dense=(6, 4), normalization="batch")
    p, statistics = started(network)
    x = images(6, 12, 13, 2)
    assert statistics == {}
    together, alone = forward(network, p, {}, x).logits[:1], forward(network, p, {}, x[:1]).logits
    assert np.abs(together - alone).max() > 1e-2
    np.testing.assert_allclose(alone[0], p["b3"], atol=1e-6)  # the last norm of one sample is zero


def test_running_statistics_move_towards_those_of_the_batch():
    rng = np.random.default_rng(0)
    x = (3 + 2 * rng.standard_normal((500, 4, 4, 2))).astype(np.float32)
    norm = BatchNorm()
    moments = norm.init(2)
    _, once = norm(x, moments, training=True)
    np.testing.assert_allclose(once.mean, 0.1 * x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(once.variance, 0.9 + 0.1 * x.var((0, 1, 2)), rtol=1e-5)
    for _ in range(100):
        _, moments = norm(x, moments, training=True)
    trained, _ = norm(x, moments, training=True)
    tested, same = norm(x, moments, training=False)
    np.testing.assert_allclose(trained, tested, atol=1e-3)
    assert same is moments


def test_dropout_masks():
    x, key = jnp.ones((2000, 50)), jax.random.key(0)
    ours = dropout(x, key, rate=0.3, mask="rescaled")
    assert set(np.unique(ours).tolist()) == {0.0, np.float32(1 / 0.7)}
    assert np.mean(ours) == pytest.approx(1, abs=0.01)
    assert len(np.unique(ours, axis=0)) > 1900
    published = dropout(x, key, rate=0.3, mask="published")
    assert set(np.unique(published).tolist()) == {0.0, 1.0}
    assert len(np.unique(published, axis=0)) == 1


@pytest.mark.parametrize(("network", "shape"), [NETWORKS[1], NETWORKS[4]])
def test_dropout_acts_in_training_only_and_needs_a_key(network, shape):
    p, statistics = started(network)
    x = images(4, *shape)

    def train(key):
        return forward(network, p, statistics, x, key=key, training=True).logits

    one, same, other = train(jax.random.key(0)), train(jax.random.key(0)), train(jax.random.key(1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3
    with pytest.raises(InputError, match="pass key="):
        train(None)
    plain = forward(network, p, statistics, x).logits
    np.testing.assert_array_equal(forward(network, p, statistics, x, key=jax.random.key(0)).logits, plain)


@pytest.mark.parametrize(
    ("network", "shape"), [(TINY_CNN, (4, 12, 12, 2)), (TINY_RESNET, (4, 2, 8, 8)), (TINY_MLP, (4, 7))]
)
def test_inputs_of_another_shape_are_refused(network, shape):
    p, statistics = started(network)
    with pytest.raises(InputError, match="takes"):
        forward(network, p, statistics, images(*shape))


@pytest.mark.parametrize(
    "make",
    [
        lambda: CNN(normalization="layer"),  # pyright: ignore[reportArgumentType]
        lambda: CNN(dropout=1.5),
        lambda: CNN(image=(6, 6, 1)),
        lambda: MLP(4, (3,), 2, start="lecun"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_networks_that_make_no_sense_are_refused(make):
    with pytest.raises(InputError):
        make()


@pytest.mark.parametrize("channels", [1, 3, 32])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((2, 1), (1, 2))])
def test_fast_gradients_of_convolutions_equal_those_of_xla(channels, padding):
    keys = jax.random.split(jax.random.key(channels), 3)
    x, kernel = (
        jax.random.normal(keys[0], (2, 7, 6, channels)),
        jax.random.normal(keys[1], (4, 3, channels, 5)),
    )

    def fast(x, kernel):
        return jnp.sum(jnp.sin(convolve(x, kernel, padding=padding)))

    def by_xla(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jnp.sum(
            jnp.sin(jax.lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=numbers))
        )

    for ours, reference in zip(
        jax.grad(fast, argnums=(0, 1))(x, kernel), jax.grad(by_xla, argnums=(0, 1))(x, kernel), strict=True
    ):
        np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-4)
    along = jax.random.normal(keys[2], kernel.shape)
    ours, reference = (
        jax.jvp(jax.grad(function, argnums=1), (x, kernel), (jnp.zeros_like(x), along))[1]
        for function in (fast, by_xla)
    )
    np.testing.assert_allclose(ours, reference, rtol=1e-3, atol=1e-3)
