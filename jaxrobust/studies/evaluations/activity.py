"""What the neurons of a trained spiking network do: firing rates and membrane potentials."""

from typing import Any

import jax
import numpy as np

from jaxrobust.errors import InputError
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.studies.evaluations.evaluation import evaluation
from jaxrobust.studies.evaluations.trained import load_trained


@evaluation(
    dependencies=["model:trained", "n_samples", "n_bins", "lowest"],
    table_name="neuron_activity",
)
def neuron_activity(
    model: dict[str, Any], n_samples: int = 100, n_bins: int = 100, lowest: float = -20.0
) -> dict[str, Any]:
    """Firing rates and a histogram of membrane potentials over units, time steps and test samples.

    Args:
        model: A trained grid point with a spiking network.
        n_samples: Test samples, taken at even distances; 0 for all.
        n_bins: Bins of the histogram.
        lowest: Potentials below are counted in the lowest bin, as in the published figure.

    Returns:
        ``rates`` a unit (spikes per time step), ``edges`` of the bins and ``counts`` in them.

    Raises:
        InputError: The network has no neurons that spike.
    """
    trained = load_trained(model, n_samples=n_samples)
    if not isinstance(trained.network, LSNN):
        raise InputError(f"{model['architecture']} has no spiking neurons; only LSNNs have firing rates.")
    run = jax.jit(trained.network.trajectories)
    spikes, potentials = run(trained.variables.parameters, trained.inputs)
    counts, edges = np.histogram(np.maximum(np.asarray(potentials), lowest), bins=n_bins)
    return {
        "rates": np.asarray(spikes).mean(axis=(0, 1)).tolist(),
        "edges": edges.tolist(),
        "counts": counts.tolist(),
    }
