"""Activations, pooling and downsampling, and the algebra of bounds."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxrobust.errors import InputError
from jaxrobust.layers.lipschitz import (
    BCOP,
    RKO,
    Chain,
    Flatten,
    GroupSort,
    LipschitzConv,
    MaxMin,
    OrthogonalDense,
    Parallel,
    Pointwise,
    Pool,
    ReLU,
    Residual,
    Scale,
    SpaceToDepth,
    Upsample,
    bound_of,
    depth_to_space,
    group_sort,
    max_min,
    pool,
    space_to_depth,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")
ISOMETRIC = {
    "maxmin": max_min,
    "groups of three": lambda x: group_sort(x, 3),
    "full sort": lambda x: group_sort(x, 6),
}


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


@pytest.mark.parametrize("name", ISOMETRIC)
def test_sorting_permutes_and_preserves_gradients(name):
    sort, x = ISOMETRIC[name], normal(1000, 6)
    x = x.at[0].set(1.0)  # ties too
    y, back = jax.vjp(sort, x)
    np.testing.assert_array_equal(np.sort(y, axis=1), np.sort(x, axis=1))
    gradient = normal(1000, 6, seed=1)
    np.testing.assert_array_equal(np.sort(back(gradient)[0], axis=1), np.sort(gradient, axis=1))
    other = normal(1000, 6, seed=2)
    distance = np.linalg.norm(sort(other) - y, axis=1)
    assert np.all(distance <= np.linalg.norm(other - x, axis=1) * (1 + 1e-6))


def test_the_order_of_pairs():
    x = jnp.array([1.0, 5.0, 3.0, 2.0])
    np.testing.assert_array_equal(max_min(x), [3, 5, 1, 2])
    np.testing.assert_array_equal(group_sort(x, 2), [1, 2, 3, 5])


def test_downsampling_is_invertible_and_has_the_published_order():
    x = jnp.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    y = space_to_depth(x, 2)
    np.testing.assert_array_equal(depth_to_space(y, 2), x)
    for channel, row, column in np.ndindex(3, 2, 2):
        np.testing.assert_array_equal(
            y[..., channel * 4 + row * 2 + column], x[:, row::2, column::2, channel]
        )


@pytest.mark.parametrize("kind", ["l2", "max", "average"])
def test_pooling_does_not_expand(kind):
    x, other = normal(500, 4, 4, 2), normal(500, 4, 4, 2, seed=1)
    y, back = jax.vjp(lambda x: pool(x, 2, kind), x)
    distance = np.linalg.norm((pool(other, 2, kind) - y).reshape(500, -1), axis=1)
    assert np.all(distance <= np.linalg.norm((other - x).reshape(500, -1), axis=1) * (1 + 1e-6))
    gradient = normal(500, 2, 2, 2, seed=2)
    lengths = [np.linalg.norm(np.asarray(g).reshape(500, -1), axis=1) for g in (back(gradient)[0], gradient)]
    np.testing.assert_allclose(*lengths, rtol=1e-5)  # the transpose of the average is an isometry too
    constant = jnp.ones((1, 4, 4, 2))
    assert np.isfinite(jax.grad(lambda x: jnp.sum(pool(x, 2, kind)))(0 * constant)).all()
    np.testing.assert_allclose(pool(constant, 2, kind), 1 if kind == "max" else 2)


def test_the_algebra():
    def constant(layer, shape=(4, 4, 2), parameters=None):
        return bound_of(layer, parameters or {}, shape).constant

    half = Scale(0.5, name="half")
    assert constant(Chain((Scale(3.0), ReLU(), Upsample(2), Flatten()))) == 6
    assert constant(Parallel((half, Scale(3.0)))) == 3
    assert constant(Residual(Scale(3.0), 0.25)) == 1.5
    assert constant(Chain((MaxMin(), GroupSort(), SpaceToDepth(2), Pool()))) == 1
    assert constant(Pointwise(lambda x: 3 * jnp.tanh(x), 3.0)) == 3
    assert bound_of(Pointwise(jnp.cos, 1.0), {}, (4,)).offset == 2
    assert bound_of(Chain((Upsample(2), SpaceToDepth(4), Flatten())), {}, (4, 4, 2)).shape == (128,)
    assert bound_of(Chain((MaxMin(), Pool())), {}, (4, 4, 2)).preserves_gradient
    assert not bound_of(Chain((MaxMin(), ReLU())), {}, (4, 4, 2)).preserves_gradient


def test_upsampling_expands_by_exactly_its_factor():
    x = normal(1, 3, 3, 2)
    y = Upsample(2).apply({}, x)
    np.testing.assert_allclose(np.linalg.norm(y), 2 * np.linalg.norm(x), rtol=1e-6)


def test_an_unknown_operation_is_an_error():
    for layer in (nn.Dense(3), Chain((MaxMin(), nn.LayerNorm(name="norm")))):
        with pytest.raises(InputError, match="states no Lipschitz bound, so the network cannot be certified"):
            bound_of(layer, {}, (4,))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (MaxMin(), (2, 3), "3 channels cannot be sorted in groups of 2"),
        (GroupSort(4), (2, 6), "6 channels cannot be sorted in groups of 4"),
        (SpaceToDepth(3), (2, 4, 4, 1), "A stride of 3 does not divide an image of 4x4"),
        (Pool(3), (2, 4, 4, 1), "Pooling of 3 does not divide"),
        (Parallel((ReLU(), ReLU())), (2, 3), "3 channels cannot be divided among 2 layers"),
        (LipschitzConv(2), (2, 9), "takes images"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(InputError, match=message):
        layer.init(jax.random.key(0), jnp.zeros(shape))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameterization", "activation", "least", "most"),
    [
        (BCOP(), MaxMin(), 1 - 1e-3, 1 + 1e-3),
        (BCOP(), ReLU(), 0, 1e-2),
        (RKO(), MaxMin(), 0, 1e-2),
        (RKO(), ReLU(), 0, 1e-2),
    ],
)
def test_gradients_keep_their_norm_through_twenty_layers_of_bcop_alone(
    parameterization, activation, least, most
):
    layers = [LipschitzConv(16, 3, parameterization=parameterization), activation] * 20
    chain, x = Chain(tuple(layer.clone() for layer in layers)), normal(1, 8, 8, 16)

    @jax.jit
    def ratio(key):
        y, back = jax.vjp(lambda x: chain.apply(chain.init(key, x), x), x)
        gradient = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
        return jnp.linalg.norm(back(gradient)[0]) / jnp.linalg.norm(gradient)

    assert least <= float(ratio(jax.random.key(0))) <= most


def test_a_dense_layer_in_a_plain_linen_model():
    class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
            return OrthogonalDense(3)(max_min(LipschitzConv(4, 2)(x).reshape(len(x), -1)))

    x = normal(2, 4, 4, 1)
    y, _ = jax.jit(Model().init_with_output)(jax.random.key(0), x)
    assert y.shape == (2, 3)
