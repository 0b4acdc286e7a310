"""Phase-change memory: what becomes of weights stored as conductances, from seconds to a year.

A weight is the difference of two conductances, of which one is zero: ``w = w_max (g+ - g-)`` with both in
[0, 1], the unit being the largest conductance, 25 microsiemens, and ``w_max`` the largest ``|w|`` of its
tensor. Programmed, drifted and read, a device whose target is ``g`` gives (Joshi et al. 2020, Nature
Communications 11, 2473; Nandakumar et al. 2019)::

    g_p = g + N(0, s_p)                     25 s_p = max(-1.1731 g^2 + 1.9650 g + 0.2635, 0)
    g_d = g_p (t / t_c)^(-nu)               nu ~ N(mu, s), t_c = 25 s
    g_r = g_d + N(0, g_d Q sqrt(log((t + t_r) / t_r)))    Q = min(0.0088 / g^0.65, 0.2), t_r = 250 ns

The published text leaves the drift exponent open. These are the values of the PCM model of IBM's public
analog hardware kit (its documentation, "Inference and PCM statistical model")::

    mu = clip(-0.0155 log g + 0.0244, 0.049, 0.1)      s = clip(-0.0125 log g - 0.0059, 0.008, 0.045)

The standard deviation ``s_p`` is in microsiemens there, hence the 25. (That documentation has ``2 t_r`` under
the logarithm of the read noise; we follow the paper. The difference is 2 %.) Conductances are never negative.

Global drift compensation multiplies what a tensor gives by one number, the total conductance of its devices
right after programming over that now, as a calibration read-out would measure it. Left out are the converters
and the division of tensors into tiles: a tensor is one tile of any size.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxrobust.numerics import largest
from jaxrobust.trees import Number, Parameters, check_numbers, map_with_keys, settings_tree, static

G_MAX = 25.0  # microsiemens
T_PROGRAMMED = 25.0  # seconds; t_c
T_READ = 250e-9  # seconds
# The published times: 25 s, an hour, a day, 30 days and a year, in seconds.
TIMES = (25.0, 3600.0, 86400.0, 2592000.0, 31536000.0)
# Standard deviations of a tensor to which the published simulator clips its weights.
PUBLISHED_CLIP = 2.5
# Below this a conductance counts as zero in the formulas with its logarithm or inverse, which are flat there.
_SMALLEST = 1e-6

Conductance = Float[Array, "..."]


def programming_std(target: Conductance) -> Conductance:
    """Standard deviation of what is programmed, as a fraction of the largest conductance."""
    return jnp.maximum(-1.1731 * target**2 + 1.9650 * target + 0.2635, 0) / G_MAX


def drift_mean(target: Conductance) -> Conductance:
    """Mean drift exponent of devices with this target, in [0, 1]."""
    return jnp.clip(-0.0155 * jnp.log(jnp.maximum(target, _SMALLEST)) + 0.0244, 0.049, 0.1)


def drift_std(target: Conductance) -> Conductance:
    """Standard deviation of the drift exponent among devices with this target."""
    return jnp.clip(-0.0125 * jnp.log(jnp.maximum(target, _SMALLEST)) - 0.0059, 0.008, 0.045)


def read_std(target: Conductance, time: Number) -> Conductance:
    """Standard deviation of what is read at ``time`` seconds, relative to the conductance itself."""
    q = jnp.minimum(0.0088 / jnp.maximum(target, _SMALLEST) ** 0.65, 0.2)
    return q * jnp.sqrt(jnp.log((time + T_READ) / T_READ)).astype(target.dtype)


@settings_tree
@dataclass(frozen=True)
class PhaseChangeMemory:
    """Weights stored in phase-change memory, as they are ``time`` seconds after programming.

    Tensors with fewer than two axes (biases, normalisation) stay digital and exact, as published.

    Attributes:
        time: Seconds since programming, at least 25; ``TIMES`` are the published ones.
        clip: Weights are clipped to this many standard deviations of their tensor before programming (about
            its mean of zero); ``PUBLISHED_CLIP`` in the published simulator. 0 clips nothing.
        programming_scale: Factor on the programming noise; 0 switches it off.
        drift_scale: Factor on the drift exponents.
        read_scale: Factor on the read noise.
        compensate: Whether global drift compensation is applied.

    Raises:
        InputError: A time before the end of programming, or a number that is negative or not finite.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> after_an_hour = jr.PhaseChangeMemory(3600.0)
        >>> after_an_hour.perturb(jax.random.key(0), {"w": jnp.ones((2, 2))})["w"].shape
        (2, 2)
    """

    time: Number = T_PROGRAMMED
    clip: Number = 0.0
    programming_scale: Number = 1.0
    drift_scale: Number = 1.0
    read_scale: Number = 1.0
    compensate: bool = static(default=True)

    def __post_init__(self):
        check_numbers(self, "time", minimum=T_PROGRAMMED)
        check_numbers(self, "clip", "programming_scale", "drift_scale", "read_scale")

    def perturb(self, key: Array, parameters: Parameters) -> Parameters:
        """Program, let drift and read one chip."""
        return map_with_keys(lambda k, p: p if p.ndim < 2 else self._of_tensor(k, p), key, parameters)

    def _of_tensor(self, key: Array, weights: Array) -> Array:
        scale = largest(jnp.abs(weights))
        is_zero = scale == 0
        clipped = jnp.minimum(
            scale, self.clip * jnp.sqrt(jnp.mean(weights**2) + is_zero.astype(weights.dtype))
        )
        scale = jnp.where(jnp.asarray(self.clip) > 0, clipped, scale).astype(weights.dtype)
        # Where all weights are zero, any scale serves: the noise of the empty devices is scaled by zero.
        relative = jnp.clip(weights / jnp.where(scale > 0, scale, 1), -1, 1)
        pair = jnp.stack([jnp.maximum(relative, 0), jnp.maximum(-relative, 0)])
        programmed, read = self._devices(key, pair)
        if self.compensate:
            now = jnp.sum(read)
            read = read * jnp.where(now > 0, jnp.sum(programmed) / jnp.where(now > 0, now, 1), 1)
        return (scale * (read[0] - read[1])).astype(weights.dtype)

    def _devices(self, key: Array, target: Conductance) -> tuple[Conductance, Conductance]:
        """Conductances right after programming and now."""
        key_programming, key_drift, key_read = jax.random.split(key, 3)

        def normal(key: Array) -> Array:
            return jax.random.normal(key, target.shape, target.dtype)

        noise = self.programming_scale * programming_std(target) * normal(key_programming)
        programmed = jnp.maximum(target + noise, 0)
        exponent = self.drift_scale * (drift_mean(target) + drift_std(target) * normal(key_drift))
        drifted = programmed * jnp.exp(-exponent * jnp.log(self.time / T_PROGRAMMED))
        read = drifted * (1 + self.read_scale * read_std(target, self.time) * normal(key_read))
        return programmed, jnp.maximum(read, 0)
