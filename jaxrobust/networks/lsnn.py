"""The LSNN: adaptive spiking neurons with recurrent weights, read out by their mean firing rates."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Shaped

from jaxrobust.errors import InputError
from jaxrobust.layers import time_loops
from jaxrobust.layers.adaptive_neurons import (
    NeuronConstants,
    mean_rates_by_autodiff,
    product,
    spike_trains_by_autodiff,
    traces,
    trajectories,
)
from jaxrobust.layers.dropout import DropoutMask, check_dropout, kept
from jaxrobust.networks.network import Outputs, PlainKernels, Shape, Variables
from jaxrobust.networks.tapping import run_with_taps
from jaxrobust.networks.taps import NO_TAPS, Statistics, Tap, Taps
from jaxrobust.trees import Parameters

# The standard deviation of a standard normal distribution truncated to [-2, 2].
TRUNCATED_NORMAL_STD = 0.87962566103423978
Precision = Literal["float32", "bfloat16"]
Readout = Literal["mean_rates", "each_step"]
# Constants that may be parameters with one value per unit.
NEURON_PARAMETERS = ("tau", "tau_adaptation", "thr", "beta")
# Per-unit time constants and thresholds are clamped to at least 0.1 % of the network's value: with a time
# constant <= 0 the state diverges, with a threshold <= 0 a unit fires at rest.
SMALLEST_SHARE = 1e-3


@dataclass(frozen=True)
class LSNN(PlainKernels):
    """One recurrent layer of adaptive neurons and a linear readout, as in the published code.

    Parameters (float32): ``w_in (n_in, n_hidden)``, ``w_rec (n_hidden, n_hidden)``,
    ``w_out (n_hidden, n_out)``, ``b_out (n_out,)``. No unit is connected to itself: the diagonal of
    ``w_rec`` is zero at the start, has no effect and gets no gradient.

    Positions: ``input``, ``currents`` (of the units, from outside) and ``rates``; with
    ``readout="each_step"``, ``traces`` instead of ``rates``. None lies inside the time loop, whose backward
    pass is written by hand. ``Outputs.activations`` always holds ``rates (batch, units)``, averaged over
    time.

    Attributes:
        n_in: Input features per time step.
        n_out: Classes.
        n_hidden: Spiking units.
        dt: Length of a time step; the time constants below have the same unit (1 ms in the published
            system).
        tau: Membrane time constant.
        tau_adaptation: Time constant of the threshold's adaptation.
        beta: How far adaptation raises the threshold.
        thr: Resting threshold.
        refr: Refractory period in time steps; ``refr - 1`` steps after a spike are blocked.
        dampening: Height of the surrogate gradient at threshold.
        dropout: Probability of a unit to be silent for a whole training step, in all samples.
        dropout_mask: ``"rescaled"`` multiplies what the others send, to each other and to the readout, by
            ``1 / (1 - dropout)``; ``"published"`` by nothing.
        neuron_parameters: Which of ``tau``, ``tau_adaptation``, ``thr`` and ``beta`` are parameters, one
            value per unit, that are trained, attacked and mismatched like the weights. Time constants and
            thresholds are clamped to at least 0.1 % of the network's. The time loop is
            differentiated by JAX, about twice as slow, and gives no second derivatives.
        precision: Of the products with ``w_in`` and ``w_rec``, forwards and backwards: ``"float32"``, or
            ``"bfloat16"`` with sums, neurons and parameters still in float32.
        readout: What the logits are computed from. ``"mean_rates"``: firing rates averaged over time, for one
            label per sequence, logits ``(batch, classes)``. ``"each_step"``: traces of the spikes, for one
            label per time step, logits ``(batch, time, classes)``. A trace is a low-pass filter of the
            spikes with the network's ``tau``: ``trace <- rho trace + (1 - rho) z``.

    Raises:
        InputError: A word that names no precision, readout or neuron parameter, or a probability outside 0
            to 1.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> network = jr.LSNN(n_in=2, n_out=3, n_hidden=4)
        >>> parameters, statistics = network.init(jax.random.key(0))
        >>> outputs = jax.eval_shape(network.forward, parameters, statistics, jnp.ones((5, 10, 2)))
        >>> outputs.logits.shape, outputs.activations["rates"].shape
        ((5, 3), (5, 4))
    """

    n_in: int
    n_out: int
    n_hidden: int = 256
    dt: float = 1.0
    tau: float = 20.0
    tau_adaptation: float = 98.0
    beta: float = 2.0
    thr: float = 0.01
    refr: int = 2
    dampening: float = 0.3
    dropout: float = 0.0
    dropout_mask: DropoutMask = "rescaled"
    neuron_parameters: tuple[str, ...] = ()
    precision: Precision = "float32"
    readout: Readout = "mean_rates"

    def __post_init__(self):
        check_dropout(self.dropout, self.dropout_mask)
        if self.precision not in get_args(Precision):
            raise InputError(f"precision is {' or '.join(get_args(Precision))}, not {self.precision!r}.")
        if self.readout not in get_args(Readout):
            raise InputError(f"readout is {' or '.join(get_args(Readout))}, not {self.readout!r}.")
        for name in self.neuron_parameters:
            if name not in NEURON_PARAMETERS:
                raise InputError(
                    f"neuron_parameters are among {', '.join(NEURON_PARAMETERS)}, but {name!r} is not."
                )

    @property
    def constants(self) -> NeuronConstants:
        """The neurons' constants for one time step, as numbers."""
        return self._constants({})

    def _constants(self, parameters: Parameters) -> NeuronConstants:
        """The constants, those among the parameters as arrays with one value per unit."""
        values = {name: parameters.get(name, getattr(self, name)) for name in NEURON_PARAMETERS}
        for name in ("tau", "tau_adaptation", "thr"):
            if name in parameters:
                values[name] = jnp.maximum(values[name], SMALLEST_SHARE * getattr(self, name))

        def decay(time_constant: Array | float) -> Array | float:
            exponent = -self.dt / time_constant
            return math.exp(exponent) if isinstance(exponent, float) else jnp.exp(exponent)

        return NeuronConstants(
            membrane_decay=decay(values["tau"]),
            adaptation_decay=decay(values["tau_adaptation"]),
            threshold=values["thr"],
            adaptation_strength=values["beta"],
            dt=self.dt,
            refractory=float(self.refr),
            dampening=self.dampening,
            rounding=float(jnp.finfo(self.precision).eps),
        )

    def _mean_rates(self, parameters: Parameters, currents: Array, w_rec: Array) -> Array:
        if self.neuron_parameters:
            return mean_rates_by_autodiff(currents, w_rec, self._constants(parameters))
        return time_loops.module_for(currents.dtype).mean_rates(currents, w_rec, self.constants)

    def _spikes(self, parameters: Parameters, currents: Array, w_rec: Array) -> Array:
        if self.neuron_parameters:
            return spike_trains_by_autodiff(currents, w_rec, self._constants(parameters))
        return time_loops.module_for(currents.dtype).spike_trains(currents, w_rec, self.constants)

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Shape of one sample at every position; the data decide how many time steps there are."""
        last = {"rates": (self.n_hidden,)}
        if self.readout == "each_step":
            last = {"traces": (None, self.n_hidden)}
        return {"input": (None, self.n_in), "currents": (None, self.n_hidden), **last}

    def init(self, key: Array) -> Variables:
        """Draw parameters from truncated normal distributions of the published widths."""
        key_in, key_rec, key_out = jax.random.split(key, 3)

        def draw(key, shape, std):
            return jax.random.truncated_normal(key, -2, 2, shape) * (std / TRUNCATED_NORMAL_STD)

        w_rec = draw(key_rec, (self.n_hidden, self.n_hidden), math.sqrt(1 / self.n_hidden))
        parameters = {
            "w_in": draw(key_in, (self.n_in, self.n_hidden), math.sqrt(2 / (self.n_in + self.n_hidden))),
            "w_rec": without_diagonal(w_rec),
            "w_out": draw(key_out, (self.n_hidden, self.n_out), 0.01 * TRUNCATED_NORMAL_STD),
            "b_out": jnp.zeros(self.n_out),
            **{name: jnp.full(self.n_hidden, getattr(self, name)) for name in self.neuron_parameters},
        }
        return Variables(parameters, {})

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Shaped[Array, "batch time features"],
        *,
        key: Array | None = None,
        training: bool = False,
        tap: Taps = NO_TAPS,
    ) -> Outputs:
        """Inject ``inputs`` as currents, one frame per time step, and compute the logits by the readout.

        Raises:
            InputError: The inputs are not ``(batch, time, n_in)``; an unknown position; a missing key.
        """

        def compute(tap: Tap) -> tuple[Array, Statistics]:
            w_rec = without_diagonal(parameters["w_rec"])
            # The parameters decide the dtype of the time loop, not the inputs: events may be bool or uint8.
            values = jnp.asarray(inputs).astype(parameters["w_in"].dtype)
            currents = self._input_currents(parameters, tap("input", values))
            currents = tap("currents", currents, batch_axis=1)
            if not (training and self.dropout):
                values = self._values(tap, parameters, currents, w_rec, 1.0)
                return values @ parameters["w_out"] + parameters["b_out"], statistics
            # A unit's own state reaches the others through its spikes alone. So a mask on the spikes (the
            # published form) equals a mask on the weights that lead away from the unit, forwards and
            # backwards, and the time loop stays as it is.
            mask = kept(key, self.dropout, (self.n_hidden,), w_rec.dtype)
            sent = mask if self.dropout_mask == "published" else mask / (1 - self.dropout)
            values = self._values(tap, parameters, currents, sent[:, None] * w_rec, mask)
            return (sent * values) @ parameters["w_out"] + parameters["b_out"], statistics

        return run_with_taps(self, compute, tap, key=key, training=training)

    def _values(
        self, tap: Tap, parameters: Parameters, currents: Array, w_rec: Array, mask: Array | float
    ) -> Float[Array, "batch units"] | Float[Array, "batch time units"]:
        """Compute the readout's input, one value per unit; zero for dropped units."""
        w_rec = self._rounded(w_rec)
        if self.readout == "mean_rates":
            rates = self._mean_rates(parameters, currents, w_rec)
            return tap("rates", _masked(rates, mask), always=True)
        spikes = _masked(self._spikes(parameters, currents, w_rec), mask)
        tap.recorded["rates"] = jnp.mean(spikes, axis=0)
        return tap("traces", jnp.swapaxes(traces(spikes, math.exp(-self.dt / self.tau)), 0, 1))

    def trajectories(
        self, parameters: Parameters, inputs: Shaped[Array, "batch time features"]
    ) -> tuple[Float[Array, "batch time units"], Float[Array, "batch time units"]]:
        """Spikes and membrane potentials of every unit at every time step."""
        spikes, potentials = trajectories(
            self._input_currents(parameters, jnp.asarray(inputs).astype(parameters["w_in"].dtype)),
            self._rounded(without_diagonal(parameters["w_rec"])),
            self._constants(parameters),
        )
        return jnp.swapaxes(spikes, 0, 1), jnp.swapaxes(potentials, 0, 1)

    def _input_currents(
        self, parameters: Parameters, inputs: Shaped[Array, "batch time features"]
    ) -> Float[Array, "time batch units"]:
        if inputs.ndim != 3 or inputs.shape[-1] != self.n_in or not inputs.shape[1]:
            raise InputError(
                f"The LSNN takes inputs of shape (batch, time, {self.n_in}), but got {tuple(inputs.shape)}; "
                f"set n_in to the number of features of the data, and give at least one time step."
            )
        return product(jnp.swapaxes(inputs, 0, 1), self._rounded(parameters["w_in"]))

    def _rounded(self, weights: Array) -> Array:
        return weights.astype(jnp.bfloat16) if self.precision == "bfloat16" else weights


def _masked(values: Float[Array, "... units"], mask: Array | float) -> Float[Array, "... units"]:
    return values if isinstance(mask, float) else mask * values


def without_diagonal(w_rec: Float[Array, "units units"]) -> Float[Array, "units units"]:
    """Remove the connections of units to themselves."""
    return w_rec * (1 - jnp.eye(w_rec.shape[-1], dtype=w_rec.dtype))
