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
    return advance_units(state, input_current + product(state.spikes, w_rec), constants)


def advance_units(
    state: NeuronState, current: Rates, constants: NeuronConstants
) -> tuple[NeuronState, Rates]:
    """Advance units by one time step, given all the current that flows into each."""
    rho, rho_b, threshold, beta, dt, refractory, dampening, _ = constants
    adaptation = rho_b * state.adaptation + (1 - rho_b) * state.spikes
    adaptive_threshold = threshold + beta * adaptation
    potential = rho * state.potential + (1 - rho) * current - state.spikes * adaptive_threshold * dt
    scaled_potential = potential / adaptive_threshold - 1
    spikes = jnp.where(state.refractory <= 0.1, spike(scaled_potential, dampening), 0) / dt
    counter = jnp.clip(state.refractory + refractory * jax.lax.stop_gradient(spikes) - 1, 0, refractory)
    return NeuronState(potential, spikes, adaptation, counter), scaled_potential


def if_finite(values: Float[Array, "... units"], state: NeuronState) -> Float[Array, "... units"]:
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
    return if_finite(jnp.mean(spikes, axis=0), state)


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
    return if_finite(spikes, state)


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
    return if_finite(total / input_currents.shape[0], state)


def _mean_rates_forward(input_currents: Currents, w_rec: Weights, constants: NeuronConstants):
    def advance(carry, current):
        state, total = carry
        state, kept = _step_and_kept(state, current, w_rec, constants)
        return (state, total + state.spikes), kept

    state = at_rest(input_currents[0])
    (state, total), kept = jax.lax.scan(advance, (state, state.spikes), input_currents)
    return if_finite(total / input_currents.shape[0], state), (*kept, w_rec)


def _step_and_kept(state: NeuronState, current: Rates, w_rec: Weights, constants: NeuronConstants):
    """Advance one time step; also return the two arrays that the backward pass reads."""
    before = state.refractory
    state, scaled = step(state, current, w_rec, constants)
    return state, (kept_potential(scaled, before), state.adaptation)


def kept_potential(scaled_potential: Rates, refractory: Rates) -> Rates:
    """One number that holds all that the backward pass must know of a unit's potential at a time step.

    Beyond [-1, 1] the surrogate gradient is zero, so the clipped potential will do: its sign is the spike,
    and a unit that was refractory before the step looks like one far below threshold.
    """
    return jnp.where(refractory <= 0.1, jnp.clip(scaled_potential, -1, 1), -1)


def _mean_rates_backward(constants: NeuronConstants, kept, rates_bar: Rates):
    every_step_bar = rates_bar / kept[0].shape[0]
    return backward(constants, kept, every_step_bar, None)


class Bars(NamedTuple):
    """Gradients with respect to the state of units, on the way back through time."""

    spikes: Rates
    potential: Rates
    adaptation: Rates


def retreat_units(
    bars: Bars, scaled_potential: Rates, adaptation: Rates, before: Rates, constants: NeuronConstants
) -> tuple[Rates, Bars, Rates]:
    """Go back one time step, without what passes between units.

    Args:
        bars: Gradients after the step.
        scaled_potential: ``kept_potential`` of the step.
        adaptation: Adaptation at the step.
        before: Spikes of the step before.
        constants: The neurons' constants.

    Returns:
        The gradient of the current; those of the state before, with that of the spikes left as it was; and
        the adaptive threshold, which ``spikes_before_bar`` needs.
    """
    rho, rho_b, threshold, beta, dt, _, dampening, _ = constants
    adaptive_threshold = threshold + beta * adaptation
    surrogate = dampening * jnp.maximum(1 - jnp.abs(scaled_potential), 0)
    relative_bar = bars.spikes * surrogate / dt / adaptive_threshold
    potential_bar = rho * bars.potential + relative_bar
    threshold_bar = -relative_bar * (scaled_potential + 1) - potential_bar * before * dt
    adaptation_bar = rho_b * bars.adaptation + beta * threshold_bar
    return (1 - rho) * potential_bar, Bars(bars.spikes, potential_bar, adaptation_bar), adaptive_threshold


