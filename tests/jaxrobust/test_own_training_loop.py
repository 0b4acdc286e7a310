"""The examples of docs/own_training_loop.md, run as they stand."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own_training_loop.md"


def code_under(heading: str) -> str:
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    centres = rng.normal(size=(3, 8))
    inputs = centres[labels] + 0.3 * rng.normal(size=(120, 8))
    return jnp.asarray(inputs, jnp.float32), jnp.asarray(labels)


def plain_parameters():
    keys = jax.random.split(jax.random.key(1), 2)
    return {
        "w1": jax.random.normal(keys[0], (8, 16)) / 3,
        "b1": jnp.zeros(16),
        "w2": jax.random.normal(keys[1], (16, 3)) / 4,
        "b2": jnp.zeros(3),
    }


@pytest.mark.parametrize("framework", ["A plain function", "Flax NNX", "Equinox"])
def test_the_page_trains_and_evaluates(framework, samples):
    pytest.importorskip({"Flax NNX": "flax", "Equinox": "equinox"}.get(framework, "jax"))
    inputs, labels = samples
    names: dict = {"test_inputs": inputs, "test_labels": labels, "parameters": plain_parameters()}
    exec(code_under("Ten lines"), names)
    exec(code_under(framework), names)
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(parameters, state, key):
        value, gradient = jax.value_and_grad(names["loss"])(parameters, inputs, labels, key)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, updates), state, value

    parameters, state = names["parameters"], optimizer.init(names["parameters"])
    values = []
    for i in range(60):
        parameters, state, value = step(parameters, state, jax.random.key(i))
        values.append(float(value))
    assert np.all(np.isfinite(values))
    assert values[-1] < 0.5 * values[0]
    assert step._cache_size() == 1
    names["parameters"] = parameters
    exec(code_under("How robust is it?"), names)
    accuracies = names["accuracies"]
    assert accuracies.shape == (100,)
    assert 0.6 < float(accuracies.mean()) <= 1
