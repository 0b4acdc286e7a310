"""Recurrently connected adaptive leaky integrate-and-fire neurons: the core of the LSNN.

One time step, for input current ``I``, membrane potential ``v``, spikes ``z``, adaptation ``b`` and the
refractory counter ``r``, all zero at the start, as in the published code::

    b <- rho_b b + (1 - rho_b) z                    rho_b = exp(-dt / tau_adaptation)
    B  = threshold + beta b                         the adaptive threshold
    v <- rho v + (1 - rho) (I + z W_rec) - z B dt   rho = exp(-dt / tau); reset by subtraction
    u  = v / B - 1                                  the scaled potential
    z <- [r <= 0.1] H(u) / dt                       H(u) = 1 where u > 0
    r <- clip(r + refractory z - 1, 0, refractory)

The derivative of ``H`` is replaced by ``dampening * max(1 - |u|, 0)``; nothing else is approximated: the
gradient flows through the threshold and the reset as well. With ``refractory = 2`` exactly one step after a
spike is blocked.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

FLOAT32_ROUNDING = 2.0**-23

Currents = Float[Array, "time batch units"]
Rates = Float[Array, "batch units"]
Weights = Float[Array, "units units"]


class NeuronConstants(NamedTuple):
    """Constants of the neurons, each one number for all units or one value per unit.

    Attributes:
        membrane_decay: rho, per time step.
        adaptation_decay: rho_b, per time step.
        threshold: Resting threshold of the membrane potential.
        adaptation_strength: beta, how far adaptation raises the threshold.
        dt: Length of a time step, in the unit of the time constants.
        refractory: Refractory period in time steps; ``refractory - 1`` steps after a spike are blocked.
        dampening: Height of the surrogate gradient at threshold.
        rounding: Distance of 1 to the next number in the precision of the products; bounds need float32.
    """

    membrane_decay: Float[Array, "..."] | float
    adaptation_decay: Float[Array, "..."] | float
    threshold: Float[Array, "..."] | float
    adaptation_strength: Float[Array, "..."] | float
    dt: float
    refractory: float
    dampening: float
    rounding: float = FLOAT32_ROUNDING


class NeuronState(NamedTuple):
    """The state of the neurons between two time steps."""

    potential: Rates
    spikes: Rates
    adaptation: Rates
    refractory: Rates


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def spike(scaled_potential: Float[Array, "..."], dampening: float) -> Float[Array, "..."]:
    """1 where the scaled potential is positive, with the triangular surrogate gradient."""
    del dampening
    return (scaled_potential > 0).astype(scaled_potential.dtype)


@spike.defjvp
def _spike_jvp(dampening, primals, tangents):
    (scaled_potential,), (tangent,) = primals, tangents
    surrogate = dampening * jnp.maximum(1 - jnp.abs(scaled_potential), 0)
    return spike(scaled_potential, dampening), surrogate * tangent


def product(
    values: Float[Array, "... rows"], weights: Float[Array, "rows columns"]
) -> Float[Array, "... columns"]:
    """Matrix product in the precision of the weights, summed in the precision of the values.

    Spikes are exact in bfloat16, so that there only the weights, and backwards the gradients, are rounded.
    """
    return jnp.matmul(values.astype(weights.dtype), weights, preferred_element_type=values.dtype)


def at_rest(like: Rates) -> NeuronState:
    """The state before the first time step."""
    zeros = jnp.zeros_like(like)
    return NeuronState(zeros, zeros, zeros, zeros)


def step(
    state: NeuronState, input_current: Rates, w_rec: Weights, constants: NeuronConstants
) -> tuple[NeuronState, Rates]:
    """Advance one time step; also returns the scaled potential ``u``."""
    rho, rho_b, threshold, beta, dt, refractory, dampening, _ = constants
    adaptation = rho_b * state.adaptation + (1 - rho_b) * state.spikes
    adaptive_threshold = threshold + beta * adaptation
    current = input_current + product(state.spikes, w_rec)
    potential = rho * state.potential + (1 - rho) * current - state.spikes * adaptive_threshold * dt
    scaled_potential = potential / adaptive_threshold - 1
    spikes = jnp.where(state.refractory <= 0.1, spike(scaled_potential, dampening), 0) / dt
    counter = jnp.clip(state.refractory + refractory * jax.lax.stop_gradient(spikes) - 1, 0, refractory)
    return NeuronState(potential, spikes, adaptation, counter), scaled_potential


def _if_finite(values: Float[Array, "... units"], state: NeuronState) -> Float[Array, "... units"]:
    """NaN for units whose potential is no longer finite: they would look silent or always active.

    A potential that is NaN or infinite once stays so, so that the last state shows it.
    """
    return jnp.where(jnp.isfinite(state.potential), values, jnp.nan)


def trajectories(
    input_currents: Currents, w_rec: Weights, constants: NeuronConstants
) -> tuple[Currents, Currents]:
    """Spikes and membrane potentials of every unit at every time step.

    Args:
        input_currents: Currents from the inputs, ``(time, batch, units)``.
        w_rec: Recurrent weights, from row to column.
        constants: The neurons' constants.

    Returns:
        Spikes (0 or 1/dt) and membrane potentials, each ``(time, batch, units)``.
    """

    def advance(state, current):
        state, _ = step(state, current, w_rec, constants)
        return state, (state.spikes, state.potential)

    return jax.lax.scan(advance, at_rest(input_currents[0]), input_currents)[1]


def mean_rates_by_autodiff(input_currents: Currents, w_rec: Weights, constants: NeuronConstants) -> Rates:
    """Mean firing rates, written plainly and differentiated by JAX: the readable reference of ``mean_rates``.

    Every constant may be a differentiable array here. For second derivatives use ``mean_rates``, or forward
    mode innermost: JAX forgets the surrogate gradient of ``spike`` when it differentiates the reverse mode
    of a scan once more.
    """
    state, spikes = _run(input_currents, w_rec, constants)
    return _if_finite(jnp.mean(spikes, axis=0), state)


def _run(
    input_currents: Currents, w_rec: Weights, constants: NeuronConstants
) -> tuple[NeuronState, Currents]:
    def advance(state, current):
        state, _ = step(state, current, w_rec, constants)
        return state, state.spikes

    return jax.lax.scan(advance, at_rest(input_currents[0]), input_currents)


def spike_trains_by_autodiff(
    input_currents: Currents, w_rec: Weights, constants: NeuronConstants
) -> Currents:
    """Spikes at every time step, differentiated by JAX: the readable reference of ``spike_trains``."""
    state, spikes = _run(input_currents, w_rec, constants)
    return _if_finite(spikes, state)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def mean_rates(input_currents: Currents, w_rec: Weights, constants: NeuronConstants) -> Rates:
    """Firing rate of every unit, averaged over time, with a hand-written backward pass.

    The backward pass keeps two arrays per time step instead of the whole state, and computes the gradient of
    ``w_rec`` as one large matrix product after the time loop.

    Args:
        input_currents: Currents from the inputs, ``(time, batch, units)``.
        w_rec: Recurrent weights, from row to column; the recurrent products have their precision.
        constants: The neurons' constants, as Python numbers.

    Returns:
        Spikes per time unit, ``(batch, units)``.
    """

    def advance(carry, current):
        state, total = carry
        state, _ = step(state, current, w_rec, constants)
        return (state, total + state.spikes), None

    state = at_rest(input_currents[0])
    (state, total), _ = jax.lax.scan(advance, (state, state.spikes), input_currents)
    return _if_finite(total / input_currents.shape[0], state)


def _mean_rates_forward(input_currents: Currents, w_rec: Weights, constants: NeuronConstants):
    def advance(carry, current):
        state, total = carry
        state, kept = _step_and_kept(state, current, w_rec, constants)
        return (state, total + state.spikes), kept

    state = at_rest(input_currents[0])
    (state, total), kept = jax.lax.scan(advance, (state, state.spikes), input_currents)
    return _if_finite(total / input_currents.shape[0], state), (*kept, w_rec)


def _step_and_kept(state: NeuronState, current: Rates, w_rec: Weights, constants: NeuronConstants):
    """Advance one time step; also return the two arrays that the backward pass reads."""
    can_spike = state.refractory <= 0.1
    state, scaled = step(state, current, w_rec, constants)
    # Beyond [-1, 1] the surrogate gradient is zero, so this one number holds all that the backward pass must
    # know of a unit: its sign is the spike, and a refractory unit looks like one far below threshold.
    return state, (jnp.where(can_spike, jnp.clip(scaled, -1, 1), -1), state.adaptation)


def _mean_rates_backward(constants: NeuronConstants, kept, rates_bar: Rates):
    every_step_bar = rates_bar / kept[0].shape[0]
    return _backward(constants, kept, every_step_bar, None)


def _backward(constants: NeuronConstants, kept, last_bar: Rates, earlier_bars: Currents | None):
    """Gradients of the input currents and the recurrent weights.

    Args:
        constants: The neurons' constants.
        kept: What the forward pass kept.
        last_bar: Gradient of the spikes of the last time step, by way of the readout.
        earlier_bars: Of the step before each time step; None if it is ``last_bar`` at every step.
    """
    scaled_potentials, adaptations, w_rec = kept
    rho, rho_b, threshold, beta, dt, _, dampening, _ = constants
    # By the same function as in the forward pass, so that second derivatives see the surrogate as well.
    spikes = spike(scaled_potentials, dampening) / dt
    spikes_before = jnp.concatenate([jnp.zeros_like(spikes[:1]), spikes[:-1]])

    def retreat(carry, now):
        spikes_bar, potential_bar, adaptation_bar = carry
        scaled, adaptation, before, readout_bar = now
        adaptive_threshold = threshold + beta * adaptation
        surrogate = dampening * jnp.maximum(1 - jnp.abs(scaled), 0)
        relative_bar = spikes_bar * surrogate / dt / adaptive_threshold
        potential_bar = rho * potential_bar + relative_bar
        threshold_bar = -relative_bar * (scaled + 1) - potential_bar * before * dt
        adaptation_bar = rho_b * adaptation_bar + beta * threshold_bar
        current_bar = (1 - rho) * potential_bar
        spikes_bar = (
            (last_bar if readout_bar is None else readout_bar)
            + product(current_bar, w_rec.T)
            + (1 - rho_b) * adaptation_bar
            - potential_bar * adaptive_threshold * dt
        )
        return (spikes_bar, potential_bar, adaptation_bar), current_bar

    nothing = jnp.zeros_like(last_bar)
    _, currents_bar = jax.lax.scan(
        retreat,
        (last_bar, nothing, nothing),
        (scaled_potentials, adaptations, spikes_before, earlier_bars),
        reverse=True,
    )
    spikes_before, rounded_bar = spikes_before.astype(w_rec.dtype), currents_bar.astype(w_rec.dtype)
    return currents_bar, jnp.einsum("tbi,tbj->ij", spikes_before, rounded_bar)


mean_rates.defvjp(_mean_rates_forward, _mean_rates_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def spike_trains(input_currents: Currents, w_rec: Weights, constants: NeuronConstants) -> Currents:
    """Spikes of every unit at every time step, with the backward pass of ``mean_rates``.

    Args:
        input_currents: Currents from the inputs, ``(time, batch, units)``.
        w_rec: Recurrent weights, from row to column; the recurrent products have their precision.
        constants: The neurons' constants, as Python numbers.

    Returns:
        Spikes (0 or 1/dt), ``(time, batch, units)``.
    """
    return spike_trains_by_autodiff(input_currents, w_rec, constants)


def _spike_trains_forward(input_currents: Currents, w_rec: Weights, constants: NeuronConstants):
    def advance(state, current):
        state, kept = _step_and_kept(state, current, w_rec, constants)
        return state, (state.spikes, kept)

    state, (spikes, kept) = jax.lax.scan(advance, at_rest(input_currents[0]), input_currents)
    return _if_finite(spikes, state), (*kept, w_rec)


def _spike_trains_backward(constants: NeuronConstants, kept, spikes_bar: Currents):
    before = jnp.concatenate([jnp.zeros_like(spikes_bar[:1]), spikes_bar[:-1]])
    return _backward(constants, kept, spikes_bar[-1], before)


spike_trains.defvjp(_spike_trains_forward, _spike_trains_backward)


def traces(spikes: Currents, decay: float) -> Currents:
    """Low-pass filter spikes over time: ``trace <- decay trace + (1 - decay) z``, zero at the start."""

    def advance(trace: Rates, now: Rates) -> tuple[Rates, Rates]:
        trace = decay * trace + (1 - decay) * now
        return trace, trace

    return jax.lax.scan(advance, jnp.zeros_like(spikes[0]), spikes)[1]
