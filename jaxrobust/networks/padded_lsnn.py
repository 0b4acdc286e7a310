"""The LSNN for sequences of different lengths."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from jaxrobust.errors import InputError
from jaxrobust.layers.adaptive_neurons import traces
from jaxrobust.layers.dropout import kept
from jaxrobust.networks.lsnn import LSNN, without_diagonal
from jaxrobust.networks.network import Outputs, Shape
from jaxrobust.networks.tapping import run_with_taps
from jaxrobust.networks.taps import NO_TAPS, Statistics, Tap, Taps
from jaxrobust.trees import Parameters


@dataclass(frozen=True)
class PaddedLSNN(LSNN):
    """An ``LSNN`` for padded sequences: the last input feature is 1 at valid time steps and 0 at padding.

    Rates are means over the valid steps, so that logits, loss and gradient do not depend on padding: they are
    those of the ``LSNN`` on the sequence without it. ``jr.data.register(..., lengths=...)`` makes such
    inputs. Values above 0.5 count as valid, which small changes of the inputs do not alter. With
    ``readout="each_step"`` traces are 0 at padding, and the labels there (-1) keep it out of every mean.

    Attributes:
        n_in: Input features per time step, without the one that marks padding.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> network = jr.PaddedLSNN(n_in=2, n_out=3, n_hidden=4)
        >>> inputs = jnp.ones((5, 10, 3)).at[:, 6:].set(0)
        >>> jax.eval_shape(network.forward, *network.init(jax.random.key(0)), inputs).logits.shape
        (5, 3)
    """

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Shape of one sample at every position."""
        return {**super().positions, "input": (None, self.n_in + 1)}

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
        """Compute the logits from the valid time steps.

        Raises:
            InputError: The inputs are not ``(batch, time, n_in + 1)``; an unknown position; a missing key.
        """
        if inputs.ndim != 3 or inputs.shape[-1] != self.n_in + 1:
            raise InputError(
                f"The PaddedLSNN takes inputs of shape (batch, time, {self.n_in + 1}), but got "
                f"{tuple(inputs.shape)}; the last feature marks valid time steps."
            )

        def compute(tap: Tap) -> tuple[Array, Statistics]:
            values = tap("input", inputs)
            is_valid = values[..., -1] > 0.5
            signal = jnp.where(is_valid[..., None], values[..., :-1], 0)
            currents = tap("currents", self._input_currents(parameters, signal), batch_axis=1)
            w_rec = without_diagonal(parameters["w_rec"])
            mask, sent = 1.0, jnp.ones((self.n_hidden,), w_rec.dtype)
            if training and self.dropout:
                mask = kept(key, self.dropout, (self.n_hidden,), w_rec.dtype)
                sent = mask if self.dropout_mask == "published" else mask / (1 - self.dropout)
            spikes = self._spikes(parameters, currents, self._rounded(sent[:, None] * w_rec))
            # A spike acts on later steps only: what padding would do has no weight, forwards and backwards.
            share = is_valid / jnp.maximum(jnp.sum(is_valid, axis=1, keepdims=True), 1)
            rates = jnp.einsum("tbu,bt->bu", spikes, share.astype(spikes.dtype))
            if self.readout == "mean_rates":
                values = tap("rates", mask * rates, always=True)
            else:
                tap.recorded["rates"] = mask * rates
                filtered = traces(mask * spikes, math.exp(-self.dt / self.tau)) * is_valid.T[..., None]
                values = tap("traces", jnp.swapaxes(filtered, 0, 1))
            return (sent * values) @ parameters["w_out"] + parameters["b_out"], statistics

        return run_with_taps(self, compute, tap, key=key, training=training)
