"""The time loop of ``adaptive_neurons`` as one GPU kernel, forwards and backwards (Pallas, Triton).

XLA starts several kernels for every time step of a scan; here one does all steps. A program of the kernel
has 16 samples, whose units it keeps in registers in tiles of 128: samples do not depend on each other, and
all units of a sample must meet at every step. Larger tiles spill registers, smaller ones starve the tensor
cores. Batches and units are filled up to whole tiles with silent units.

The scan stays the reference: on the same spikes both give the same gradient up to rounding. Second
derivatives are the scan's. ``time_loops`` says where the kernel is used.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu

from jaxrobust.layers import adaptive_neurons as scan
from jaxrobust.layers.adaptive_neurons import (
    Bars,
    Currents,
    NeuronConstants,
    NeuronState,
    Rates,
    Weights,
    advance_units,
    at_rest,
    kept_potential,
    retreat_units,
    spike,
    spikes_before_bar,
    weights_bar,
)

SAMPLES = 16  # of a tile; tensor cores take no fewer
UNITS = 128
WARPS = 8


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def mean_rates(
    input_currents: Currents, w_rec: Weights, constants: NeuronConstants, interpret: bool = False
) -> Rates:
    """``adaptive_neurons.mean_rates`` as a kernel.

    Args:
        input_currents: Currents from the inputs, float32.
        w_rec: Recurrent weights, float32 or bfloat16.
        constants: The neurons' constants, as Python numbers.
        interpret: Compute step by step on any device, for tests.
    """
    return _mean_rates_forward(input_currents, w_rec, constants, interpret)[0]


def _mean_rates_forward(currents: Currents, w_rec: Weights, constants: NeuronConstants, interpret: bool):
    potentials, adaptations, state = _forward(constants, interpret, currents, w_rec)
    spikes = spike(potentials, constants.dampening) / constants.dt
    rates = scan.if_finite(jnp.sum(spikes, axis=0) / currents.shape[0], state)
    return rates, (potentials, adaptations, w_rec)


def _mean_rates_backward(constants: NeuronConstants, interpret: bool, kept, rates_bar: Rates):
    return _backward(constants, interpret, kept, rates_bar / kept[0].shape[0], None)


mean_rates.defvjp(_mean_rates_forward, _mean_rates_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def spike_trains(
    input_currents: Currents, w_rec: Weights, constants: NeuronConstants, interpret: bool = False
) -> Currents:
    """``adaptive_neurons.spike_trains`` as a kernel; arguments as of ``mean_rates``."""
    return _spike_trains_forward(input_currents, w_rec, constants, interpret)[0]


def _spike_trains_forward(currents: Currents, w_rec: Weights, constants: NeuronConstants, interpret: bool):
    potentials, adaptations, state = _forward(constants, interpret, currents, w_rec)
    spikes = spike(potentials, constants.dampening) / constants.dt
    return scan.if_finite(spikes, state), (potentials, adaptations, w_rec)


def _spike_trains_backward(constants: NeuronConstants, interpret: bool, kept, spikes_bar: Currents):
    before = jnp.concatenate([jnp.zeros_like(spikes_bar[:1]), spikes_bar[:-1]])
    return _backward(constants, interpret, kept, spikes_bar[-1], before)


spike_trains.defvjp(_spike_trains_forward, _spike_trains_backward)


def _with_derivatives_of(reference: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Differentiate a kernel, which has no derivative, as its reference, whose values it then has."""

    def mark(kernel: Callable[..., Any]) -> Any:
        function = jax.custom_jvp(kernel, nondiff_argnums=(0, 1))

        @function.defjvp
        def _jvp(constants, interpret, primals, tangents):
            return jax.jvp(partial(reference, constants), primals, tangents)

        return function

    return mark


def _forward_by_scan(constants: NeuronConstants, currents: Currents, w_rec: Weights):
    state, (_, (potentials, adaptations)) = scan.run_and_keep(currents, w_rec, constants)
    return potentials, adaptations, state


