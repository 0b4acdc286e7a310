"""A few test samples and what one device makes of them: for pictures."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxrobust.perturbations.mismatch import GaussianMismatch
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import apply_of, load_trained
from jaxrobust.studies.side_by_side import dataset_of


@partial(jax.jit, static_argnames="network")
def _answers(network, variables, inputs, key: Array, mismatch: GaussianMismatch) -> Array:
    device = mismatch.perturb(key, variables.parameters)
    return jnp.argmax(apply_of(network, variables)(device, inputs), axis=-1)


@evaluation(
    dependencies=["model:trained", "level", "n_examples", "seed"],
    table_name="example_answers",
)
def example_answers(
    model: dict[str, Any], level: float, n_examples: int = 20, seed: int = 0
) -> dict[str, Any]:
    """Classify a few test samples with one device whose parameters deviate by ``level`` times their size.

    Args:
        model: A trained grid point.
        level: Relative standard deviation of the mismatch (zeta).
        n_examples: Test samples, taken at even distances.
        seed: Seed of the device.

    Returns:
        ``inputs`` in 8 bits, good enough to be drawn (``example_inputs`` reads them), ``labels`` and
        ``answers``, indices into ``classes``.
    """
    network, variables, inputs, labels = load_trained(model, n_samples=n_examples)
    answers = _answers(network, variables, inputs, jax.random.key(seed), GaussianMismatch(jnp.float32(level)))
    values = np.asarray(inputs)
    low, high = float(values.min()), float(values.max())
    grey = np.round((values - low) / (high - low or 1.0) * 255).astype(np.uint8)
    return {
        "inputs": {"bytes": grey.tobytes(), "shape": list(grey.shape), "low": low, "high": high},
        "labels": labels.tolist(),
        "answers": answers.tolist(),
        "classes": list(dataset_of(model).classes),
    }


def example_inputs(stored: Mapping[str, Any]) -> np.ndarray:
    """The inputs of ``example_answers`` as numbers, to 1/255 of their range."""
    grey = np.frombuffer(stored["bytes"], np.uint8).reshape(stored["shape"])
    return stored["low"] + grey / 255 * (stored["high"] - stored["low"])
