"""Steps of a stitch: the two parts that it needs, against both donors whole, and against PyTorch.

The networks of the calibration (five 3x3 convolutions on 14x14 pixels), at each of the five cuts of the
two-core protocol; batches of 128, Adam, random images; 60 steps in a call. "Both donors whole" also
computes what the published system computed: the end up to the cut, and the front from there on. PyTorch
computes prefix and suffix only, if it is installed (extra `peers`).

Command: python benchmarks/stitching.py [--repeats=5]
"""

import time
from collections.abc import Sequence
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
RECIPE = StridedCNN()
CUTS = [f"relu{layer}" for layer in range(1, len(RECIPE.channels) + 1)]
WHOLE, PARTS, PYTORCH = "both donors whole", "prefix and suffix", "PyTorch, prefix and suffix"
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
    """The training program on a stitch, by its cut."""
    return {cut: _ours_at(cut, whole) for cut in CUTS}


def _ours_at(cut: str, whole: bool) -> measure.Program:
    network = RECIPE.build((28, 28, 1), 10)
    stitched = Stitched(network, network, Cut.at(cut))
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
    return measure.Program(time.perf_counter() - began, float("nan"), call)


def pytorch() -> dict[str, measure.Program]:
    """Prefix, stitch and suffix in PyTorch, one step after the other, by the cut."""
    return {cut: _pytorch_at(layer) for layer, cut in enumerate(CUTS, start=1)}


def _pytorch_at(n_layers: int) -> measure.Program:
    """Cut after so many layers."""
    import torch

    def part(first: int, last: int) -> Any:
        channels, layers = (1, *RECIPE.channels), []
        for i in range(first, last):
            layers += [
                torch.nn.Conv2d(channels[i], channels[i + 1], 3, RECIPE.strides[i], 1),
                torch.nn.ReLU(),
            ]
        return layers

    prefix = torch.nn.Sequential(torch.nn.AvgPool2d(RECIPE.pool), *part(0, n_layers)).requires_grad_(False)
    suffix = torch.nn.Sequential(*part(n_layers, 5), torch.nn.Flatten(), torch.nn.LazyLinear(10))
    channels = RECIPE.channels[n_layers - 1]
    stitch = torch.nn.Conv2d(channels, channels, 1)
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
    return measure.Program(time.perf_counter() - began, float("nan"), call)


def _whole() -> dict[str, measure.Program]:
    return ours(whole=True)


def _parts() -> dict[str, measure.Program]:
    return ours(whole=False)


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 5)
    groups = {
        name: measure.Group(build) for name, build in ((WHOLE, _whole), (PARTS, _parts), (PYTORCH, pytorch))
    }
    found = measure.alternating(groups, repeats)
    names = [name for name in groups if (name, CUTS[0]) in found]
    rows = [[cut, *_row(name, [found[name, cut]], [found[PARTS, cut]])] for cut in CUTS for name in names]
    ours_at_all = [found[PARTS, cut] for cut in CUTS]
    rows += [["all", *_row(name, [found[name, cut] for cut in CUTS], ours_at_all)] for name in names]
    measure.heading(f"A step of a stitch, batch {BATCH}, {N_STEPS} steps in a call, median of {repeats}")
    columns = [
        "cut",
        "program",
        "ms",
        "processor ms",
        "ours / this",
        "ours / this, processor",
        "first call s",
    ]
    print(measure.table(columns, rows))


def _row(name: str, found: Sequence[measure.Figures], ours: Sequence[measure.Figures]) -> list[Any]:
    """The mean step of a program at some cuts beside that of ours."""
    clock, processor, first = (
        sum(getattr(one, field) for one in found) / len(found)
        for field in ("milliseconds", "processor_milliseconds", "first_call_seconds")
    )
    of_ours = [
        sum(getattr(one, field) for one in ours) / len(ours)
        for field in ("milliseconds", "processor_milliseconds")
    ]
    return [name, clock / N_STEPS, processor / N_STEPS, of_ours[0] / clock, of_ours[1] / processor, first]


if __name__ == "__main__":
    main()
