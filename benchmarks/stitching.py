"""Steps of a stitch: the two parts that it needs, against both donors whole, and against PyTorch.

The networks of the calibration (five 3x3 convolutions on 14x14 pixels), cut in their middle; batches of 128,
Adam, random images; 60 steps in a call. "Both donors whole" also computes what the published system computed:
the end up to the cut, and the front from there on. PyTorch computes prefix and suffix only, if it is
installed (extra `peers`).

Command: python benchmarks/stitching.py [--repeats=5]
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import measure
import numpy as np

from jaxrobust.networks.conv_stack import StridedCNN
from jaxrobust.networks.network import Outputs
from jaxrobust.stitching.stitched import ONLY_THE_STITCH, Cut, Stitched
from jaxrobust.training.methods import Standard
from jaxrobust.training.optimizers import Adam
from jaxrobust.training.program import BlockInputs, train_block
from jaxrobust.training.schedule import Steps
from jaxrobust.training.training import Training, hyperparameters_of, start_of

BATCH, N_SAMPLES, N_STEPS, RATE = 128, 3000, 60, 1e-2
RECIPE, CUT = StridedCNN(), "relu3"
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.random((N_SAMPLES, 28, 28, 1), np.float32)
LABELS = GENERATOR.integers(0, 10, N_SAMPLES).astype(np.int32)


@dataclass(frozen=True)
class BothWhole:
    """A stitched network that computes all of either donor beside."""

    stitched: Stitched

    def forward(self, parameters: Any, statistics: Any, inputs: Any, **how: Any) -> Outputs:
        """Return the stitch's outputs; the donors' are added zero times, which XLA must compute."""
        outputs = self.stitched.forward(parameters, statistics, inputs, **how)
        donors = {"front": self.stitched.front, "end": self.stitched.end}
        beside = sum(
            network.forward(parameters[name], statistics[name], inputs).logits
            for name, network in donors.items()
        )
        return outputs._replace(logits=outputs.logits + 0.0 * jax.lax.stop_gradient(beside))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stitched, name)


def _indices() -> np.ndarray:
    return GENERATOR.integers(0, N_SAMPLES, (N_STEPS, BATCH)).astype(np.int32)


def ours(*, whole: bool) -> dict[str, measure.Program]:
    """The training program on a stitch."""
    network = RECIPE.build((28, 28, 1), 10)
    stitched = Stitched(network, network, Cut.at(CUT))
    trained: Any = BothWhole(stitched) if whole else stitched
    training = Training(
        trained,
        Standard(),
        Steps(N_STEPS, RATE),
        Adam(),
        BATCH,
        0,
        N_STEPS,
        Path(),
        trainable=ONLY_THE_STITCH,
    )
    start, hyperparameters = start_of(training), hyperparameters_of(training)
    block = BlockInputs(jnp.asarray(_indices()), jnp.full(N_STEPS, RATE, jnp.float32))
    data = jnp.asarray(INPUTS), jnp.asarray(LABELS)

    def call() -> Any:
        state = jax.tree.map(jnp.copy, start)  # train_block uses up what it is given
        end = train_block(
            training.network, "single", state, hyperparameters, *data, block, jnp.int32(N_STEPS)
        )
        return jax.block_until_ready(end)

    began = time.perf_counter()
    call()
    name = "both donors whole" if whole else "prefix and suffix"
    return {name: measure.Program(time.perf_counter() - began, float("nan"), call)}


def pytorch() -> dict[str, measure.Program]:
    """Prefix, stitch and suffix in PyTorch, one step after the other."""
    import torch

    def part(first: int, last: int) -> Any:
        channels, layers = (1, *RECIPE.channels), []
        for i in range(first, last):
            layers += [
                torch.nn.Conv2d(channels[i], channels[i + 1], 3, RECIPE.strides[i], 1),
                torch.nn.ReLU(),
            ]
        return layers

    prefix = torch.nn.Sequential(torch.nn.AvgPool2d(RECIPE.pool), *part(0, 3)).requires_grad_(False)
    suffix = torch.nn.Sequential(*part(3, 5), torch.nn.Flatten(), torch.nn.LazyLinear(10))
    stitch = torch.nn.Conv2d(RECIPE.channels[2], RECIPE.channels[2], 1)
    images, labels = torch.tensor(INPUTS).permute(0, 3, 1, 2), torch.tensor(LABELS).long()
    suffix(stitch(prefix(images[:1])))  # a lazy layer has its size from here on
    suffix.requires_grad_(False)
    optimizer = torch.optim.Adam(stitch.parameters(), RATE)
    batches = [torch.tensor(rows).long() for rows in _indices()]

    def call() -> None:
        for rows in batches:
            with torch.no_grad():
                values = prefix(images[rows])
            loss = torch.nn.functional.cross_entropy(suffix(stitch(values)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    began = time.perf_counter()
    call()
    return {"PyTorch, prefix and suffix": measure.Program(time.perf_counter() - began, float("nan"), call)}


def _whole() -> dict[str, measure.Program]:
    return ours(whole=True)


def _parts() -> dict[str, measure.Program]:
    return ours(whole=False)


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 5)
    groups = {
        "whole": measure.Group(_whole),
        "parts": measure.Group(_parts),
        "PyTorch": measure.Group(pytorch),
    }
    found = {name: figures for (_, name), figures in measure.alternating(groups, repeats).items()}
    one = found["prefix and suffix"]
    rows = [
        [
            name,
            ms / N_STEPS,
            processor / N_STEPS,
            one.milliseconds / ms,
            one.processor_milliseconds / processor,
            first,
        ]
        for name, (ms, processor, _, first, _) in found.items()
    ]
    measure.heading(f"A step of a stitch, batch {BATCH}, {N_STEPS} steps in a call, median of {repeats}")
    columns = ["program", "ms", "processor ms", "ours / this", "ours / this, processor", "first call s"]
    print(measure.table(columns, rows))


if __name__ == "__main__":
    main()
