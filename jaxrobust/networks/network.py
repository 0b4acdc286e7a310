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
        activations: Values inside the network by the name of their position, batch axis first. An LSNN always
            gives ``rates`` ``(batch, units)`` in spikes per time unit, which the firing-rate term reads.
        statistics: The running statistics after this batch (unchanged outside of training).
    """

    logits: Float[Array, "batch classes"]
    activations: dict[str, Float[Array, "batch ..."]]
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
        """Compute logits, activations and the statistics after this batch."""
        ...
