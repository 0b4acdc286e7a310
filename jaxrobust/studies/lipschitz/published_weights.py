"""Grid points of published Lipschitz networks, from weights that the user has."""

from pathlib import Path
from typing import Any

from jaxrobust import data
from jaxrobust.layers.lipschitz import Unconstrained
from jaxrobust.networks.lipschitz import Layout, LipschitzNetwork
from jaxrobust.networks.published_lipschitz import Method, State, published_kernels
from jaxrobust.studies.given_parameters import read_arrays, with_parameters
from jaxrobust.studies.lipschitz.protocols import BATCH_SIZE, LEARNING_RATE, N_EPOCHS, Task
from jaxrobust.studies.training_points import training_point
from jaxrobust.training.schedule import Exponential


def published_point(
    task: Task, layout: Layout, method: Method, weights: State | str | Path
) -> dict[str, Any]:
    """A grid point with published weights, for ``robustness_sweep`` and the tables.

    Args:
        task: The data set and its radius.
        layout: ``"small"``, ``"large"`` or ``"fc"``.
        method: How the convolutions were parameterized, ``"FC"`` for the fully connected network.
        weights: The state dict as arrays by name, or a ``.safetensors`` or ``.npz`` file of them; the
            published files are pickles, which are not read, as that could execute anything.

    Raises:
        InputError: The weights do not fit, or the file cannot be read.
    """
    blank = data.blank(task.dataset)
    height, width, channels = blank.train.inputs.shape[1:]
    state = read_arrays(weights) if isinstance(weights, str | Path) else weights
    kernels = published_kernels(state, layout, method, (height, width, channels))
    point = training_point(
        LipschitzNetwork(layout, Unconstrained()),
        task.dataset,
        schedule=Exponential(float(N_EPOCHS), LEARNING_RATE, 1.0),
        batch_size=BATCH_SIZE,
    )
    named = {"layout": layout, "parameterization": method, "radius": task.radius}
    return with_parameters(point, kernels) | named
