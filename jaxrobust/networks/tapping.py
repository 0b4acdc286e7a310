"""How a network runs with taps: which running statistics are still needed, and which positions there are."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.interpreters import partial_eval
from jaxtyping import Float

from jaxrobust.networks.network import Network, Outputs, Shape
from jaxrobust.networks.taps import EVERY, MARK, Statistics, Tap, Taps

Compute = Callable[[Tap], tuple[Float[Array, "batch ..."], Statistics]]


def run_with_taps(
    network: Network, compute: Compute, taps: Taps, *, key: Array | None, training: bool
) -> Outputs:
    """Run the body of a network's ``forward``.

    Args:
        network: Whose positions ``taps`` may name.
        compute: ``(tap) -> (logits, new statistics)``. It calls ``tap(position, x)`` at every position and
            ``x, new = tap.update(layer, x, old, new)`` after every layer with running statistics.
        taps: What is recorded, perturbed and replaced.
        key: PRNG key of the perturbations.
        training: Whether the statistics are updated.

    Raises:
        InputError: ``taps`` names an unknown position.
    """
    if taps.names:  # positions may be expensive to find
        taps.check(network.positions)
    live = find_live_layers(compute, taps, key) if training and taps.replace else None
    tap = Tap(taps, key, live=live)
    logits, statistics = compute(tap)
    return Outputs(logits, tap.recorded, statistics)


def find_live_layers(compute: Compute, taps: Taps, key: Array | None) -> frozenset[str]:
    """Find the layers with statistics that logits or recorded values depend on.

    The order of positions would not say it, as a network may lead around a replaced position (the shortcut
    of a residual block). So the forward pass is traced once more, with the outputs of these layers marked,
    and the marks that are left in the program without its superfluous operations are counted.
    """

    def needed() -> tuple[Array, dict[str, Array]]:
        tap = Tap(taps, key, marking=True)
        logits, _ = compute(tap)
        return logits, tap.recorded

    program = jax.make_jaxpr(needed)().jaxpr
    program, _ = partial_eval.dce_jaxpr(program, [True] * len(program.outvars))
    return frozenset(_marks(program))


def _marks(program: Any) -> set[str]:
    """Collect the layers whose marks stand in a program or in one inside of it."""
    found = set()
    for operation in program.eqns:
        if operation.primitive.name == "name" and operation.params["name"].startswith(MARK):
            found.add(operation.params["name"].removeprefix(MARK))
        for inner in _inner_programs(operation.params):
            found |= _marks(inner)
    return found


def _inner_programs(settings: dict[str, Any]) -> Iterator[Any]:
    """Yield the programs that an operation such as a loop or a jitted function runs."""
    for value in settings.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            program = getattr(each, "jaxpr", each)
            if hasattr(program, "eqns"):
                yield program


@lru_cache(maxsize=256)
def positions_of(network: Network, input_shape: tuple[int, ...]) -> Mapping[str, Shape]:
    """Find a network's positions and their shapes by tracing its forward pass, without computing it.

    Args:
        network: Any network that calls ``tap``.
        input_shape: Shape of one sample.
    """
    shapes: dict[str, Shape] = {}

    def trace(key: Array, inputs: Float[Array, "batch ..."]) -> None:
        tap = Taps(record=(EVERY,))
        activations = network.forward(*network.init(key), inputs, tap=tap).activations
        # Shapes are static, and outside of the trace a dict would come back sorted by name.
        shapes.update({name: value.shape[1:] for name, value in activations.items()})

    jax.eval_shape(trace, jax.random.key(0), jnp.zeros((1, *input_shape)))
    return MappingProxyType(shapes)
