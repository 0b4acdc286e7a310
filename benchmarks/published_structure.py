"""The published training step, rebuilt from its description: what our own step is measured against.

A plain time scan differentiated by JAX; the attack unrolled inside ``jit`` and differentiated through.
"""

import jax
import jax.numpy as jnp

from jaxrobust.layers.adaptive_neurons import mean_rates_by_autodiff
from jaxrobust.networks.lsnn import LSNN, without_diagonal
from jaxrobust.trees import normal_like


def forward(network: LSNN, parameters, inputs):
    """Logits and firing rates by the plain scan."""
    currents = jnp.swapaxes(inputs, 0, 1) @ parameters["w_in"]
    rates = mean_rates_by_autodiff(currents, without_diagonal(parameters["w_rec"]), network.constants)
    return rates @ parameters["w_out"] + parameters["b_out"], rates


def windowed_max(x):
    """Largest value of every 2x2 square by XLA's own pooling, whose derivative is slow on a CPU."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def cnn_logits(parameters, images, pool):
    """Logits of the CNN in training, with XLA's own convolutions."""

    def norm(x):
        mean, variance = jnp.mean(x, range(x.ndim - 1)), jnp.var(x, range(x.ndim - 1))
        return (x - mean) * jax.lax.rsqrt(variance + 1e-5)

    def block(x, kernel, bias, padding):
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=layout) + bias
        return pool(jax.nn.relu(x))

    p = parameters
    x = block(norm(images), p["k1"], p["cb1"], ((2, 1), (2, 1)))
    x = block(x, p["k2"], p["cb2"], ((0, 0), (0, 0))).reshape(len(images), -1)
    x = jax.nn.relu(jax.nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"])
    return norm(x) @ p["w3"] + p["b3"]


def cross_entropy(logits, labels):
    """Mean over the batch."""
    return -jnp.mean(jnp.log(jax.nn.softmax(logits))[jnp.arange(labels.size), labels])


def loss(network: LSNN, parameters, batch, reg=0.001):
    """Cross-entropy and rate regulariser of the LSNN."""
    logits, rates = forward(network, parameters, batch.inputs)
    return cross_entropy(logits, batch.labels) + reg * jnp.sum((rates - 0.01) ** 2), logits


def robust_loss(network: LSNN, parameters, batch, key, *, beta, size, n_steps, noise=0.0, reg=0.001):
    """The LSNN's task loss plus beta times the KL divergence under the unrolled attack."""
    return robust_loss_of(
        lambda p, inputs: forward(network, p, inputs)[0],
        parameters,
        batch,
        key,
        beta=beta,
        size=size,
        n_steps=n_steps,
        noise=noise,
        task_loss=lambda p: loss(network, p, batch, reg)[0],
    )


def robust_loss_of(apply, parameters, batch, key, *, beta, size, n_steps, noise=0.0, task_loss=None):
    """The same for any network; the task loss is the cross-entropy if no other is given."""

    def divergence(logits, attacked):
        p = jax.nn.softmax(logits)
        q = jax.nn.softmax(apply(attacked, batch.inputs))
        return jnp.mean(jnp.sum(p * jnp.log(p / jnp.maximum(q, 1e-6)), axis=-1))

    task_loss = task_loss or (lambda p: cross_entropy(apply(p, batch.inputs), batch.labels))
    key_noise, key_start = jax.random.split(key)
    drawn = normal_like(key_noise, parameters)
    noisy = jax.tree.map(lambda p, n: p + jax.lax.stop_gradient(jnp.abs(p) * noise * n), parameters, drawn)
    logits = apply(parameters, batch.inputs)
    start = normal_like(key_start, parameters)
    attacked = jax.tree.map(lambda p, n: p + jnp.abs(p) * 0.001 * n, parameters, start)
    for _ in range(n_steps):
        gradient = jax.grad(lambda a: divergence(logits, a))(attacked)
        attacked = jax.tree.map(
            lambda a, g, p: a + size * jnp.abs(p) / n_steps * jnp.sign(g), attacked, gradient, parameters
        )
    return task_loss(noisy) + beta * divergence(logits, attacked)
