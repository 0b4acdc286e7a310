"""How the positions of a network depend on each other, and where it can be cut through."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Float

from jaxrobust.errors import InputError
from jaxrobust.networks.network import Network, Shape
from jaxrobust.networks.taps import Taps
from jaxrobust.settings import nearest
from jaxrobust.trees import settings_tree, static

_MARK = "jaxrobust.position:"
# In place of an axis whose length the data decide.
_ANY_LENGTH = 4


def sample_shape(network: Network) -> tuple[int, ...]:
    """Return the shape of one sample; axes whose length the data decide get a short one."""
    return tuple(_ANY_LENGTH if n is None else n for n in network.positions["input"])


def shape_at(network: Network, position: str) -> Shape:
    """Return the shape of one sample at a position.

    Raises:
        InputError: The network has no such position.
    """
    positions = network.positions
    if position not in positions:
        hint = nearest(position, positions) or f" It has {', '.join(positions)}."
        raise InputError(
            f"{type(network).__name__} has no position {position!r}; values inside of a time loop have none."
            f"{hint}"
        )
    return positions[position]


def positions_before(network: Network, position: str) -> tuple[str, ...]:
    """Return the positions on which the value at ``position`` depends, and ``position``, in order."""
    shape_at(network, position)
    return _graph(network).before(position)


def positions_after(network: Network, position: str) -> tuple[str, ...]:
    """Return the positions that depend on the value at ``position``, in order, without ``position``."""
    shape_at(network, position)
    graph = _graph(network)
    return tuple(name for name in graph.marks if name != position and position in graph.before(name))


def cut_positions(network: Network) -> tuple[str, ...]:
    """Return the positions through which everything passes that the logits get from the input, in order.

    The other positions lie on a branch of the network, as those within a residual block do: if their value is
    replaced, the shortcut still leads the original input around it.

    Example:
        >>> from jaxrobust.networks.mlp import MLP
        >>> cut_positions(MLP(n_in=3, n_hidden=(4,), n_out=2))
        ('input', 'fc1', 'relu1', 'logits')
    """
    graph = _graph(network)
    return tuple(name for name in graph.marks if not graph.leads_around(name))


class PositionRow(NamedTuple):
    """What can be done at a position.

    Attributes:
        name: Its name.
        shape: Of one sample; None for an axis whose length the data decide.
        front: Whether a network can be the front of a stitch up to here: not at the input.
        end: Whether it can be the end from here on: everything between input and logits passes through here,
            and something follows.
    """

    name: str
    shape: Shape
    front: bool
    end: bool

    @property
    def channels(self) -> int | None:
        """How many values a stitch gets or gives per pixel, token or sample."""
        return self.shape[-1] if self.shape else 1


def position_rows(network: Network) -> list[PositionRow]:
    """Return every position of a network in the order of computation; nothing is computed.

    Example:
        >>> from jaxrobust.networks.mlp import MLP
        >>> for row in position_rows(MLP(n_in=3, n_hidden=(4,), n_out=2)):
        ...     print(row.name, row.shape, row.channels, row.front, row.end)
        input (3,) 3 False True
        fc1 (4,) 4 True True
        relu1 (4,) 4 True True
        logits (2,) 2 True False
    """
    cuts = set(cut_positions(network))
    return [
        PositionRow(name, shape, name != "input", name in cuts and name != "logits")
        for name, shape in network.positions.items()
    ]


@settings_tree
@dataclass(frozen=True)
class _Mark:
    """Leaves the name of a position in the program."""

    name: str = static()

    def perturb(self, key: Array, tree: Any) -> Any:
        del key
        return checkpoint_name(tree, _MARK + self.name)


@dataclass(frozen=True)
class _Graph:
    """The operations of a forward pass.

    Attributes:
        needs: For each operation, the operations whose results it reads; in the order of computation.
        marks: The operation that marks each position.
        last: The operation that makes the logits.
    """

    needs: tuple[tuple[int, ...], ...]
    marks: dict[str, int]
    last: int

    def before(self, position: str) -> tuple[str, ...]:
        reached = self._reach((self.marks[position],))
        return tuple(name for name, at in self.marks.items() if at in reached)

    def leads_around(self, position: str) -> bool:
        at, source = self.marks[position], self.marks["input"]
        return at != source and source in self._reach((self.last,), without=at)

    def _reach(self, starts: Iterable[int], without: int = -1) -> set[int]:
        reached: set[int] = set()
        waiting = [start for start in starts if start != without]
        while waiting:
            here = waiting.pop()
            if here not in reached:
                reached.add(here)
                waiting += [at for at in self.needs[here] if at != without]
        return reached


@lru_cache(maxsize=64)
def _graph(network: Network) -> _Graph:
    """Trace the forward pass once, with every position marked; nothing is computed."""
    taps = Taps(perturb={name: _Mark(name) for name in network.positions})

    def forward(key: Array, inputs: Float[Array, "batch ..."]) -> Array:
        return network.forward(*network.init(key), inputs, key=key, tap=taps).logits

    key, inputs = jax.random.key(0), jnp.zeros((1, *sample_shape(network)))
    program = jax.make_jaxpr(forward)(key, inputs).jaxpr
    made_by: dict[Any, int] = {}
    needs, marks = [], {}
    for at, operation in enumerate(program.eqns):
        needs.append(tuple(made_by[v] for v in operation.invars if not _is_literal(v) and v in made_by))
        made_by.update(dict.fromkeys(operation.outvars, at))
        name = str(operation.params.get("name", ""))
        if operation.primitive.name == "name" and name.startswith(_MARK):
            marks[name.removeprefix(_MARK)] = at
    return _Graph(tuple(needs), marks, made_by[program.outvars[0]])


def _is_literal(variable: Any) -> bool:
    return hasattr(variable, "val")
