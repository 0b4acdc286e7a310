"""What every network of the library offers to training and evaluation."""

from typing import NamedTuple, Protocol, runtime_checkable

from jax import Array
from jaxtyping import Float, PyTree

from jaxrobust.trees import Parameters

Statistics = PyTree[Float[Array, "..."]]


class Variables(NamedTuple):
    """A network's state: what is trained and attacked, and what is only remembered between batches."""

    parameters: Parameters
    statistics: Statistics


class Outputs(NamedTuple):
    """What a network gives for one batch.

    Attributes:
        logits: ``(batch, classes)``.
        rates: Firing rates ``(batch, units)`` in spikes per time unit; width 0 for a network without spikes.
        statistics: The running statistics after this batch (unchanged outside of training).
    """

    logits: Float[Array, "batch classes"]
    rates: Float[Array, "batch units"]
    statistics: Statistics


@runtime_checkable
class Network(Protocol):
    """A frozen, hashable description of an architecture: pure functions of parameters and inputs.

    ``forward(training=True, key=...)`` may draw dropout masks from ``key`` and use batch statistics;
    without them it is deterministic and treats every sample on its own.
    """

    def init(self, key: Array) -> Variables:
        """Draw fresh parameters and the statistics to start from."""
        ...

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Float[Array, "batch ..."],
        *,
        key: Array | None = None,
        training: bool = False,
    ) -> Outputs:
        """Compute logits, firing rates and the statistics after this batch."""
        ...
