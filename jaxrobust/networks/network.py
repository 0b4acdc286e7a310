"""The contract between networks and everything that trains, attacks, measures and certifies them."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from jax import Array
from jaxtyping import Float, Shaped

from jaxrobust.networks.taps import NO_TAPS, Statistics, Taps
from jaxrobust.trees import Parameters

# The shape of one sample, without the batch axis; None for an axis whose length the data decide.
Shape = tuple[int | None, ...]


class Variables(NamedTuple):
    """A network's state: what is trained and attacked, and what is only remembered between batches."""

    parameters: Parameters
    statistics: Statistics


class Outputs(NamedTuple):
    """What a network gives for one batch.

    Attributes:
        logits: ``(batch, classes)``, or ``(batch, time, classes)`` from a network with one label per time
            step.
        activations: Values inside the network by the name of their position, batch axis first: those that
            ``Taps.record`` names, after replacement and perturbation. An LSNN always gives ``rates``
            ``(batch, units)`` in spikes per time unit, which the firing-rate regularizer reads.
        statistics: The running statistics after this batch (unchanged outside of training).
    """

    logits: Float[Array, "batch ..."]
    activations: dict[str, Float[Array, "batch ..."]]
    statistics: Statistics


@runtime_checkable
class Network(Protocol):
    """A frozen, hashable description of a network: pure functions of parameters, statistics and inputs.

    Training, attacks, measures and certificates see a network through these four members alone, so a class
    with them works in every method, attack and evaluation, whatever library its layers come from. It is
    passed to ``jit`` as a static argument; equal descriptions share a compiled program.

    Promises (``tests/contracts/test_networks.py`` checks each of every network of the library):

    * *Pure.* Everything random comes from ``key``, everything remembered is in ``statistics``. Compiled and
      uncompiled results agree within rounding, and ``vmap`` over parameters equals a loop.
    * *Parameters* are a tree of floating-point arrays. The order of its leaves decides random draws, so
      renaming a parameter changes results.
    * *Numbers.* Logits have the dtype of parameters and inputs. Values and derivatives are finite at zero
      parameters and zero inputs. Other numbers of the same shapes recompile nothing.
    * *Training.* ``training=True`` may draw dropout masks from ``key``, normalize by the batch's moments and
      update ``statistics``. Without it forward is deterministic but for perturbations, and returns
      ``statistics`` unchanged.
    * *Positions.* Wherever ``positions`` has a name, forward calls ``x = tap(name, x)`` once, outside of time
      loops and other transformations. The batch axis of what the user gets and gives is the first, channels
      (features, units) are the last. Recording, or replacing a value by itself, changes nothing; a position
      that ``Taps`` does not name adds no operation to the program.
    * *Nothing in vain.* What neither the logits nor recorded values need is not computed in the compiled
      program; running statistics of layers that a replacement makes superfluous come back unchanged.
    * *Baking.* ``forward(bake(parameters, statistics), statistics, ...)`` equals ``forward(parameters,
      statistics, ...)``. A baked tree has an array in the place of each kernel that is computed from other
      parameters; statistics that only the making of kernels needs are then not updated.

    Flax Linen modules become networks through ``LinenNetwork``. Your own class needs ``forward`` to make its
    taps, most simply by ``run_with_taps``; a network without positions has ``positions = {}``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxrobust.networks.mlp import MLP
        >>> network = MLP(n_in=3, n_hidden=(4,), n_out=2)
        >>> parameters, statistics = network.init(jax.random.key(0))
        >>> outputs = network.forward(parameters, statistics, jnp.ones((5, 3)), tap=Taps(record=("fc1",)))
        >>> outputs.logits.shape, outputs.activations["fc1"].shape
        ((5, 2), (5, 4))
        >>> dict(network.positions)
        {'input': (3,), 'fc1': (4,), 'relu1': (4,), 'logits': (2,)}
    """

    @property
    def positions(self) -> Mapping[str, Shape]:
        """Shape of one sample at every position, by name, in the order of computation."""
        ...

    def init(self, key: Array) -> Variables:
        """Draw fresh parameters and the statistics to start from."""
        ...

    def forward(
        self,
        parameters: Parameters,
        statistics: Statistics,
        inputs: Shaped[Array, "batch ..."],
        *,
        key: Array | None = None,
        training: bool = False,
        tap: Taps = NO_TAPS,
    ) -> Outputs:
        """Compute logits, activations and the statistics after this batch.

        Args:
            parameters: As ``init`` or ``bake`` gives them.
            statistics: As ``init`` or an earlier forward gives them.
            inputs: One batch: numbers, or events as bool or integers.
            key: PRNG key of dropout and perturbations.
            training: Whether this is a step of training.
            tap: What is recorded, perturbed and replaced inside the network.

        Raises:
            InputError: The inputs do not fit, ``tap`` names an unknown position, or a key is missing.
        """
        ...

    def bake(self, parameters: Parameters, statistics: Statistics | None = None) -> Parameters:
        """Return a tree that ``forward`` takes too, with kernels in place of what makes them.

        Args:
            parameters: As ``init`` or ``bake`` gives them.
            statistics: What kernels depend on as well, the vectors of a power iteration, say; by default
                those that ``init`` gives.
        """
        ...


class PlainKernels:
    """A base of networks whose kernels are parameters themselves: there is nothing to bake."""

    def bake(self, parameters: Parameters, statistics: Statistics | None = None) -> Parameters:
        """Return the parameters."""
        del statistics
        return parameters