@_with_derivatives_of(_forward_by_scan)
def _forward(
    constants: NeuronConstants, interpret: bool, currents: Currents, w_rec: Weights
) -> tuple[Currents, Currents, NeuronState]:
    """What the backward pass reads at every time step, and the last state (its potential alone is right)."""
    n_steps, n_samples, n_units = currents.shape
    currents, w_rec = _filled(currents, SAMPLES, _tile(n_units)), _filled_weights(w_rec)
    of_steps, of_units = _specs(n_steps, w_rec.shape[0])
    shape = jax.ShapeDtypeStruct(currents.shape, currents.dtype)
    potentials, adaptations, last = pl.pallas_call(
        partial(_forward_kernel, constants),
        grid=(currents.shape[1] // SAMPLES,),
        in_specs=[of_steps, pl.BlockSpec(w_rec.shape, lambda i: (0, 0))],
        out_specs=[of_steps, of_steps, of_units],
        out_shape=[shape, shape, jax.ShapeDtypeStruct(currents.shape[1:], currents.dtype)],
        compiler_params=plgpu.CompilerParams(num_warps=WARPS, num_stages=1),
        interpret=interpret,
    )(currents, w_rec)
    last = last[:n_samples, :n_units]
    state = at_rest(last)._replace(potential=last)
    return potentials[:, :n_samples, :n_units], adaptations[:, :n_samples, :n_units], state


def _forward_kernel(constants: NeuronConstants, currents, w_rec, potentials, adaptations, last) -> None:
    columns, tile = _columns(w_rec)

    def advance(t: Array, states: tuple[NeuronState, ...]) -> tuple[NeuronState, ...]:
        after = []
        for here, state in zip(columns, states, strict=True):
            current = currents[t, :, here]
            for there, other in zip(columns, states, strict=True):
                current += _dot(other.spikes, w_rec[there, here])
            new, scaled = advance_units(state, current, constants)
            potentials[t, :, here] = kept_potential(scaled, state.refractory)
            adaptations[t, :, here] = new.adaptation
            after.append(new)
        return tuple(after)

    rest = at_rest(jnp.zeros((SAMPLES, tile), currents.dtype))
    states = jax.lax.fori_loop(0, currents.shape[0], advance, (rest,) * len(columns))
    for here, state in zip(columns, states, strict=True):
        last[:, here] = state.potential


def _backward(
    constants: NeuronConstants, interpret: bool, kept, last_bar: Rates, earlier_bars: Currents | None
) -> tuple[Currents, Weights]:
    """As ``adaptive_neurons.backward``."""
    potentials, adaptations, w_rec = kept
    currents_bar = _currents_bar(constants, interpret, potentials, adaptations, w_rec, last_bar, earlier_bars)
    spikes = spike(potentials, constants.dampening) / constants.dt
    spikes_before = jnp.concatenate([jnp.zeros_like(spikes[:1]), spikes[:-1]])
    return currents_bar, weights_bar(spikes_before, currents_bar, w_rec)


def _currents_bar_by_scan(constants: NeuronConstants, potentials, adaptations, w_rec, last_bar, earlier_bars):
    return scan.backward(constants, (potentials, adaptations, w_rec), last_bar, earlier_bars)[0]


@_with_derivatives_of(_currents_bar_by_scan)
def _currents_bar(
    constants: NeuronConstants,
    interpret: bool,
    potentials: Currents,
    adaptations: Currents,
    w_rec: Weights,
    last_bar: Rates,
    earlier_bars: Currents | None,
) -> Currents:
    n_steps, n_samples, n_units = potentials.shape
    tile = _tile(n_units)
    filled = [_filled(kept, SAMPLES, tile) for kept in (potentials, adaptations)]
    w_rec = _filled_weights(w_rec)
    of_steps, of_units = _specs(n_steps, w_rec.shape[0])
    bars, bar_specs = [_filled(last_bar, SAMPLES, tile)], [of_units]
    if earlier_bars is not None:
        bars, bar_specs = [*bars, _filled(earlier_bars, SAMPLES, tile)], [*bar_specs, of_steps]
    currents_bar = pl.pallas_call(
        partial(_backward_kernel, constants),
        grid=(filled[0].shape[1] // SAMPLES,),
        in_specs=[of_steps, of_steps, pl.BlockSpec(w_rec.shape, lambda i: (0, 0)), *bar_specs],
        out_specs=of_steps,
        out_shape=jax.ShapeDtypeStruct(filled[0].shape, filled[0].dtype),
        compiler_params=plgpu.CompilerParams(num_warps=WARPS, num_stages=1),
        interpret=interpret,
    )(*filled, w_rec, *bars)
    return currents_bar[:, :n_samples, :n_units]


def _backward_kernel(constants: NeuronConstants, potentials, adaptations, w_rec, last_bar, *rest) -> None:
    """``rest``: the gradient of the spikes before each step, unless it is ``last_bar``; and the output."""
    *earlier_bars, currents_bar = rest
    (columns, tile), n_steps = _columns(w_rec), potentials.shape[0]

    def retreat(i: Array, bars: tuple[Bars, ...]) -> tuple[Bars, ...]:
        t = n_steps - 1 - i
        found = []
        for here, bar in zip(columns, bars, strict=True):
            fired = spike(potentials[jnp.maximum(t - 1, 0), :, here], constants.dampening) / constants.dt
            before = jnp.where(t > 0, fired, 0)
            found.append(
                retreat_units(bar, potentials[t, :, here], adaptations[t, :, here], before, constants)
            )
            currents_bar[t, :, here] = found[-1][0]
        after = []
        for here, (_, bar, adaptive_threshold) in zip(columns, found, strict=True):
            received = earlier_bars[0][t, :, here] if earlier_bars else last_bar[:, here]
            for there, (current_bar, _, _) in zip(columns, found, strict=True):
                received += _dot(current_bar, w_rec[here, there], transposed=True)
            spikes_bar = spikes_before_bar(received, bar, adaptive_threshold, constants)
            after.append(bar._replace(spikes=spikes_bar))
        return tuple(after)

    nothing = jnp.zeros((SAMPLES, tile), potentials.dtype)
    start = tuple(Bars(last_bar[:, here], nothing, nothing) for here in columns)
    jax.lax.fori_loop(0, n_steps, retreat, start)


def _dot(values: Array, weights: Array, *, transposed: bool = False) -> Array:
    """``adaptive_neurons.product`` of tiles."""
    return plgpu.dot(values.astype(weights.dtype), weights, trans_b=transposed)


def _tile(n_units: int) -> int:
    """Units of a tile: a power of two, as Triton's arrays must be, of at least 16 for the tensor cores."""
    return min(UNITS, max(16, 1 << (n_units - 1).bit_length()))


def _columns(w_rec) -> tuple[list[Any], int]:
    """Where each tile of units lies, and how many units it has."""
    tile = _tile(w_rec.shape[0])
    return [pl.ds(start, tile) for start in range(0, w_rec.shape[0], tile)], tile


def _filled(values: Array, samples: int, units: int) -> Array:
    """Fill the last two axes up to whole tiles."""
    missing = [-values.shape[-2] % samples, -values.shape[-1] % units]
    return jnp.pad(values, [(0, 0)] * (values.ndim - 2) + [(0, n) for n in missing])


def _filled_weights(w_rec: Array) -> Array:
    tile = _tile(w_rec.shape[0])
    return _filled(w_rec, tile, tile)


def _specs(n_steps: int, n_units: int) -> tuple[pl.BlockSpec, pl.BlockSpec]:
    """What one program sees of arrays with and without an axis of time."""
    return (
        pl.BlockSpec((n_steps, SAMPLES, n_units), lambda i: (0, i, 0)),
        pl.BlockSpec((SAMPLES, n_units), lambda i: (i, 0)),
    )
