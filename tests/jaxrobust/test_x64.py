"""Training in a process of double precision (JAX_ENABLE_X64)."""

SCRIPT = """
from pathlib import Path

import jax
import numpy as np

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.data.dataset import Examples
from jaxrobust.networks.cnn import CNN
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.mlp import MLP
from jaxrobust.training.loop import train
from jaxrobust.training.methods import ForwardNoise, ParameterAttackTraining
from jaxrobust.training.optimizers import Adam
from jaxrobust.training.schedule import Phases
from jaxrobust.training.training import Training

labels = (np.arange(20) % 2).astype(np.int32)
method = ParameterAttackTraining(ForwardNoise(0.1), 0.1, ParameterAttack(relative_size=0.1, n_steps=2))
for network, shape in ((MLP(6, (5,), 2), (6,)), (LSNN(n_in=3, n_out=2, n_hidden=6), (8, 3))):
    inputs = np.random.default_rng(0).normal(size=(20, *shape)) + labels.reshape(-1, *(1,) * len(shape))
    data = Examples(inputs.astype(np.float32), labels)
    training = Training(
        network, method, Phases((3.0,), (0.01,)), Adam(), 10, 0, 3, Path(type(network).__name__)
    )
    (trained,) = train([training], data, data)
    dtypes = {str(leaf.dtype) for leaf in jax.tree.leaves(trained.parameters)}
    print(trained.n_steps, *dtypes, np.isfinite(trained.history["loss"]).all())
network = CNN((12, 12, 1), 3, kernels=(2, 2), dense=(4, 4))
variables, images = network.init(jax.random.key(0)), np.zeros((2, 12, 12, 1), np.float32)
forward = lambda p: network.forward(p, variables.statistics, images, training=True, key=jax.random.key(1))
gradient = jax.grad(lambda p: forward(p).logits.sum())(variables.parameters)
print(*{str(leaf.dtype) for leaf in jax.tree.leaves(gradient)})
"""


def test_networks_train_in_double_precision(run_script):
    assert run_script(SCRIPT, JAX_ENABLE_X64="1").splitlines() == ["6 float64 True"] * 2 + ["float64"]
