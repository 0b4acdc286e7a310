"""What one GPU makes of the first study, row by row, each beside the least time that its arithmetic takes.

One command for whoever has a GPU: every row has the same few seconds, rows that fail say why in one line, and
after the budget the rest is left out. Times are minima over the repeats, in ms; "floor" is the arithmetic at
the rate of the first row. Random data. ``JAXROBUST_TIME_LOOP`` is set by the rows themselves.

Command: python benchmarks/gpu.py [--budget=120] [--only=word] [--trace=folder] [--tiny]
    --only    rows whose name contains the word
    --trace   profile each row into a folder of its own (``tensorboard --logdir`` or perfetto read it)
    --tiny    tiny sizes: whether all rows run, on any machine
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import measure
import published_structure as published
from jax import Array

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.layers import time_loop_kernel, time_loops
from jaxrobust.layers.adaptive_neurons import mean_rates
from jaxrobust.losses import Apply
from jaxrobust.measures.full_set import cross_entropy
from jaxrobust.measures.landscape import random_landscapes
from jaxrobust.measures.mismatch import mismatch_accuracies
from jaxrobust.measures.worst_case import worst_case
from jaxrobust.networks.cnn import CNN
from jaxrobust.networks.lsnn import LSNN
from jaxrobust.networks.network import Network
from jaxrobust.training.methods import (
    Batch,
    FiringRates,
    Method,
    Objective,
    ParameterAttackTraining,
    Standard,
)

COLUMNS = ["row", "ms", "ms per network", "floor ms", "x floor", "first call s", "note"]
Call = Callable[[], Any]


@dataclass(frozen=True)
class Sizes:
    """How large everything is; by default as published."""

    square: int = 8192
    copied: int = 1 << 28
    batch: int = 100
    steps: int = 100
    units: int = 256
    attack_steps: int = 10
    lsnns: tuple[int, ...] = (1, 16, 32)
    robust_lsnns: tuple[int, ...] = (1, 16)
    cnns: tuple[int, ...] = (1, 4, 12)
    cnn: CNN = CNN()
    images: int = 10_000
    devices: int = 100
    points: int = 50
    seconds_of_a_row: float = 0.5


TINY = Sizes(
    square=64, copied=256, batch=4, steps=3, units=16, attack_steps=1, lsnns=(1, 2), robust_lsnns=(1, 2),
    cnns=(1, 2), cnn=CNN((12, 12, 1), kernels=(2, 2), dense=(4, 4)), images=6, devices=2, points=3,
    seconds_of_a_row=0.0,
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        name: What is computed.
        build: Gives the function and its arguments; called when the row's turn comes.
        n_networks: Networks that one call computes.
        flop: Operations of its products, for the floor; 0 if none is known.
        note: Makes a remark of the seconds of one call.
        kernel: Whether spiking networks compute their time loop as a kernel.
    """

    name: str
    build: Callable[[], tuple[Callable[..., Any], tuple[Any, ...]]]
    n_networks: int = 1
    flop: float = 0.0
    note: Callable[[float], str] = lambda seconds: ""
    kernel: bool = False


# --- what is computed ---


def square_product(n: int):
    """A matrix product."""
    return jnp.matmul, (jnp.ones((n, n)), jnp.ones((n, n)))


def copy(n: int):
    """Reading and writing numbers."""
    return lambda x: x + 1, (jnp.ones(n),)


def products_in_a_loop(sizes: Sizes, n: int):
    """The recurrent products of ``n`` networks, one after the other in time, and nothing else."""
    keys = jax.random.split(jax.random.key(0), 2)
    weights = jax.random.normal(keys[0], (n, sizes.units, sizes.units)) / sizes.units**0.5
    values = jax.random.normal(keys[1], (n, sizes.batch, sizes.units))

    def run(weights: Array, values: Array) -> Array:
        return jax.lax.fori_loop(0, sizes.steps, lambda _, v: v @ weights, values)

    return run, (weights, values)


