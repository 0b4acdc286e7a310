"""Parameters, losses and gradients of small networks: what they were before networks had taps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.networks.cnn import CNN
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.networks.resnet import ResNet

CNN_SIZES = {"image": (12, 13, 2), "n_out": 3, "kernels": (3, 5), "dense": (6, 4)}


def total(tree):
    return sum(np.abs(np.float64(leaf)).sum() for leaf in jax.tree.leaves(tree))


# Sums of absolute values of the drawn parameters and of the gradient, with the training loss between them;
# computed by commit e67a440.
@pytest.mark.parametrize(
    ("network", "shape", "parameters", "loss", "gradient"),
    [
        (CNN(**CNN_SIZES, dropout=0.3), (12, 13, 2), 107.5516, 40.92548, 966.6792),
        (CNN(**CNN_SIZES, normalization="batch"), (12, 13, 2), 107.5516, 22.32547, 1828.671),
        (MLP(6, (5, 4), 3, dropout=0.3, dropout_mask="published"), (6,), 31.18827, 2.942712, 93.54704),
        (ResNet((8, 8, 2), 3, n_blocks=1, channels=(2, 4, 8)), (8, 8, 2), 248.0222, 7.461565, 952.8645),
        (LSNN(4, 3, n_hidden=7), (9, 4), 25.33769, 2.760072, 8.870382),
        (LSNN(4, 3, n_hidden=7, dropout=0.3), (9, 4), 25.33769, 1.694162, 7.130699),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "init") else "",
)
def test_networks_draw_and_compute_what_they_did(network, shape, parameters, loss, gradient):
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(5, *shape)).astype(np.float32))
    start, statistics = jax.jit(network.init)(jax.random.key(3))

    @jax.jit
    @jax.value_and_grad
    def loss_of(parameters):
        outputs = network.forward(parameters, statistics, x, key=jax.random.key(7), training=True)
        rates = outputs.activations.get("rates", jnp.zeros((5, 0)))
        return jnp.sum(outputs.logits**2) + jnp.sum((rates - 0.01) ** 2)

    found = loss_of(start)
    np.testing.assert_allclose(
        [total(start), found[0], total(found[1])], [parameters, loss, gradient], rtol=1e-5
    )
