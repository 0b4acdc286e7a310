"""The LSNN for sequences of different lengths equals the LSNN on each sequence without its padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.data.own.arrays import with_lengths
from jaxrobust.errors import InputError
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.padded_lsnn import PaddedLSNN

pytestmark = pytest.mark.usefixtures("quick_compilation")
LENGTHS = (6, 9)
PADDED, PLAIN = PaddedLSNN(3, 2, n_hidden=5), LSNN(3, 2, n_hidden=5)


@pytest.mark.parametrize("padding", [0.0, 7.0])
def test_logits_and_gradients_see_valid_steps_only(padding):
    parameters = PLAIN.init(jax.random.key(0)).parameters
    signal = 0.3 * np.random.default_rng(0).normal(size=(2, 9, 3)).astype(np.float32) + 0.1
    signal[0, LENGTHS[0] :] = padding
    inputs = jnp.asarray(with_lengths(signal, np.array(LENGTHS), "train"))

    def padded(p):
        outputs = PADDED.forward(p, {}, inputs)
        return jnp.sum(outputs.logits**2), outputs

    def one_by_one(p):
        each = [PLAIN.forward(p, {}, jnp.asarray(signal[i : i + 1, :n])) for i, n in enumerate(LENGTHS)]
        return sum(jnp.sum(one.logits**2) for one in each), each

    (_, outputs), gradient = jax.jit(jax.value_and_grad(padded, has_aux=True))(parameters)
    (_, each), expected = jax.jit(jax.value_and_grad(one_by_one, has_aux=True))(parameters)
    np.testing.assert_allclose(outputs.logits, jnp.concatenate([one.logits for one in each]), atol=1e-6)
    rates = jnp.concatenate([one.activations["rates"] for one in each])
    assert rates.max() > 0
    np.testing.assert_allclose(outputs.activations["rates"], rates, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), gradient, expected)


def test_bad_input_is_refused():
    parameters = PLAIN.init(jax.random.key(0)).parameters
    with pytest.raises(InputError, match=r"\(batch, time, 4\).*marks valid time steps"):
        PADDED.forward(parameters, {}, jnp.ones((2, 9, 3)))