def side_by_side(network: Network, method: Method, sizes: Sizes, n: int, shape: tuple[int, ...]):
    """The gradient of a training loss for ``n`` networks with a batch each."""
    keys = jax.random.split(jax.random.key(0), 3)
    variables = jax.vmap(network.init)(jax.random.split(keys[0], n))
    inputs = jax.random.uniform(keys[1], (n, sizes.batch, *shape))
    labels = jax.random.randint(keys[2], (n, sizes.batch), 0, 4)

    def gradient(variables: Any, inputs: Array, labels: Array, key: Array) -> Any:
        objective = Objective(network, variables.statistics, Batch(inputs, labels))
        return jax.value_and_grad(lambda p: method.loss(objective, p, key)[0])(variables.parameters)

    arguments = (variables, inputs, labels, jax.random.split(keys[0], n))
    if n == 1:  # as training does: a single network has no axis
        return gradient, jax.tree.map(lambda leaf: leaf[0], arguments)
    return jax.vmap(gradient), arguments


def robust(sizes: Sizes) -> Method:
    """The published method."""
    return ParameterAttackTraining(Standard(), 0.25, ParameterAttack(0.1, n_steps=sizes.attack_steps))


def lsnn_gradient(sizes: Sizes, n: int, *, attacked: bool):
    """Of the ECG network."""
    network = LSNN(n_in=2, n_out=4, n_hidden=sizes.units)
    method = FiringRates(robust(sizes) if attacked else Standard(), 0.001)
    return side_by_side(network, method, sizes, n, (sizes.steps, 2))


def plain_scan(sizes: Sizes, n: int):
    """The gradient as JAX derives it from a plain scan."""
    network = LSNN(n_in=2, n_out=4, n_hidden=sizes.units)
    _, (variables, inputs, labels, _) = side_by_side(network, Standard(), sizes, n, (sizes.steps, 2))

    def gradient(parameters: Any, inputs: Array, labels: Array) -> Any:
        return jax.grad(lambda p: published.loss(network, p, Batch(inputs, labels))[0])(parameters)

    return jax.vmap(gradient), (variables.parameters, inputs, labels)


def time_loop(sizes: Sizes, n: int, dtype: Any, *, kernel: bool):
    """Mean rates of ``n`` networks and their gradient, without inputs and readout."""
    network = LSNN(n_in=2, n_out=4, n_hidden=sizes.units)
    keys = jax.random.split(jax.random.key(0), 2)
    currents = 0.1 * jax.random.normal(keys[0], (n, sizes.steps, sizes.batch, sizes.units))
    w_rec = (jax.random.normal(keys[1], (n, sizes.units, sizes.units)) / sizes.units**0.5).astype(dtype)
    rates_of: Callable[..., Array] = mean_rates
    if kernel:
        is_interpreted = jax.default_backend() != "gpu"
        rates_of = partial(time_loop_kernel.mean_rates, interpret=is_interpreted)

    def loss(currents: Array, w_rec: Array) -> Array:
        return jnp.sum(rates_of(currents, w_rec, network.constants) ** 2)

    return jax.vmap(jax.grad(loss, argnums=(0, 1))), (currents, w_rec)


def cnn_gradient(sizes: Sizes, n: int, *, attacked: bool):
    """Of the network for Fashion-MNIST."""
    method = robust(sizes) if attacked else Standard()
    return side_by_side(sizes.cnn, method, sizes, n, sizes.cnn.image)


def evaluation(sizes: Sizes, measure_it: Callable[[Apply, Any, Array, Array, Array], Any]):
    """A measure of one CNN on a whole test set, products in float32 as evaluations have them."""
    network = sizes.cnn
    keys = jax.random.split(jax.random.key(0), 4)
    parameters, statistics = network.init(keys[0])
    inputs = jax.random.uniform(keys[1], (sizes.images, *sizes.cnn.image))
    labels = jax.random.randint(keys[2], (sizes.images,), 0, 10)

    def apply(parameters: Any, inputs: Array) -> Array:
        return network.forward(parameters, statistics, inputs).logits

    def run(parameters: Any, inputs: Array, labels: Array, key: Array) -> Any:
        with jax.default_matmul_precision("float32"):
            return measure_it(apply, parameters, inputs, labels, key)

    return run, (parameters, inputs, labels, keys[3])


