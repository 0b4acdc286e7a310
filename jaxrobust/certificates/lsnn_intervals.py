"""Interval propagation through the exact dynamics of the LSNN.

Potential, threshold, adaptation and refractory counter are intervals; a spike is one of [0, 0], [0, 1] and
[1, 1]: certain not to happen, possible, certain. A unit certainly spikes if its counter is certainly run down
and its lowest potential is above its highest threshold. The network compares ``v / B - 1`` with zero; as
``B`` is positive that is ``v > B``, and without the quotient the bounds lose nothing.

The published rules take the reset from the potential whether or not it is the event that made the spike.
Here (``split_cases``) the two cases are bounded apart and joined again: a unit that has spiked had a
potential above its threshold, one that was free to spike and has not had one below. It is never looser.

What is not known makes the weak claim: a comparison with NaN leaves a spike possible, and samples whose
inputs, weights or potentials may not be finite have no bounds at all, as the network gives no answer then.

Rounding widens the bounds like a box of relative size ``(n + 2) eps`` would, ``n`` the units that spike at
once: about 3e-6 in the published network, against boxes of up to 5e-4.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from jaxrobust.certificates.intervals import (
    Interval,
    add,
    bilinear,
    check_product_precision,
    hull,
    outwards,
    unbounded_unless_finite,
)
from jaxrobust.certificates.margins import margins_of_readout
from jaxrobust.errors import InputError
from jaxrobust.layers.adaptive_neurons import FLOAT32_ROUNDING, NeuronConstants
from jaxrobust.networks.lsnn import without_diagonal
from jaxrobust.trees import check_finite

_product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


class _State(NamedTuple):
    """Bounds on the state of all units, each end ``(batch, units)``."""

    potential: Interval
    spikes: Interval
    adaptation: Interval
    refractory: Interval
    threshold: Interval
    was_free: Bool[Array, "batch units"]


def lsnn_bounds(
    box: Interval,
    inputs: Float[Array, "batch time features"],
    *,
    constants: NeuronConstants,
    split_cases: bool = True,
) -> Interval:
    """Bounds on the logits of every LSNN whose parameters lie in a box.

    Args:
        box: Two trees of parameters ``w_in``, ``w_rec``, ``w_out``, ``b_out``; the diagonal of ``w_rec`` has
            no effect.
        inputs: One batch, exactly known.
        constants: The neurons' constants, Python numbers all.
        split_cases: Whether a reset is bounded together with the spike that causes it; if not, by the
            published rules.

    Returns:
        Lower and upper bounds, each ``(batch, classes)``; -inf and inf for a sample that has none.

    Raises:
        InputError: The inputs do not fit or are not finite, the threshold may not be positive, the network's
            products are not in float32, or constants of the neurons are parameters, which are not bounded.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> network = jr.LSNN(n_in=2, n_out=3, n_hidden=4)
        >>> box = jr.box_around(network.init(jax.random.key(0)).parameters, relative_size=1e-4)
        >>> jr.lsnn_bounds(box, jnp.ones((1, 5, 2)), constants=network.constants).lower.shape
        (1, 3)
    """
    rates, weights = readout_bounds(box, inputs, constants=constants, split_cases=split_cases)
    n_units = weights["w_out"].lower.shape[0]
    logits = add(bilinear(_product, rates, weights["w_out"], n_terms=n_units), weights["b_out"])
    return unbounded_unless_finite(logits)


def lsnn_margins(
    box: Interval,
    inputs: Float[Array, "batch time features"],
    labels: Int[Array, " batch"],
    *,
    constants: NeuronConstants,
    split_cases: bool = True,
) -> Float[Array, "batch classes"]:
    """Lower bounds of the label's logit minus every other one, for every LSNN in a box.

    Tighter than the difference of two bounds of logits: both logits are computed from the same rates.

    Args:
        box: As in ``lsnn_bounds``, as all that follows but the labels.
        inputs: One batch, exactly known.
        labels: Their classes.
        constants: The neurons' constants.
        split_cases: Whether a reset is bounded together with the spike that causes it.
    """
    rates, weights = readout_bounds(box, inputs, constants=constants, split_cases=split_cases)
    return margins_of_readout(rates, weights["w_out"], weights["b_out"], labels)


def readout_bounds(
    box: Interval,
    inputs: Float[Array, "batch time features"],
    *,
    constants: NeuronConstants,
    split_cases: bool = True,
) -> tuple[Interval, dict[str, Interval]]:
    """Bounds on what the readout gets, the mean rates, and on its weights; as ``lsnn_bounds``."""
    if constants.rounding > FLOAT32_ROUNDING:
        raise InputError(
            "Interval propagation bounds products in float32, but this network rounds them further "
            f"(by {constants.rounding:g}); verify one with precision='float32'."
        )
    check_product_precision(None)
    unknown = sorted(set(box.lower) - {"w_in", "w_rec", "w_out", "b_out"})
    if unknown:
        raise InputError(
            f"Interval propagation bounds the weights of an LSNN, not its {', '.join(unknown)}; verify "
            "a network without neuron_parameters."
        )
    weights = {name: Interval(box.lower[name], box.upper[name]) for name in box.lower}
    n_in = weights["w_in"].lower.shape[0]
    if inputs.ndim != 3 or inputs.shape[-1] != n_in:
        raise InputError(
            f"The LSNN takes inputs of shape (batch, time, {n_in}), but got {tuple(inputs.shape)}."
        )
    check_finite(inputs, "The inputs of a verification")
    inputs = jnp.asarray(inputs).astype(weights["w_in"].lower.dtype)
    currents = bilinear(_product, jnp.swapaxes(inputs, 0, 1), weights["w_in"], n_terms=n_in)
    w_rec = Interval(*(without_diagonal(end) for end in weights["w_rec"]))
    return rate_bounds(currents, w_rec, constants=constants, split_cases=split_cases), weights


def rate_bounds(
    currents: Interval, w_rec: Interval, *, constants: NeuronConstants, split_cases: bool = True
) -> Interval:
    """Bounds on the mean firing rate of every unit, each end ``(batch, units)``.

    Where a potential or what leads to it may not be finite, the bounds are -inf and inf.

    Args:
        currents: What comes from outside, each end ``(time, batch, units)``.
        w_rec: Recurrent weights, each end ``(units, units)``, without a diagonal.
        constants: The neurons' constants.
        split_cases: As in ``lsnn_bounds``.

    Raises:
        InputError: The threshold may not be positive.
    """
    if not (constants.threshold > 0 and constants.adaptation_strength >= 0):
        raise InputError(
            f"Bounds need a positive resting threshold and an adaptation of at least 0, but they are "
            f"{constants.threshold} and {constants.adaptation_strength}."
        )
    weights = _by_sign(w_rec)

    def advance(carry: tuple[_State, Interval], current: Interval):
        state, total = carry
        received = _recurrent_current(state.spikes, weights)
        state = _step(state, add(current, received), constants, split_cases)
        return (state, Interval(*(t + s for t, s in zip(total, state.spikes, strict=True)))), None

    nothing = jnp.zeros_like(currents.lower[0])
    zero, thresholds = Interval(nothing, nothing), nothing + constants.threshold
    rest = _State(zero, zero, zero, zero, Interval(thresholds, thresholds), nothing == 0)
    (last, total), _ = jax.lax.scan(advance, (rest, zero), currents)
    n_steps = currents.lower.shape[0]
    # The sum over time is exact for whole spikes, and rounded at every step if 1 / dt is not.
    lower, upper = outwards(Interval(total.lower / n_steps, total.upper / n_steps), roundings=n_steps + 2)
    is_known = _is_known(last.potential, currents, w_rec)[:, None]
    return Interval(jnp.where(is_known, jnp.maximum(lower, 0), -jnp.inf), jnp.where(is_known, upper, jnp.inf))


def _is_known(potential: Interval, currents: Interval, w_rec: Interval) -> Bool[Array, " batch"]:
    """Whether a sample's potentials are finite; once infinite or NaN they stay so, up to the last step."""
    of_samples = [jnp.isfinite(end).all(-1) for end in potential]
    of_samples += [jnp.isfinite(end).all((0, 2)) for end in currents]
    return jnp.stack(of_samples).all(0) & jnp.isfinite(jnp.stack(w_rec)).all()