def spikes_before_bar(
    received_bar: Rates, bars: Bars, adaptive_threshold: Rates, constants: NeuronConstants
) -> Rates:
    """The gradient of the spikes of the step before, of which ``received_bar`` came from outside the unit."""
    own_bar = (1 - constants.adaptation_decay) * bars.adaptation
    return received_bar + own_bar - bars.potential * adaptive_threshold * constants.dt


def backward(constants: NeuronConstants, kept, last_bar: Rates, earlier_bars: Currents | None):
    """Gradients of the input currents and the recurrent weights.

    Args:
        constants: The neurons' constants.
        kept: What the forward pass kept.
        last_bar: Gradient of the spikes of the last time step, by way of the readout.
        earlier_bars: Of the step before each time step; None if it is ``last_bar`` at every step.
    """
    scaled_potentials, adaptations, w_rec = kept
    # By the same function as in the forward pass, so that second derivatives see the surrogate as well.
    spikes = spike(scaled_potentials, constants.dampening) / constants.dt
    spikes_before = jnp.concatenate([jnp.zeros_like(spikes[:1]), spikes[:-1]])

    def retreat(bars, now):
        scaled, adaptation, before, readout_bar = now
        current_bar, bars, adaptive_threshold = retreat_units(bars, scaled, adaptation, before, constants)
        from_readout = last_bar if readout_bar is None else readout_bar
        received_bar = from_readout + product(current_bar, w_rec.T)
        spikes_bar = spikes_before_bar(received_bar, bars, adaptive_threshold, constants)
        return bars._replace(spikes=spikes_bar), current_bar

    nothing = jnp.zeros_like(last_bar)
    _, currents_bar = jax.lax.scan(
        retreat,
        Bars(last_bar, nothing, nothing),
        (scaled_potentials, adaptations, spikes_before, earlier_bars),
        reverse=True,
    )
    return currents_bar, weights_bar(spikes_before, currents_bar, w_rec)


def weights_bar(spikes_before: Currents, currents_bar: Currents, w_rec: Weights) -> Weights:
    """The gradient of the recurrent weights, as one large product over all time steps."""
    spikes_before, rounded_bar = spikes_before.astype(w_rec.dtype), currents_bar.astype(w_rec.dtype)
    return jnp.einsum("tbi,tbj->ij", spikes_before, rounded_bar)


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
    state, (spikes, kept) = run_and_keep(input_currents, w_rec, constants)
    return if_finite(spikes, state), (*kept, w_rec)


def run_and_keep(
    input_currents: Currents, w_rec: Weights, constants: NeuronConstants
) -> tuple[NeuronState, tuple[Currents, tuple[Currents, Currents]]]:
    """The last state; and at every time step the spikes, and the two arrays that ``backward`` reads."""

    def advance(state, current):
        state, kept = _step_and_kept(state, current, w_rec, constants)
        return state, (state.spikes, kept)

    return jax.lax.scan(advance, at_rest(input_currents[0]), input_currents)


def _spike_trains_backward(constants: NeuronConstants, kept, spikes_bar: Currents):
    before = jnp.concatenate([jnp.zeros_like(spikes_bar[:1]), spikes_bar[:-1]])
    return backward(constants, kept, spikes_bar[-1], before)


spike_trains.defvjp(_spike_trains_forward, _spike_trains_backward)


def traces(spikes: Currents, decay: float) -> Currents:
    """Low-pass filter spikes over time: ``trace <- decay trace + (1 - decay) z``, zero at the start."""

    def advance(trace: Rates, now: Rates) -> tuple[Rates, Rates]:
        trace = decay * trace + (1 - decay) * now
        return trace, trace

    return jax.lax.scan(advance, jnp.zeros_like(spikes[0]), spikes)[1]
