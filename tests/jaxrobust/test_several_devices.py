"""Models divided among devices: here four that XLA simulates on a CPU, in a process of its own."""

import json
import os

import jax
import pytest

from jaxrobust.training.placement import place

CODE = """
import json, tempfile
from pathlib import Path
import jax, numpy as np
import jaxrobust as jr
from jaxrobust.data.dataset import Examples
from jaxrobust.training.loop import train
from jaxrobust.training.methods import ForwardNoise
from jaxrobust.training.probes import Probes, UnderPerturbation
from jaxrobust.training.training import TrainingStopped

assert len(jax.devices()) == 4
rng = np.random.default_rng(0)
data = Examples(rng.standard_normal((60, 4)).astype(np.float32), (np.arange(60) % 3).astype(np.int32))

def models(n, folder):
    return [
        jr.Training(
            network=jr.MLP(n_in=4, n_hidden=(8,), n_out=3),
            method=ForwardNoise(0.1 + seed),
            schedule=jr.Phases((1.0,), (0.01,)),
            optimizer="adam",
            batch_size=7,
            seed=seed,
            eval_step_interval=4,
            folder=Path(folder) / str(seed),
            keep_steps=(3,),
            probes=Probes({"noise": UnderPerturbation(jr.GaussianMismatch(0.3), n_draws=2)}, step_interval=4),
        )
        for seed in range(n)
    ]

def numbers(results):
    return [
        [r.history, r.best_step, *(np.asarray(x).tolist() for x in jax.tree.leaves((r.parameters, r.kept)))]
        for r in results
    ]

n, mapping = N_MODELS, "MAPPING"
with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
    alone = train(models(n, one), data, data, mapping=mapping, devices=jax.devices()[:1])
    divided, calls = models(n, other), []
    stop = lambda: calls.append(0) or len(calls) == 3
    try:
        train(divided, data, data, mapping=mapping, stop_requested=stop)
    except TrainingStopped:
        divided = train(divided, data, data, mapping=mapping)
    print(json.dumps([numbers(alone), numbers(divided)]))
"""


@pytest.mark.parametrize(
    ("n_models", "n_devices", "n_used"),
    [(1, 4, 1), (2, 4, 2), (4, 4, 4), (5, 4, 3), (6, 4, 3), (7, 4, 4), (9, 4, 3), (3, 1, 1)],
)
def test_as_few_devices_as_take_no_longer_than_all(n_models, n_devices, n_used):
    placement = place(n_models, jax.devices() * n_devices)
    assert (placement.mesh is None) == (n_used == 1)
    assert placement.mesh is None or placement.mesh.size == n_used


@pytest.mark.slow
@pytest.mark.parametrize(("n_models", "mapping"), [(5, "vmap"), (4, "map")])
def test_models_on_several_devices_learn_what_they_learn_on_one(run_script, n_models, mapping):
    """Four on four devices; five on three, one of which computes the last one twice."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    code = CODE.replace("N_MODELS", str(n_models)).replace("MAPPING", mapping)
    alone, divided = json.loads(run_script(code, XLA_FLAGS=flags))
    assert len(alone) == len(divided) == n_models
    assert len({json.dumps(model) for model in alone}) == n_models
    for one, other in zip(alone, divided, strict=True):
        assert other[0].keys() == one[0].keys()
        for column in one[0]:
            assert other[0][column] == pytest.approx(one[0][column], abs=1e-5)
        assert other[1] == one[1]
        assert flat(other[2:]) == pytest.approx(flat(one[2:]), abs=1e-5)


def flat(numbers):
    if isinstance(numbers, list):
        return [number for part in numbers for number in flat(part)]
    return [numbers]