def mismatch(sizes: Sizes, *, draws_at_once: int, batch_size: int):
    """One level of mismatch."""
    how = {"n_draws": sizes.devices, "draws_at_once": draws_at_once, "batch_size": batch_size}
    return evaluation(sizes, lambda *given: mismatch_accuracies(*given, level=0.3, **how))


def attacked_test_set(sizes: Sizes, *, batch_size: int):
    """One size of the attack, one restart."""
    attack = ParameterAttack(0.1, n_steps=sizes.attack_steps)
    return evaluation(sizes, lambda *given: worst_case(*given, attack, batch_size=batch_size).accuracies)


def landscape(sizes: Sizes, *, batch_size: int):
    """One random direction."""

    def measure_it(apply: Apply, parameters: Any, inputs: Array, labels: Array, key: Array) -> Array:
        loss = cross_entropy(apply, inputs, labels, batch_size=batch_size)
        alphas = jnp.linspace(-2, 2, sizes.points)
        return random_landscapes(loss, parameters, key, alphas, std=0.2, n_repeats=1)

    return evaluation(sizes, measure_it)


# --- the table ---


def rows(sizes: Sizes) -> list[Row]:
    """All rows; what others are compared with comes first, what takes longest last."""
    recurrent = 2.0 * sizes.steps * sizes.batch * sizes.units**2  # the products of one pass through time
    n_gradients = sizes.attack_steps + 2
    forward = cnn_flop(sizes)
    square = 2.0 * sizes.square**3

    def loop(n: int) -> Row:
        build = partial(products_in_a_loop, sizes, n)
        return Row(f"products in a loop, {n} networks", build, n, recurrent * n)

    def lsnn(n: int, *, attacked: bool, kernel: bool) -> Row:
        name = f"LSNN {'robust step' if attacked else 'gradient'}, {'kernel' if kernel else 'scan'}, {n}"
        flop = 3 * recurrent * n * (n_gradients if attacked else 1)
        return Row(name, partial(lsnn_gradient, sizes, n, attacked=attacked), n, flop, kernel=kernel)

    def bare(n: int, dtype: Any, *, kernel: bool) -> Row:
        form = "kernel" if kernel else "scan"
        name = f"time loop and gradient, {form}, {jnp.dtype(dtype).name} weights, {n}"
        return Row(name, partial(time_loop, sizes, n, dtype, kernel=kernel), n, 3 * recurrent * n)

    def cnn(n: int, *, attacked: bool) -> Row:
        flop = 3 * forward * sizes.batch * n * (n_gradients if attacked else 1)
        name = f"CNN {'robust' if attacked else 'standard'} step, {n}"
        return Row(name, partial(cnn_gradient, sizes, n, attacked=attacked), n, flop)

    def devices(at_once: int, batch_size: int) -> Row:
        name = f"CNN mismatch, {sizes.devices} devices, {at_once} at once, {batch_size} images at once"
        build = partial(mismatch, sizes, draws_at_once=at_once, batch_size=batch_size)
        return Row(name, build, 1, forward * sizes.images * sizes.devices)

    most = max(sizes.lsnns)
    return [
        Row(
            f"matrix product {sizes.square}³",
            partial(square_product, sizes.square),
            flop=square,
            note=lambda s: f"{square / s / 1e12:.3g} TFLOP/s",
        ),
        Row(
            "copy, read and write",
            partial(copy, sizes.copied),
            note=lambda s: f"{8 * sizes.copied / s / 1e12:.3g} TB/s",
        ),
        *(loop(n) for n in sizes.lsnns),
        *(lsnn(n, attacked=False, kernel=False) for n in sizes.lsnns),
        Row(f"LSNN gradient, autodiff of the plain scan, {most}", partial(plain_scan, sizes, most), most,
            3 * recurrent * most),
        bare(most, jnp.float32, kernel=False),
        bare(most, jnp.float32, kernel=True),
        bare(most, jnp.bfloat16, kernel=True),
        *(lsnn(n, attacked=True, kernel=False) for n in sizes.robust_lsnns),
        *(lsnn(n, attacked=True, kernel=True) for n in sizes.robust_lsnns),
        cnn(max(sizes.cnns), attacked=True),
        *(cnn(n, attacked=True) for n in sizes.cnns[:-1]),
        cnn(sizes.cnns[-2], attacked=False),
        devices(10, 500),
        devices(1, 500),
        devices(1, 2500),
        Row("CNN worst case, 1 size", partial(attacked_test_set, sizes, batch_size=500), 1,
            3 * forward * sizes.images * sizes.attack_steps),
        Row("CNN landscape, 1 direction", partial(landscape, sizes, batch_size=500), 1,
            forward * sizes.images * sizes.points),
    ]  # fmt: skip


