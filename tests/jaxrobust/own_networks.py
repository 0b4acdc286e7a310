"""A user's file: networks of every kind, at the top of a file as workers import them."""

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx


def init(key, shape, n_outputs, width=8):
    first, second = jax.random.split(key)
    return {
        "w1": 0.3 * jax.random.normal(first, (shape[0], width)),
        "w2": 0.3 * jax.random.normal(second, (width, n_outputs)),
    }


def apply(parameters, inputs):
    return jnp.tanh(inputs @ parameters["w1"]) @ parameters["w2"]


def wrong(parameters, inputs):
    return apply(parameters, inputs)[:, :1]


def make_linen(n_outputs, width):
    return nn.Sequential([nn.Dense(width), nn.relu, nn.Dense(n_outputs)])


class Block(nnx.Module):
    def __init__(self, shape, n_outputs, rngs, width=6):
        self.first = nnx.Linear(shape[0], width, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.last = nnx.Linear(width, n_outputs, rngs=rngs)

    def __call__(self, x):
        return self.last(self.dropout(nnx.relu(self.norm(self.first(x)))))


class Equinox(eqx.Module):
    first: eqx.nn.Linear
    dropout: eqx.nn.Dropout
    last: eqx.nn.Linear

    def __init__(self, shape, n_outputs, key):
        one, other = jax.random.split(key)
        self.first = eqx.nn.Linear(shape[0], 6, key=one)
        self.dropout = eqx.nn.Dropout(0.5)
        self.last = eqx.nn.Linear(6, n_outputs, key=other)

    def __call__(self, x, key=None):
        return self.last(self.dropout(jax.nn.relu(self.first(x)), key=key))


class Normalized(eqx.Module):
    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm

    def __init__(self, shape, n_outputs, key):
        self.first = eqx.nn.Linear(shape[0], n_outputs, key=key)
        self.norm = eqx.nn.BatchNorm(n_outputs, axis_name="batch", mode="batch")

    def __call__(self, x, state):
        return self.norm(self.first(x), state)


def make_normalized(shape, n_outputs, key):
    return eqx.nn.make_with_state(Normalized)(shape, n_outputs, key)