def _by_sign(w: Interval) -> Float[Array, "twice_units three_units"]:
    """One matrix that takes (lower, upper) spikes to (lower, upper, size) of what they send."""
    largest = jnp.maximum(jnp.abs(w.lower), jnp.abs(w.upper))
    of_lower = [jnp.maximum(w.lower, 0), jnp.minimum(w.upper, 0), jnp.zeros_like(largest)]
    of_upper = [jnp.minimum(w.lower, 0), jnp.maximum(w.upper, 0), largest]
    return jnp.concatenate([jnp.concatenate(of_lower, 1), jnp.concatenate(of_upper, 1)], 0)


def _recurrent_current(spikes: Interval, weights: Array) -> Interval:
    products = _product(jnp.concatenate(spikes, axis=-1), weights)
    lower, upper, size = jnp.split(products, 3, axis=-1)
    # Units that are silent add nothing to the sum, so they round nothing either.
    n_terms = jnp.sum(spikes.upper > 0, axis=-1, keepdims=True)
    return outwards(Interval(lower, upper), (n_terms + 2) * jnp.finfo(lower.dtype).eps * size)


def _step(state: _State, current: Interval, constants: NeuronConstants, split_cases: bool) -> _State:
    rho, rho_b, resting, beta, dt, refractory, *_ = constants
    v, z, b, r, _, _ = state
    b = outwards(
        Interval(*(rho_b * end + (1 - rho_b) * spike for end, spike in zip(b, z, strict=True))), roundings=4
    )
    b = Interval(jnp.maximum(b.lower, 0), b.upper)
    threshold = outwards(Interval(*(resting + beta * end for end in b)), roundings=4)
    if split_cases:
        decayed = _after_reset(state, threshold, rho)
    else:
        reset = (z.lower * threshold.lower * dt, z.upper * threshold.upper * dt)
        decayed = Interval(rho * v.lower - reset[1], rho * v.upper - reset[0])
    size = rho * jnp.maximum(jnp.abs(v.lower), jnp.abs(v.upper)) + z.upper * threshold.upper * dt
    size = size + (1 - rho) * jnp.maximum(jnp.abs(current.lower), jnp.abs(current.upper))
    eps = jnp.finfo(size.dtype).eps
    v = outwards(
        Interval(
            decayed.lower + (1 - rho) * current.lower,
            decayed.upper + (1 - rho) * current.upper,
        ),
        8 * eps * size,
    )
    # v / B - 1 is rounded before it is compared with zero. Each comparison is written so that NaN, for which
    # it is false, makes a spike neither certain nor impossible.
    certain = (r.upper <= 0.1) & (v.lower > threshold.upper * (1 + 4 * eps))
    possible = ~(r.lower > 0.1) & ~(v.upper <= threshold.lower)
    spikes = Interval(*(flags.astype(size.dtype) / dt for flags in (certain, possible)))
    counter = Interval(
        *(jnp.clip(end + refractory * s - 1, 0, refractory) for end, s in zip(r, spikes, strict=True))
    )
    return _State(v, spikes, b, counter, threshold, r.upper <= 0.1)


def _after_reset(state: _State, threshold: Interval, rho: Array | float) -> Interval:
    """What is left of the potential: the hull of the case with a spike just before and that without."""
    v, z, before = state.potential, state.spikes, state.threshold
    with_spike = Interval(
        rho * jnp.maximum(v.lower, before.lower) - threshold.upper, rho * v.upper - threshold.lower
    )
    highest_below = before.upper * (1 + 4 * jnp.finfo(v.upper.dtype).eps)
    without = Interval(
        rho * v.lower, rho * jnp.where(state.was_free, jnp.minimum(v.upper, highest_below), v.upper)
    )
    either = hull(with_spike, without)
    may_spike, must_spike = z.upper > 0, z.lower > 0
    return Interval(
        *(
            jnp.where(must_spike, spiking, jnp.where(may_spike, both, resting))
            for spiking, resting, both in zip(with_spike, without, either, strict=True)
        )
    )