def cnn_flop(sizes: Sizes) -> float:
    """Operations of one image on its way through the CNN: two for each weight at each place it is used."""
    network = sizes.cnn
    parameters = jax.eval_shape(network.init, jax.random.key(0)).parameters
    places = {f"k{i}": math.prod(network.positions[f"conv{i}"][:2]) for i in (1, 2)}
    return sum(2.0 * leaf.size * places.get(name, 1) for name, leaf in parameters.items() if leaf.ndim > 1)


@contextmanager
def time_loop_form(kernel: bool) -> Iterator[None]:
    """Trace spiking networks with their time loop as a kernel, or as a scan."""
    before = os.environ.get(time_loops.SWITCH)
    os.environ[time_loops.SWITCH] = "kernel" if kernel else "scan"
    try:
        yield
    finally:
        if before is None:
            del os.environ[time_loops.SWITCH]
        else:
            os.environ[time_loops.SWITCH] = before


def timed(call: Call, seconds: float) -> float:
    """Seconds of one call: the least of three or more, unless one takes longer than all may."""
    least, until = float("inf"), time.perf_counter() + seconds
    for i in range(1000):
        began = time.perf_counter()
        jax.block_until_ready(call())
        now = time.perf_counter()
        least = min(least, now - began)
        if now > until and (i >= 2 or now - began > seconds > 0):
            break
    return least


def measured(row: Row, sizes: Sizes, rate: float, trace: Path | None) -> tuple[list[Any], float]:
    """The cells of a row, and the seconds of one call."""
    with time_loop_form(row.kernel):
        if row.kernel and time_loops.chosen() != "kernel":
            raise RuntimeError("this machine computes no kernel")
        function, arguments = row.build()
        program = jax.jit(function)
        began = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        first = time.perf_counter() - began
    seconds = timed(lambda: program(*arguments), sizes.seconds_of_a_row)
    if trace is not None:
        with jax.profiler.trace(str(trace / row.name.replace(" ", "_").replace(",", ""))):
            jax.block_until_ready(program(*arguments))
    ms, floor = 1e3 * seconds, 1e3 * row.flop / rate if row.flop and rate else float("nan")
    return [row.name, ms, ms / row.n_networks, floor, ms / floor, first, row.note(seconds)], seconds


def main() -> None:
    """Measure and print the table, row by row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=float, default=120.0, help="seconds in all")
    parser.add_argument("--only", default="", help="rows whose name contains this word")
    parser.add_argument("--trace", type=Path, help="folder for a profile of each row")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes")
    options = parser.parse_args()
    sizes, ends = TINY if options.tiny else Sizes(), time.monotonic() + options.budget
    jax.config.update("jax_enable_compilation_cache", False)
    measure.heading(f"One device, batch {sizes.batch}, {sizes.steps} time steps, {sizes.units} units")
    print(measure.table(COLUMNS, []))
    rate = 0.0
    for i, row in enumerate(rows(sizes)):
        if i and options.only not in row.name:  # the first gives the rate of all floors
            continue
        if time.monotonic() > ends:
            print(measure.line([row.name, *["–"] * 5, "left out: the budget is used up"]), flush=True)
            continue
        try:
            cells, seconds = measured(row, sizes, rate, options.trace)
        except Exception as error:  # the other rows are worth having all the same
            reason = str(error).splitlines()[0][:200] if str(error) else ""
            cells, seconds = [row.name, *["–"] * 5, f"{type(error).__name__}: {reason}"], 0.0
        if not i and seconds:
            rate = row.flop / seconds
        print(measure.line(cells), flush=True)


if __name__ == "__main__":
    main()
